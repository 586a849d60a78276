// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/hotsplit_call.c: the call of hotsplit_bench.c, in plain code.

#include "../bench.h"

enum { CALLS = 50000000 };

static __attribute__((noinline, noclone)) long leaf(long x)
{
    __asm__ volatile("" ::: "memory");
    return x + 1;
}

int main(void)
{
    int64_t start = bench_cpu_ns();
    long n = 0;
    for (long i = 0; i < CALLS; i++)
        n = leaf(n);
    return bench_report(bench_cpu_ns() - start, CALLS, n == CALLS);
}
