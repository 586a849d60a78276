// SPDX-License-Identifier: BSD-3-Clause
// bench/graph_collected.h: graph.h's objects with the collector. Nodes have their type,
// as in Go.
#ifndef BENCH_GRAPH_COLLECTED_H
#define BENCH_GRAPH_COLLECTED_H

#include <stddef.h>
#include <tuza.h>

#define FREE(p) ((void)(p))
#include "graph.h"

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

#endif
