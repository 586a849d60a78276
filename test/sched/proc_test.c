// SPDX-License-Identifier: BSD-3-Clause
// test/sched/proc_test.c: threads find work, and know when there is none.

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;

// All of them have to run at the same time: each waits for all the others
// without a call, so no two can share a thread.
static int arrived, expected;

static void meet(void *arg)
{
    (void)arg;
    tz_xadd(&arrived, 1);
    while (tz_load(&arrived) < expected)
        ;
    tuza_waitgroup_done(&group);
}

static void meet_all(int n)
{
    for (int round = 0; round < scaled(20); round++) {
        arrived = 0;
        expected = n;
        tuza_waitgroup_add(&group, n - 1);
        for (int i = 1; i < n; i++)
            tuza_spawn(meet, NULL);
        tuza_waitgroup_add(&group, 1);
        meet(NULL); // the one that runs next must be stolen too
        tuza_waitgroup_wait(&group);
    }
}

IN_GOROUTINES(s3_32_two_goroutines_run_at_once_on_two_procs, 2)
{
    meet_all(2);
}
IN_GOROUTINES(s3_32_four_goroutines_run_at_once_on_four_procs, 4)
{
    meet_all(4);
}

// Never more at once than there are Ps, each with one of its own. Nobody's P is
// taken in the critical section; one whose P has been taken waits before it.
static int running, most; // atomic
static uint32_t used[3];  // atomic; of each P

static void count_running(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        tz_crit_enter();
        uint32_t id = tz_tls_get()->p->id;
        need_eq(tz_xchg(&used[id], 1), 0);
        int now = tz_xadd(&running, 1) + 1;
        int old = tz_load(&most);
        while (now > old && !tz_cas(&most, old, now))
            old = tz_load(&most);
        for (int j = 0; j < 200; j++)
            tz_compiler_barrier();
        tz_xadd(&running, -1);
        tz_store(&used[id], 0);
        tz_crit_leave();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(s3_32_no_more_run_at_once_than_there_are_procs, 3)
{
    int n = scaled(500);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        tuza_spawn(count_running, NULL);
    tuza_waitgroup_wait(&group);
    need(most >= 1 && most <= 3);
}

// Goroutines that make others from everywhere, under both stress keys.
static int leaves;

tuza_fn(branch, int, depth)
{
    for (int i = 0; i < 3 && depth; i++)
        tuza_go(branch, depth - 1);
    if (depth % 2)
        tuza_yield();
    if (depth == 0) {
        tz_xadd(&leaves, 1);
        tuza_waitgroup_done(&group);
    }
}

static int grow(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < scaled(30); i++) {
        leaves = 0;
        tuza_waitgroup_add(&group, 729);
        tuza_go(branch, 6);
        tuza_waitgroup_wait(&group);
        need_eq(leaves, 729);
    }
    return 0;
}

START_TEST(nothing_is_lost_when_everybody_steals)
{
    setenv("TUZADEBUG", "stress=steal", 1);
    api_run(grow, 3);
}
END_TEST

START_TEST(nothing_is_lost_when_everybody_yields)
{
    setenv("TUZADEBUG", "stress=yield,stress=steal", 1);
    api_run(grow, 2);
}
END_TEST

static void sit(void *arg)
{
    (void)arg;
    tuza_yield();
    tuza_waitgroup_done(&group);
}

// More goroutines than a ring holds, on a P that steals before it looks at its
// own.
static int fill_rings(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < scaled(20); i++) {
        tuza_waitgroup_add(&group, 3000);
        for (int j = 0; j < 3000; j++)
            tuza_spawn(sit, NULL);
        tuza_waitgroup_wait(&group);
    }
    return 0;
}

START_TEST(stealing_with_a_full_ring_of_ones_own_overwrites_nothing)
{
    setenv("TUZADEBUG", "stress=steal", 1);
    api_run(fill_rings, 4);
}
END_TEST

// Whoever runs next may never park: what was put into the queue meanwhile is
// for other threads, which may just have gone to sleep.
static int let_go;

static void spin_until_let_go(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&let_go))
        ;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(one_that_yields_is_not_left_behind_a_busy_one, 2)
{
    for (int i = 0; i < scaled(400); i++) {
        let_go = 0;
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(spin_until_let_go, NULL);
        for (int j = 0; j < i % 7 * 300; j++)
            tz_compiler_barrier();
        tuza_yield();
        tz_store(&let_go, 1);
        tuza_waitgroup_wait(&group);
    }
}

static bool not_after_all(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return false;
}

IN_GOROUTINES(one_that_takes_its_park_back_is_not_left_behind_a_busy_one, 2)
{
    for (int i = 0; i < scaled(400); i++) {
        let_go = 0;
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(spin_until_let_go, NULL);
        for (int j = 0; j < i % 7 * 300; j++)
            tz_compiler_barrier();
        tz_park(not_after_all, NULL, TZ_WAIT_NONE);
        tz_store(&let_go, 1);
        tuza_waitgroup_wait(&group);
    }
}

// Deadlock: reported once all threads have gone to sleep, however many.
static tuza_chan(int) never;

static void work_a_while(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        tuza_yield();
    tuza_waitgroup_done(&group);
}

static void wake_all_threads(void)
{
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_spawn(work_a_while, NULL);
    tuza_waitgroup_wait(&group);
}

