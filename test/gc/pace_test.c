// SPDX-License-Identifier: BSD-3-Clause
// test/gc/pace_test.c: when a collection starts: by growth, by percent, never.

#include "support/goroutines.h"

static void *volatile keep;

static tuza_memstats stats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

static uint64_t churn(size_t bytes)
{
    uint64_t before = stats().num_gc;
    for (size_t done = 0; done < bytes; done += 256)
        keep = tuza_alloc(256);
    return stats().num_gc - before;
}

IN_GOROUTINES(growth_starts_a_collection, 1)
{
    uint64_t n = churn(64 << 20);
    need(n >= 2 && n <= 40); // one for each 4 MB, fewer with large roots
}

static int never_collects(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(churn(64 << 20), 0);
    need(stats().heap_live >= 64 << 20);
    tuza_gc();
    need_eq(stats().num_gc, 1); // but when asked for
    need(stats().heap_live < 4 << 20);
    return 0;
}

START_TEST(tuzagc_off_collects_only_when_asked)
{
    setenv("TUZAGC", "off", 1);
    api_run(never_collects, 1);
}
END_TEST

static int collects_all_the_time(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t n = churn(4 << 20);
    need(n >= 20); // at every 40 KiB or so, by the span
    need(stats().next_gc < 8 << 20);
    return 0;
}

START_TEST(tuzagc_1_collects_all_the_time)
{
    setenv("TUZAGC", "1", 1);
    api_run(collects_all_the_time, 1);
}
END_TEST

IN_GOROUTINES(the_percent_can_be_set_at_run_time, 1)
{
    need_eq(tuza_gc_set_percent(-1), 100);
    need_eq(churn(32 << 20), 0);
    need_eq(tuza_gc_set_percent(100), -1);
    need(churn(128 << 20) >= 4);
    need_eq(tuza_gc_set_percent(1000), 100);
    tuza_gc();
    uint64_t few = churn(64 << 20);
    need_eq(tuza_gc_set_percent(20), 1000);
    tuza_gc();
    uint64_t many = churn(64 << 20);
    need(many > few);
    need_eq(tuza_gc_set_percent(-5), 20); // any negative one is off
    need_eq(tuza_gc_set_percent(100), -1);
}

// The goal follows what is alive: twice that, at 100 percent.
IN_GOROUTINES(the_goal_is_a_multiple_of_what_lives, 1)
{
    enum { OBJECTS = 1000, SIZE = 32768 };
    void **all = tuza_new_array(void *, OBJECTS);
    for (int i = 0; i < OBJECTS; i++)
        all[i] = tuza_alloc(SIZE);
    tuza_gc();
    tuza_memstats st = stats();
    need(st.heap_live >= (uint64_t)OBJECTS * SIZE);
    need(st.next_gc >= 2 * st.heap_live - (1 << 20));
    need(st.next_gc <= 2 * st.heap_live + (32 << 20)); // roots count too
    tuza_gc_set_percent(50);
    tuza_gc();
    need(stats().next_gc < st.next_gc);
    for (int i = 0; i < OBJECTS; i++)
        all[i] = NULL;
    tuza_keepalive(all);
    tuza_gc();
    tuza_gc();
    need(stats().heap_live < (uint64_t)OBJECTS * SIZE / 4);
    need(stats().next_gc < st.next_gc / 2);
}

// Many ask at once: the collections that growth starts are not one for each.
static tuza_waitgroup group;

static void churn_some(void *arg)
{
    (void)arg;
    void *p = NULL;
    for (int i = 0; i < scaled(40000); i++) {
        p = tuza_alloc(256);
        if (i % 16 == 0)
            tuza_yield();
    }
    tuza_keepalive(p);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(those_that_ask_together_share_a_collection, 4)
{
    uint64_t before = stats().num_gc;
    tuza_waitgroup_add(&group, 16);
    for (int i = 0; i < 16; i++)
        tuza_spawn(churn_some, NULL);
    tuza_waitgroup_wait(&group);
    need(stats().num_gc - before <= 16u * 40000 * 256 / (3 << 20) + 5);
    need(stats().heap_sys < 256 << 20);
}

static void collect_now(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(100); i++)
        tuza_gc();
    tuza_waitgroup_done(&group);
}

// Each that is asked for is a whole one, begun after it was asked for.
IN_GOROUTINES(each_collection_that_is_asked_for_is_done, 4)
{
    uint64_t before = stats().num_gc;
    tuza_waitgroup_add(&group, 6);
    for (int i = 0; i < 6; i++)
        tuza_spawn(collect_now, NULL);
    tuza_waitgroup_wait(&group);
    need_eq(stats().num_gc - before, 6 * scaled(100));
}

int main(void)
{
    return api_check("pace", (const TTest *const[]){
                                 growth_starts_a_collection,
                                 tuzagc_off_collects_only_when_asked,
                                 tuzagc_1_collects_all_the_time,
                                 the_percent_can_be_set_at_run_time,
                                 the_goal_is_a_multiple_of_what_lives,
                                 those_that_ask_together_share_a_collection,
                                 each_collection_that_is_asked_for_is_done,
                                 NULL });
}
