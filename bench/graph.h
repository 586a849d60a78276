// SPDX-License-Identifier: BSD-3-Clause
// bench/graph.h: a large random graph that changes, the same for all who
// allocate. A node has edges to others and a block of numbers of its own; each
// also knows the edges that lead to it. Half of the operations replace a node,
// and its block, by a new one, to which the edges to the old one then lead: so
// it is known when a node goes, and who frees by hand can. The other half turn
// an edge to another node.
//
// Who includes it defines node_new, block_new and table_new, and FREE(p).
#ifndef BENCH_GRAPH_H
#define BENCH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "stores.h"

enum { GRAPH_EDGES = 3, GRAPH_NODE_BYTES = 400 }; // about, with its block

struct edge {
    struct node *to;
    struct edge *next, *before; // of those that lead to the same node
};

struct node {
    uint64_t *block; // [0] and the last: the number
    struct edge *in;
    struct edge out[GRAPH_EDGES];
    uint64_t number, words;
};

static struct node *node_new(void); // all pointers are NULL
static uint64_t *block_new(uint64_t words);
static struct node **table_new(uint64_t nodes);

static struct graph {
    struct node **table;
    uint64_t nodes, state, made;
    bool ok;
} graph;

// xorshift64*, as in alloc.h.
static inline uint64_t graph_random(uint64_t below)
{
    uint64_t *state = &graph.state;
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * 0x2545f4914f6cdd1d >> 32) * below >> 32;
}

static inline void edge_link(struct edge *e, struct node *to)
{
    STORE(&e->to, to);
    STORE(&e->before, NULL);
    STORE(&e->next, to->in);
    if (to->in)
        STORE(&to->in->before, e);
    STORE(&to->in, e);
}

static inline void edge_unlink(struct edge *e)
{
    if (e->before)
        STORE(&e->before->next, e->next);
    else
        STORE(&e->to->in, e->next);
    if (e->next)
        STORE(&e->next->before, e->before);
}

static inline struct node *graph_node(void)
{
    struct node *n = node_new();
    n->words = 8 + graph_random(56);
    n->number = graph.made++;
    FIRST(&n->block, block_new(n->words));
    n->block[0] = n->block[n->words - 1] = n->number;
    return n;
}

static inline void graph_check(const struct node *n)
{
    graph.ok &= n->block[0] == n->number;
    graph.ok &= n->block[n->words - 1] == n->number;
}

static inline void graph_replace(struct node **at)
{
    struct node *old = *at, *n = graph_node();
    graph_check(old);
    for (int i = 0; i < GRAPH_EDGES; i++) {
        struct node *to = old->out[i].to;
        edge_unlink(&old->out[i]);
        edge_link(&n->out[i], to == old ? n : to);
    }
    while (old->in) {
        struct edge *e = old->in;
        edge_unlink(e);
        edge_link(e, n);
    }
    STORE(at, n);
    FREE(old->block);
    FREE(old);
}

static inline void graph_turn(struct node *from)
{
    struct edge *e = &from->out[graph_random(GRAPH_EDGES)];
    edge_unlink(e);
    edge_link(e, graph.table[graph_random(graph.nodes)]);
}

static inline void graph_operation(void)
{
    uint64_t slot = graph_random(2 * graph.nodes);
    if (slot & 1)
        graph_replace(&graph.table[slot / 2]);
    else
        graph_turn(graph.table[slot / 2]);
}

static inline void graph_make(uint64_t megabytes)
{
    graph.state = 88172645463325252;
    graph.ok = true;
    graph.nodes = megabytes * 1024 * 1024 / GRAPH_NODE_BYTES;
    graph.table = table_new(graph.nodes);
    for (uint64_t i = 0; i < graph.nodes; i++)
        FIRST(&graph.table[i], graph_node());
    for (uint64_t i = 0; i < graph.nodes; i++)
        for (int j = 0; j < GRAPH_EDGES; j++)
            edge_link(&graph.table[i]->out[j],
                      graph.table[graph_random(graph.nodes)]);
}

// Whether all nodes are what they should be, and all edges known where they
// lead.
static inline bool graph_is_whole(void)
{
    uint64_t edges = 0;
    for (uint64_t i = 0; i < graph.nodes; i++) {
        graph_check(graph.table[i]);
        for (struct edge *e = graph.table[i]->in; e; e = e->next) {
            graph.ok &= e->to == graph.table[i];
            edges++;
        }
    }
    return graph.ok && edges == graph.nodes * GRAPH_EDGES;
}

#endif
