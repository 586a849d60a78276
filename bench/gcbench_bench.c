// SPDX-License-Identifier: BSD-3-Clause
// bench/gcbench_bench.c: what a node of gcbench.h costs, all in all, with the
// collector on; with the argument "rss" the process's peak in memory. Nodes
// have their type, as in Go.

#include <tuza.h>

#define COLLECTED
#define FREE(p) ((void)(p))
#include "bench.h"
#include "gcbench.h"

static const tuza_type node_type = TUZA_TYPE(struct node, left, right);

static struct node *node_new(struct node *left, struct node *right)
{
    struct node *t = tuza_alloc_typed(&node_type, 1);
    t->left = left;
    t->right = right;
    return t;
}

static double *doubles_new(void)
{
    return tuza_alloc_bytes(GCBENCH_DOUBLES * sizeof(double));
}

TUZA_MAIN
{
    uint64_t nodes = 0;
    int64_t start = bench_cpu_ns();
    bool ok = gcbench_run(&nodes);
    return bench_report_or_peak(argc, argv, bench_cpu_ns() - start, nodes, ok);
}
