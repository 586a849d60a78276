// SPDX-License-Identifier: BSD-3-Clause
// time/sleep.c: the clock, and sleeping.
//
// A sleeper starts a timer that lies on its own stack and parks with the
// timer's heap still locked; the lock is released once it is parked. So the
// timer cannot wake it before it sleeps.
//
// When there is no memory for the timer (its heap has to grow and the system
// refuses), the sleeper yields until its time has come: it costs processor
// time, but a sleep has no way to fail.

#include "os/clock.h"
#include "os/env.h"
#include "sched/sim.h"
#include "time/timer.h"
#include "tuza/time.h"

int64_t tuza_now(void)
{
    if (tz_unlikely(tz_env.sim))
        tz_sim_tick(); // a loop that looks at the clock comes to its end
    return tz_clock_now();
}

static void wake(void *g)
{
    tz_ready(g);
}

static bool sleep_commit(struct tz_g *g, void *timer)
{
    (void)g;
    tz_timer_release(timer);
    return true;
}

void tuza_sleep(int64_t ns)
{
    struct tz_g *g = tz_need_g("tuza_sleep");
    if (ns <= 0) {
        tz_yield();
        return;
    }
    int64_t when = tz_timer_when(tz_clock_now(), ns);
    struct tz_timer t;
    tz_timer_init(&t, wake, g);
    if (tz_timer_start_hold(&t, when) == 0) {
        tz_park(sleep_commit, &t, TZ_WAIT_SLEEP);
        return;
    }
    while (tz_clock_now() < when)
        tz_yield();
}
