// SPDX-License-Identifier: BSD-3-Clause
// bench/switch.c: a switch from one stack to another, as the scheduler
// does it: nothing but src/arch, which programs of users cannot reach. So
// bench/run builds it, with the plain objects of the library.
//
// switch_nofp.c is this program where floating-point control words are shared
// (TUZA_FLOAT_SHARED).

#include <stdbool.h>

#include "arch/ctx.h"
#include "bench.h"

#ifndef SHARED
#define SHARED false
#endif

enum { ROUNDS = 50000000, STACK = 64 * 1024 };
static struct tz_ctx here, there;
static _Alignas(16) char stack[STACK];
static uint64_t count;

static void other(void *arg)
{
    for (uint64_t *n = arg;; ++*n)
        tz_ctx_switch(&there, &here);
}

int main(void)
{
    tz_ctx_setup(SHARED);
    tz_ctx_init(&there, (uintptr_t)(stack + STACK), other, &count);
    tz_ctx_switch(&here, &there);
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        tz_ctx_switch(&here, &there);
    return bench_report(bench_cpu_ns() - start, 2 * (uint64_t)ROUNDS,
                        count == ROUNDS);
}
