// SPDX-License-Identifier: BSD-3-Clause
// bench/preempt_bench.c: one P, a goroutine that computes without a call, and
// one that waits for its turn: the median of how long it waits. A plain thread
// ends the computation after a second; then nobody's turn has come, and the
// check has failed.

#include <pthread.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { ROUNDS = 11, LIMIT_S = 1 };

static int round_number; // atomic; that runs
static int end;          // atomic; number of the round that is to end
static int64_t began, waited;

static void *watch(void *arg)
{
    (void)arg;
    for (int watched = 0;;) {
        sleep(LIMIT_S);
        int now = __atomic_load_n(&round_number, __ATOMIC_RELAXED);
        if (now == watched)
            __atomic_store_n(&end, now, __ATOMIC_RELAXED);
        watched = now;
    }
    return NULL;
}

tuza_fn(compute, int, number, tuza_waitgroup *, group)
{
    began = bench_wall_ns();
    while (__atomic_load_n(&end, __ATOMIC_RELAXED) < number)
        ;
    tuza_waitgroup_done(group);
}

tuza_fn(wait_turn, int, number, tuza_waitgroup *, group)
{
    while (!began) // it was its turn first: it waits for the next one
        tuza_yield();
    int late = __atomic_load_n(&end, __ATOMIC_RELAXED) >= number;
    waited = late ? -1 : bench_wall_ns() - began;
    __atomic_store_n(&end, number, __ATOMIC_RELAXED);
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static int64_t times[ROUNDS];
    static tuza_waitgroup group;
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch, NULL) != 0)
        return bench_report(0, 1, 0);
    for (int i = 0; i < ROUNDS; i++) {
        began = 0;
        __atomic_store_n(&round_number, i + 1, __ATOMIC_RELAXED);
        tuza_waitgroup_add(&group, 2);
        // The last one spawned is the first to run.
        if (tuza_go(wait_turn, i + 1, &group) != 0 ||
            tuza_go(compute, i + 1, &group) != 0)
            return bench_report(0, 1, 0);
        tuza_waitgroup_wait(&group);
        if (waited < 0) {
            fprintf(stderr, "a goroutine that computes kept the P for %d s "
                            "while another waited\n", LIMIT_S);
            return bench_report(0, 1, 0);
        }
        times[i] = waited;
    }
    return bench_report(bench_percentile(times, ROUNDS, 50), 1, 1);
}
