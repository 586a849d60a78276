// SPDX-License-Identifier: BSD-3-Clause
// bench/hotsplit_bench.c: a call whose frame does not fit and that finds the
// next segment kept from last time. Split code.

#include <tuza.h>

#include "bench.h"

enum { CALLS = 50000000 };
#define NOINLINE __attribute__((noinline, noclone))

static NOINLINE long leaf(long x)
{
    __asm__ volatile("" ::: "memory");
    return x + 1;
}

// Has no frame, as leaf: it does not fit where leaf does not.
static NOINLINE int segments_there(void) { return tuza_split_segments(); }

// -1 where a call of leaf would fit, else main's value.
static NOINLINE int measure(void)
{
    volatile char pad[64];
    pad[0] = 0;
    if (segments_there() == tuza_split_segments())
        return -1;
    int64_t start = bench_cpu_ns();
    long n = 0;
    for (long i = 0; i < CALLS; i++)
        n = leaf(n);
    return bench_report(bench_cpu_ns() - start, CALLS, n == CALLS) + pad[0];
}

// Goes down until the boundary is between measure and what it calls.
static NOINLINE int seek(int depth)
{
    volatile char pad[16];
    pad[0] = 0;
    int result = depth ? measure() : 1;
    return (result < 0 ? seek(depth - 1) : result) + pad[0];
}

TUZA_MAIN { return seek(1000000); }
