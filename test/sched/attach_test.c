// SPDX-License-Identifier: BSD-3-Clause
// test/sched/attach_test.c: threads that others have made, goroutines tied to
// threads, calls back from foreign code, another number of Ps.

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

typedef struct {
    tuza_chan(int) to, from;
} pipes;

static pipes both;
static int counted; // atomic

static void wait_for(const int *what, int n)
{
    while (__atomic_load_n(what, __ATOMIC_SEQ_CST) < n)
        tuza_sleep(1000 * 1000);
}

// --- attached threads

enum { THREADS = 8, ROUNDS = 200 };

static void *exchange(void *arg)
{
    (void)arg;
    if (tuza_attach() != 0 || tuza_attach() != 0)
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        int *kept = tuza_alloc(sizeof *kept), v;
        *kept = i;
        tuza_send(both.to, i);
        if (tuza_recv(both.from, &v) != 1 || *kept != i)
            abort();
    }
    if (tuza_detach() != 0 || tuza_goid() == 0 || tuza_detach() != 0 ||
        tuza_goid() != 0 || tuza_detach() != -EINVAL)
        abort();
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void answer(void *arg)
{
    (void)arg;
    int v;
    while (tuza_recv(both.to, &v) == 1)
        tuza_send(both.from, v + 1);
}

