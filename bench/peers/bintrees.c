// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/bintrees.c: bintrees_bench.c with another allocator, as bench/run
// names it: ALLOC(size), and FREE(p) where freeing is somebody's work.

#include "../bench.h"
#include "../bintrees.h"

int main(int argc, char **argv)
{
    uint64_t nodes = 0;
    int64_t start = bench_cpu_ns();
    bool ok = bintrees_run(&nodes);
    return bench_report_or_peak(argc, argv, bench_cpu_ns() - start, nodes, ok);
}
