// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/time/heap_test.c: the heap of timers, without a scheduler.
//
// This thread pretends to hold a P; time is a variable.

#include "sched/port.h"
#include "support/goroutines.h"
#include "time/timer.h"

static struct tz_p p;

static void setup(void)
{
    ck_assert_int_eq(tz_port_p_init(&p), 0);
    tz_tls_get()->p = &p;
}

enum { MOST = 20000 };
static struct tz_timer timers[MOST];
static bool started[MOST];
static int ran[MOST];     // times
static int64_t last_when; // of the timer that ran last
static int total_ran;

static void note_run(void *arg)
{
    struct tz_timer *t = arg;
    size_t i = (size_t)(t - timers);
    need(started[i]);
    need(t->when >= last_when); // in order, within one call
    last_when = t->when;
    started[i] = false;
    ran[i]++;
    total_ran++;
}

static void start(int i, int64_t when)
{
    need_eq(tz_timer_start(&timers[i], when), 0);
    started[i] = true;
}

static int run_until(int64_t now)
{
    last_when = INT64_MIN;
    return tz_port_timers_run(&p, now);
}

static void init_all(int n)
{
    for (int i = 0; i < n; i++)
        tz_timer_init(&timers[i], note_run, &timers[i]);
}

START_TEST(an_empty_heap_has_nothing_due)
{
    ck_assert(p.timer_next == INT64_MAX);
    ck_assert_int_eq(run_until(INT64_MAX - 1), 0);
    tz_timers_check(&p);
}
END_TEST

START_TEST(a_timer_runs_once_when_it_is_due)
{
    init_all(1);
    start(0, 100);
    ck_assert_int_eq(p.timer_next, 100);
    ck_assert_int_eq(run_until(99), 0);
    ck_assert_int_eq(run_until(100), 1);
    ck_assert_int_eq(ran[0], 1);
    ck_assert(p.timer_next == INT64_MAX);
    ck_assert_int_eq(run_until(1000), 0);
    start(0, -5); // again; due at once
    ck_assert_int_eq(run_until(0), 1);
    ck_assert_int_eq(ran[0], 2);
}
END_TEST

START_TEST(a_stop_says_whether_it_was_in_time)
{
    init_all(2);
    ck_assert(!tz_timer_stop(&timers[0])); // never started
    start(0, 100);
    start(1, 200);
    ck_assert(tz_timer_stop(&timers[0]));
    ck_assert_int_eq(p.timer_next, 200);
    ck_assert(!tz_timer_stop(&timers[0]));
    ck_assert_int_eq(run_until(150), 0);
    ck_assert_int_eq(run_until(200), 1);
    ck_assert(!tz_timer_stop(&timers[1])); // has run
    ck_assert_int_eq(ran[0], 0);
}
END_TEST

START_TEST(a_timer_that_is_held_back_does_not_run)
{
    init_all(1);
    ck_assert_int_eq(tz_timer_start_hold(&timers[0], 10), 0);
    started[0] = true;
    ck_assert(tz_tls_get()->locks > 0);
    tz_timer_release(&timers[0]);
    ck_assert(tz_tls_get()->locks == 0);
    ck_assert_int_eq(run_until(10), 1);
}
END_TEST

START_TEST(the_first_is_always_told)
{
    init_all(1000);
    for (int i = 0; i < 1000; i++) {
        start(i, 5000 - i);
        ck_assert(p.timer_next == 5000 - i);
    }
    for (int i = 999; i > 0; i--) {
        ck_assert(tz_timer_stop(&timers[i]));
        ck_assert(p.timer_next == 5000 - i + 1);
    }
}
END_TEST

START_TEST(thousands_run_in_order_and_in_batches)
{
    uint64_t seed = test_seed();
    init_all(MOST);
    for (int i = 0; i < MOST; i++)
        start(i, rnd(&seed, 1000)); // many of them equal
    tz_timers_check(&p);
    int n = run_until(499);
    ck_assert_int_gt(n, 0);
    tz_timers_check(&p);
    ck_assert_int_eq(n + run_until(1000), MOST);
    for (int i = 0; i < MOST; i++)
        need_eq(ran[i], 1);
    tz_timers_check(&p);
}
END_TEST

// Random starts, stops and moments against arrays that cannot be wrong.
START_TEST(the_heap_agrees_with_a_list)
{
    enum { N = 700 };
    uint64_t seed = test_seed();
    int64_t now = 0;
    init_all(N);
    for (int step = 0, steps = scaled(200000); step < steps; step++) {
        int i = (int)rnd(&seed, N);
        uint32_t what = rnd(&seed, 100);
        if (what < 55 && !started[i]) {
            start(i, now + (int64_t)rnd(&seed, 5000) - 500);
        } else if (what < 85) {
            need_eq(tz_timer_stop(&timers[i]), started[i]);
            started[i] = false;
        } else if (what < 87) {
            int due = 0;
            now += rnd(&seed, 300);
            for (int k = 0; k < N; k++)
                due += started[k] && timers[k].when <= now;
            need_eq(run_until(now), due);
            for (int k = 0; k < N; k++)
                need(!started[k] || timers[k].when > now);
        }
        int64_t first = INT64_MAX;
        if (step % 64 == 0) {
            for (int k = 0; k < N; k++)
                if (started[k] && timers[k].when < first)
                    first = timers[k].when;
            need_eq(p.timer_next, first);
            tz_timers_check(&p);
        }
    }
}
END_TEST

// The runner has forgotten the timer before its function is called, so the
// function may hand its memory on.
static void overwrite(void *arg)
{
    memset(arg, 0xee, sizeof(struct tz_timer));
    total_ran++;
}

START_TEST(a_function_may_overwrite_its_timer)
{
    for (int i = 0; i < 100; i++) {
        tz_timer_init(&timers[i], overwrite, &timers[i]);
        ck_assert_int_eq(tz_timer_start(&timers[i], i), 0);
    }
    ck_assert_int_eq(run_until(100), 100);
    ck_assert_int_eq(total_ran, 100);
    tz_timers_check(&p);
}
END_TEST

START_TEST(the_end_of_time_is_not_passed)
{
    ck_assert(tz_timer_when(5, 7) == 12);
    ck_assert(tz_timer_when(5, INT64_MAX) == INT64_MAX - 1);
    ck_assert(tz_timer_when(1, INT64_MAX - 2) == INT64_MAX - 1);
    ck_assert(tz_timer_when(1, INT64_MAX - 3) == INT64_MAX - 2);
    ck_assert(tz_timer_when(INT64_MAX - 1, 1) == INT64_MAX - 1);
}
END_TEST

START_TEST(a_second_start_is_noticed)
{
    init_all(1);
    start(0, 1);
    tz_timer_start(&timers[0], 2); // SIGABRT
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer heap");
    TCase *tc = tcase_create("heap");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, an_empty_heap_has_nothing_due);
    tcase_add_test(tc, a_timer_runs_once_when_it_is_due);
    tcase_add_test(tc, a_stop_says_whether_it_was_in_time);
    tcase_add_test(tc, a_timer_that_is_held_back_does_not_run);
    tcase_add_test(tc, the_first_is_always_told);
    tcase_add_test(tc, thousands_run_in_order_and_in_batches);
    tcase_add_test(tc, the_heap_agrees_with_a_list);
    tcase_add_test(tc, a_function_may_overwrite_its_timer);
    tcase_add_test(tc, the_end_of_time_is_not_passed);
    tcase_add_test_raise_signal(tc, a_second_start_is_noticed, 6);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
