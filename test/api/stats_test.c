// SPDX-License-Identifier: BSD-3-Clause
// test/api/stats_test.c: the figures that the runtime gives of itself.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/api_check.h"

static tuza_memstats memstats(void)
{
    tuza_memstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    return st;
}

static tuza_schedstats schedstats(void)
{
    tuza_schedstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_schedstats_read(&st), 0);
    return st;
}

static void *kept[1000];

static int allocate_some(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats before = memstats();
    for (int i = 0; i < 1000; i++)
        kept[i] = tuza_alloc(1000);
    tuza_memstats after = memstats();
    uint64_t bytes = after.total_alloc - before.total_alloc;
    ck_assert_uint_ge(bytes, 1000 * 1000);
    ck_assert_uint_le(bytes, 1000 * 1100); // rounded up to 1024 each
    ck_assert_uint_ge(after.mallocs - before.mallocs, 1000);
    ck_assert_uint_le(after.mallocs - before.mallocs, 1010);
    return 0;
}

START_TEST(allocations_are_counted_in_objects_and_bytes)
{
    api_run(allocate_some, 1);
}
END_TEST

static int live_and_dead(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 1000; i++)
        kept[i] = tuza_alloc(10000);
    tuza_gc();
    tuza_memstats full = memstats();
    ck_assert_uint_ge(full.heap_live, 10000 * 1000);
    ck_assert_uint_ge(full.heap_inuse, full.heap_live);
    ck_assert_uint_ge(full.heap_sys, full.heap_inuse);
    ck_assert_uint_ge(full.heap_peak, full.heap_inuse);
    ck_assert_uint_ge(full.total_sys,
                      full.heap_sys + full.stack_sys + full.meta_sys);
    ck_assert_uint_gt(full.next_gc, full.heap_live);
    ck_assert_uint_gt(full.stack_inuse, 0);
    ck_assert_uint_ge(full.stack_sys, full.stack_inuse);
    memset(kept, 0, sizeof kept);
    tuza_gc();
    tuza_gc(); // the second has swept what the first found dead
    tuza_memstats empty = memstats();
    // A few stay: what old words on the stack still seem to point to.
    ck_assert_uint_lt(empty.heap_live, 100 * 10000);
    ck_assert_uint_lt(empty.heap_inuse, full.heap_inuse / 2);
    ck_assert_uint_ge(empty.heap_peak, full.heap_peak);
    ck_assert_uint_ge(empty.total_alloc, full.total_alloc);
    return 0;
}

START_TEST(heap_figures_follow_what_lives)
{
    api_run(live_and_dead, 1);
}
END_TEST

static int collect(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats before = memstats();
    for (int i = 0; i < 5; i++)
        tuza_gc();
    tuza_memstats after = memstats();
    ck_assert_uint_ge(after.num_gc - before.num_gc, 5);
    ck_assert_uint_gt(after.pause_max_ns, 0);
    ck_assert_uint_gt(after.pause_total_ns, before.pause_total_ns);
    ck_assert_uint_ge(after.pause_total_ns, after.pause_max_ns);
    return 0;
}

START_TEST(collections_and_pauses_are_counted)
{
    api_run(collect, 2);
}
END_TEST

static int never_collect(int argc, char **argv)
{
    (void)argc, (void)argv;
    ck_assert_int_eq(tuza_gc_set_percent(-1), 100);
    uint64_t before = memstats().num_gc;
    for (int i = 0; i < 1000; i++)
        tuza_alloc_bytes(32 * 1024);
    ck_assert_uint_eq(memstats().num_gc, before);
    ck_assert_int_eq(tuza_gc_set_percent(50), -1);
    for (int i = 0; i < 1000; i++)
        tuza_alloc_bytes(32 * 1024);
    ck_assert_uint_gt(memstats().num_gc, before);
    ck_assert_int_eq(tuza_gc_set_percent(100), 50);
    return 0;
}

START_TEST(growth_collects_unless_switched_off)
{
    unsetenv("TUZAGC");
    api_run(never_collect, 1);
}
END_TEST

tuza_fn(wait_for_close, tuza_chan(char), never)
{
    tuza_recv(never, NULL);
}

