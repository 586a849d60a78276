// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/graph.c: graph_bench.c with another allocator, as bench/run names
// it: ALLOC(size), ALLOC_BYTES(size) for what holds no pointers, and FREE(p)
// where freeing is somebody's work.

#include "../graph_main.h"

static struct node *node_new(void)
{
    struct node *n = ALLOC(sizeof *n);
    *n = (struct node){0};
    return n;
}

static uint64_t *block_new(uint64_t words)
{
    return ALLOC_BYTES(words * sizeof(uint64_t));
}

static struct node **table_new(uint64_t nodes)
{
    return ALLOC(nodes * sizeof(struct node *));
}

static int64_t collected_ns(void)
{
    return 0;
}

int main(int argc, char **argv)
{
    return graph_main(argc, argv);
}
