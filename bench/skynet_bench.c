// SPDX-License-Identifier: BSD-3-Clause
// bench/skynet_bench.c: a tree of goroutines, each with ten children, whose
// million leaves send their numbers up; each adds up what its children say.
// `wall` as argument: by the wall clock.

#include <string.h>
#include <tuza.h>

#include "bench.h"

enum { CHILDREN = 10, LEAVES = 1000000, GOROUTINES = 1111111 };
static uint32_t failed; // atomic

tuza_fn(node, tuza_chan(int64_t), up, int64_t, first, int64_t, leaves)
{
    if (leaves == 1) {
        tuza_send(up, first);
        return;
    }
    tuza_chan(int64_t) sums = tuza_chan_make(int64_t, 0);
    int64_t each = leaves / CHILDREN, sum = 0;
    for (int64_t i = 0; i < CHILDREN; i++)
        if (tuza_go(node, sums, first + i * each, each) != 0)
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    for (int64_t i = 0, one; i < CHILDREN; i++) {
        tuza_recv(sums, &one);
        sum += one;
    }
    tuza_send(up, sum);
}

TUZA_MAIN
{
    clockid_t clock = argc > 1 && strcmp(argv[1], "wall") == 0
                          ? CLOCK_MONOTONIC
                          : CLOCK_PROCESS_CPUTIME_ID;
    tuza_chan(int64_t) top = tuza_chan_make(int64_t, 0);
    int64_t sum = 0, start = bench_clock_ns(clock);
    int ok = tuza_go(node, top, 0, LEAVES) == 0;
    tuza_recv(top, &sum);
    int64_t ns = bench_clock_ns(clock) - start;
    ok &= !failed && sum == (int64_t)LEAVES * (LEAVES - 1) / 2;
    return bench_report(ns, GOROUTINES, ok);
}
