// SPDX-License-Identifier: BSD-3-Clause
// test/model/timer_test.c: a timer that is set beside a busy goroutine is run
// when it is due, by a thread that had just gone to sleep without an end, or
// with a later one. Timers here are one time a P (the time room's ports).

#include "model/scheduler.h"
#include "sched/port.h"

static int fired; // timers

int tz_port_timers_run(struct tz_p *p, int64_t now)
{
    if (tz_load(&p->timer_next) > now)
        return 0;
    model_note("a timer fires");
    fired++;
    tz_store(&p->timer_next, INT64_MAX);
    return 1;
}

// On the goroutine's own P, as tuza_sleep does.
static void set_timer(int64_t ns)
{
    struct tz_p *p = tz_tls_get()->p;
    int64_t when = model_now() + ns;
    tz_store(&p->timer_next, when);
    tz_sched_timer_added(when);
}

static void busy_until_fired(int n)
{
    while (fired < n)
        model_yield();
}

static int ran;

static void child(void *arg)
{
    (void)arg;
    ran = 1;
    end_of_goroutine();
}

// The thread of the child falls asleep meanwhile.
static void first_timer_of_all(void *arg)
{
    (void)arg;
    spawn_one(child);
    busy_until(&ran);
    tz_crit_enter();
    set_timer(3000);
    tz_crit_leave();
    busy_until_fired(1);
    end_of_goroutine();
}

static void earlier_timer(void *arg)
{
    (void)arg;
    tz_crit_enter();
    set_timer(100000000);
    tz_crit_leave();
    spawn_one(child);
    busy_until(&ran);
    tz_crit_enter();
    set_timer(3000);
    tz_crit_leave();
    busy_until_fired(1);
    end_of_goroutine();
}

START_TEST(a_timer_beside_a_busy_one_is_run_when_it_is_due)
{
    explore("a timer", make_two_ps, first_timer_of_all, 2, 2, 0);
    explore("a timer, late loads", make_two_ps, first_timer_of_all, 2, 1, 1);
}
END_TEST

START_TEST(an_earlier_timer_beside_a_busy_one_is_run_when_it_is_due)
{
    explore("an earlier timer", make_two_ps, earlier_timer, 2, 2, 0);
    explore("an earlier timer, late loads", make_two_ps, earlier_timer, 2, 1, 1);
}
END_TEST

int main(void)
{
    return model_tests(
        "timer",
        (const TTest *const[]){
            a_timer_beside_a_busy_one_is_run_when_it_is_due,
            an_earlier_timer_beside_a_busy_one_is_run_when_it_is_due, NULL });
}
