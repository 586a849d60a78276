// SPDX-License-Identifier: BSD-3-Clause
// test/sched/syscall_test.c: declared calls give the P to others, and come back.

#include <pthread.h>
#include <unistd.h>

#include "arch/ctx.h"
#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;

static uint64_t handoffs(void) { return tz_load(&tz_sched.handoffs); }

// Two goroutines on one P that can only go on while the other is in a call.
static int there[2], here[2], rounds;

static void echo_blocking(void *arg)
{
    char byte;
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        need_eq(TUZA_BLOCKING(read(there[0], &byte, 1)), 1);
        need_eq(TUZA_BLOCKING(write(here[1], &byte, 1)), 1);
    }
    tuza_waitgroup_done(&group);
}

static void echo_syscall(void *arg)
{
    char byte;
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        need_eq(TUZA_SYSCALL(read(there[0], &byte, 1)), 1);
        need_eq(TUZA_SYSCALL(write(here[1], &byte, 1)), 1);
    }
    tuza_waitgroup_done(&group);
}

static void ping(void (*echo)(void *), int n)
{
    char byte = 0;
    rounds = n;
    ck_assert_int_eq(pipe(there), 0);
    ck_assert_int_eq(pipe(here), 0);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(echo, NULL);
    for (int i = 0; i < n; i++, byte++) {
        char got;
        need_eq(TUZA_SYSCALL(write(there[1], &byte, 1)), 1);
        if (echo == echo_blocking)
            need_eq(TUZA_BLOCKING(read(here[0], &got, 1)), 1);
        else
            need_eq(TUZA_SYSCALL(read(here[0], &got, 1)), 1);
        need_eq(got, byte);
    }
    tuza_waitgroup_wait(&group);
    need(handoffs() > 0 || tz_sched.nprocs > 1);
}

IN_GOROUTINES(blocking_calls_ping_on_one_proc, 1)
{
    ping(echo_blocking, scaled(3000));
}
IN_GOROUTINES(blocking_calls_ping_on_two_procs, 2)
{
    ping(echo_blocking, scaled(3000));
}
IN_GOROUTINES(short_calls_that_last_ping_on_one_proc, 1)
{
    ping(echo_syscall, scaled(300));
}
IN_GOROUTINES(short_calls_that_last_ping_on_two_procs, 2)
{
    ping(echo_syscall, scaled(300));
}

// How long the only P stays away from others. The bounds are loose: what they
// must tell apart is soon from never.
static int64_t began, progressed;