static void exchange_with_threads(void)
{
    pthread_t thread[THREADS];
    both.to = tuza_chan_make(int, 0);
    both.from = tuza_chan_make(int, 0);
    for (int i = 0; i < 4; i++)
        need_eq(tuza_spawn(answer, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        need_eq(pthread_create(&thread[i], NULL, exchange, NULL), 0);
    while (__atomic_load_n(&counted, __ATOMIC_SEQ_CST) < THREADS) {
        tuza_gc();
        tuza_sleep(1000 * 1000);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    need_eq(tz_load(&tz_sched.nops), 0);
}

IN_GOROUTINES(attached_threads_use_channels_on_one_p, 1)
{
    exchange_with_threads();
}

IN_GOROUTINES(attached_threads_use_channels_on_two_ps, 2)
{
    exchange_with_threads();
}

static void *attach_and_end(void *arg)
{
    (void)arg;
    if (tuza_attach() != 0)
        abort();
    memset(tuza_alloc(64), 1, 64);
    return NULL; // without a detach
}

// As Go's tests of foreign threads that come and go (Go issue 18146).
IN_GOROUTINES(threads_that_end_attached_leave_nothing, 2)
{
    for (int i = 0; i < 200; i++) {
        pthread_t t;
        need_eq(pthread_create(&t, NULL, attach_and_end, NULL), 0);
        need_eq(pthread_join(t, NULL), 0);
        if (i % 20 == 0)
            tuza_gc();
    }
    tuza_yield(); // the last join may have lost this one its P
    need_eq(tz_load(&tz_sched.nops), 0);
    need(tz_load(&tz_sched.mcount) < 20);
}

static void *spin_attached(void *arg)
{
    int *stop = arg;
    void **hidden = NULL;
    if (tuza_attach() != 0)
        abort();
    hidden = tuza_alloc(sizeof *hidden);
    hidden[0] = (void *)0x77;
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
        ;
    if (hidden[0] != (void *)0x77)
        abort();
    tuza_detach();
    return NULL;
}

// Code of theirs is stopped with the world, and their stacks are scanned.
IN_GOROUTINES(an_attached_thread_is_stopped_and_scanned, 1)
{
    tz_store_rlx(&tz_sched.most_takers, 4); // ThreadSanitizer's builds let none
    pthread_t t;
    int stop = 0;
    need_eq(pthread_create(&t, NULL, spin_attached, &stop), 0);
    wait_for(&counted, 1);
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        for (int j = 0; j < 100; j++)
            memset(tuza_alloc(8), 0xee, 8);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    pthread_join(t, NULL);
}

START_TEST(nobody_attaches_before_the_start)
{
    ck_assert_int_eq(tuza_attach(), -EAGAIN);
    ck_assert_int_eq(tuza_detach(), -EINVAL);
}
END_TEST

static void goexit_attached(void *arg)
{
    (void)arg;
    tuza_goexit();
}

static void *call_goexit(void *arg)
{
    tuza_call_in(goexit_attached, NULL);
    return arg;
}

DEATH(an_attached_thread_cannot_end_by_goexit,
      "tuza_goexit on an attached thread")
{
    pthread_t t;
    pthread_create(&t, NULL, call_goexit, NULL);
    for (;;)
        tuza_sleep(1000 * 1000);
}

// --- calls back

static int depth_left;
static uint64_t deep_goid;
static long deep_thread;

static void come_back(void *arg);

static int foreign_code(int depth)
{
    return depth && tuza_call_in(come_back, (void *)(intptr_t)(depth - 1)) != 0;
}

static void come_back(void *arg)
{
    int depth = (int)(intptr_t)arg;
    void **kept = tuza_alloc(sizeof *kept);
    kept[0] = (void *)(intptr_t)(depth + 1000);
    need_eq(tuza_goid(), deep_goid);
    need_eq(api_thread(), deep_thread);
    if (depth % 10 == 0)
        tuza_gc();
    tuza_yield();
    need_eq(TUZA_SYSCALL(foreign_code(depth)), 0);
    need_eq((intptr_t)kept[0], depth + 1000);
    depth_left = depth;
}

IN_GOROUTINES(s3_39_calls_back_nest_100_deep, 2)
{
    deep_goid = tuza_goid();
    deep_thread = api_thread();
    depth_left = -1;
    tuza_lock_thread(); // so that the first thread is known
    deep_thread = api_thread();
    need_eq(TUZA_BLOCKING(foreign_code(100)), 0);
    tuza_unlock_thread();
    need_eq(depth_left, 99);
}

static void count_in(void *arg)
{
    (void)arg;
    need(tuza_goid() != 0);
    memset(tuza_alloc(48), 1, 48);
    __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST);
}

static void *call_in_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (tuza_call_in(count_in, NULL) != 0)
            abort();
    return arg;
}

IN_GOROUTINES(threads_call_in_freely, 2)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        need_eq(pthread_create(&t[i], NULL, call_in_often, NULL), 0);
    for (int i = 0; __atomic_load_n(&counted, __ATOMIC_SEQ_CST) < 4000; i++) {
        if (i < 20)
            tuza_gc();
        tuza_sleep(1000 * 1000);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

// --- tied goroutines

static void stay(void *arg)
{
    tuza_lock_thread();
    tuza_lock_thread();
    long thread = api_thread();
    for (int i = 0; i < 100; i++) {
        tuza_yield();
        need_eq(api_thread(), thread);
        if (i % 10 == 0)
            tuza_sleep(100 * 1000);
        if (i == 50)
            tuza_unlock_thread();
        need_eq(api_thread(), thread);
    }
    tuza_unlock_thread();
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void wander(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_SEQ_CST))
        tuza_yield();
}

static void tie_many(void)
{
    int done = 0, over = 0;
    for (int i = 0; i < 8; i++)
        need_eq(tuza_spawn(stay, &done), 0);
    for (int i = 0; i < 4; i++)
        need_eq(tuza_spawn(wander, &over), 0);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < 8) {
        tuza_gc();
        tuza_sleep(500 * 1000);
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
}

IN_GOROUTINES(s3_36_a_tied_goroutine_keeps_its_thread_on_one_p, 1) { tie_many(); }
IN_GOROUTINES(s3_36_a_tied_goroutine_keeps_its_thread_on_two_ps, 2)
{
    tie_many();
}

static long ending_thread; // atomic

static void end_tied(void *arg)
{
    (void)arg;
    tuza_lock_thread();
    __atomic_store_n(&ending_thread, api_thread(), __ATOMIC_SEQ_CST);
}

// A thread on which a goroutine has ended tied is not used again.
IN_GOROUTINES(s3_36_a_goroutine_that_ends_tied_ends_its_thread, 2)
{
    for (int i = 0; i < 20; i++) {
        ending_thread = 0;
        need_eq(tuza_spawn(end_tied, NULL), 0);
        while (!__atomic_load_n(&ending_thread, __ATOMIC_SEQ_CST))
            tuza_yield();
        while (syscall(SYS_tgkill, getpid(), ending_thread, 0) == 0)
            tuza_sleep(1000 * 1000);
    }
}

DEATH(an_untie_without_a_tie_is_told, "tuza_unlock_thread without")
{
    tuza_unlock_thread();
}

// --- another number of Ps

static void churn(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        memset(tuza_alloc(100), 1, 100);
        if (i % 16 == 0)
            tuza_sleep(10 * 1000);
        tuza_yield();
    }
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

IN_GOROUTINES(the_number_of_ps_changes_while_goroutines_run, 1)
{
    static const int numbers[] = { 2, 1, 8, 3, 4, 1, 16, 2 };
    int done = 0;
    for (int i = 0; i < 20; i++)
        need_eq(tuza_spawn(churn, &done), 0);
    int before = 1;
    for (int i = 0; i < 40 || __atomic_load_n(&done, __ATOMIC_SEQ_CST) < 20;
         i++) {
        int n = numbers[i % tz_countof(numbers)];
        need_eq(tuza_maxprocs(n), before);
        need_eq(tuza_maxprocs(0), n);
        before = n;
        tuza_sleep(500 * 1000);
        if (i % 7 == 0)
            tuza_gc();
    }
}

// --- threads

static void block_declared(void *arg)
{
    char c;
    (void)TUZA_BLOCKING(read(*(int *)arg, &c, 1));
}

DEATH(too_many_threads_are_told_with_what_they_do, "thread limit")
{
    int fd[2];
    need_eq(pipe(fd), 0);
    need(tuza_max_threads(0) == 10000);
    tuza_max_threads(8);
    for (int i = 0; i < 20; i++)
        need_eq(tuza_spawn(block_declared, &fd[0]), 0);
    for (;;)
        tuza_sleep(1000 * 1000);
}

// --- the child of a fork

static int child_of(void (*fn)(void))
{
    pid_t pid = fork();
    need(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        need_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void nothing(void) {}
static void allocate(void) { memset(tuza_alloc(16), 1, 16); }
static void yield(void) { tuza_yield(); }
static void exec_true(void)
{
    execl("/bin/true", "true", (char *)NULL);
}

IN_GOROUTINES(the_child_of_a_fork_may_only_exec, 2)
{
    need_eq(child_of(nothing), 0);
    need_eq(child_of(exec_true), 0);
    need_eq(child_of(allocate), 2);
    need_eq(child_of(yield), 2);
    memset(tuza_alloc(16), 1, 16); // the parent goes on
    tuza_gc();
}

int main(void)
{
    return api_check("sched/attach",
                     (const TTest *const[]){
                         attached_threads_use_channels_on_one_p,
                         attached_threads_use_channels_on_two_ps,
                         threads_that_end_attached_leave_nothing,
                         an_attached_thread_is_stopped_and_scanned,
                         nobody_attaches_before_the_start,
                         an_attached_thread_cannot_end_by_goexit,
                         s3_39_calls_back_nest_100_deep,
                         threads_call_in_freely,
                         s3_36_a_tied_goroutine_keeps_its_thread_on_one_p,
                         s3_36_a_tied_goroutine_keeps_its_thread_on_two_ps,
                         s3_36_a_goroutine_that_ends_tied_ends_its_thread,
                         an_untie_without_a_tie_is_told,
                         the_number_of_ps_changes_while_goroutines_run,
                         too_many_threads_are_told_with_what_they_do,
                         the_child_of_a_fork_may_only_exec,
                         NULL });
}
