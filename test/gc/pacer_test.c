// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/gc/pacer_test.c: the goal of the next collection, from collections that
// are made up. Nothing is mapped here: all memory is what a test says.

#include <check.h>
#include <stdlib.h>

#include "gc/pacer.h"
#include "mem/limit.h"
#include "mem/mheap.h"
#include "os/os_check.h"
#include "tuza/mem.h"

#define MB (UINT64_C(1) << 20)
#define MS INT64_C(1000000)

static int64_t now = 1000 * MS;

// A collection that began `run` ms after the last and took `took` ms.
static uint64_t collect(struct tz_pace p, int64_t run, int64_t took)
{
    p.began = now + run * MS;
    p.ended = now = p.began + took * MS;
    tz_pacer_cycle(&p);
    return tz_load_rlx(&tz_mem.trigger);
}

static uint64_t found(uint64_t before, uint64_t live)
{
    return collect((struct tz_pace){ .before = before, .live = live,
                                     .inuse = before },
                   1000, 1);
}

static void start(int percent) { tz_pacer_init(percent, now); }

START_TEST(growth_is_a_percentage_with_a_least_heap)
{
    static const struct {
        int percent;
        uint64_t live, roots, want;
    } rows[] = {
        { 100, 0, 0, 16 * MB },
        { 100, 1 * MB, 0, 16 * MB },
        { 100, 5 * MB, 0, 17 * MB },
        { 100, 5 * MB, 6 * MB, 17 * MB },
        { 100, 5 * MB, 8 * MB, 18 * MB },
        { 200, 10 * MB, 0, 34 * MB },
        { 0, 5 * MB, 0, 5 * MB },
        { 100, 50 * MB, 0, 100 * MB },
        { 100, 50 * MB, 10 * MB, 110 * MB },
        { 100, 192 * MB, 0, 384 * MB },
        { 100, 192 * MB, 2 * MB, 385 * MB },
        { 100, 1024 * MB, 0, 1632 * MB },
        { 50, 1024 * MB, 0, 1328 * MB },
        { 0, 1024 * MB, 0, 1024 * MB },
        { 50, 50 * MB, 10 * MB, 80 * MB },
        { 0, 50 * MB, 0, 50 * MB },
        { 1000, 1 * MB, 0, 160 * MB },
        { -1, 50 * MB, 10 * MB, UINT64_MAX },
        { 1000000000, UINT64_C(1) << 46, 0, UINT64_MAX }, // no wrap
    };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        start(rows[i].percent);
        uint64_t goal = collect((struct tz_pace){ .live = rows[i].live,
                                                  .before = rows[i].live,
                                                  .roots = rows[i].roots },
                                1000, 1);
        ck_assert_msg(goal == rows[i].want, "row %zu: %llu MB", i,
                      (unsigned long long)(goal / MB));
    }
}
END_TEST

// The limit leaves to objects what nothing else needs, less some headroom.
START_TEST(a_limit_lowers_the_goal)
{
    start(100);
    ck_assert_int_eq(tuza_memory_limit_set(100 * MB), INT64_MAX);
    ck_assert_uint_eq(found(20 * MB, 20 * MB), 40 * MB); // far away
    uint64_t goal = found(80 * MB, 60 * MB);
    ck_assert_uint_le(goal, 95 * MB); // tables for it are 5 MB
    ck_assert_uint_ge(goal, 87 * MB);
    // 20 MB of tables, and spans that are a third empty.
    struct tz_pace p = { .before = 40 * MB, .live = 40 * MB, .inuse = 60 * MB,
                         .beside = 20 * MB };
    goal = collect(p, 1000, 1);
    ck_assert_uint_le(goal, 56 * MB);
    ck_assert_uint_ge(goal, 52 * MB);
    ck_assert_int_eq(tuza_memory_limit_set(INT64_MAX), 100 * MB);
    ck_assert_uint_eq(tz_mem.trigger, 80 * MB);
    ck_assert_int_eq(tuza_memory_limit_set(-1), INT64_MAX);
    ck_assert_uint_eq(tz_mem.trigger, 80 * MB);
}
END_TEST

