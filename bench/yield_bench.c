// SPDX-License-Identifier: BSD-3-Clause
// bench/yield_bench.c: a yield between two goroutines.

#include <tuza.h>

#include "bench.h"

enum { YIELDS = 2000000 };
static uint64_t turns[2];

tuza_fn(other, tuza_waitgroup *, group)
{
    for (; turns[1] < YIELDS; turns[1]++)
        tuza_yield();
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    tuza_waitgroup_add(&group, 1);
    int ok = tuza_go(other, &group) == 0;
    int64_t start = bench_cpu_ns();
    for (; turns[0] < YIELDS; turns[0]++)
        tuza_yield();
    // On one thread they take turns, not one after the other.
    ok &= turns[1] > YIELDS / 2;
    tuza_waitgroup_wait(&group);
    int64_t ns = bench_cpu_ns() - start;
    ok &= turns[1] == YIELDS;
    return bench_report(ns, 2 * (uint64_t)YIELDS, ok);
}
