// SPDX-License-Identifier: BSD-3-Clause
// bench/gcbench.h: GCBench, by J. Ellis, P. Kovac and H. Boehm, the same for
// all who allocate. A stretch tree; then a tree of depth 16 and an array of
// half a million doubles that live until the end; meanwhile short-lived trees
// of each second depth, made from the root down and from the leaves up.
// Collectors let a tree go; who frees by hand walks over it.
//
// Who includes it defines node_new and doubles_new, FREE(p), and COLLECTED
// where freeing is nobody's work.
#ifndef BENCH_GCBENCH_H
#define BENCH_GCBENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "stores.h"

enum {
    GCBENCH_STRETCH = 18,
    GCBENCH_LONG = 16,
    GCBENCH_MIN = 4,
    GCBENCH_MAX = 16,
    GCBENCH_DOUBLES = 500000
};

struct node {
    struct node *left, *right;
    int32_t i, j;
};

static struct node *node_new(struct node *left, struct node *right);
static double *doubles_new(void);

static inline uint64_t tree_nodes(int depth)
{
    return (UINT64_C(2) << depth) - 1;
}

static void tree_populate(int depth, struct node *t)
{
    if (depth <= 0)
        return;
    FIRST(&t->left, node_new(NULL, NULL));
    FIRST(&t->right, node_new(NULL, NULL));
    tree_populate(depth - 1, t->left);
    tree_populate(depth - 1, t->right);
}

static struct node *tree_make(int depth)
{
    if (depth <= 0)
        return node_new(NULL, NULL);
    struct node *left = tree_make(depth - 1);
    return node_new(left, tree_make(depth - 1));
}

static uint64_t tree_count(const struct node *t)
{
    return t ? 1 + tree_count(t->left) + tree_count(t->right) : 0;
}

static inline int tree_depth(const struct node *t)
{
    int depth = 0;
    for (; t->left && t->right; depth++)
        t = depth & 1 ? t->left : t->right;
    return depth;
}

#ifndef COLLECTED
static void tree_free(struct node *t)
{
    if (t->left)
        tree_free(t->left);
    if (t->right)
        tree_free(t->right);
    FREE(t);
}
#endif

// Whether it was as deep as that, along one way down.
static inline bool tree_end(struct node *t, int depth)
{
    bool ok = tree_depth(t) == depth;
#ifndef COLLECTED
    tree_free(t);
#endif
    return ok;
}

static inline bool gcbench_short(int depth, uint64_t trees)
{
    bool ok = true;
    for (uint64_t i = 0; i < trees; i++) {
        struct node *t = node_new(NULL, NULL);
        tree_populate(depth, t);
        ok &= tree_end(t, depth);
    }
    for (uint64_t i = 0; i < trees; i++)
        ok &= tree_end(tree_make(depth), depth);
    return ok;
}

// Whether all was what it should be; adds up the nodes that were made.
static inline bool gcbench_run(uint64_t *nodes)
{
    bool ok = tree_end(tree_make(GCBENCH_STRETCH), GCBENCH_STRETCH);
    struct node *longlived = node_new(NULL, NULL);
    tree_populate(GCBENCH_LONG, longlived);
    double *doubles = doubles_new();
    for (int i = 0; i < GCBENCH_DOUBLES; i++)
        doubles[i] = 1.0 / (i + 1);
    *nodes = tree_nodes(GCBENCH_STRETCH) + tree_nodes(GCBENCH_LONG);
    for (int depth = GCBENCH_MIN; depth <= GCBENCH_MAX; depth += 2) {
        uint64_t trees = 2 * tree_nodes(GCBENCH_STRETCH) / tree_nodes(depth);
        ok &= gcbench_short(depth, trees);
        *nodes += 2 * trees * tree_nodes(depth);
    }
    ok &= tree_count(longlived) == tree_nodes(GCBENCH_LONG);
    for (int i = 0; i < GCBENCH_DOUBLES; i++)
        ok &= doubles[i] == 1.0 / (i + 1);
    ok &= tree_end(longlived, GCBENCH_LONG);
    FREE(doubles);
    return ok;
}

#endif