START_TEST(a_limit_alone_is_a_goal)
{
    start(-1);
    ck_assert_uint_eq(tz_mem.trigger, UINT64_MAX);
    tuza_memory_limit_set(64 * MB);
    ck_assert_uint_ge(tz_mem.trigger, 56 * MB);
    ck_assert_uint_le(tz_mem.trigger, 61 * MB);
    uint64_t goal = found(62 * MB, 10 * MB);
    ck_assert_uint_ge(goal, 56 * MB);
    ck_assert_uint_le(goal, 61 * MB);
    tuza_memory_limit_set(-1);
    ck_assert_uint_eq(tz_mem.trigger, UINT64_MAX);
}
END_TEST

START_TEST(the_hard_limit_counts_as_well)
{
    start(-1);
    ck_assert_int_eq(tuza_memory_max_set(64 * MB, NULL, NULL), 0);
    tz_pacer_update();
    ck_assert_uint_ge(tz_mem.trigger, 56 * MB);
    ck_assert_uint_le(tz_mem.trigger, 61 * MB);
}
END_TEST

// What lives is above the limit: the next one is not due at once.
START_TEST(absurd_limits_leave_a_little_room)
{
    static const int64_t limits[] = { 0, 1, 4096, 10 * MB, 19 * MB };
    start(100);
    for (size_t i = 0; i < tz_countof(limits); i++) {
        tuza_memory_limit_set(limits[i]);
        uint64_t goal = found(21 * MB, 20 * MB);
        ck_assert_uint_ge(goal, 20 * MB + MB / 2);
        ck_assert_uint_le(goal, 22 * MB);
    }
    tuza_memory_limit_set(INT64_MAX - 1);
    ck_assert_uint_eq(found(21 * MB, 20 * MB), 40 * MB);
    tuza_memory_limit_set(INT64_MIN);
    ck_assert_uint_eq(found(21 * MB, 20 * MB), 40 * MB);
}
END_TEST

// The limit only ever lowers the goal.
START_TEST(the_floor_is_not_above_growth)
{
    start(1);
    tuza_memory_limit_set(1);
    ck_assert_uint_eq(found(20 * MB, 20 * MB), 20 * MB + 20 * MB / 100);
}
END_TEST

// 90 ms of collecting in 100, 2 MB allocated meanwhile: after about a second
// the program gets the time that it takes to allocate 18 MB.
START_TEST(collecting_takes_half_of_the_time_at_most)
{
    start(100);
    tuza_memory_limit_set(100 * MB);
    struct tz_pace p = { .before = 101 * MB, .live = 99 * MB,
                         .inuse = 101 * MB };
    uint64_t goal = 0;
    int n = 0;
    for (; n < 100 && tz_pacer_relaxed() == 0; n++)
        goal = collect(p, 10, 90);
    ck_assert_int_ge(n, 10);
    ck_assert_int_le(n, 15);
    ck_assert_uint_ge(goal, 99 * MB + 17 * MB);
    ck_assert_uint_le(goal, 99 * MB + 19 * MB);
    // It takes its 90 ms, then half of the time is collecting: as it was.
    p.before = goal;
    p.inuse = goal;
    uint64_t same = collect(p, 90, 90);
    ck_assert_uint_eq(tz_pacer_relaxed(), 2);
    ck_assert_uint_ge(same, goal - MB);
    ck_assert_uint_le(same, goal + MB);
    // It runs for long: the limit is obeyed again.
    ck_assert_uint_le(collect(p, 500, 90), 103 * MB);
    ck_assert_uint_eq(tz_pacer_relaxed(), 2);
}
END_TEST

