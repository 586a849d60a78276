// SPDX-License-Identifier: BSD-3-Clause
// test/soak/graph_soak.c: random graphs beside their model (test/gc/shadow.h),
// for as long as it takes, in each mode of marking: 10^7 operations beside
// collections as they come; 2 * 10^5 of them with a collection at every 64th
// allocation, with 20 seeds, and at every one, 2nd, 3rd and 7th, with 4. Then a
// heap of some megabytes of small objects, for marks that last.
//
// TEST_SEED is where the seeds begin, TEST_SCALE a percentage of the
// operations.

#include "gc/shadow.h"

#define MODES(X) X(m0) X(m1) X(m2)

enum { OPERATIONS = 200000, PACED = 10000000, SMALL = 150, LARGER = 20000 };

static tuza_waitgroup group;
static uint64_t seed;
static int seeds;

static void setting(const char *mode, const char *more)
{
    char text[200];
    snprintf(text, sizeof text, "gcmode=%s,%s", mode, more);
    setenv("TUZADEBUG", text, 1);
}

static int at_every(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    for (int i = 0; i < seeds; i++, seed += 1000003) {
        struct world *w = new_world(0, SMALL, seed);
        live(w, scaled(OPERATIONS), 0, 64);
        end_world(w);
    }
    return 0;
}

static void live_beside(void *arg)
{
    struct world *w = new_world(*(int *)arg, LARGER, seed);
    live(w, scaled(PACED) / WORLDS, 0, 1 << 16);
    end_world(w);
    tuza_waitgroup_done(&group);
}

static int paced(int argc, char **argv)
{
    (void)argc, (void)argv;
    static int number[WORLDS] = { 0, 1, 2, 3 };
    seed = test_seed();
    tuza_waitgroup_add(&group, WORLDS);
    for (int i = 0; i < WORLDS; i++)
        tuza_spawn(live_beside, &number[i]);
    tuza_waitgroup_wait(&group);
    tuza_memstats after = { .size = sizeof after };
    tuza_memstats_read(&after);
    printf("%llu collections\n", (unsigned long long)after.num_gc);
    need(after.num_gc > 20 || scaled(100) < 100);
    return 0;
}

#define AT_EVERY(k, how_many, mode)                                            \
    START_TEST(mode##_at_every_##k##_allocations)                              \
    {                                                                          \
        setting(#mode, "clobberfree=1,gcevery=" #k);                           \
        seeds = (how_many);                                                    \
        api_run_telling(at_every, 2);                                          \
    }                                                                          \
    END_TEST
#define PACED_WITH(claim, more, percent, procs, mode)                          \
    START_TEST(mode##_paced_##claim)                                           \
    {                                                                          \
        setting(#mode, more);                                                  \
        setenv("TUZAGC", percent, 1);                                          \
        api_run_telling(paced, procs);                                         \
    }                                                                          \
    END_TEST
#define ALL(mode)                                                              \
    PACED_WITH(as_ever, "gctrace=0", "100", 2, mode)                           \
    PACED_WITH(often, "clobberfree=1", "5", 4, mode)                           \
    AT_EVERY(64, 20, mode)                                                     \
    AT_EVERY(7, 4, mode)                                                       \
    AT_EVERY(3, 4, mode)                                                       \
    AT_EVERY(2, 4, mode)                                                       \
    AT_EVERY(1, 4, mode)
#define NAMES(mode)                                                            \
    mode##_paced_as_ever, mode##_paced_often, mode##_at_every_64_allocations,  \
        mode##_at_every_7_allocations, mode##_at_every_3_allocations,          \
        mode##_at_every_2_allocations, mode##_at_every_1_allocations,
MODES(ALL)

int main(void)
{
    setenv("CK_DEFAULT_TIMEOUT", "3600", 1);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return api_check("graph", (const TTest *const[]){ MODES(NAMES) NULL });
}
