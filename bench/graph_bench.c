// SPDX-License-Identifier: BSD-3-Clause
// bench/graph_bench.c: graph.h with the collector on. Nodes have their type, as
// in Go. The collector works while the world is stopped, so the time of that is
// what it has taken: marking, and by the wall clock what comes before and
// after.

#include <stddef.h>
#include <tuza.h>

#define FREE(p) ((void)(p))
#include "graph_main.h"

static const tuza_type node_type = { // pointers, up to `number`
    sizeof(struct node), "node",
    (UINT64_C(1) << offsetof(struct node, number) / sizeof(void *)) - 1, NULL};

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
    tuza_memstats st = {.size = sizeof st};
    return tuza_memstats_read(&st) == 0 ? (int64_t)st.pause_total_ns : 0;
}

TUZA_MAIN
{
    return graph_main(argc, argv);
}
