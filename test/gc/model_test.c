// SPDX-License-Identifier: BSD-3-Clause
// test: timeout=1200 first
// test/gc/model_test.c: random graphs of objects beside a model that the
// collector cannot see (shadow.h) stay whole: with a collection at every k-th
// allocation, at every k-th operation, and beside collections without end; in
// each mode of marking.
//
// What was lost is overwritten (clobberfree), so a look at what is touched, and
// at all from time to time, finds it. At every k-th allocation, which one in five
// operations is, there are 2 * 10^5 operations with each of 4 seeds: up to 160,000
// collections, of 0.1 ms in mode M0 and 0.3 in M1. In builds where one takes longer
// there are fewer, by what it costs; test/soak/graph_soak.c has all of them there.

#include "shadow.h"

// The modes of TUZADEBUG=gcmode.
#define MODES(X) X(m0) X(m1) X(m2)

enum { SEEDS = 4, SMALL = 150, LARGER = 3000, ALL_OPS = 200000 };

static tuza_waitgroup group;
static uint64_t seed;

static void setting(const char *mode, const char *more)
{
    char text[200];
    snprintf(text, sizeof text, "gcmode=%s,clobberfree=1,%s", mode, more);
    setenv("TUZADEBUG", text, 1);
}

// Sanitizers make a collection many times dearer.
static int fewer(int ops)
{
    return scaled(ops / (TZ_ASAN ? 3 : TZ_DEBUG ? 4 : 1));
}

static void one_life(int number, int objects, int64_t ops, int collect,
                     int check)
{
    struct world *w = new_world(number, objects, seed);
    live(w, ops, collect, check);
    end_world(w);
}

// --- a collection at every k-th allocation

static int fuzz_ops;

static int fuzz(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    for (int i = 0; i < SEEDS; i++, seed += 1000003)
        one_life(0, SMALL, fuzz_ops, 0, 64);
    return 0;
}

