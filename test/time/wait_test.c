// SPDX-License-Identifier: BSD-3-Clause
// test/time/wait_test.c: a park that a waker, its time and a cancel may end has
// one end, whichever comes first.

#include <pthread.h>

#include "os/clock.h"
#include "support/goroutines.h"
#include "time/wait.h"

static struct tz_g *shown; // atomic; the goroutine that has parked

static bool show(struct tz_g *g, void *arg)
{
    (void)arg;
    tz_store(&shown, g);
    return true;
}

static bool take_back(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return false;
}

static int park(int64_t ns, struct tz_cancel *c)
{
    return tz_park_until(show, NULL, TZ_WAIT_CHAN_RECV,
                         ns < 0 ? INT64_MAX : tz_clock_now() + ns, c);
}

// Whoever has parked is woken, once; false: somebody else was faster.
static bool wake_shown(void)
{
    struct tz_g *g;
    while ((g = tz_load(&shown)) == NULL)
        tuza_yield();
    if (!tz_park_claim(g))
        return false;
    tz_ready(g);
    return true;
}

static void wake_one(void *arg)
{
    (void)arg;
    need(wake_shown());
}

IN_GOROUTINES(a_park_ends_when_its_time_is_up, 1)
{
    int64_t since = tz_clock_now();
    need_eq(park(3 * TZ_NSEC_PER_MSEC, NULL), -ETIMEDOUT);
    need(tz_clock_now() - since >= 3 * TZ_NSEC_PER_MSEC);
    need_eq(park(0, NULL), -ETIMEDOUT); // also one that is in the past
}

IN_GOROUTINES(a_waker_that_comes_first_ends_it, 2)
{
    struct tz_cancel c;
    tz_cancel_init(&c);
    for (int i = 0; i < 100; i++) {
        tz_store(&shown, NULL);
        need_eq(tuza_spawn(wake_one, NULL), 0);
        need_eq(park(i % 2 ? -1 : 3600 * TZ_NSEC_PER_SEC, i % 3 ? &c : NULL),
                0);
        need(c.first == NULL);
    }
}

static void cancel_later(void *c)
{
    while (!tz_load(&shown))
        tuza_yield();
    tz_cancel_fire(c);
}

IN_GOROUTINES(a_cancel_ends_it_and_those_that_come_later, 2)
{
    struct tz_cancel c;
    tz_cancel_init(&c);
    need_eq(tuza_spawn(cancel_later, &c), 0);
    need_eq(park(-1, &c), -ECANCELED);
    need_eq(park(-1, &c), -ECANCELED);
    need_eq(park(3600 * TZ_NSEC_PER_SEC, &c), -ECANCELED);
}

static int cancelled; // atomic

static void park_for_cancel(void *c)
{
    need_eq(tz_park_until(show, NULL, TZ_WAIT_CHAN_RECV,
                          tz_clock_now() + 3600 * TZ_NSEC_PER_SEC, c),
            -ECANCELED);
    tz_xadd(&cancelled, 1);
}

static void *fire_outside(void *c)
{
    tz_cancel_fire(c);
    return NULL;
}

// By a thread that runs no goroutine, too.
IN_GOROUTINES(a_cancel_ends_many, 2)
{
    struct tz_cancel c;
    pthread_t t;
    tz_cancel_init(&c);
    for (int i = 0; i < 1000; i++)
        need_eq(tuza_spawn(park_for_cancel, &c), 0);
    for (int i = 0; i < 50; i++)
        tuza_yield();
    need_eq(pthread_create(&t, NULL, fire_outside, &c), 0);
    while (tz_load(&cancelled) < 1000)
        tuza_yield();
    pthread_join(t, NULL);
    need(c.first == NULL);
}

IN_GOROUTINES(a_park_that_is_taken_back_leaves_nothing, 1)
{
    struct tz_cancel c;
    tz_cancel_init(&c);
    need_eq(tz_park_until(take_back, NULL, TZ_WAIT_CHAN_RECV,
                          tz_clock_now() + TZ_NSEC_PER_MSEC, &c),
            0);
    need(c.first == NULL);
    tuza_sleep(5 * TZ_NSEC_PER_MSEC); // its timer does not fire
    tz_cancel_fire(&c);
}

// --- all three at once

enum { RACES = 3000 };
static int ends[3], winners; // atomic
static struct tz_cancel *racing;

static void race_wake(void *arg)
{
    (void)arg;
    if (wake_shown())
        tz_xadd(&winners, 1);
    tz_store(&shown, NULL);
}

static void race_cancel(void *arg)
{
    (void)arg;
    tz_cancel_fire(racing);
}

// Whoever fires c is done with it when its lock is free again.
static bool has_fired(struct tz_cancel *c)
{
    tz_lock_acquire(&c->lock);
    bool fired = c->fired;
    tz_lock_release(&c->lock);
    return fired;
}

static void race_all(void)
{
    for (int i = 0; i < scaled(RACES); i++) {
        struct tz_cancel c;
        tz_cancel_init(&c);
        racing = &c;
        tz_store(&shown, NULL);
        need_eq(tuza_spawn(race_wake, NULL), 0);
        if (i % 2)
            need_eq(tuza_spawn(race_cancel, NULL), 0);
        int r = park(i % 4 * 2000, &c);
        tz_xadd(&ends[r == 0 ? 0 : r == -ETIMEDOUT ? 1 : 2], 1);
        need(r == 0 || r == -ETIMEDOUT || r == -ECANCELED);
        if (i % 2)
            while (!has_fired(&c)) // it uses c
                tuza_yield();
        while (tz_load(&shown)) // the waker has looked
            tuza_yield();
    }
    need_eq(ends[0], winners);
}

IN_GOROUTINES(one_end_wins_the_race_on_one_p, 1) { race_all(); }
IN_GOROUTINES(one_end_wins_the_race_on_two_ps, 2) { race_all(); }

int main(void)
{
    return api_check("time/wait",
                     (const TTest *const[]){
                         a_park_ends_when_its_time_is_up,
                         a_waker_that_comes_first_ends_it,
                         a_cancel_ends_it_and_those_that_come_later,
                         a_cancel_ends_many,
                         a_park_that_is_taken_back_leaves_nothing,
                         one_end_wins_the_race_on_one_p,
                         one_end_wins_the_race_on_two_ps,
                         NULL });
}
