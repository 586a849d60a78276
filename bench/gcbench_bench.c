// SPDX-License-Identifier: BSD-3-Clause
// bench/gcbench_bench.c: what a node of gcbench.h costs, all in all, with the
// collector on; with the argument "rss" the process's peak in memory.

#include "bench.h"
#include "gcbench_collected.h"

TUZA_MAIN
{
    uint64_t nodes = 0;
    int64_t start = bench_cpu_ns();
    bool ok = gcbench_run(&nodes);
    return bench_report_or_peak(argc, argv, bench_cpu_ns() - start, nodes, ok);
}
