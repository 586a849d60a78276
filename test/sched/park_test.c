// SPDX-License-Identifier: BSD-3-Clause
// test/sched/park_test.c: parking, taking a park back, waking from anywhere.

#include <pthread.h>
#include <signal.h>

#include "sched/proc.h"
#include "support/goroutines.h"

// An event: 0 nothing, 1 it has happened, else the G that waits for it. Wakes
// come before, while and after the other parks.
typedef uintptr_t event;

static bool commit_wait(struct tz_g *g, void *arg)
{
    event *e = arg;
    if (tz_cas(e, 0, (event)g))
        return true; // *e belongs to the waker now
    tz_store(e, 0);
    return false;
}

static void event_wait(event *e)
{
    tz_park(commit_wait, e, TZ_WAIT_NONE);
}

static void event_wake(event *e)
{
    if (tz_cas(e, 0, 1))
        return;
    event g = tz_xchg(e, 0);
    need(g > 1);
    tz_ready((struct tz_g *)g);
}

enum { SIDES = 2 };
static event side[SIDES];
static int rounds;
static tuza_waitgroup group;

static void pinger(void *arg)
{
    int me = *(int *)arg;
    for (int i = 0; i < rounds; i++) {
        if (me)
            event_wait(&side[me]);
        event_wake(&side[1 - me]);
        if (i % 2) // the other wakes us before we park
            tuza_yield();
        if (!me)
            event_wait(&side[me]);
    }
    tuza_waitgroup_done(&group);
}

// Ten million wakes, fewer where they are slow.
enum { MANY = TZ_DEBUG || TZ_ASAN ? 1000000 : 5000000 };

static void wake_each_other(int n)
{
    static int number[SIDES] = { 0, 1 };
    rounds = n;
    tuza_waitgroup_add(&group, SIDES);
    for (int i = 0; i < SIDES; i++)
        tuza_spawn(pinger, &number[i]);
    tuza_waitgroup_wait(&group);
    need(side[0] == 0 && side[1] == 0);
}

IN_GOROUTINES(s3_35_a_wake_before_or_while_parking_is_not_lost_on_one_proc, 1)
{
    wake_each_other(scaled(MANY));
}

IN_GOROUTINES(s3_35_a_wake_before_or_while_parking_is_not_lost_on_two_procs, 2)
{
    wake_each_other(scaled(MANY));
}

// Both spin, so that they stay on different threads and truly race. Where the
// processors are busy with others a round takes milliseconds: some rounds do.
enum { OVER = -2 };
static int wakes, turn;