static int deadlock_after_work(int argc, char **argv)
{
    (void)argc, (void)argv;
    wake_all_threads();
    tuza_recv(never, NULL);
    return 0;
}
static void deadlock_2(void) { api_run(deadlock_after_work, 2); }
static void deadlock_8(void) { api_run(deadlock_after_work, 8); }

START_TEST(s3_34_a_deadlock_is_reported_when_all_threads_are_idle)
{
    for (int i = 0; i < 20; i++) {
        api_ended_with(api_child(i % 2 ? deadlock_8 : deadlock_2, 25), 2,
                       (const char *[]){ "deadlock!",
                                         "goroutine 1 [chan receive (nil chan)]",
                                         NULL });
    }
}
END_TEST

static int deadlock_after_collections(int argc, char **argv)
{
    (void)argc, (void)argv;
    wake_all_threads();
    for (int i = 0; i < 10; i++)
        tuza_gc();
    tuza_recv(never, NULL);
    return 0;
}
static void deadlock_gc(void) { api_run(deadlock_after_collections, 4); }

START_TEST(helpers_of_the_collector_do_not_hide_a_deadlock)
{
    api_ended_with(api_child(deadlock_gc, 25), 2,
                   (const char *[]){ "deadlock!", NULL });
}
END_TEST

// No deadlock: a goroutine is in a call. The writer waits until everything
// else is asleep.
static int fd[2];

static void until_all_others_sleep(uint32_t busy)
{
    for (bool asleep = false; !asleep; sched_yield()) {
        tz_lock_acquire(&tz_sched.lock);
        asleep = tz_sched.nmidle + busy >= tz_load(&tz_sched.mcount);
        tz_lock_release(&tz_sched.lock);
    }
}

static void *write_when_idle(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        until_all_others_sleep(1);
        if (write(fd[1], "x", 1) != 1)
            abort();
    }
    return NULL;
}

static void read_and_tell(void *arg)
{
    tuza_chan(int) c = arg;
    char byte;
    for (int i = 0; i < 50; i++) {
        need_eq(TUZA_BLOCKING(read(fd[0], &byte, 1)), 1);
        tuza_send(c, i);
    }
}

static void wait_for_reader(void)
{
    pthread_t thread;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    ck_assert_int_eq(pipe(fd), 0);
    tuza_spawn(read_and_tell, (void *)c);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_when_idle, NULL), 0);
    for (int i = 0, got; i < 50; i++) {
        need_eq(tuza_recv(c, &got), 1);
        need_eq(got, i);
    }
    pthread_join(thread, NULL);
}

IN_GOROUTINES(s3_34_a_goroutine_in_a_call_is_no_deadlock_on_one_proc, 1)
{
    wait_for_reader();
}

IN_GOROUTINES(s3_34_a_goroutine_in_a_call_is_no_deadlock_on_eight_procs, 8)
{
    wake_all_threads();
    wait_for_reader();
}

// No deadlock: a timer is set.
static void sleep_often(void)
{
    for (int i = 0; i < 100; i++) {
        int64_t start = tuza_now(), ns = TUZA_US(10) << (i % 10);
        tuza_sleep(ns);
        need(tuza_now() - start >= ns);
    }
}

IN_GOROUTINES(a_timer_is_no_deadlock_on_one_proc, 1) { sleep_often(); }

IN_GOROUTINES(a_timer_is_no_deadlock_on_eight_procs, 8)
{
    wake_all_threads();
    sleep_often();
}

// And once it has run out without waking anybody, it is one again.
static int only_a_timeout(int argc, char **argv)
{
    (void)argc, (void)argv;
    int v;
    need_eq(tuza_select(TUZA_RECV(never, &v), TUZA_AFTER(TUZA_MS(5))), 1);
    tuza_recv(never, NULL);
    return 0;
}
static void timeout_1(void) { api_run(only_a_timeout, 1); }
static void timeout_4(void) { api_run(only_a_timeout, 4); }

START_TEST(a_timer_that_has_run_hides_no_deadlock)
{
    for (int i = 0; i < 6; i++)
        api_ended_with(api_child(i % 2 ? timeout_4 : timeout_1, 25), 2,
                       (const char *[]){ "deadlock!", NULL });
}
END_TEST

int main(void)
{
    return api_check(
        "proc",
        (const TTest *const[]){
            s3_32_two_goroutines_run_at_once_on_two_procs,
            s3_32_four_goroutines_run_at_once_on_four_procs,
            s3_32_no_more_run_at_once_than_there_are_procs,
            nothing_is_lost_when_everybody_steals,
            nothing_is_lost_when_everybody_yields,
            stealing_with_a_full_ring_of_ones_own_overwrites_nothing,
            one_that_yields_is_not_left_behind_a_busy_one,
            one_that_takes_its_park_back_is_not_left_behind_a_busy_one,
            s3_34_a_deadlock_is_reported_when_all_threads_are_idle,
            helpers_of_the_collector_do_not_hide_a_deadlock,
            s3_34_a_goroutine_in_a_call_is_no_deadlock_on_one_proc,
            s3_34_a_goroutine_in_a_call_is_no_deadlock_on_eight_procs,
            a_timer_is_no_deadlock_on_one_proc,
            a_timer_is_no_deadlock_on_eight_procs,
            a_timer_that_has_run_hides_no_deadlock, NULL });
}
