// SPDX-License-Identifier: BSD-3-Clause
// bench/wake_bench.c: an idle P is woken. On two Ps, one goroutine computes and
// sends to another, which waits: the other P sleeps, wakes, takes the goroutine
// and runs it, while the first computes on. Value: the median
//   wall  from before the send until the other runs
//   cpu   of the send, and of all other threads until they sleep again; less
//         what these take in a window of the same length without a send
//
// The one that computes stays on its thread; a wake where it did not, or where
// the other ran on the same thread, does not count.

#include <string.h>
#include <sys/syscall.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { WAKES = 300, REST_NS = 200 * 1000, WINDOW_NS = 400 * 1000,
       LOST_NS = 1000 * 1000 * 1000 };

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

// Waits until the other has run; how long from `start`, 0: it never did.
static int64_t wait_woken(int64_t start)
{
    int64_t at;
    while (!(at = __atomic_load_n(&woken_at, __ATOMIC_ACQUIRE)))
        if (bench_wall_ns() - start > LOST_NS)
            return 0;
    return at - start;
}

// One window, with a send or without. False when it does not count.
static int window(tuza_chan(char) bell, int send, struct wake *w)
{
    long here = thread();
    __atomic_store_n(&woken_at, 0, __ATOMIC_RELAXED);
    bench_spin_ns(REST_NS); // until the other P is idle
    int64_t all = bench_cpu_ns(), sending = 0;
    int64_t mine = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t start = bench_wall_ns();
    w->wall = 0;
    if (send) {
        tuza_send(bell, 1);
        sending = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
        w->wall = wait_woken(start);
    }
    bench_spin_ns(start + WINDOW_NS - bench_wall_ns());
    mine = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
    w->cpu = bench_cpu_ns() - all - mine + sending;
    return thread() == here && (!send || (w->wall && woken_on != here));
}

TUZA_MAIN
{
    static int64_t times[WAKES];
    int wall = argc > 1 && strcmp(argv[1], "wall") == 0;
    tuza_chan(char) bell = tuza_chan_make(char, 1);
    int ok = tuza_go(sleeper, bell) == 0;
    uint32_t n = 0;
    for (int i = 0; i < WAKES; i++) {
        struct wake with, without;
        if (window(bell, 0, &without) && window(bell, 1, &with))
            times[n++] = wall ? with.wall : with.cpu - without.cpu;
    }
    ok &= n >= WAKES / 2;
    return bench_report(ok ? bench_percentile(times, n, 50) : 0, 1, ok);
}