// However long collections take, growth is all that is allowed.
START_TEST(relaxing_stops_at_growth)
{
    start(100);
    tuza_memory_limit_set(1 * MB);
    struct tz_pace p = { .before = 30 * MB, .live = 10 * MB,
                         .inuse = 30 * MB };
    for (int i = 0; i < 10; i++)
        collect(p, 1, 1000);
    ck_assert_uint_eq(collect(p, 1, 1000), 22 * MB);
    ck_assert_uint_eq(collect(p, 0, 1000), 22 * MB); // no time at all
    ck_assert_uint_eq(collect(p, -5, 1000), 22 * MB);
}
END_TEST

START_TEST(external_bytes_lower_the_trigger)
{
    start(100);
    ck_assert_uint_eq(found(50 * MB, 50 * MB), 100 * MB);
    tuza_external(30 * MB);
    ck_assert_uint_eq(tz_mem.trigger, 70 * MB);
    tuza_external(90 * MB);
    ck_assert_uint_eq(tz_mem.trigger, 0);
    // As alive as an object: the goal is twice 170 MB, 120 of it outside.
    ck_assert_uint_eq(found(50 * MB, 50 * MB), 220 * MB);
    tuza_external(-(int64_t)(100 * MB));
    ck_assert_uint_eq(tz_mem.trigger, 320 * MB);
    ck_assert_uint_eq(tz_limit_external(), 20 * MB);
    // It counts towards the limit.
    tuza_memory_limit_set(100 * MB);
    uint64_t goal = found(75 * MB, 70 * MB);
    ck_assert_uint_ge(goal, 67 * MB);
    ck_assert_uint_le(goal, 76 * MB);
}
END_TEST

// A mark beside the program has a runway before the goal, a stop needs none.
START_TEST(what_will_be_a_stop_is_put_off_to_the_goal)
{
    start(100);
    struct tz_pace p = { .before = 60 * MB, .live = 50 * MB, .inuse = 60 * MB,
                         .meanwhile = 8 * MB };
    tz_store_rlx(&tz_mem.live, 50 * MB);
    ck_assert_uint_eq(collect(p, 1000, 1), 90 * MB);
    tz_store_rlx(&tz_mem.live, 91 * MB);
    ck_assert(tz_pacer_put_off());
    ck_assert_uint_eq(tz_mem.trigger, 100 * MB);
    ck_assert_uint_eq(tz_mem.goal, 100 * MB);
    tz_store_rlx(&tz_mem.live, 100 * MB);
    ck_assert(!tz_pacer_put_off());
    ck_assert_uint_eq(collect(p, 1000, 1), 90 * MB); // the next one has it again
    tz_store_rlx(&tz_mem.live, 0);
}
END_TEST

START_TEST(settings_change_the_goal_at_once)
{
    start(100);
    found(50 * MB, 50 * MB);
    ck_assert_int_eq(tuza_gc_set_percent(20), 100);
    ck_assert_uint_eq(tz_mem.trigger, 60 * MB);
    ck_assert_int_eq(tuza_gc_set_percent(-7), 20);
    ck_assert_uint_eq(tz_mem.trigger, UINT64_MAX);
    tuza_external(10 * MB); // never stays never
    ck_assert_uint_eq(tz_mem.trigger, UINT64_MAX);
    ck_assert_int_eq(tuza_gc_set_percent(100), -1);
    ck_assert_uint_eq(tz_mem.trigger, 110 * MB);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        growth_is_a_percentage_with_a_least_heap,
        a_limit_lowers_the_goal,
        a_limit_alone_is_a_goal,
        the_hard_limit_counts_as_well,
        absurd_limits_leave_a_little_room,
        the_floor_is_not_above_growth,
        collecting_takes_half_of_the_time_at_most,
        relaxing_stops_at_growth,
        external_bytes_lower_the_trigger,
        what_will_be_a_stop_is_put_off_to_the_goal,
        settings_change_the_goal_at_once,
        NULL,
    };
    return os_check("gc/pacer", tests);
}
