// SPDX-License-Identifier: BSD-3-Clause
// bench/bintrees.h: the binary trees of the Computer Language Benchmarks Game,
// the same for all who allocate. A stretch tree one level deeper than the
// deepest; a tree that lives until the end; meanwhile many short-lived ones of
// each second depth, of 2^21 nodes a depth and more. Each is counted when it
// goes, and freed on the same walk, where freeing is somebody's work: who
// includes it has defined ALLOC(size) and FREE(p).
#ifndef BENCH_BINTREES_H
#define BENCH_BINTREES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "stores.h"

enum { BINTREES_MIN = 4, BINTREES_DEPTH = 17 };

struct bintree {
    struct bintree *left, *right;
};

static struct bintree *bintree_make(int depth)
{
    struct bintree *t = ALLOC(sizeof *t);
    FIRST(&t->left, depth > 0 ? bintree_make(depth - 1) : NULL);
    FIRST(&t->right, depth > 0 ? bintree_make(depth - 1) : NULL);
    return t;
}

// How many nodes it had.
static uint64_t bintree_end(struct bintree *t)
{
    uint64_t n = 1;
    if (t->left)
        n += bintree_end(t->left) + bintree_end(t->right);
    FREE(t);
    return n;
}

static inline uint64_t bintree_nodes(int depth)
{
    return (UINT64_C(2) << depth) - 1;
}

// Whether all trees were whole; adds up what was allocated.
static inline bool bintrees_run(uint64_t *nodes)
{
    uint64_t most = bintree_nodes(BINTREES_DEPTH + 1);
    bool ok = bintree_end(bintree_make(BINTREES_DEPTH + 1)) == most;
    struct bintree *longlived = bintree_make(BINTREES_DEPTH);
    *nodes = most + bintree_nodes(BINTREES_DEPTH);
    for (int depth = BINTREES_MIN; depth <= BINTREES_DEPTH; depth += 2) {
        uint64_t trees = UINT64_C(1) << (BINTREES_DEPTH - depth + BINTREES_MIN);
        uint64_t found = 0, expected = trees * bintree_nodes(depth);
        for (uint64_t i = 0; i < trees; i++)
            found += bintree_end(bintree_make(depth));
        ok &= found == expected;
        *nodes += expected;
    }
    return bintree_end(longlived) == bintree_nodes(BINTREES_DEPTH) && ok;
}

#endif
