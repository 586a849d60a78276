// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/time/sleep_test.c: sleeping, and timers on a real scheduler.

#include <sys/mman.h>

#include "mem/persist.h"
#include "os/clock.h"
#include "os/vm_hook.h"
#include "support/goroutines.h"
#include "time/timer.h"

static tuza_waitgroup group;

static void sleep_for(void *arg)
{
    int64_t ns = *(int64_t *)arg, t = tuza_now();
    tuza_sleep(ns);
    need(tuza_now() - t >= ns);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(no_sleep_is_too_short, 2)
{
    static int64_t ns[300];
    uint64_t seed = test_seed();
    for (int round = 0; round < 3; round++) {
        tuza_waitgroup_add(&group, 300);
        for (int i = 0; i < 300; i++) {
            ns[i] = rnd(&seed, 20000000);
            tuza_spawn(sleep_for, &ns[i]);
        }
        tuza_waitgroup_wait(&group);
    }
}

static int others;

static void count_up(void *arg)
{
    (void)arg;
    others++;
}

IN_GOROUTINES(no_time_or_less_only_yields, 1)
{
    tuza_spawn(count_up, NULL);
    tuza_sleep(0);
    need_eq(others, 1);
    tuza_spawn(count_up, NULL);
    tuza_sleep(INT64_MIN);
    need_eq(others, 2);
}

static int woke_from_for_ever;

static void sleep_for_ever(void *arg)
{
    tuza_sleep(*(int64_t *)arg);
    woke_from_for_ever = 1;
}

IN_GOROUTINES(the_longest_sleeps_do_not_wrap_around, 2)
{
    static int64_t ns[] = { INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 };
    int base = waiting_now();
    for (int i = 0; i < 3; i++)
        tuza_spawn(sleep_for_ever, &ns[i]);
    until_waiting(base + 3);
    tuza_sleep(TUZA_MS(20));
    need_eq(woke_from_for_ever, 0);
}

IN_GOROUTINES(sleepers_cost_no_thread_each, 1)
{
    static int64_t ns = TUZA_MS(50);
    int n = scaled(5000);
    int64_t t = tuza_now();
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(sleep_for, &ns), 0);
    tuza_waitgroup_wait(&group);
    // One after the other they would take 250 s.
    need(tuza_now() - t < TUZA_SEC(25));
}

IN_GOROUTINES(waiting_costs_no_processor_time, 2)
{
    tuza_sleep(TUZA_MS(1));
    int64_t cpu = tz_clock_cpu();
    tuza_sleep(TUZA_MS(200));
    need(tz_clock_cpu() - cpu < TUZA_MS(100));
}

// A goroutine that never lets go of its P does not hold up the timers on it.
static int stop_hog, slept;

static void short_sleeper(void *arg)
{
    (void)arg;
    tuza_sleep(TUZA_MS(300)); // long enough to be seen waiting
    __atomic_store_n(&slept, 1, __ATOMIC_RELEASE);
}

static void hog(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop_hog, __ATOMIC_RELAXED))
        ;
}

IN_GOROUTINES(a_busy_p_has_its_timers_run_by_others, 2)
{
    int base = waiting_now();
    tuza_spawn(short_sleeper, NULL);
    tuza_spawn(short_sleeper, NULL);
    until_waiting(base + 2); // timers on either P
    tuza_spawn(hog, NULL);
    int64_t t = tuza_now();
    while (!__atomic_load_n(&slept, __ATOMIC_ACQUIRE)) {
        need(tuza_now() - t < TUZA_SEC(10));
        tuza_sleep(TUZA_MS(1)); // the other P is idle now and then
    }
    __atomic_store_n(&stop_hog, 1, __ATOMIC_RELAXED);
}

// Starts and stops on several threads: each start ends in exactly one run or
// one stop that was in time.
enum { PER_WORKER = 50, WORKERS = 4 };
struct shared_timer {
    struct tz_timer t;
    tuza_mutex mutex; // held around start and stop: one user at a time
    int started;
    int running; // atomic
    int runs;    // atomic
};
static struct shared_timer pool[PER_WORKER];
static long starts, stops; // atomic

static void note_run(void *arg)
{
    struct shared_timer *s = arg;
    need_eq(__atomic_fetch_add(&s->running, 1, __ATOMIC_RELAXED), 0);
    __atomic_fetch_add(&s->runs, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 100; i++)
        tz_cpu_relax();
    __atomic_fetch_sub(&s->running, 1, __ATOMIC_RELAXED);
}