static void progress(void *arg)
{
    (void)arg;
    progressed = tuza_now();
    need_eq(write(there[1], "x", 1), 1); // ends the call
    tuza_waitgroup_done(&group);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median_delay(bool blocking)
{
    int64_t took[31];
    char byte;
    ck_assert_int_eq(pipe(there), 0);
    for (int i = 0; i < 31; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(progress, NULL);
        began = tuza_now();
        if (blocking)
            need_eq(TUZA_BLOCKING(read(there[0], &byte, 1)), 1);
        else
            need_eq(TUZA_SYSCALL(read(there[0], &byte, 1)), 1);
        tuza_waitgroup_wait(&group);
        took[i] = progressed - began;
    }
    qsort(took, 31, sizeof took[0], compare);
    return took[15];
}

IN_GOROUTINES(s3_15_a_blocking_call_gives_its_proc_away_at_once, 1)
{
    need(median_delay(true) < TUZA_MS(20));
}

IN_GOROUTINES(s3_15_a_call_that_lasts_gives_its_proc_away_soon, 1)
{
    need(median_delay(false) < TUZA_MS(60));
}

// A call that does not last keeps its P: most of them, whatever the load.
IN_GOROUTINES(short_calls_keep_their_proc, 2)
{
    uint64_t before = handoffs();
    int n = scaled(100000);
    for (int i = 0; i < n; i++)
        (void)TUZA_SYSCALL(getppid());
    need(handoffs() - before < (uint64_t)n / 10 + 100);
}

// A hundred come back at the same moment, while collections run. Each has a
// canary that only its stack holds.
static int returned;

static void read_and_count(void *arg)
{
    (void)arg;
    long *canary = tuza_new(long);
    char byte;
    *canary = 0xca9a41;
    need_eq(TUZA_BLOCKING(read(there[0], &byte, 1)), 0); // the end of the file
    need_eq(*canary, 0xca9a41);
    tz_xadd(&returned, 1);
    tuza_waitgroup_done(&group);
}

static void return_at_once(void)
{
    for (int round = 0; round < scaled(5); round++) {
        uint64_t target = handoffs() + 100;
        returned = 0;
        ck_assert_int_eq(pipe(there), 0);
        tuza_waitgroup_add(&group, 100);
        for (int i = 0; i < 100; i++)
            tuza_spawn(read_and_count, NULL);
        while (handoffs() < target) // all are in their calls
            tuza_yield();
        tuza_gc();
        close(there[1]);
        while (tz_load(&returned) < 100) {
            tuza_gc();
            for (int i = 0; i < 50; i++)
                memset(tuza_alloc_bytes(sizeof(long)), 0xbb, sizeof(long));
            tuza_yield();
        }
        tuza_waitgroup_wait(&group);
        close(there[0]);
    }
}

IN_GOROUTINES(a_hundred_calls_return_during_collections_on_one_proc, 1)
{
    return_at_once();
}
IN_GOROUTINES(a_hundred_calls_return_during_collections_on_two_procs, 2)
{
    return_at_once();
}
IN_GOROUTINES(a_hundred_calls_return_during_collections_on_eight_procs, 8)
{
    return_at_once();
}

// While the world is stopped nobody comes back from a call.
static int woke, closed;

static void close_after_call(void *arg)
{
    char byte;
    (void)arg;
    need_eq(TUZA_BLOCKING(read(there[0], &byte, 1)), 0);
    tz_xadd(&woke, 1);
    tuza_waitgroup_done(&group);
}

static void end_calls_in_the_stop(void *arg)
{
    (void)arg;
    if (!closed)
        close(there[1]);
    closed = 1;
    int before = tz_load(&woke);
    for (int i = 0; i < 2000; i++)
        sched_yield();
    need_eq(tz_load(&woke), before);
}

IN_GOROUTINES(a_call_does_not_return_into_a_stopped_world, 2)
{
    uint64_t target = handoffs() + 10;
    ck_assert_int_eq(pipe(there), 0);
    tuza_waitgroup_add(&group, 10);
    for (int i = 0; i < 10; i++)
        tuza_spawn(close_after_call, NULL);
    while (handoffs() < target)
        tuza_yield();
    for (int i = 0; i < 5; i++)
        tz_world_call(end_calls_in_the_stop, NULL);
    tuza_waitgroup_wait(&group);
    need_eq(woke, 10);
}

// A call that begins while others wait for the world to stop, and ends only
// after that stop: it must count as stopped.
static void read_at_any_time(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    char byte;
    for (int i = 0; i < rounds; i++) {
        for (uint32_t n = rnd(&seed, 60000); n > 0; n--)
            tz_compiler_barrier();
        need_eq(TUZA_SYSCALL(read(there[0], &byte, 1)), 1);
    }
    tuza_waitgroup_done(&group);
}

static void nothing(void *arg) { (void)arg; }

IN_GOROUTINES(a_call_that_begins_during_a_stop_is_not_waited_for, 2)
{
    uint64_t seed = test_seed();
    rounds = scaled(3000);
    ck_assert_int_eq(pipe(there), 0);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(read_at_any_time, (void *)(uintptr_t)(seed ^ 1));
    for (int i = 0; i < rounds; i++) {
        for (uint32_t n = rnd(&seed, 60000); n > 0; n--)
            tz_compiler_barrier();
        tz_world_call(nothing, NULL);
        need_eq(TUZA_SYSCALL(write(there[1], "x", 1)), 1);
    }
    tuza_waitgroup_wait(&group);
}

// Short calls without end while the world is stopped again and again: none of
// the ways in and out of a call misses a stop.
static int stop;

static void call_on_and_on(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    long *canary = tuza_new(long);
    *canary = (long)seed;
    while (!tz_load(&stop)) {
        if (rnd(&seed, 16) == 0)
            (void)TUZA_BLOCKING(getppid());
        else
            (void)TUZA_SYSCALL(getppid());
    }
    need_eq(*canary, (long)(uintptr_t)arg);
    tuza_waitgroup_done(&group);
}

static void collect_during_calls(int n)
{
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        tuza_spawn(call_on_and_on, (void *)(uintptr_t)(i + 1));
    for (int i = 0; i < scaled(1000); i++) {
        tuza_gc();
        for (int j = 0; j < 20; j++)
            memset(tuza_alloc_bytes(sizeof(long)), 0xbb, sizeof(long));
        tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(calls_and_collections_do_not_miss_each_other_on_two_procs, 2)
{
    collect_during_calls(2);
}
IN_GOROUTINES(calls_and_collections_do_not_miss_each_other_on_eight_procs, 8)
{
    collect_during_calls(7);
}

// Misuse.
static void enter_here(void *arg)
{
    (void)arg;
    tuza_syscall_enter();
}

DEATH(s3_18_a_call_from_a_foreign_stack_is_fatal, "entersyscall inconsistent")
{
    static char stack[65536] __attribute__((aligned(16)));
    tz_ctx_call_on((uintptr_t)(stack + sizeof stack), enter_here, NULL);
}

DEATH(an_exit_without_an_enter_is_fatal,
      "tuza_syscall_exit without tuza_syscall_enter")
{
    tuza_syscall_exit();
}

int main(void)
{
    return api_check(
        "syscall",
        (const TTest *const[]){
            blocking_calls_ping_on_one_proc, blocking_calls_ping_on_two_procs,
            short_calls_that_last_ping_on_one_proc,
            short_calls_that_last_ping_on_two_procs,
            s3_15_a_blocking_call_gives_its_proc_away_at_once,
            s3_15_a_call_that_lasts_gives_its_proc_away_soon,
            short_calls_keep_their_proc,
            a_hundred_calls_return_during_collections_on_one_proc,
            a_hundred_calls_return_during_collections_on_two_procs,
            a_hundred_calls_return_during_collections_on_eight_procs,
            a_call_does_not_return_into_a_stopped_world,
            a_call_that_begins_during_a_stop_is_not_waited_for,
            calls_and_collections_do_not_miss_each_other_on_two_procs,
            calls_and_collections_do_not_miss_each_other_on_eight_procs,
            s3_18_a_call_from_a_foreign_stack_is_fatal,
            an_exit_without_an_enter_is_fatal, NULL });
}
