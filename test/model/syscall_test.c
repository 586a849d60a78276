// SPDX-License-Identifier: BSD-3-Clause
// test/model/syscall_test.c: the P of a declared call belongs to one at a time:
// to the thread that returns, to whoever takes it for other goroutines, or to
// a stop of the world; and what a call has saved is whole.

#include "model/scheduler.h"

static struct tz_p *used_by[4]; // Ps in which a goroutine runs user code
static int ran;

// The goroutine's own code: nobody else may use its P meanwhile.
static void user_code(const char *what)
{
    struct tz_p *p = tz_tls_get()->p;
    model_need(p && p->m == tz_getm() && tz_getm()->p == p);
    model_need(tz_load_rlx(&p->status) == TZ_P_RUNNING);
    model_need(!used_by[p->id]);
    used_by[p->id] = p;
    model_step(what);
    model_need(used_by[p->id] == p);
    used_by[p->id] = NULL;
}

static void child(void *arg)
{
    (void)arg;
    user_code("the child's code");
    ran = 1;
    end_of_goroutine();
}

// Calls that return just when sysmon takes the P, or somewhat earlier or later.
static void call_for_a_while(void *arg)
{
    (void)arg;
    spawn_one(child);
    user_code("before the call");
    tuza_syscall_enter();
    model_sleep_for(15000 + 20000 * model_choose(2, "length of the call"));
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

START_TEST(a_call_returns_while_its_p_is_taken)
{
    explore("a call and sysmon", with_sysmon, call_for_a_while, 2, 2, 0);
    explore("a call and sysmon, late loads", with_sysmon, call_for_a_while, 2,
            1, 1);
    explore("a call and sysmon, two Ps", with_sysmon_2, call_for_a_while, 2, 1,
            1);
}
END_TEST

// A call that lasts until another goroutine has run: on its P.
static void call_until_child_ran(void *arg)
{
    (void)arg;
    spawn_one(child);
    tuza_syscall_enter();
    busy_until(&ran);
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

START_TEST(the_p_of_a_long_call_runs_others)
{
    explore("a long call", with_sysmon, call_until_child_ran, 2, 1, 1);
}
END_TEST

// The P is handed off at once.
static void blocking_call(void *arg)
{
    (void)arg;
    spawn_one(child);
    tuza_blocking_enter();
    model_step("in the call");
    tuza_syscall_exit();
    user_code("after the call");
    tuza_blocking_enter();
    busy_until(&ran);
    tuza_syscall_exit();
    user_code("after the second call");
    end_of_goroutine();
}

START_TEST(the_p_of_a_blocking_call_runs_others)
{
    explore("a blocking call", make_one_p, blocking_call, 2, 2, 1);
    explore("a blocking call, two Ps", make_two_ps, blocking_call, 2, 1, 1);
}
END_TEST

// What waits beside a busy one, while all Ps run, is for the next P that gets
// free: that of a call.
static int busy;

static void busy_with_child(void *arg)
{
    (void)arg;
    spawn_one(child);
    busy = 1;
    busy_until(&ran);
    end_of_goroutine();
}

static void call_beside_busy(void *arg)
{
    (void)arg;
    spawn_one(busy_with_child);
    busy_until(&busy);
    tuza_blocking_enter();
    busy_until(&ran);
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

START_TEST(a_p_that_is_handed_off_looks_for_work)
{
    explore("a call beside a busy one", make_two_ps, call_beside_busy, 3, 1, 1);
}
END_TEST

// Two goroutines call, one P: each return may find the other's.
static void calling_child(void *arg)
{
    (void)arg;
    user_code("the child's code");
    tuza_blocking_enter();
    model_step("the child's call");
    tuza_syscall_exit();
    user_code("the child's code after its call");
    end_of_goroutine();
}

static void two_calls(void *arg)
{
    (void)arg;
    spawn_one(calling_child);
    tuza_blocking_enter();
    model_step("in the call");
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

START_TEST(two_calls_return_to_one_p)
{
    explore("two calls, one P", make_one_p, two_calls, 2, 2, 0);
}
END_TEST

int main(void)
{
    return model_tests(
        "syscall", (const TTest *const[]){
                       a_call_returns_while_its_p_is_taken,
                       the_p_of_a_long_call_runs_others,
                       the_p_of_a_blocking_call_runs_others,
                       a_p_that_is_handed_off_looks_for_work,
                       two_calls_return_to_one_p, NULL });
}
