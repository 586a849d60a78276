// SPDX-License-Identifier: BSD-3-Clause
// bench/stw.c: stw PERCENT [CALLS]: what it takes until the world has stopped,
// while four goroutines compute without calls on the other P: the percentile of
// many stops, by the wall clock. With CALLS, so many goroutines wait in a
// declared read of an empty pipe besides.
//
// A user's program sees pauses, not stops; so this one looks inside of the
// library, and bench/run builds it, with the plain objects.

#include <stdbool.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"
#include "sched/sched.h"

enum { COMPUTING = 4, STOPS = 1000, REST_NS = 300 * 1000,
       LIMIT_NS = 20LL * 1000 * 1000 * 1000 };

static struct {
    volatile uint64_t n;
    char pad[56];
} counts[COMPUTING];

tuza_fn(compute, int, number)
{
    for (;;)
        counts[number].n++;
}

tuza_fn(wait_in_call, int, fd)
{
    char c;
    TUZA_SYSCALL(read(fd, &c, 1));
}

static uint64_t threads(void)
{
    tuza_schedstats st = { .size = sizeof st };
    return tuza_schedstats_read(&st) == 0 ? st.threads : 0;
}

// True when so many goroutines wait in calls, each with a thread.
static bool start_calls(uint64_t n)
{
    int ends[2];
    int64_t began = bench_wall_ns();
    if (n && pipe(ends) != 0)
        return false;
    for (uint64_t i = 0; i < n; i++)
        if (tuza_go(wait_in_call, ends[0]) != 0)
            return false;
    while (n && threads() <= n) {
        if (bench_wall_ns() - began > LIMIT_NS) {
            fprintf(stderr, "only %llu threads for %llu calls\n",
                    (unsigned long long)threads(), (unsigned long long)n);
            return false;
        }
        tuza_sleep(TUZA_MS(1));
    }
    return true;
}

static uint64_t progress(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < COMPUTING; i++)
        sum += counts[i].n;
    return sum;
}

struct stop {
    int64_t at;
    bool still;
};

static void stopped(void *arg)
{
    struct stop *s = arg;
    s->at = bench_wall_ns();
    uint64_t before = progress();
    bench_spin_ns(1000);
    s->still = progress() == before;
}

// The median and so on of the stops; -1: the world did not stop, or did not go
// on afterwards.
static int64_t measure(size_t percent)
{
    static int64_t times[STOPS];
    uint64_t before = progress();
    for (int i = 0; i < STOPS; i++) {
        struct stop s;
        bench_spin_ns(REST_NS);
        int64_t start = bench_wall_ns();
        tz_world_call(stopped, &s);
        if (!s.still)
            return -1;
        times[i] = s.at - start;
    }
    return progress() == before ? -1 : bench_percentile(times, STOPS, percent);
}

TUZA_MAIN
{
    size_t percent = argc > 1 ? strtoul(argv[1], NULL, 10) : 50;
    bool ok = start_calls(argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
    for (int i = 0; i < COMPUTING; i++)
        ok &= tuza_go(compute, i) == 0;
    int64_t ns = ok ? measure(percent) : -1;
    return bench_report(ns, 1, ns >= 0);
}
