// SPDX-License-Identifier: BSD-3-Clause
// bench/graph_main.h: what the programs of the graph benchmark do with graph.h,
// after their first argument: "cpu", the CPU time of an operation, the making
// of the graph being part of it; "rss", the peak in memory; "worst", the most
// that one operation took of its thread's CPU time; "mark", what collected_ns
// says of the time for collecting. The second one is the size in MB.
#ifndef BENCH_GRAPH_MAIN_H
#define BENCH_GRAPH_MAIN_H

#include "bench.h"
#include "graph.h"

static int64_t collected_ns(void);

static inline int64_t graph_worst(uint64_t operations)
{
    int64_t worst = 0, then = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < operations; i++) {
        graph_operation();
        int64_t now = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        worst = now - then > worst ? now - then : worst;
        then = now;
    }
    return worst;
}

static inline int graph_main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "cpu";
    uint64_t megabytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;
    int64_t start = bench_cpu_ns(), worst = 0;
    graph_make(megabytes);
    uint64_t operations = 3 * graph.nodes;
    if (strcmp(what, "worst") == 0)
        worst = graph_worst(operations);
    else
        for (uint64_t i = 0; i < operations; i++)
            graph_operation();
    int64_t ns = bench_cpu_ns() - start, peak = bench_peak_bytes();
    int64_t collected = collected_ns();
    bool ok = graph_is_whole();
    if (strcmp(what, "worst") == 0)
        return bench_report(worst, 1, ok);
    if (strcmp(what, "rss") == 0)
        return bench_report(peak, 1, ok && peak > 0);
    if (strcmp(what, "mark") == 0)
        return bench_report(collected, 1, ok && collected > 0);
    return bench_report(ns, operations, ok);
}

#endif
