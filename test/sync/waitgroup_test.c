// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/sync/waitgroup_test.c: waiting for a number of things.

#include "support/goroutines.h"

static tuza_waitgroup group, other;
static int done; // atomic

static void finish_one(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        tuza_yield();
    __atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_wait_for_nothing_returns, 1)
{
    tuza_waitgroup_wait(&group);
    tuza_waitgroup_add(&group, 3);
    tuza_waitgroup_add(&group, -3);
    tuza_waitgroup_wait(&group);
    need(group.state == 0 && group.sema == 0);
}

IN_GOROUTINES(a_wait_returns_when_all_are_done, 2)
{
    static int yields[100];
    for (int round = 0; round < 50; round++) {
        done = 0;
        tuza_waitgroup_add(&group, 100);
        for (int i = 0; i < 100; i++) {
            yields[i] = i % 7;
            tuza_spawn(finish_one, &yields[i]);
        }
        tuza_waitgroup_wait(&group);
        need_eq(__atomic_load_n(&done, __ATOMIC_RELAXED), 100);
    }
    need(group.state == 0 && group.sema == 0);
}

static int returned; // atomic

static void wait_too(void *arg)
{
    (void)arg;
    tuza_waitgroup_wait(&group);
    need_eq(__atomic_load_n(&done, __ATOMIC_RELAXED), 1);
    __atomic_fetch_add(&returned, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&other);
}

IN_GOROUTINES(every_waiter_is_woken_and_none_before, 2)
{
    for (int round = 0; round < 20; round++) {
        int base = waiting_now();
        done = returned = 0;
        tuza_waitgroup_add(&group, 2);
        tuza_waitgroup_add(&other, 100);
        for (int i = 0; i < 100; i++)
            tuza_spawn(wait_too, NULL);
        until_waiting(base + 100);
        tuza_waitgroup_done(&group);
        for (int i = 0; i < 20; i++)
            tuza_yield();
        need_eq(__atomic_load_n(&returned, __ATOMIC_RELAXED), 0);
        __atomic_store_n(&done, 1, __ATOMIC_RELAXED);
        tuza_waitgroup_done(&group);
        tuza_waitgroup_wait(&other);
        need_eq(returned, 100);
    }
}

IN_GOROUTINES(large_counts_fit, 1)
{
    tuza_waitgroup_add(&group, INT32_MAX);
    tuza_waitgroup_add(&group, -INT32_MAX);
    tuza_waitgroup_wait(&group);
}

DEATH(a_counter_below_zero_is_fatal, "fatal: negative wait group counter")
{
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_done(&group);
    tuza_waitgroup_done(&group);
}

DEATH(an_add_at_zero_while_others_wait_is_fatal,
      "add at zero while goroutines wait")
{
    group.state = 1; // a waiter, and a counter that has just become zero
    tuza_waitgroup_add(&group, 1);
}

// A new round begins before the waiters of the last have run: on one P they
// cannot before we park.
DEATH(a_new_round_before_the_last_has_ended_is_fatal,
      "used again before wait has returned")
{
    int base = waiting_now();
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_add(&other, 1);
    tuza_spawn(wait_too, NULL);
    until_waiting(base + 1);
    tuza_waitgroup_done(&group);
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_wait(&other);
}

DEATH(waiting_for_what_nobody_does_is_a_deadlock, "deadlock")
{
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    const TTest *const tests[] = {
        a_wait_for_nothing_returns,
        a_wait_returns_when_all_are_done,
        every_waiter_is_woken_and_none_before,
        large_counts_fit,
        a_counter_below_zero_is_fatal,
        an_add_at_zero_while_others_wait_is_fatal,
        a_new_round_before_the_last_has_ended_is_fatal,
        waiting_for_what_nobody_does_is_a_deadlock,
        NULL,
    };
    return api_check("waitgroup", tests);
}
