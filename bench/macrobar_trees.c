// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_trees.c: trees of bintrees.h and of gcbench.h, for macrobar.

#include "gcbench_collected.h"
#include "macrobar.h"

#define ALLOC(size) tuza_alloc(size)
#include "bintrees.h"

enum { DEPTH = 10 };

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
