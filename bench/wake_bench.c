// SPDX-License-Identifier: BSD-3-Clause
// bench/wake_bench.c: an idle P is woken. On two Ps, one goroutine computes and
// sends to another, which waits: the other P sleeps, wakes, takes the goroutine
// and runs it, while the first computes on. Value: the median
//   wall  from before the send until the other runs
//   cpu   of the send, and of all other threads until they sleep again
//
// The one that computes stays on its thread; a wake where it did not, or where
// the other ran on the same thread, does not count.

#include <string.h>
#include <sys/syscall.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { WAKES = 500, REST_NS = 200 * 1000, LOST_NS = 1000 * 1000 * 1000 };

static int64_t woken_at; // atomic; 0: not yet
static long woken_on;    // written before woken_at

static long thread(void) { return syscall(SYS_gettid); }

tuza_fn(sleeper, tuza_chan(char), bell)
{
    tuza_range(one, bell)
    {
        (void)one;
        int64_t now = bench_wall_ns();
        woken_on = thread();
        __atomic_store_n(&woken_at, now, __ATOMIC_RELEASE);
    }
}

struct wake {
    int64_t wall, cpu;
};

// False when it does not count.
static int wake(tuza_chan(char) bell, struct wake *w)
{
    long here = thread();
    __atomic_store_n(&woken_at, 0, __ATOMIC_RELAXED);
    bench_spin_ns(REST_NS); // until the other P is idle
    int64_t all = bench_cpu_ns();
    int64_t mine = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t start = bench_wall_ns(), at;
    tuza_send(bell, 1);
    int64_t send = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
    while (!(at = __atomic_load_n(&woken_at, __ATOMIC_ACQUIRE)))
        if (bench_wall_ns() - start > LOST_NS)
            return 0;
    bench_spin_ns(REST_NS);
    mine = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
    w->wall = at - start;
    w->cpu = bench_cpu_ns() - all - mine + send;
    return thread() == here && woken_on != here;
}

TUZA_MAIN
{
    static int64_t times[WAKES];
    int wall = argc > 1 && strcmp(argv[1], "wall") == 0;
    tuza_chan(char) bell = tuza_chan_make(char, 1);
    int ok = tuza_go(sleeper, bell) == 0;
    uint32_t n = 0;
    for (int i = 0; i < WAKES; i++) {
        struct wake w;
        if (wake(bell, &w))
            times[n++] = wall ? w.wall : w.cpu;
    }
    ok &= n >= WAKES / 2;
    return bench_report(ok ? bench_percentile(times, n, 50) : 0, 1, ok);
}