// less: operations where a collection takes several times as long.
#define AT_EVERY(k, less, mode)                                                \
    START_TEST(mode##_at_every_##k##_allocations)                              \
    {                                                                          \
        setting(#mode, "gcevery=" #k);                                         \
        fuzz_ops = TZ_ASAN || TZ_DEBUG || TZ_TSAN ? fewer(less) : ALL_OPS;     \
        api_run_telling(fuzz, 2);                                              \
    }                                                                          \
    END_TEST
#define AT_EVERY_K(mode)                                                       \
    AT_EVERY(1, 4000, mode)                                                    \
    AT_EVERY(2, 8000, mode)                                                    \
    AT_EVERY(3, 10000, mode)                                                   \
    AT_EVERY(7, 25000, mode)                                                   \
    AT_EVERY(64, 200000, mode)
#define NAMES_AT_EVERY(mode)                                                   \
    mode##_at_every_1_allocations, mode##_at_every_2_allocations,              \
        mode##_at_every_3_allocations, mode##_at_every_7_allocations,          \
        mode##_at_every_64_allocations,
MODES(AT_EVERY_K)

// --- collections that are asked for, each of them checked

static int collect_at, ops_in_all;

static int asked_for(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    one_life(0, collect_at < 100 ? SMALL : LARGER, fewer(ops_in_all),
             collect_at, collect_at);
    return 0;
}

#define ASKED_FOR(k, ops, mode)                                                \
    START_TEST(mode##_asked_for_at_every_##k)                                  \
    {                                                                          \
        setting(#mode, "gccheckmark=1");                                       \
        collect_at = (k);                                                      \
        ops_in_all = (ops);                                                    \
        api_run_telling(asked_for, 2);                                         \
    }                                                                          \
    END_TEST
#define ASKED_FOR_AT(mode)                                                     \
    ASKED_FOR(1, 2000, mode)                                                   \
    ASKED_FOR(1000, 200000, mode)
#define NAMES_ASKED_FOR(mode)                                                  \
    mode##_asked_for_at_every_1, mode##_asked_for_at_every_1000,
MODES(ASKED_FOR_AT)

// --- four graphs at once; their collections are each other's

static int every;

static void live_beside(void *arg)
{
    int k = *(int *)arg;
    one_life(k, LARGER, fewer(ops_in_all), every ? every + 31 * k : 0,
             every ? 500 : 64 * 32);
    tuza_waitgroup_done(&group);
}

static int four(int argc, char **argv)
{
    (void)argc, (void)argv;
    static int number[4] = { 0, 1, 2, 3 };
    tuza_memstats before = { .size = sizeof before }, after = before;
    tuza_memstats_read(&before);
    seed = test_seed();
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_spawn(live_beside, &number[i]);
    tuza_waitgroup_wait(&group);
    tuza_memstats_read(&after);
    need(after.num_gc >= before.num_gc + 20 || fewer(ops_in_all) < 20000);
    return 0;
}

static void run_four(const char *mode, const char *more, int at, int ops,
                     int procs)
{
    setting(mode, more);
    every = at;
    ops_in_all = ops;
    api_run_telling(four, procs);
}

// Nobody waits for a collection: they begin anew all the time.
#define FOUR(mode)                                                             \
    START_TEST(mode##_four_graphs_that_collect_on_two_procs)                   \
    {                                                                          \
        run_four(#mode, "gccheckmark=1", 50, 10000, 2);                        \
    }                                                                          \
    END_TEST                                                                   \
    START_TEST(mode##_four_graphs_beside_collections_on_one_proc)              \
    {                                                                          \
        setenv("TUZAGC", "1", 1);                                              \
        run_four(#mode, "gcverify=1", 0, 100000, 1);                           \
    }                                                                          \
    END_TEST                                                                   \
    START_TEST(mode##_four_graphs_beside_collections_on_four_procs)            \
    {                                                                          \
        setenv("TUZAGC", "1", 1);                                              \
        run_four(#mode, "gccheckmark=0", 0, 100000, 4);                        \
    }                                                                          \
    END_TEST
#define NAMES_FOUR(mode)                                                       \
    mode##_four_graphs_that_collect_on_two_procs,                              \
        mode##_four_graphs_beside_collections_on_one_proc,                     \
        mode##_four_graphs_beside_collections_on_four_procs,
MODES(FOUR)

// --- where nothing is used again

static int never_again(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    one_life(0, SMALL, fewer(20000), 0, 64);
    return 0;
}

#define NEVER_AGAIN(key, mode)                                                 \
    START_TEST(mode##_with_##key)                                              \
    {                                                                          \
        setting(#mode, #key "=1,gcevery=64");                                  \
        api_run(never_again, 2);                                               \
    }                                                                          \
    END_TEST
#define NEVER_AGAIN_WITH(mode)                                                 \
    NEVER_AGAIN(neverfree, mode)                                               \
    NEVER_AGAIN(pageperobject, mode)
#define NAMES_NEVER_AGAIN(mode)                                                \
    mode##_with_neverfree, mode##_with_pageperobject,
MODES(NEVER_AGAIN_WITH)

// When the places go, so does the graph.
IN_GOROUTINES(a_graph_without_roots_is_reclaimed, 2)
{
    tuza_memstats before = { .size = sizeof before }, after = before;
    seed = test_seed();
    tuza_gc();
    tuza_memstats_read(&before);
    one_life(0, LARGER, fewer(20000), 500, 500);
    for (int i = 0; i < 3; i++)
        tuza_gc();
    tuza_memstats_read(&after);
    need(after.heap_live < before.heap_live + (4 << 20));
}

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "300", 1); // a slow machine's
    return api_check("model", (const TTest *const[]){
                                  MODES(NAMES_AT_EVERY) MODES(NAMES_ASKED_FOR)
                                      MODES(NAMES_FOUR) MODES(NAMES_NEVER_AGAIN)
                                          a_graph_without_roots_is_reclaimed,
                                  NULL });
}
