// SPDX-License-Identifier: BSD-3-Clause
// test/model/runq_test.c: each goroutine that is put into a queue is got from
// one once, whoever takes it and when. Rings have four places.

#include <stdlib.h>
#include <string.h>

#include "model/model_check.h"
#include "sched/proc.h"

enum { PS = 3, GS = 8 };

static struct tz_p proc[PS];
static struct tz_g goroutine[GS];
static int taken[GS];

static void make(uint32_t nprocs)
{
    static const char *const p_name[] = { "p0", "p1", "p2" };
    static const char *const g_name[] = { "g0", "g1", "g2", "g3",
                                          "g4", "g5", "g6", "g7" };
    tz_sched.nprocs = tz_sched.nallp = nprocs;
    for (uint32_t i = 0; i < PS; i++) {
        proc[i].id = i;
        tz_sched.allp[i] = &proc[i];
        model_name(&proc[i], sizeof proc[i], p_name[i]);
    }
    for (uint32_t i = 0; i < GS; i++)
        model_name(&goroutine[i], sizeof goroutine[i], g_name[i]);
    model_name(&tz_sched, sizeof tz_sched, "sched");
}

// The goroutine is the caller's alone: to write into, before it is put and
// after it was got.
static void mine(struct tz_g *g)
{
    model_touch(&g->param, sizeof g->param, true);
}

static void put(int p, int g, bool next)
{
    mine(&goroutine[g]);
    tz_runq_put(&proc[p], &goroutine[g], next);
}

static bool take(struct tz_g *g)
{
    if (!g)
        return false;
    model_note("has taken g%d", (int)(g - goroutine));
    mine(g);
    if (++taken[g - goroutine] != 1)
        model_fail("g%d is taken twice", (int)(g - goroutine));
    return true;
}

static void take_all_of(int p)
{
    while (take(tz_runq_get(&proc[p])))
        ;
}

static struct tz_g *global_get(int p, uint32_t max)
{
    tz_lock_acquire(&tz_sched.lock);
    struct tz_g *g = tz_globrunq_get(&proc[p], max);
    tz_lock_release(&tz_sched.lock);
    return g;
}

// After all: what is still queued and what was taken are all there are.
static void nothing_is_lost(int n)
{
    for (int p = 0; p < PS; p++)
        take_all_of(p);
    while (tz_sched.runq)
        take(global_get(0, 1));
    for (int g = 0; g < GS; g++)
        if (taken[g] != (g < n))
            model_fail("g%d is lost", g);
}
static void nothing_of_3_is_lost(void)
{
    nothing_is_lost(3);
}
static void nothing_of_5_is_lost(void)
{
    nothing_is_lost(5);
}
static void nothing_of_6_is_lost(void)
{
    nothing_is_lost(6);
}

// The owner puts and gets; one or two others steal.
static void two_ps(void)
{
    make(2);
}
static void three_ps(void)
{
    make(3);
}

static void own(void)
{
    put(0, 0, true);
    put(0, 1, true);
    put(0, 2, false);
    take(tz_runq_get(&proc[0]));
    take(tz_runq_get_oldest(&proc[0]));
}

static void thief_1(void)
{
    if (take(tz_runq_steal(&proc[1], &proc[0], true)))
        take_all_of(1);
}

static void thief_2(void)
{
    if (take(tz_runq_steal(&proc[2], &proc[0], true)))
        take_all_of(2);
}

