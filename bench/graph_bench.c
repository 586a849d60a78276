// SPDX-License-Identifier: BSD-3-Clause
// bench/graph_bench.c: graph.h with the collector on. Nodes have their type, as
// in Go. What marking took is what the runtime's metrics say, of the same names as
// Go's.

#include <stddef.h>
#include <tuza.h>

#define FREE(p) ((void)(p))
#include "graph_main.h"

static const tuza_type node_type = { // pointers, up to `number`
    sizeof(struct node), "node",
    (UINT64_C(1) << offsetof(struct node, number) / sizeof(void *)) - 1, NULL, NULL};

static struct node *node_new(void)
{
    return tuza_alloc_typed(&node_type, 1);
}

static uint64_t *block_new(uint64_t words)
{
    return tuza_alloc_bytes(words * sizeof(uint64_t));
}

static struct node **table_new(uint64_t nodes)
{
    return tuza_alloc_array(nodes, sizeof(struct node *));
}

static int64_t collected_ns(void)
{
    tuza_metric m[] = {
        {.name = "/cpu/classes/gc/mark/assist:cpu-seconds"},
        {.name = "/cpu/classes/gc/mark/dedicated:cpu-seconds"}};
    if (tuza_metrics_read(m, 2) != 0)
        return 0;
    return (int64_t)((m[0].value.f64 + m[1].value.f64) * 1e9);
}

TUZA_MAIN
{
    tuza_lock_thread(); // for the clock of the thread
    return graph_main(argc, argv);
}
