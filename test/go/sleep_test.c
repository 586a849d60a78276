// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/sleep_test.c: Go's src/time/sleep_test.go retold, as far as there
// are timers without channels: sleeps, delays of selects, inner timers.

#include "support/goroutines.h"
#include "time/timer.h"

typedef tuza_chan(int) int_chan;

// TestSleep

IN_GOROUTINES(sleep_is_long_enough, 2)
{
    int64_t t = tuza_now();
    tuza_sleep(TUZA_MS(100));
    need(tuza_now() - t >= TUZA_MS(100));
}

// TestAfter

IN_GOROUTINES(after_is_long_enough, 2)
{
    int64_t t = tuza_now();
    need_eq(tuza_select(TUZA_AFTER(TUZA_MS(100))), 0);
    need(tuza_now() - t >= TUZA_MS(100));
}

// TestAfterStress: delays while the collector runs.

static int stop_collecting; // atomic

tuza_fn(collect_always, int_chan, done)
{
    while (!__atomic_load_n(&stop_collecting, __ATOMIC_RELAXED)) {
        tuza_gc();
        tuza_sleep(1); // lets others have the processor
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(after_stress, 2)
{
    int_chan done = tuza_chan_make(int, 0);
    tuza_go(collect_always, done);
    for (int i = 0; i < 100; i++)
        need_eq(tuza_select(TUZA_AFTER(1)), 0);
    __atomic_store_n(&stop_collecting, 1, __ATOMIC_RELAXED);
    tuza_recv(done, NULL);
}

// TestAfterQueuing: several delays at once arrive in the order of their ends.

tuza_fn(await_slot, int, slot, int64_t, delta, int_chan, result)
{
    tuza_select(TUZA_AFTER(slot * delta));
    tuza_send(result, slot);
}

static int in_order(int64_t delta)
{
    static const int slots[] = { 5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0 };
    enum { N = sizeof slots / sizeof slots[0] };
    int_chan result = tuza_chan_make(int, N);
    int last = 0, ordered = 1;
    for (int i = 0; i < N; i++)
        tuza_go(await_slot, slots[i], delta, result);
    for (int i = 0, slot; i < N; i++) {
        tuza_recv(result, &slot);
        ordered = ordered && slot >= last;
        last = slot;
    }
    return ordered;
}

IN_GOROUTINES(after_queuing, 2)
{
    // A machine that is busy may upset short delays: five attempts.
    for (int i = 0; i < 5; i++)
        if (in_order(TUZA_MS(10 + i * 30)))
            return;
    ck_abort_msg("delays end out of order");
}

// TestTimerStopStress

static void must_not_run(void *arg)
{
    ck_abort_msg("timer %p was not stopped", arg);
}

tuza_fn(start_and_stop, int_chan, done)
{
    struct tz_timer t;
    tz_timer_init(&t, must_not_run, &t);
    need_eq(tz_timer_start(&t, tuza_now() + TUZA_SEC(60)), 0);
    tuza_sleep(TUZA_MS(30));
    need(tz_timer_stop(&t));
    tuza_send(done, 1);
}

IN_GOROUTINES(timer_stop_stress, 2)
{
    int_chan done = tuza_chan_make(int, 0);
    for (int i = 0; i < 100; i++)
        tuza_go(start_and_stop, done);
    for (int i = 0; i < 100; i++)
        tuza_recv(done, NULL);
}

// TestSleepZeroDeadlock

tuza_fn(collect_often, int_chan, done)
{
    for (int i = 0; i < 100; i++)
        tuza_gc();
    tuza_send(done, 1);
}

IN_GOROUTINES(sleep_zero_deadlock, 4)
{
    int_chan done = tuza_chan_make(int, 0);
    tuza_go(collect_often, done);
    for (int i = 0; i < 100; i++) {
        tuza_sleep(0);
        int_chan tmp = tuza_chan_make(int, 1);
        tuza_send(tmp, 1);
        tuza_recv(tmp, NULL);
    }
    tuza_recv(done, NULL);
}

// TestOverflowSleep

tuza_fn(sleep_for_ever, int64_t, big)
{
    tuza_sleep(big);
    ck_abort_msg("the big sleep has returned");
}

IN_GOROUTINES(overflow_sleep, 2)
{
    tuza_chan(int) none = NULL;
    tuza_go(sleep_for_ever, INT64_MAX);
    need_eq(tuza_select(TUZA_RECV(none, NULL), TUZA_AFTER(INT64_MAX),
                        TUZA_AFTER(TUZA_MS(25))),
            2);
    tuza_sleep(INT64_MIN);
    need_eq(tuza_select(TUZA_AFTER(INT64_MIN), TUZA_AFTER(TUZA_SEC(1))), 0);
}

// TestTimerModifiedEarlier: a timer that is made due earlier, again and again,
// while it is in the heap with a late time.

struct ring {
    struct tz_timer t;
    int rang; // atomic
};

// A timer's function has the lock of its heap, and may not take a channel's.
static void ring_it(void *arg)
{
    struct ring *r = arg;
    __atomic_store_n(&r->rang, 1, __ATOMIC_RELEASE);
}

static void until_rung(struct ring *r)
{
    int64_t t = tuza_now();
    while (!__atomic_exchange_n(&r->rang, 0, __ATOMIC_ACQUIRE)) {
        need(tuza_now() - t < TUZA_SEC(10));
        tuza_sleep(TUZA_US(1));
    }
}

IN_GOROUTINES(timer_modified_earlier, 2)
{
    for (int i = 0, n = scaled(1000); i < n; i++) {
        struct ring r = { .rang = 0 };
        tz_timer_init(&r.t, ring_it, &r);
        need_eq(tz_timer_start(&r.t, tuza_now() + TUZA_SEC(3600)), 0);
        for (int j = 0; j < 10; j++) {
            if (!tz_timer_stop(&r.t))
                until_rung(&r);
            need_eq(tz_timer_start(&r.t, 1), 0);
        }
        until_rung(&r);
        need(!tz_timer_stop(&r.t)); // waits until the function has returned
    }
}

// TestAdjustTimers: a hundred timers, each through long and short times.

enum { TIMERS = 100 };
static struct ring rings[TIMERS];

static void step(struct ring *r, int state)
{
    static const int minutes[] = { 0, 0, 1, 0, 3, 0, 2 };
    switch (state) {
    case 0:
    case 8:
        need_eq(tz_timer_start(&r->t, tuza_now()), 0);
        break;
    case 1:
    case 9:
        until_rung(r);
        need(!tz_timer_stop(&r->t));
        break;
    case 2:
    case 4:
    case 6:
        need_eq(
            tz_timer_start(&r->t, tuza_now() + TUZA_SEC(60) * minutes[state]),
            0);
        break;
    default:
        need(tz_timer_stop(&r->t));
    }
}

IN_GOROUTINES(adjust_timers, 2)
{
    uint64_t seed = test_seed();
    int index[TIMERS], states[TIMERS] = { 0 }, left = TIMERS;
    for (int i = 0; i < TIMERS; i++) {
        index[i] = i;
        tz_timer_init(&rings[i].t, ring_it, &rings[i]);
    }
    while (left > 0) {
        uint32_t at = rnd(&seed, (uint32_t)left);
        int i = index[at];
        if (states[i] == 10)
            index[at] = index[--left];
        else
            step(&rings[i], states[i]++);
    }
}

// TestAfterStop: a stop tells whether it came in time.

IN_GOROUTINES(after_stop, 2)
{
    struct ring late = { .rang = 0 }, soon = { .rang = 0 };
    tz_timer_init(&late.t, ring_it, &late);
    tz_timer_init(&soon.t, ring_it, &soon);
    need_eq(tz_timer_start(&late.t, tuza_now() + TUZA_SEC(60)), 0);
    need_eq(tz_timer_start(&soon.t, tuza_now() + TUZA_MS(1)), 0);
    until_rung(&soon);
    need(!tz_timer_stop(&soon.t));
    need(tz_timer_stop(&late.t));
    need(!tz_timer_stop(&late.t));
    need(!late.rang);
}

// TestReset: a timer that is given a later time does not come at the first.

static int reset_works(int64_t d)
{
    struct ring r = { .rang = 0 };
    tz_timer_init(&r.t, ring_it, &r);
    need_eq(tz_timer_start(&r.t, tuza_now() + 2 * d), 0);
    tuza_sleep(d);
    if (!tz_timer_stop(&r.t))
        return 0; // the machine was slow
    int64_t again = tuza_now() + 2 * d;
    need_eq(tz_timer_start(&r.t, again), 0);
    tuza_sleep(d);
    int early = __atomic_load_n(&r.rang, __ATOMIC_ACQUIRE);
    need(!early || tuza_now() >= again);
    until_rung(&r);
    need(tuza_now() >= again);
    need(!tz_timer_stop(&r.t));
    return !early;
}

IN_GOROUTINES(reset, 2)
{
    for (int64_t d = TUZA_MS(10); d < TUZA_SEC(1); d *= 2)
        if (reset_works(d))
            return;
    ck_abort_msg("timers come early");
}

// TestStopResult: a timer whose stop says that it came too late does ring.

tuza_fn(race_two_timers, int, n, int_chan, finished)
{
    struct ring r[2];
    for (int i = 0; i < n; i++) {
        int first;
        for (int k = 0; k < 2; k++) {
            r[k].rang = 0;
            tz_timer_init(&r[k].t, ring_it, &r[k]);
            need_eq(tz_timer_start(&r[k].t, tuza_now() + TUZA_MS(1)), 0);
        }
        while (!__atomic_load_n(&r[first = i % 2].rang, __ATOMIC_ACQUIRE))
            tuza_yield();
        if (!tz_timer_stop(&r[!first].t))
            until_rung(&r[!first]);
        else
            need(!r[!first].rang);
        need(!tz_timer_stop(&r[first].t)); // before its memory goes
    }
    tuza_send(finished, 1);
}

IN_GOROUTINES(stop_result, 4)
{
    int n = scaled(200);
    int_chan finished = tuza_chan_make(int, 0);
    for (int i = 0; i < n; i++)
        tuza_go(race_two_timers, 20, finished);
    for (int i = 0; i < n; i++)
        tuza_recv(finished, NULL);
}

// TestAfterFuncStarvation: of two that pass values one can always run, on the
// only P; a timer that is due comes all the same.

static int enough; // atomic

static void say_enough(void *arg)
{
    (void)arg;
    __atomic_store_n(&enough, 1, __ATOMIC_RELAXED);
}

tuza_fn(send_until_enough, int_chan, c)
{
    while (!__atomic_load_n(&enough, __ATOMIC_RELAXED))
        tuza_send(c, 1);
    tuza_close(c);
}

tuza_fn(receive_all, int_chan, c, int_chan, finished)
{
    tuza_range(v, c)
    {
        need_eq(v, 1);
    }
    tuza_send(finished, 1);
}

IN_GOROUTINES(after_func_starvation, 1)
{
    struct tz_timer t;
    int_chan c = tuza_chan_make(int, 1), finished = tuza_chan_make(int, 0);
    tz_timer_init(&t, say_enough, NULL);
    need_eq(tz_timer_start(&t, tuza_now() + TUZA_US(1)), 0);
    tuza_go(send_until_enough, c);
    tuza_go(receive_all, c, finished);
    tuza_recv(finished, NULL);
    need(!tz_timer_stop(&t));
}

// tick_test.go: TestLongAdjustTimers. Thousands of short sleeps build heaps up;
// then a stream of delays that are never waited for to the end. Delays that
// were stopped must not slow those down that follow.

tuza_fn(nap_once, int_chan, finished)
{
    tuza_sleep(TUZA_US(10));
    tuza_send(finished, 1);
}

tuza_fn(queue_up, int_chan, in, int_chan, out)
{
    enum { MOST = 32 };
    int q[MOST], first = 0, n = 0, v;
    for (;;) {
        int got = tuza_select(TUZA_SEND(n > 0 ? out : NULL, &q[first % MOST]),
                              TUZA_RECV(n < MOST ? in : NULL, &v));
        if (got == 0)
            first++, n--;
        else if (v < 0)
            return;
        else
            q[(first + n++) % MOST] = v;
    }
}

IN_GOROUTINES(long_adjust_timers, 2)
{
    enum { TRY = 20 };
    int sleepers = scaled(5000), n = scaled(5000);
    int_chan finished = tuza_chan_make(int, (size_t)sleepers);
    int_chan in = tuza_chan_make(int, 0), out = tuza_chan_make(int, 0);
    int64_t start = tuza_now();
    for (int i = 0; i < sleepers; i++)
        tuza_go(nap_once, finished);
    for (int i = 0; i < sleepers; i++)
        tuza_recv(finished, NULL);
    tuza_go(queue_up, in, out);
    for (int i = 0; i < n; i++) {
        for (int k = 0, v; k < TRY; k++)
            tuza_send(in, v = i * TRY + k);
        for (int k = 0, v; k < TRY; k++) {
            need_eq(tuza_select(TUZA_RECV(out, &v), TUZA_AFTER(TUZA_SEC(5))),
                    0);
            need_eq(v, i * TRY + k);
        }
    }
    tuza_send(in, -1);
    need(tuza_now() - start < TUZA_SEC(60));
}

int main(void)
{
    const TTest *const tests[] = {
        sleep_is_long_enough, after_is_long_enough,
        after_stress,         after_queuing,
        timer_stop_stress,    sleep_zero_deadlock,
        overflow_sleep,       timer_modified_earlier,
        adjust_timers,        after_stop,
        reset,                stop_result,
        after_func_starvation, long_adjust_timers,
        NULL,
    };
    return api_check("go/sleep", tests);
}
