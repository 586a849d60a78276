// SPDX-License-Identifier: BSD-3-Clause
// bench/bintrees_bench.c: what a node of bintrees.h costs, with the collector
// on; with the argument "rss" the process's peak in memory. Both words of a
// node are pointers, so that there is nothing for a type to say.

#include <tuza.h>

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#include "bench.h"
#include "bintrees.h"

TUZA_MAIN
{
    uint64_t nodes = 0;
    int64_t start = bench_cpu_ns();
    bool ok = bintrees_run(&nodes);
    return bench_report_or_peak(argc, argv, bench_cpu_ns() - start, nodes, ok);
}
