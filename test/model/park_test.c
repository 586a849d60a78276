// SPDX-License-Identifier: BSD-3-Clause
// test/model/park_test.c: a goroutine that is readied while it is still about
// to park is neither lost nor run on two threads at once.
//
// Each switch off a goroutine is a plain store of its context, each switch to
// it a plain load: a wake-up that comes before the stack is free is a data race.

#include "model/scheduler.h"

static struct tz_lock lock = TZ_LOCK_INIT(TZ_RANK_CHAN);
static struct tz_g *waiter; // guarded by lock
static int times, data;

static void wait_once(void)
{
    tz_lock_acquire(&lock);
    waiter = tz_getg();
    tz_park_unlock(&lock, TZ_WAIT_NONE);
    model_touch(&data, sizeof data, false);
    model_note("is awake again");
}

// False: nobody waits yet.
static bool ready_one(void)
{
    tz_lock_acquire(&lock);
    struct tz_g *g = waiter;
    waiter = NULL;
    tz_lock_release(&lock);
    if (!g)
        return false;
    model_touch(&data, sizeof data, true);
    tz_ready(g);
    return true;
}

// From a plain thread, which has no P, while all others fall asleep.
static void wait_for_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < times; i++)
        wait_once();
    end_of_goroutine();
}

static void plain_thread(void)
{
    for (int i = 0; i < times; i++)
        while (!ready_one())
            model_yield();
}

START_TEST(a_plain_thread_readies_one_that_is_about_to_park)
{
    times = 1;
    explore_with(plain_thread, all_have_run, "ready by a thread, one P", make_one_p,
                 wait_for_thread, 1, 3, 1);
    explore_with(plain_thread, all_have_run, "ready by a thread, two Ps", make_two_ps,
                 wait_for_thread, 1, 2, 2);
    times = 2;
    explore_with(plain_thread, all_have_run, "ready by a thread, twice", make_one_p,
                 wait_for_thread, 1, 2, 1);
}
END_TEST

// From another goroutine, on another P or on the same one.
static int readied;

static void readier(void *arg)
{
    (void)arg;
    while (!ready_one())
        tz_yield();
    readied = 1;
    end_of_goroutine();
}

static void wait_for_goroutine(void *arg)
{
    (void)arg;
    spawn_one(readier);
    wait_once();
    end_of_goroutine();
}

START_TEST(a_goroutine_readies_one_that_is_about_to_park)
{
    explore("ready by a goroutine, one P", make_one_p, wait_for_goroutine,
            2, 2, 1);
    explore("ready by a goroutine, two Ps", make_two_ps, wait_for_goroutine,
            2, 2, 1);
}
END_TEST

// The one that was readied must run although who readied it goes on for long.
static void busy_readier(void *arg)
{
    (void)arg;
    while (!ready_one())
        model_yield();
    busy_until(&readied);
    end_of_goroutine();
}

static void wait_for_busy(void *arg)
{
    (void)arg;
    spawn_one(busy_readier);
    wait_once();
    readied = 1;
    end_of_goroutine();
}

START_TEST(one_that_was_readied_runs_beside_a_busy_one)
{
    explore("ready by a busy one", make_two_ps, wait_for_busy, 2, 2, 1);
}
END_TEST

// Two that wait, readied by a plain thread into the global queue: who takes a
// share of it wakes another for the rest.
static struct tz_g *waiters[2];
static int nwaiters, awake[2];

static bool commit_wait(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    tz_lock_release(&lock);
    return true;
}

static void wait_for_both(int i)
{
    tz_lock_acquire(&lock);
    waiters[nwaiters++] = tz_getg();
    tz_park(commit_wait, NULL, TZ_WAIT_NONE);
    awake[i] = 1;
    busy_until(&awake[1 - i]);
    end_of_goroutine();
}

static void second_waiter(void *arg)
{
    (void)arg;
    wait_for_both(1);
}

static void first_waiter(void *arg)
{
    (void)arg;
    spawn_one(second_waiter);
    wait_for_both(0);
}

static void ready_both(void)
{
    for (bool both = false; !both;) {
        tz_lock_acquire(&lock);
        both = nwaiters == 2;
        tz_lock_release(&lock);
        if (!both)
            model_yield();
    }
    tz_ready(waiters[0]);
    tz_ready(waiters[1]);
}

START_TEST(two_that_were_readied_globally_run_at_once)
{
    explore_with(ready_both, all_have_run, "two in the global queue",
                 make_two_ps, first_waiter, 2, 2, 0);
    explore_with(ready_both, all_have_run,
                 "two in the global queue, late loads", make_two_ps,
                 first_waiter, 2, 1, 1);
}
END_TEST

int main(void)
{
    return model_tests(
        "park", (const TTest *const[]){
                    a_plain_thread_readies_one_that_is_about_to_park,
                    a_goroutine_readies_one_that_is_about_to_park,
                    one_that_was_readied_runs_beside_a_busy_one,
                    two_that_were_readied_globally_run_at_once, NULL });
}
