// SPDX-License-Identifier: BSD-3-Clause
// test/sched/threads_test.c: threads that are long in coming, or never come.
//
// The program's own pthread_create stands before libc's: it may hold a request
// until something has happened elsewhere, and refuse it. Limits of the system
// (ulimit -u) would not do: root has none.

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/san.h"
#include "gc/gc.h"
#include "sched/proc.h"
#include "support/goroutines.h"

static bool (*gatekeeper)(void); // atomic; false: refused
static int asked, refusals;      // atomic

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                      void *);
create_fn pthread_create;

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
                   void *(*fn)(void *), void *arg)
{
    static create_fn *real;
    if (!tz_load(&real))
        tz_store(&real, (create_fn *)dlsym(RTLD_NEXT, "pthread_create"));
    bool (*keeper)(void) = tz_load(&gatekeeper);
    if (keeper) {
        tz_xadd(&asked, 1);
        if (!keeper()) {
            tz_xadd(&refusals, 1);
            return EAGAIN;
        }
    }
    return tz_load(&real)(t, attr, fn, arg);
}

static tuza_waitgroup group;
static int fd[2];

// True once every M but those being made is asleep.
static bool others_sleep(uint32_t being_made)
{
    tz_lock_acquire(&tz_sched.lock);
    bool asleep = tz_sched.nmidle + being_made >= tz_load(&tz_sched.mcount);
    tz_lock_release(&tz_sched.lock);
    return asleep;
}

static bool when_others_sleep(void)
{
    while (!others_sleep(1))
        sched_yield();
    return true;
}

static void call_and_done(void *arg)
{
    (void)arg;
    TUZA_BLOCKING(getppid());
    tuza_waitgroup_done(&group);
}

// Main waits for a goroutine whose thread comes when all others are asleep.
static void read_and_done(void *arg)
{
    (void)arg;
    char byte;
    need_eq(TUZA_BLOCKING(read(fd[0], &byte, 1)), 1);
    tuza_waitgroup_done(&group);
}

static void write_and_done(void *arg)
{
    (void)arg;
    need_eq(TUZA_SYSCALL(write(fd[1], "x", 1)), 1);
    tuza_waitgroup_done(&group);
}

static int only_a_new_thread_helps(int argc, char **argv)
{
    (void)argc, (void)argv;
    ck_assert_int_eq(pipe(fd), 0);
    tz_store(&gatekeeper, argc ? when_others_sleep : NULL);
    for (int i = 0; i < 20; i++) {
        tuza_waitgroup_add(&group, 2);
        tuza_spawn(write_and_done, NULL);
        tuza_spawn(read_and_done, NULL); // runs first, its P is handed off
        tuza_waitgroup_wait(&group);
    }
    return 0;
}

static bool when_asleep_but_the_reader(void)
{
    while (!others_sleep(2)) // the new one, and the one that reads
        sched_yield();
    return true;
}

static int thread_for_what_is_queued(int argc, char **argv)
{
    tz_store(&gatekeeper, when_asleep_but_the_reader);
    return only_a_new_thread_helps(argc, argv);
}

START_TEST(s3_34_a_thread_that_is_being_made_is_no_deadlock)
{
    api_run(thread_for_what_is_queued, 1);
}
END_TEST

// A collection neither waits for a thread that is being made nor loses the P
// that waits for it [sched.I7].
static uint64_t collections(void)
{
    struct tz_gcstats st;
    tz_gc_stats(&st);
    return st.cycles;
}

static uint64_t wait_for_cycle;

static bool when_a_collection_is_over(void)
{
    while (collections() < tz_load(&wait_for_cycle))
        sched_yield();
    return true;
}

IN_GOROUTINES(a_collection_does_not_wait_for_a_thread_being_made, 8)
{
    for (int i = 0; i < 20; i++) {
        tz_store(&wait_for_cycle, collections() + 1);
        tz_store(&gatekeeper, when_a_collection_is_over);
        tuza_waitgroup_add(&group, 6);
        for (int j = 0; j < 6; j++)
            tuza_spawn(call_and_done, NULL);
        while (!tz_load(&asked)) // a thread is being made
            sched_yield();
        tuza_gc(); // not before this is over
        tuza_waitgroup_wait(&group);
        tz_store(&gatekeeper, NULL);
    }
}

// Refused: the threads that exist do the work.
static bool refuse(void) { return false; }

static void yield_and_done(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        tuza_yield();
    TUZA_SYSCALL(getppid());
    tuza_waitgroup_done(&group);
}

