// SPDX-License-Identifier: BSD-3-Clause
// bench/bench.h: what every benchmark program, ours or a peer's, does alike: it
// measures the CPU time of all its threads around its loop, checks its own
// result, and prints one line "value=<ns per operation> check=ok|fail".
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline int64_t bench_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Prints the line; the value for main to return.
static inline int bench_report(int64_t ns, uint64_t operations, int ok)
{
    printf("value=%.3f check=%s\n", (double)ns / (double)operations,
           ok ? "ok" : "fail");
    return ok ? 0 : 1;
}

#endif
