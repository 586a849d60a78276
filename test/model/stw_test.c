// SPDX-License-Identifier: BSD-3-Clause
// test/model/stw_test.c: between the stop of the world and its start no
// goroutine runs code of its own, the stop waits for nobody who is in a call,
// and a collector reads of a goroutine in a call what one and the same enter
// has saved. Signals are not modelled: goroutines poll.

#include "model/scheduler.h"
#include "sched.h"

static int stopped;   // the world is, says who stops it
static int users;     // goroutines that run code of their own
static int stops;     // so far
static struct tz_g *caller;
static int data;      // of the goroutines; read while the world is stopped

static void user_code(const char *what)
{
    model_need(!stopped);
    users++;
    model_touch(&data, sizeof data, false);
    model_step(what);
    model_need(!stopped);
    users--;
}

static void poll_for_stop(void)
{
    tz_crit_enter();
    tz_crit_leave();
}

// What a collector reads of a goroutine in a call.
static void read_caller(void)
{
    struct tz_g *g = caller;
    if (!g || tz_load_acq(&g->status) != TZ_G_SYSCALL)
        return;
    model_touch(&g->syscall_sp, sizeof g->syscall_sp, false);
    model_touch(&g->syscall_regs, sizeof g->syscall_regs, false);
    uintptr_t number = g->syscall_sp - g->stack.lo;
    for (size_t i = 0; i < tz_countof(g->syscall_regs.reg); i++)
        model_need(g->syscall_regs.reg[i] == number);
    model_step("reads more of it");
    model_need(g->syscall_sp - g->stack.lo == number);
}

static void while_stopped_blind(void *arg)
{
    (void)arg;
    model_need(!stopped && users == 0);
    stopped = 1;
    model_touch(&data, sizeof data, true);
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        model_need(tz_load_rlx(&tz_sched.allp[i]->status) == TZ_P_STOPPED);
    model_step("the world is stopped");
    model_need(users == 0);
    stopped = 0;
    stops++;
}

static void while_stopped(void *arg)
{
    while_stopped_blind(arg);
    read_caller();
}

static void stop_once(void)
{
    tz_world_call(while_stopped, NULL);
}

// One runs and polls.
static void runner(void *arg)
{
    (void)arg;
    user_code("runs");
    poll_for_stop();
    user_code("runs on");
    end_of_goroutine();
}

