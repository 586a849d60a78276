// SPDX-License-Identifier: BSD-3-Clause
// test/sched/spawn_test.c: many goroutines, and that each gets its turn.

#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static int count;

static void one_more(void *arg)
{
    (void)arg;
    tz_xadd(&count, 1);
    tuza_waitgroup_done(&group);
}

static void spawn_many(int n)
{
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(one_more, NULL), 0);
    tuza_waitgroup_wait(&group);
    need_eq(count, n);
}

IN_GOROUTINES(a_hundred_thousand_goroutines_come_and_go_on_one_proc, 1)
{
    spawn_many(scaled(100000));
}

IN_GOROUTINES(a_hundred_thousand_goroutines_come_and_go_on_many_procs, 8)
{
    spawn_many(scaled(100000));
}

// Their Gs are used again: waves of them do not need more.
IN_GOROUTINES(waves_of_goroutines_reuse_what_is_there, 2)
{
    int n = scaled(5000);
    for (int wave = 0; wave < 20; wave++) {
        count = 0;
        spawn_many(n);
    }
    // Some are still on their way to a list, some on lists of other Ps.
    need(tz_allg_count() <= (size_t)n + 1024);
}

static tuza_chan(int) never;

static void wait_for_close(void *arg)
{
    (void)arg;
    tuza_recv(never, NULL);
    one_more(NULL);
}

IN_GOROUTINES(many_exist_at_once, 2)
{
    int n = scaled(20000);
    tuza_schedstats st = { .size = sizeof st };
    never = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(wait_for_close, NULL), 0);
    while (tuza_schedstats_read(&st) == 0 && waiting_now() < n)
        for (int i = 0; i < 1000; i++)
            tuza_yield();
    need_eq(st.goroutines, n + 1);
    need(st.peak >= (uint64_t)n + 1);
    tuza_close(never);
    tuza_waitgroup_wait(&group);
    need_eq(count, n);
}

tuza_fn(tree, int, depth)
{
    if (depth == 0) {
        one_more(NULL);
        return;
    }
    tuza_go(tree, depth - 1);
    tuza_go(tree, depth - 1);
}

static void grow_tree(void)
{
    int depth = getenv("TEST_SCALE") ? 12 : 17;
    tuza_waitgroup_add(&group, 1 << depth);
    tuza_go(tree, depth);
    tuza_waitgroup_wait(&group);
    need_eq(count, 1 << depth);
}

IN_GOROUTINES(a_tree_of_goroutines_grows_on_one_proc, 1) { grow_tree(); }
IN_GOROUTINES(a_tree_of_goroutines_grows_on_two_procs, 2) { grow_tree(); }

// Only the first run gives a goroutine a stack.
IN_GOROUTINES(those_that_have_not_run_have_no_stack, 1)
{
    int n = scaled(10000);
    tuza_memstats before = { .size = sizeof before }, after = before;
    tuza_memstats_read(&before);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        tuza_spawn(one_more, NULL);
    tuza_memstats_read(&after);
    need_eq(count, 0);
    need_eq(after.stack_inuse, before.stack_inuse);
    tuza_waitgroup_wait(&group);
    tuza_memstats_read(&after);
    need(after.stack_sys - before.stack_sys < 64 << 20); // used again and again
}

// Arguments up to and beyond what fits into the G.
static void check_bytes(void *arg)
{
    unsigned char *b = arg;
    size_t size = (size_t)b[0] << 8 | b[1];
    for (size_t i = 2; i < size; i++)
        need_eq(b[i], (unsigned char)(i * 7));
    one_more(NULL);
}

IN_GOROUTINES(arguments_of_any_size_are_copied, 2)
{
    static const size_t sizes[] = { 2, 8, 47, 48, 49, 64, 1000, 8192, 65535 };
    static unsigned char bytes[65536];
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        for (size_t i = 2; i < sizes[k]; i++)
            bytes[i] = (unsigned char)(i * 7);
        bytes[0] = (unsigned char)(sizes[k] >> 8);
        bytes[1] = (unsigned char)sizes[k];
        tuza_waitgroup_add(&group, 1);
        need_eq(tuza_spawn_copy(check_bytes, bytes, sizes[k], "f", "s"), 0);
        memset(bytes, 0xee, sizeof bytes); // it has its own copy
        tuza_waitgroup_wait(&group);
    }
    need_eq(tuza_spawn_copy(check_bytes, bytes, 65537, "f", "s"), -EINVAL);
}

// Turns.
enum { RUNNERS = 50 };
static int turns[RUNNERS];

static void runner(void *arg)
{
    int *mine = arg;
    for (int i = 0; i < scaled(20000); i++) {
        ++*mine;
        for (int j = 0; j < RUNNERS; j += 7) // never far ahead of another
            need(*mine - turns[j] <= 3);
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(those_that_yield_take_turns, 1)
{
    tuza_waitgroup_add(&group, RUNNERS);
    for (int i = 0; i < RUNNERS; i++)
        tuza_spawn(runner, &turns[i]);
    tuza_waitgroup_wait(&group);
}

// Busy goroutines on one P, and one that waits in the global queue.
static int stop, yields, ran_at;
static struct tz_g *aside;

static void busy(void *arg)
{
    (void)arg;
    while (!stop) {
        yields++;
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static bool commit_aside(struct tz_g *g, void *arg)
{
    (void)arg;
    aside = g;
    return true;
}

static void from_global(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        tz_park(commit_aside, NULL, TZ_WAIT_NONE);
        ran_at = yields;
    }
    stop = 1;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_global_queue_is_not_starved, 1)
{
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 3; i++)
        tuza_spawn(busy, NULL);
    tuza_spawn(from_global, NULL);
    while (!stop) {
        tuza_yield();
        struct tz_g *g = aside;
        if (!g)
            continue;
        aside = NULL;
        int from = yields;
        ran_at = -1;
        tz_lock_acquire(&tz_sched.lock);
        tz_store_rel(&g->status, TZ_G_RUNNABLE);
        tz_globrunq_put(g);
        tz_lock_release(&tz_sched.lock);
        while (ran_at < 0)
            tuza_yield();
        need(ran_at - from <= 70); // every 61st looks there first
    }
    tuza_waitgroup_wait(&group);
}

// Two that wake each other always run next; the others must have their turn.
static tuza_chan(int) ball;
static int third_ran;

static void back(void *arg)
{
    (void)arg;
    while (tuza_recv(ball, NULL) == 1)
        tuza_send(ball, 1);
    tuza_waitgroup_done(&group);
}

static void third(void *arg)
{
    (void)arg;
    third_ran = 1;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(two_that_wake_each_other_do_not_starve_a_third, 1)
{
    ball = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 2);
    tuza_spawn(third, NULL);
    tuza_spawn(back, NULL); // takes the place of the one that runs next
    int n = 0;
    for (; !third_ran && n < 100000; n++) {
        tuza_send(ball, 1);
        tuza_recv(ball, NULL);
    }
    need(n < 1000);
    tuza_close(ball);
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    return api_check(
        "spawn",
        (const TTest *const[]){
            a_hundred_thousand_goroutines_come_and_go_on_one_proc,
            a_hundred_thousand_goroutines_come_and_go_on_many_procs,
            waves_of_goroutines_reuse_what_is_there, many_exist_at_once,
            a_tree_of_goroutines_grows_on_one_proc,
            a_tree_of_goroutines_grows_on_two_procs, 
            those_that_have_not_run_have_no_stack,
            arguments_of_any_size_are_copied, those_that_yield_take_turns,
            the_global_queue_is_not_starved,
            two_that_wake_each_other_do_not_starve_a_third, NULL });
}
