// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_trees.c: trees of bintrees.h and of gcbench.h, for macrobar.

#include "macrobar.h"

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#define COLLECTED
#include "bintrees.h"
#include "gcbench.h"

enum { DEPTH = 10 };

static const tuza_type node_type = TUZA_TYPE(struct node, left, right);

static struct node *node_new(struct node *left, struct node *right)
{
    struct node *t = tuza_alloc_typed(&node_type, 1);
    FIRST(&t->left, left);
    FIRST(&t->right, right);
    return t;
}

static double *doubles_new(void)
{
    return tuza_alloc_bytes(GCBENCH_DOUBLES * sizeof(double));
}

bool MACROBAR_NAME(bintrees, HOW)(void)
{
    bool ok = true;
    for (int i = 0; i < 400; i++)
        ok &= bintree_end(bintree_make(DEPTH)) == bintree_nodes(DEPTH);
    return ok;
}

bool MACROBAR_NAME(gcbench, HOW)(void)
{
    return gcbench_short(DEPTH, 128);
}
