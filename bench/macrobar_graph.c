// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_graph.c: graph.h with 16 MB, and objects of many sizes of alloc.h, for
// macrobar.

#include <string.h>

#include "graph_collected.h"
#include "macrobar.h"

#define ALLOC(size) tuza_alloc(size)
#include "alloc.h"

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