static void racing_waker(void *arg)
{
    (void)arg;
    for (int i = 0, now; (now = tz_load(&turn)) != OVER;) {
        if (now == i) {
            i++;
            event_wake(&side[0]);
        }
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_wake_that_races_with_the_park_is_not_lost, 2)
{
    rounds = scaled(20000);
    turn = -1;
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(racing_waker, NULL);
    int64_t start = tuza_now();
    for (int i = 0; i < rounds && tuza_now() - start < TUZA_SEC(10); i++) {
        tz_store(&turn, i);
        event_wait(&side[0]);
    }
    tz_store(&turn, OVER);
    tuza_waitgroup_wait(&group);
}

static bool take_back(struct tz_g *g, void *arg)
{
    need(g == *(struct tz_g **)arg);
    need(tz_getg() != g); // its stack is free: somebody else runs
    wakes++;
    return false;
}

IN_GOROUTINES(a_park_that_is_taken_back_returns, 1)
{
    struct tz_g *me = tz_getg();
    for (int i = 0; i < scaled(100000); i++) {
        tz_park(take_back, &me, TZ_WAIT_NONE);
        need_eq(wakes, i + 1);
        need(tz_getg() == me && me->status == TZ_G_RUNNING);
    }
}

// A park that is taken back lets the others run first or not, but never hangs
// when there are some.
static void yielder(void *arg)
{
    while (!tz_load((int *)arg))
        tuza_yield();
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(parks_are_taken_back_among_others, 2)
{
    struct tz_g *me = tz_getg();
    int stop = 0;
    tuza_waitgroup_add(&group, 5);
    for (int i = 0; i < 5; i++)
        tuza_spawn(yielder, &stop);
    for (int i = 0; i < scaled(50000); i++)
        tz_park(take_back, &me, TZ_WAIT_NONE);
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// A thread that the runtime does not know, and that has no P, wakes them.
enum { SLEEPERS = 20 };
static event nap[SLEEPERS];
static int awake;

static void napper(void *arg)
{
    for (int i = 0; i < rounds; i++) {
        event_wait(arg);
        tz_xadd(&awake, 1);
    }
    tuza_waitgroup_done(&group);
}

static void *outsider(void *arg)
{
    (void)arg;
    need(!tz_tls_get()->p && !tz_tls_get()->m);
    for (int i = 0; i < rounds; i++)
        for (int j = 0; j < SLEEPERS; j++) {
            while (tz_load(&nap[j]) == 1) // the wake before was not used yet
                sched_yield();
            event_wake(&nap[j]);
        }
    return NULL;
}

static void wake_from_outside(void)
{
    pthread_t thread;
    rounds = scaled(2000);
    tuza_waitgroup_add(&group, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        tuza_spawn(napper, &nap[i]);
    ck_assert_int_eq(pthread_create(&thread, NULL, outsider, NULL), 0);
    // In a call: somebody outside may wake the others, so it is no deadlock.
    TUZA_BLOCKING(pthread_join(thread, NULL));
    tuza_waitgroup_wait(&group);
    need_eq(awake, rounds * SLEEPERS);
}

IN_GOROUTINES(a_thread_without_a_proc_may_wake_on_one_proc, 1)
{
    wake_from_outside();
}

IN_GOROUTINES(a_thread_without_a_proc_may_wake_on_two_procs, 2)
{
    wake_from_outside();
}

// The lock is released when the stack is free, not before.
static struct tz_lock gate = TZ_LOCK_INIT(TZ_RANK_SEMA);
static struct tz_g *behind_gate;

static void opener(void *arg)
{
    (void)arg;
    for (int i = 0; i < rounds; i++) {
        struct tz_g *g = NULL;
        while (!g) {
            tz_lock_acquire(&gate);
            g = behind_gate;
            behind_gate = NULL;
            tz_lock_release(&gate);
            if (!g)
                tuza_yield();
        }
        tz_ready(g);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(park_unlock_releases_when_the_waker_may_come, 2)
{
    rounds = scaled(100000);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(opener, NULL);
    for (int i = 0; i < rounds; i++) {
        tz_lock_acquire(&gate);
        behind_gate = tz_getg();
        tz_park_unlock(&gate, TZ_WAIT_NONE);
    }
    tuza_waitgroup_wait(&group);
}

// Waking what does not wait is a broken invariant, said so.
static int wake_myself(int argc, char **argv)
{
    (void)argc, (void)argv;
    tz_ready(tz_getg());
    return 0;
}
static void wake_myself_child(void) { api_run(wake_myself, 1); }

START_TEST(waking_what_does_not_wait_aborts)
{
    const struct api_ended *e = api_child(wake_myself_child, 25);
    api_ended_with(e, -SIGABRT,
                   (const char *[]){ "TZ_G_WAITING", "goroutine 1", NULL });
}
END_TEST

int main(void)
{
    return api_check(
        "park",
        (const TTest *const[]){
            s3_35_a_wake_before_or_while_parking_is_not_lost_on_one_proc,
            s3_35_a_wake_before_or_while_parking_is_not_lost_on_two_procs,
            a_wake_that_races_with_the_park_is_not_lost,
            a_park_that_is_taken_back_returns,
            parks_are_taken_back_among_others,
            a_thread_without_a_proc_may_wake_on_one_proc,
            a_thread_without_a_proc_may_wake_on_two_procs,
            park_unlock_releases_when_the_waker_may_come,
            waking_what_does_not_wait_aborts, NULL });
}
