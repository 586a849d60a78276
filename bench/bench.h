// SPDX-License-Identifier: BSD-3-Clause
// bench/bench.h: what every benchmark program, ours or a peer's, does alike: it
// measures the CPU time of all its threads around its loop, checks its own
// result, and prints one line "value=<ns per operation> check=ok|fail".
//
// Where waiting is what is measured, it is the wall clock, and of many
// single times a percentile.
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t bench_clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t bench_cpu_ns(void)
{
    return bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline int64_t bench_wall_ns(void)
{
    return bench_clock_ns(CLOCK_MONOTONIC);
}

// Uses the processor and calls nothing of the runtime.
static inline void bench_spin_ns(int64_t ns)
{
    for (int64_t end = bench_wall_ns() + ns; bench_wall_ns() < end;)
        ;
}

static inline int bench_less(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The smallest of n times that so many percent do not exceed; sorts them.
static inline int64_t bench_percentile(int64_t *times, size_t n, size_t percent)
{
    qsort(times, n, sizeof *times, bench_less);
    return times[(n * percent + 99) / 100 - 1];
}

// The kB behind a name in a file of /proc; 0 when there is none.
static inline uint64_t bench_kb_of(const char *file, const char *name)
{
    char line[256];
    unsigned long long kb = 0;
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            sscanf(line + strlen(name), ": %llu", &kb);
    if (f)
        fclose(f);
    return kb;
}

// The most memory that the process has had.
static inline int64_t bench_peak_bytes(void)
{
    return (int64_t)bench_kb_of("/proc/self/status", "VmHWM") * 1024;
}

// Prints the line; the value for main to return.
static inline int bench_report(int64_t ns, uint64_t operations, int ok)
{
    printf("value=%.3f check=%s\n", (double)ns / (double)operations,
           ok ? "ok" : "fail");
    return ok ? 0 : 1;
}

// The same for a program that with the argument "rss" tells its peak instead.
static inline int bench_report_or_peak(int argc, char **argv, int64_t ns,
                                       uint64_t operations, int ok)
{
    int64_t peak = bench_peak_bytes();
    if (argc > 1 && strcmp(argv[1], "rss") == 0)
        return bench_report(peak, 1, ok && peak > 0);
    return bench_report(ns, operations, ok);
}

#endif