static void stop_runner(void *arg)
{
    (void)arg;
    spawn_one(runner);
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(nobody_runs_while_the_world_is_stopped)
{
    explore("a stop and one that runs", make_two_ps, stop_runner, 2, 2, 0);
    explore("a stop and one that runs, late loads", make_two_ps, stop_runner, 2,
            1, 1);
}
END_TEST

// One calls twice, with other registers each time.
static void enter(uintptr_t number)
{
    struct tz_ctx_regs regs;
    for (size_t i = 0; i < tz_countof(regs.reg); i++)
        regs.reg[i] = number;
    tz_port_syscall_enter(&regs, tz_getg()->stack.lo + number, 0);
}

static void call_twice(void *arg)
{
    (void)arg;
    caller = tz_getg();
    enter(16);
    model_step("in the first call");
    tuza_syscall_exit();
    user_code("between the calls");
    enter(32);
    model_step("in the second call");
    tuza_syscall_exit();
    user_code("after the calls");
    end_of_goroutine();
}

static void stop_calls(void *arg)
{
    (void)arg;
    spawn_one(call_twice);
    while (!caller)
        model_yield();
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(s3_17_a_collector_reads_what_one_enter_has_saved)
{
    explore("a stop and calls", make_two_ps, stop_calls, 2, 2, 0);
    explore("a stop and calls, late loads", make_two_ps, stop_calls, 2, 1, 2);
}
END_TEST

static void call_and_hand_off(void *arg)
{
    (void)arg;
    caller = tz_getg();
    tuza_blocking_enter();
    model_step("in the call");
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

static void stop_handed_off(void *arg)
{
    (void)arg;
    spawn_one(call_and_hand_off);
    while (!caller)
        model_yield();
    tz_world_call(while_stopped_blind, NULL);
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(a_stop_and_calls_that_hand_off)
{
    explore("a stop and a blocking call", make_two_ps, stop_handed_off, 2, 1,
            1);
    explore("a stop and a blocking call, three Ps", make_three_ps,
            stop_handed_off, 2, 1, 1);
}
END_TEST

// A call that lasts until the stop is over: the stop may not wait for it.
static void call_over_stop(void *arg)
{
    (void)arg;
    caller = tz_getg();
    enter(16);
    busy_until(&stops);
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

static void stop_over_call(void *arg)
{
    (void)arg;
    spawn_one(call_over_stop);
    while (!caller)
        model_yield();
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(a_stop_does_not_wait_for_a_call)
{
    explore("a stop over a call", make_two_ps, stop_over_call, 2, 2, 0);
    explore("a stop over a call, late loads", make_two_ps, stop_over_call, 2, 1,
            1);
}
END_TEST

// The stop sleeps already when the call begins: its enter has to wake it.
static int calls;

static void call_late(void *arg)
{
    (void)arg;
    calls = 1;
    model_sleep_for(200000);
    enter(16);
    busy_until(&stops);
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

static void stop_before_call(void *arg)
{
    (void)arg;
    spawn_one(call_late);
    busy_until(&calls);
    tz_world_call(while_stopped_blind, NULL);
    end_of_goroutine();
}

START_TEST(a_stop_that_sleeps_is_woken_by_a_call)
{
    model_patient = true;
    explore("a stop that sleeps, and a call", make_two_ps, stop_before_call, 2,
            1, 0);
}
END_TEST

// Two stop the world at once: each in turn.
static void second_stopper(void *arg)
{
    (void)arg;
    stop_once();
    user_code("has stopped the world, too");
    end_of_goroutine();
}

static void first_stopper(void *arg)
{
    (void)arg;
    spawn_one(second_stopper);
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(two_stops_come_one_after_the_other)
{
    explore("two stops", make_two_ps, first_stopper, 2, 1, 1);
}
END_TEST

// What was queued before a stop runs after it, beside one that is busy.
static int ran;

static void waits_in_queue(void *arg)
{
    (void)arg;
    ran = 1;
    end_of_goroutine();
}

static void stop_with_queue(void *arg)
{
    (void)arg;
    spawn_one(waits_in_queue);
    stop_once();
    busy_until(&ran);
    end_of_goroutine();
}

START_TEST(what_was_queued_before_a_stop_runs_after_it)
{
    explore("a queue over a stop", make_two_ps, stop_with_queue, 2, 2, 0);
    explore("a queue over a stop, late loads", make_two_ps, stop_with_queue, 2,
            1, 1);
}
END_TEST

static int begun;

// Sysmon takes the P of a call for others, or is about to, when the stop comes.
static void long_call(void *arg)
{
    (void)arg;
    spawn_one(waits_in_queue);
    begun = 1;
    tuza_syscall_enter();
    model_sleep_for(35000);
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

static void stop_over_retake(void *arg)
{
    (void)arg;
    spawn_one(long_call);
    busy_until(&begun);
    for (uint32_t n = 10 + 15 * model_choose(3, "when to stop"); n > 0; n--)
        model_yield();
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(a_stop_and_sysmon_that_takes_a_p)
{
    explore("a stop and sysmon", with_sysmon_2, stop_over_retake, 3, 1, 0);
}
END_TEST

// A thread is being made for a P while the world is stopped, and made when it
// has started again.
static void third_is_slow(void)
{
    begun = 1;
    if (model_self() == 2)
        busy_until(&stops);
}

static void spawner(void *arg)
{
    (void)arg;
    user_code("spawns");
    spawn_one(waits_in_queue);
    for (; !ran; model_yield())
        poll_for_stop();
    end_of_goroutine();
}

static void stop_spawner(void *arg)
{
    (void)arg;
    spawn_one(spawner);
    busy_until(&begun);
    stop_once();
    end_of_goroutine();
}

static void three_ps_slow_threads(void)
{
    model_new_thread = third_is_slow;
    make_three_ps();
}

START_TEST(a_stop_does_not_wait_for_a_thread_that_is_made)
{
    explore("a stop and a new thread", three_ps_slow_threads, stop_spawner, 3,
            1, 0);
}
END_TEST

int main(void)
{
    return model_tests(
        "stw", (const TTest *const[]){
                   nobody_runs_while_the_world_is_stopped,
                   s3_17_a_collector_reads_what_one_enter_has_saved,
                   a_stop_and_calls_that_hand_off,
                   a_stop_does_not_wait_for_a_call,
                   a_stop_does_not_wait_for_a_thread_that_is_made,
                   a_stop_and_sysmon_that_takes_a_p,
                   a_stop_that_sleeps_is_woken_by_a_call,
                   two_stops_come_one_after_the_other,
                   what_was_queued_before_a_stop_runs_after_it, NULL });
}
