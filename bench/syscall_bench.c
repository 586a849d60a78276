// SPDX-License-Identifier: BSD-3-Clause
// bench/syscall_bench.c: a declared call of a function that only counts.

#include <tuza.h>

#include "bench.h"

enum { CALLS = 5000000 };
static uint64_t calls;

static __attribute__((noinline, noclone)) int empty(void)
{
    __asm__ volatile("" ::: "memory");
    calls++;
    return 0;
}

TUZA_MAIN
{
    int ok = 1;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= TUZA_SYSCALL(empty()) == 0;
    int64_t ns = bench_cpu_ns() - start;
    return bench_report(ns, CALLS, ok && calls == CALLS);
}