static void work_without_threads(void)
{
    tz_store(&gatekeeper, refuse);
    for (int i = 0; i < 20; i++) {
        tuza_waitgroup_add(&group, 200);
        for (int j = 0; j < 100; j++) {
            tuza_spawn(yield_and_done, NULL);
            tuza_spawn(call_and_done, NULL);
        }
        tuza_waitgroup_wait(&group);
        tuza_gc();
        tuza_sleep(TUZA_US(100));
    }
    need(tz_load(&refusals) > 0);
}

IN_GOROUTINES(the_threads_that_exist_do_the_work_on_one_proc, 1)
{
    work_without_threads();
}

IN_GOROUTINES(the_threads_that_exist_do_the_work_on_four_procs, 4)
{
    work_without_threads();
}

// The P goes to a thread that never comes; meanwhile the only other thread
// returns from its call, finds no P and goes to sleep.
static bool refuse_when_others_sleep(void)
{
    (void)when_others_sleep();
    return false;
}

static int call_returned;

static void *hold_until_asked(void *arg)
{
    (void)arg;
    while (!tz_load(&asked))
        sched_yield();
    return NULL;
}

static int return_to_no_proc(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 20; i++) {
        tz_store(&asked, 0);
        tz_store(&gatekeeper, refuse_when_others_sleep);
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(yield_and_done, NULL); // for it, a thread is asked
        TUZA_BLOCKING(hold_until_asked(NULL));
        tz_store(&gatekeeper, refuse);
        tuza_waitgroup_wait(&group);
        call_returned++;
    }
    need(tz_load(&refusals) >= 20);
    return 0;
}

START_TEST(a_refused_thread_leaves_no_goroutine_behind)
{
    api_run(return_to_no_proc, 1);
    ck_assert_int_eq(call_returned, 20);
}
END_TEST

// No thread comes for what is queued before it, so it runs before that.
IN_GOROUTINES(a_tied_one_goes_on_when_threads_are_refused, 1)
{
    tuza_lock_thread();
    tz_store(&gatekeeper, refuse);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(yield_and_done, NULL);
    for (int i = 0; i < 10; i++)
        tuza_yield();
    need(tz_load(&refusals) > 0);
    tz_store(&gatekeeper, NULL);
    tuza_waitgroup_wait(&group);
    tuza_unlock_thread();
}

static int deadlock_without_threads(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) never = NULL;
    tz_store(&gatekeeper, refuse_when_others_sleep);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(yield_and_done, NULL);
    TUZA_BLOCKING(hold_until_asked(NULL));
    tuza_waitgroup_wait(&group);
    tuza_recv(never, NULL);
    return 0;
}
static void deadlock_child(void) { api_run(deadlock_without_threads, 1); }

START_TEST(a_refused_thread_hides_no_deadlock)
{
    api_ended_with(api_child(deadlock_child, 25), 2,
                   (const char *[]){ "deadlock!", NULL });
}
END_TEST

// Not even the first threads: an error, no hang.
static int nothing(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 0;
}

START_TEST(a_start_without_threads_is_an_error)
{
    tuza_config config = { .size = sizeof config };
    tz_store(&gatekeeper, refuse);
    ck_assert_int_eq(tuza_run(nothing, 0, NULL, &config), -EAGAIN);
}
END_TEST

static bool allow_two(void) { return tz_load(&asked) <= 2; }
static void start_with_two(void)
{
    tuza_config config = { .size = sizeof config };
    tz_store(&gatekeeper, allow_two);
    tuza_run(nothing, 0, NULL, &config);
}

START_TEST(a_start_without_a_first_thread_is_told)
{
    api_ended_with(api_child(start_with_two, 25), 2,
                   (const char *[]){ "refuses the first thread", NULL });
}
END_TEST

int main(void)
{
    return api_check("threads",
                     (const TTest *const[]){
                         s3_34_a_thread_that_is_being_made_is_no_deadlock,
                         a_collection_does_not_wait_for_a_thread_being_made,
                         the_threads_that_exist_do_the_work_on_one_proc,
                         the_threads_that_exist_do_the_work_on_four_procs,
                         a_refused_thread_leaves_no_goroutine_behind,
                         a_tied_one_goes_on_when_threads_are_refused,
                         a_refused_thread_hides_no_deadlock,
                         a_start_without_threads_is_an_error,
                         a_start_without_a_first_thread_is_told, NULL });
}