static void use_pool(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    for (int i = 0, n = scaled(20000); i < n; i++) {
        struct shared_timer *s = &pool[rnd(&seed, PER_WORKER)];
        tuza_mutex_lock(&s->mutex);
        if (s->started && tz_timer_stop(&s->t))
            __atomic_fetch_add(&stops, 1, __ATOMIC_RELAXED);
        need_eq(__atomic_load_n(&s->running, __ATOMIC_RELAXED), 0);
        s->started = rnd(&seed, 3) != 0;
        if (s->started) {
            __atomic_fetch_add(&starts, 1, __ATOMIC_RELAXED);
            need_eq(tz_timer_start(&s->t, tuza_now() + rnd(&seed, 100000)), 0);
        }
        tuza_mutex_unlock(&s->mutex);
        if (rnd(&seed, 8) == 0)
            tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(every_start_ends_in_one_run_or_one_stop, 2)
{
    uint64_t seed = test_seed();
    for (int i = 0; i < PER_WORKER; i++)
        tz_timer_init(&pool[i].t, note_run, &pool[i]);
    tuza_waitgroup_add(&group, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        tuza_spawn(use_pool, (void *)(uintptr_t)(seed + (uint64_t)i));
    tuza_waitgroup_wait(&group);
    long runs = 0;
    for (int i = 0; i < PER_WORKER; i++) {
        if (pool[i].started && tz_timer_stop(&pool[i].t))
            stops++;
        runs += pool[i].runs;
    }
    need_eq(runs + stops, starts);
}

// The system refuses memory when the heap of timers has to grow.

static int refuse; // atomic

static int map_unless_refused(void *addr, size_t n, int prot, int flags,
                              void **out)
{
    if (__atomic_load_n(&refuse, __ATOMIC_RELAXED))
        return ENOMEM;
    *out = mmap(addr, n, prot, flags, -1, 0);
    return *out == MAP_FAILED ? errno : 0;
}

static int unmap(void *addr, size_t n)
{
    return munmap(addr, n) ? errno : 0;
}

enum { SLEEPERS = 100 }; // more than fit into the first chunk
static tuza_hchan *go_ahead;

static void sleep_when_told(void *arg)
{
    tuza_chan_recv(go_ahead, NULL); // it has its stack now
    sleep_for(arg);
}

static int sleep_without_memory(int argc, char **argv)
{
    static int64_t ns = TUZA_MS(30);
    int base = waiting_now();
    (void)argc, (void)argv;
    go_ahead = tuza_chan_new(0, 0);
    tuza_hchan *never = tuza_chan_new(0, 0);
    tuza_waitgroup_add(&group, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        tuza_spawn(sleep_when_told, &ns);
    until_waiting(base + SLEEPERS);
    __atomic_store_n(&refuse, 1, __ATOMIC_RELAXED);
    for (size_t size = 65536; size >= 16; size /= 2)
        while (tz_persist_alloc(size, 16))
            ;
    tuza_chan_close(go_ahead);
    for (int i = 0; i < SLEEPERS; i++)
        tuza_yield();
    // The heap has its first chunk and is full.
    need_eq(tuza_select(TUZA_AFTER(TUZA_SEC(1))), -ENOMEM);
    need_eq(tuza_select(TUZA_RECV((tuza_chan(int))never, NULL),
                        TUZA_AFTER(TUZA_SEC(1))),
            -ENOMEM);
    need_eq(tuza_chan_try_send(never, NULL), -EAGAIN); // nobody was queued
    tuza_waitgroup_wait(&group);
    return 0;
}

START_TEST(without_memory_for_timers_sleeps_still_end)
{
    struct tz_vm_hooks hooks = { .mmap = map_unless_refused, .munmap = unmap };
    ck_assert_int_eq(tz_vm_set_hooks(&hooks), 0);
    api_run(sleep_without_memory, 1);
}
END_TEST

IN_GOROUTINES(the_clock_does_not_go_back, 2)
{
    int64_t last = tuza_now();
    for (int i = 0; i < 100000; i++) {
        int64_t t = tuza_now();
        need(t >= last);
        last = t;
        if (i % 100 == 0)
            tuza_yield();
    }
}

int main(void)
{
    const TTest *const tests[] = {
        no_sleep_is_too_short,
        no_time_or_less_only_yields,
        the_longest_sleeps_do_not_wrap_around,
        sleepers_cost_no_thread_each,
        waiting_costs_no_processor_time,
        a_busy_p_has_its_timers_run_by_others,
        every_start_ends_in_one_run_or_one_stop,
        without_memory_for_timers_sleeps_still_end,
        the_clock_does_not_go_back,
        NULL,
    };
    return api_check("sleep", tests);
}
