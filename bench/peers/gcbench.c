// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/gcbench.c: gcbench_bench.c with another allocator, as bench/run
// names it: ALLOC(size), ALLOC_BYTES(size) for what holds no pointers, and
// FREE(p) where freeing is somebody's work.

#include "../bench.h"
#include "../gcbench.h"

static struct node *node_new(struct node *left, struct node *right)
{
    struct node *t = ALLOC(sizeof *t);
    *t = (struct node){left, right, 0, 0};
    return t;
}

static double *doubles_new(void)
{
    return ALLOC_BYTES(GCBENCH_DOUBLES * sizeof(double));
}

int main(int argc, char **argv)
{
    uint64_t nodes = 0;
    int64_t start = bench_cpu_ns();
    bool ok = gcbench_run(&nodes);
    return bench_report_or_peak(argc, argv, bench_cpu_ns() - start, nodes, ok);
}
