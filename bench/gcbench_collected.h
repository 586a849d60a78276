// SPDX-License-Identifier: BSD-3-Clause
// bench/gcbench_collected.h: gcbench.h's objects with the collector. Nodes have their
// type, as in Go.
#ifndef BENCH_GCBENCH_COLLECTED_H
#define BENCH_GCBENCH_COLLECTED_H

#include <tuza.h>

#define COLLECTED
#define FREE(p) ((void)(p))
#include "gcbench.h"

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

#endif