START_TEST(what_a_thief_steals_its_owner_does_not_get)
{
    struct model_program p = { .name = "owner and thief",
                               .setup = two_ps,
                               .thread = { own, thief_1 },
                               .check = nothing_of_3_is_lost,
                               .preemptions = 4,
                               .stale = 2,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

START_TEST(two_thieves_do_not_get_the_same)
{
    struct model_program p = { .name = "owner and two thieves",
                               .setup = three_ps,
                               .thread = { own, thief_1, thief_2 },
                               .check = nothing_of_3_is_lost,
                               .preemptions = 3,
                               .stale = 1,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

// A thief is robbed in turn while it robs.
static void rob_in_turn(void)
{
    make(3);
    for (int g = 0; g < 4; g++)
        tz_runq_put(&proc[0], &goroutine[g], false);
}

static void robbed_thief(void)
{
    take(tz_runq_steal(&proc[1], &proc[0], false));
    take(tz_runq_get(&proc[1]));
    put(1, 4, false);
}

static void second_thief(void)
{
    take(tz_runq_steal(&proc[2], &proc[1], true));
    take(tz_runq_steal(&proc[2], &proc[0], true));
}

START_TEST(a_thief_may_be_robbed)
{
    struct model_program p = { .name = "a thief is robbed",
                               .setup = rob_in_turn,
                               .thread = { robbed_thief, second_thief },
                               .check = nothing_of_5_is_lost,
                               .preemptions = 3,
                               .stale = 2,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

// A full ring: half of it goes to the global queue, of which others take.
static void full_ring(void)
{
    make(2);
    for (int g = 0; g < 4; g++)
        tz_runq_put(&proc[0], &goroutine[g], false);
}

static void overflow(void)
{
    put(0, 4, false);
    put(0, 5, true);
    take(tz_runq_get(&proc[0]));
}

static void take_shares(void)
{
    take(tz_runq_steal(&proc[1], &proc[0], true));
    if (tz_load_rlx(&tz_sched.runqsize) && take(global_get(1, 0)))
        take_all_of(1);
}

START_TEST(what_a_full_ring_sends_away_is_not_lost)
{
    struct model_program p = { .name = "overflow",
                               .setup = full_ring,
                               .thread = { overflow, take_shares },
                               .check = nothing_of_6_is_lost,
                               .preemptions = 3,
                               .stale = 2,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

// The ring's places are used again and again.
static void around(void)
{
    for (int g = 0; g < 6; g++) {
        put(0, g, false);
        if (g % 2)
            take(tz_runq_get(&proc[0]));
    }
}

START_TEST(places_are_not_used_again_before_they_are_read)
{
    struct model_program p = { .name = "around the ring",
                               .setup = two_ps,
                               .thread = { around, thief_1 },
                               .check = nothing_of_6_is_lost,
                               .preemptions = 3,
                               .stale = 2,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

// A thief that has some already looks at the ends of a ring in which much has
// happened between two looks.
static void thief_has_two(void)
{
    make(2);
    for (int g = 0; g < 4; g++)
        tz_runq_put(&proc[0], &goroutine[g], false);
    tz_runq_put(&proc[1], &goroutine[4], false);
    tz_runq_put(&proc[1], &goroutine[5], false);
}

static void get_and_put(void)
{
    if (take(tz_runq_get(&proc[0])))
        put(0, 6, false);
}

static void nothing_of_7_is_lost(void)
{
    nothing_is_lost(7);
}

START_TEST(a_thief_overwrites_nothing_of_its_own)
{
    struct model_program p = { .name = "a thief with work of its own",
                               .setup = thief_has_two,
                               .thread = { get_and_put, thief_1 },
                               .check = nothing_of_7_is_lost,
                               .preemptions = 4,
                               .stale = 2,
                               .limit = 2000000,
                               .random = 5000 };
    explored(&p);
}
END_TEST

// While one goroutine or more is in a queue, the queue is not called empty.
static void one_is_next(void)
{
    make(2);
    tz_runq_put(&proc[0], &goroutine[0], true);
}

static void replace_next(void)
{
    put(0, 1, true);
    put(0, 2, true);
    take(tz_runq_get(&proc[0]));
}

static void never_empty(void)
{
    model_need(!tz_runq_empty(&proc[0]));
}

START_TEST(a_queue_is_not_called_empty_while_its_next_moves_to_the_ring)
{
    struct model_program p = { .name = "empty",
                               .setup = one_is_next,
                               .thread = { replace_next, never_empty },
                               .check = nothing_of_3_is_lost,
                               .preemptions = 4,
                               .stale = 0,
                               .limit = 2000000 };
    explored(&p);
}
END_TEST

int main(void)
{
    return model_tests(
        "runq",
        (const TTest *const[]){
            what_a_thief_steals_its_owner_does_not_get,
            two_thieves_do_not_get_the_same, a_thief_may_be_robbed,
            what_a_full_ring_sends_away_is_not_lost,
            places_are_not_used_again_before_they_are_read,
            a_thief_overwrites_nothing_of_its_own,
            a_queue_is_not_called_empty_while_its_next_moves_to_the_ring,
            NULL });
}
