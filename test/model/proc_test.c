// SPDX-License-Identifier: BSD-3-Clause
// test/model/proc_test.c: no wake-up is lost [sched.I4]: what is queued is run
// although those who could run it are just about to sleep.
//
// A goroutine that waits for another one without asking the scheduler shows it
// best: the other has to be run by another thread.

#include "model/scheduler.h"

static int ran[4];

static void child(void *arg)
{
    int i = (int)(intptr_t)arg;
    ran[i] = 1;
    model_note("child %d runs", i);
    end_of_goroutine();
}

static void spawn(int i)
{
    model_need(tuza_spawn_at(child, (void *)(intptr_t)i, "here") == 0);
}

// The thread for the first child looks for more when it has run it, gives up
// and falls asleep, while the second one is spawned.
static void spawn_two(void *arg)
{
    (void)arg;
    spawn(0);
    busy_until(&ran[0]);
    spawn(1);
    busy_until(&ran[1]);
    end_of_goroutine();
}

START_TEST(what_is_spawned_runs_beside_a_busy_one)
{
    explore("spawn", make_two_ps, spawn_two, 3, 2, 1);
}
END_TEST

// Both at once: whoever finds the first wakes another for the second.
static void spawn_both(void *arg)
{
    (void)arg;
    spawn(0);
    spawn(1);
    busy_until(&ran[0]);
    busy_until(&ran[1]);
    end_of_goroutine();
}

START_TEST(what_is_spawned_together_runs)
{
    explore("spawn both", make_two_ps, spawn_both, 3, 2, 1);
}
END_TEST

// The children wait for each other: three threads are needed.
static void busy_child(void *arg)
{
    int i = (int)(intptr_t)arg;
    ran[i] = 1;
    busy_until(&ran[1 - i]);
    end_of_goroutine();
}

static void spawn_busy(void *arg)
{
    (void)arg;
    for (intptr_t i = 0; i < 2; i++)
        model_need(tuza_spawn_at(busy_child, (void *)i, "here") == 0);
    busy_until(&ran[0]);
    busy_until(&ran[1]);
    end_of_goroutine();
}

START_TEST(who_finds_work_lets_another_look)
{
    explore("three at once", make_three_ps, spawn_busy, 3, 1, 1);
}
END_TEST

// A goroutine yields while one that never parks runs next.
static int go;

static void hog(void *arg)
{
    (void)arg;
    busy_until(&go);
    end_of_goroutine();
}

static void yield_to_hog(void *arg)
{
    (void)arg;
    spawn_one(hog);
    tz_yield();
    go = 1;
    end_of_goroutine();
}

START_TEST(one_that_yields_is_not_left_behind_a_busy_one)
{
    explore("yield", make_two_ps, yield_to_hog, 2, 2, 1);
}
END_TEST

static bool not_after_all(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return false;
}

static void take_park_back(void *arg)
{
    (void)arg;
    spawn_one(hog);
    tz_park(not_after_all, NULL, TZ_WAIT_NONE);
    go = 1;
    end_of_goroutine();
}

START_TEST(one_that_takes_its_park_back_is_not_left_behind_a_busy_one)
{
    explore("park taken back", make_two_ps, take_park_back, 2, 2, 1);
}
END_TEST

int main(void)
{
    return model_tests(
        "proc",
        (const TTest *const[]){
            what_is_spawned_runs_beside_a_busy_one,
            what_is_spawned_together_runs, who_finds_work_lets_another_look,
            one_that_yields_is_not_left_behind_a_busy_one,
            one_that_takes_its_park_back_is_not_left_behind_a_busy_one, NULL });
}
