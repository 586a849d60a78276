// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_bench.c: what tuza_store costs while nothing marks, beside plain
// stores: making trees, and turning random edges of a graph ("edges"). Both are
// done by turns, 21 times each; the values are medians.

#include <stdbool.h>
#include <tuza.h>

#include "bench.h"

enum { PAIRS = 21, DEPTH = 16, NODES = 1 << 16, TURNS = 1 << 21 };

struct node {
    struct node *left, *right;
};

static struct node *nodes[NODES];

// Where they begin in a line of the cache is worth as much as what is measured.
#define NOINLINE __attribute__((noinline, aligned(64)))
#define PLAIN(p, v) (*(p) = (v))
#define VARIANT(name, STORE)                                                   \
    static NOINLINE struct node *tree_##name(int depth)                        \
    {                                                                          \
        struct node *t = tuza_alloc(sizeof *t);                                \
        if (depth > 0) {                                                       \
            STORE(&t->left, tree_##name(depth - 1));                           \
            STORE(&t->right, tree_##name(depth - 1));                          \
        }                                                                      \
        return t;                                                              \
    }                                                                          \
    static void turn_##name(void)                                              \
    {                                                                          \
        uint64_t r = 88172645463325252;                                        \
        for (int i = 0; i < TURNS; i++) {                                      \
            r ^= r << 13, r ^= r >> 7, r ^= r << 17;                           \
            STORE(&nodes[r % NODES]->left, nodes[(r >> 32) % NODES]);          \
        }                                                                      \
    }
VARIANT(plain, PLAIN)
VARIANT(told, tuza_store)

static uint64_t count(struct node *t)
{
    return t ? 1 + count(t->left) + count(t->right) : 0;
}

static bool run(bool edges, bool told, int64_t *ns)
{
    int64_t start = bench_cpu_ns();
    struct node *t = NULL;
    if (edges)
        told ? turn_told() : turn_plain();
    else
        t = told ? tree_told(DEPTH) : tree_plain(DEPTH);
    *ns = bench_cpu_ns() - start;
    return edges || count(t) == (UINT64_C(2) << DEPTH) - 1;
}

// What both have left, the same numbers being the same edges.
static uint64_t edges_sum(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < NODES; i++)
        sum = sum * 31 + (uintptr_t)nodes[i]->left;
    return sum;
}

TUZA_MAIN
{
    bool edges = argc > 1 && strcmp(argv[1], "edges") == 0, ok = true;
    int64_t ns[2][PAIRS];
    uint64_t sum[2] = { 0, 0 };
    for (int i = 0; edges && i < NODES; i++)
        nodes[i] = tuza_new(struct node);
    for (int i = 0; i < PAIRS; i++) {
        for (int k = 0; k < 2; k++) {
            int told = (i + k) % 2; // each is first as often
            tuza_gc();
            ok &= run(edges, told, &ns[told][i]);
            sum[told] = edges ? edges_sum() : 0;
        }
        ok &= sum[0] == sum[1];
    }
    double each = edges ? TURNS : (UINT64_C(2) << DEPTH) - 1;
    printf("value=%.3f peerval=%.3f check=%s\n",
           (double)bench_percentile(ns[1], PAIRS, 50) / each,
           (double)bench_percentile(ns[0], PAIRS, 50) / each,
           ok ? "ok" : "fail");
    return !ok;
}
