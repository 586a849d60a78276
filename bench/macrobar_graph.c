// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_graph.c: graph.h with 16 MB, and objects of many sizes of alloc.h, for
// macrobar.

#include <stddef.h>
#include <string.h>

#include "macrobar.h"

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#include "alloc.h"
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

bool MACROBAR_NAME(graph, HOW)(void)
{
    graph_make(16);
    for (uint64_t i = 0; i < 3 * graph.nodes; i++)
        graph_operation();
    bool ok = graph_is_whole();
    graph.table = NULL;
    return ok;
}

bool MACROBAR_NAME(mixed300k, HOW)(void)
{
    static uint64_t *live[MIXED_LIVE];
    bool ok = mixed_run(live, 300000);
    memset(live, 0, sizeof live);
    return ok;
}
