// SPDX-License-Identifier: BSD-3-Clause
// bench/macrobar_bench.c: what the macros of tuza/barrier.h cost while nothing marks,
// beside plain stores, by turns, 21 pairs. The value is the geometric mean of the
// medians of a turn of bintrees, gcbench, graph and mixed300k, smaller (macrobar.h),
// in us. By argument:
//
//   all     the same programs with tuza_store for every store
//   trees   making nodes of trees, two stores with tuza_store each, ns a node
//   edges   turning a random edge of a graph, ns each

#include <math.h>
#include <stdbool.h>
#include <tuza.h>

#include "bench.h"
#include "macrobar.h"

enum { PAIRS = 21, DEPTH = 15, NODES = 1 << 16, TURNS = 1 << 21 };

struct node {
    struct node *left, *right;
};

static struct node *nodes[NODES], *trees[4];

// Where a function begins in a line of the cache is worth as much as what is measured:
// trees are made by one at each place where compilers begin them.
#define PLACED(at)                                                             \
    __attribute__((noinline, aligned(64), patchable_function_entry(at, at)))
#define PLAIN(p, v) (*(p) = (v))
#define TREE(name, STORE, at)                                                  \
    static PLACED(at) struct node *tree_##name##_##at(int depth)               \
    {                                                                          \
        struct node *t = tuza_alloc(sizeof *t);                                \
        if (depth > 0) {                                                       \
            STORE(&t->left, tree_##name##_##at(depth - 1));                    \
            STORE(&t->right, tree_##name##_##at(depth - 1));                   \
        }                                                                      \
        return t;                                                              \
    }
#define VARIANT(name, STORE)                                                   \
    TREE(name, STORE, 0)                                                       \
    TREE(name, STORE, 16)                                                      \
    TREE(name, STORE, 32)                                                      \
    TREE(name, STORE, 48)                                                      \
    static bool trees_##name(void)                                             \
    {                                                                          \
        trees[0] = tree_##name##_0(DEPTH);                                     \
        trees[1] = tree_##name##_16(DEPTH);                                    \
        trees[2] = tree_##name##_32(DEPTH);                                    \
        trees[3] = tree_##name##_48(DEPTH);                                    \
        return true;                                                           \
    }                                                                          \
    static PLACED(0) bool edges_##name(void)                                   \
    {                                                                          \
        uint64_t r = 88172645463325252;                                        \
        for (int i = 0; i < TURNS; i++) {                                      \
            r ^= r << 13, r ^= r >> 7, r ^= r << 17;                           \
            STORE(&nodes[r % NODES]->left, nodes[(r >> 32) % NODES]);          \
        }                                                                      \
        return true;                                                           \
    }
VARIANT(plain, PLAIN)
VARIANT(told, tuza_store)

static uint64_t count(const struct node *t)
{
    return t ? 1 + count(t->left) + count(t->right) : 0;
}

static bool trees_are_whole(void)
{
    bool ok = true;
    for (int i = 0; i < 4; i++) {
        ok &= count(trees[i]) == (UINT64_C(2) << DEPTH) - 1;
        trees[i] = NULL;
    }
    return ok;
}

// The same numbers being the same edges, both ways leave the same.
static bool edges_are_alike(void)
{
    static uint64_t other;
    static bool second;
    uint64_t sum = 0;
    for (int i = 0; i < NODES; i++)
        sum = sum * 31 + (uintptr_t)nodes[i]->left;
    bool ok = !second || sum == other;
    second = !second;
    other = sum;
    return ok;
}

static bool nothing_more(void) { return true; }

static const struct way {
    const char *what, *name;
    bool (*run[2])(void), (*check)(void); // with plain stores, with told ones
    double operations;
} ways[] = {
#define PROGRAM(name, how)                                                     \
    { #how, #name, { MACROBAR_NAME(name, plain), MACROBAR_NAME(name, how) },   \
      nothing_more, 1000 },
    MACROBAR_EACH(PROGRAM, told)
    MACROBAR_EACH(PROGRAM, all)
    { "trees", "trees", { trees_plain, trees_told }, trees_are_whole,
      4 * ((UINT64_C(2) << DEPTH) - 1) },
    { "edges", "edges", { edges_plain, edges_told }, edges_are_alike, TURNS },
};
enum { WAYS = sizeof ways / sizeof ways[0] };

// The median of a turn of each, in ns.
static bool measure(const struct way *w, double ns[2])
{
    int64_t times[2][PAIRS];
    bool ok = true;
    for (int i = -1; i < PAIRS; i++) // the first one for the memory
        for (int k = 0; k < 2; k++) {
            int told = (i + k) & 1; // each is first as often
            tuza_gc();
            int64_t start = bench_cpu_ns();
            ok &= w->run[told]();
            times[told][i < 0 ? 0 : i] = bench_cpu_ns() - start;
            ok &= w->check();
        }
    for (int k = 0; k < 2; k++)
        ns[k] = (double)bench_percentile(times[k], PAIRS, 50);
    return ok;
}

TUZA_MAIN
{
    const char *what = argc > 1 ? argv[1] : "told";
    double each[WAYS], log_of[2] = { 0, 0 };
    int n = 0;
    bool ok = true;
    tuza_gc_set_percent(-1);
    for (int i = 0; i < NODES; i++)
        nodes[i] = tuza_new(struct node);
    for (int i = 0; i < WAYS; i++) {
        each[i] = 0;
        if (strcmp(ways[i].what, what) != 0)
            continue;
        double ns[2];
        ok &= measure(&ways[i], ns);
        each[i] = ns[1] / ns[0];
        for (int k = 0; k < 2; k++)
            log_of[k] += log(ns[k] / ways[i].operations);
        n++;
    }
    ok &= n > 0;
    printf("value=%.3f peerval=%.3f check=%s", exp(log_of[1] / n),
           exp(log_of[0] / n), ok ? "ok" : "fail");
    for (int i = 0; n > 1 && i < WAYS; i++)
        if (each[i] > 0)
            printf(" %s=%.3f", ways[i].name, each[i]);
    putchar('\n');
    return !ok;
}