static int many_wait(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(char) never = tuza_chan_make(char, 0);
    tuza_schedstats before = schedstats();
    ck_assert_uint_eq(before.goroutines, 1);
    ck_assert_uint_eq(before.created, 1);
    for (int i = 0; i < 500; i++)
        ck_assert_int_eq(tuza_go(wait_for_close, never), 0);
    tuza_schedstats st = schedstats();
    ck_assert_uint_eq(st.goroutines, 501);
    ck_assert_uint_eq(st.created, 501);
    ck_assert_uint_eq(st.peak, 501);
    ck_assert_uint_eq(st.maxprocs, 3);
    ck_assert_uint_ge(st.threads, 1);
    tuza_close(never);
    while (schedstats().goroutines > 1)
        tuza_yield();
    st = schedstats();
    ck_assert_uint_eq(st.created, 501);
    ck_assert_uint_eq(st.peak, 501);
    return 0;
}

START_TEST(goroutines_are_counted)
{
    api_run(many_wait, 3);
}
END_TEST

static int read_parts(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats st;
    memset(&st, 0x5a, sizeof st);
    st.size = offsetof(tuza_memstats, heap_peak);
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    ck_assert_uint_ne(st.heap_live, UINT64_C(0x5a5a5a5a5a5a5a5a));
    ck_assert_uint_eq(st.heap_peak, UINT64_C(0x5a5a5a5a5a5a5a5a));
    ck_assert_uint_eq(st.size, offsetof(tuza_memstats, heap_peak));
    st.size = sizeof(size_t);
    ck_assert_int_eq(tuza_memstats_read(&st), -EINVAL);
    st.size = 0;
    ck_assert_int_eq(tuza_memstats_read(&st), -EINVAL);
    tuza_schedstats sched;
    memset(&sched, 0x5a, sizeof sched);
    sched.size = offsetof(tuza_schedstats, created);
    ck_assert_int_eq(tuza_schedstats_read(&sched), 0);
    ck_assert_uint_eq(sched.goroutines, 1);
    ck_assert_uint_eq(sched.created, UINT64_C(0x5a5a5a5a5a5a5a5a));
    sched.size = sizeof(size_t);
    ck_assert_int_eq(tuza_schedstats_read(&sched), -EINVAL);
    return 0;
}

START_TEST(only_the_part_that_size_covers_is_filled)
{
    api_run(read_parts, 1);
}
END_TEST

static int collect_thrice(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 3; i++)
        tuza_gc();
    for (int i = 0; i < 1000; i++)
        tuza_alloc_bytes(32 * 1024);
    return 0;
}

static void child_with_gctrace(void)
{
    setenv("TUZADEBUG", "gctrace=1", 1);
    api_run(collect_thrice, 2);
}

#define N "[0-9]+"
#define F "[0-9]+(\\.[0-9]+)?"

START_TEST(gctrace_prints_lines_of_gos_format)
{
    const struct api_ended *e = api_child(child_with_gctrace, 20);
    api_ended_with(e, 0, (const char *[]){ "gc 1 @", "gc 4 @", NULL });
    int lines = api_count_lines(e->text, "^gc ");
    ck_assert_int_ge(lines, 4); // the last by growth
    ck_assert_int_eq(api_count_lines(e->text, ""), lines);
    ck_assert_int_eq(api_count_lines(e->text, "^gc [0-9]+ @[0-9.]+s [0-9]+%: "),
                     lines);
    int whole = api_count_lines(
        e->text, "^gc " N " @" F "s " N "%: " F "\\+" F "\\+" F " ms clock, " F
                 "\\+" F "/" F "/" F "\\+" F " ms cpu, " N "->" N "->" N
                 " MB, " N " MB goal, " N " MB stacks, " N " MB globals, 2 P"
                 "( \\(forced\\))?$");
    ck_assert_msg(whole == lines, "not all in Go's format:\n%s", e->text);
    ck_assert_int_ge(api_count_lines(e->text, "\\(forced\\)$"), 3);
}
END_TEST

int main(void)
{
    return api_check("stats", (const TTest *const[]){
                                  allocations_are_counted_in_objects_and_bytes,
                                  heap_figures_follow_what_lives,
                                  collections_and_pauses_are_counted,
                                  growth_collects_unless_switched_off,
                                  goroutines_are_counted,
                                  only_the_part_that_size_covers_is_filled,
                                  gctrace_prints_lines_of_gos_format,
                                  NULL });
}
