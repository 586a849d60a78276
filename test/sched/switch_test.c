// SPDX-License-Identifier: BSD-3-Clause
// test/sched/switch_test.c: how a goroutine leaves its stack, and how it may
// not.

#include <signal.h>

#include "sched/proc.h"
#include "support/goroutines.h"

enum { MANY = 1000 };

static tuza_waitgroup group;
static uint32_t ran;

static void returns(void *arg)
{
    (void)arg;
    tz_xadd(&ran, 1);
    tuza_waitgroup_done(&group);
}

static int many_return(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t now, started;
    tuza_waitgroup_add(&group, MANY);
    for (int i = 0; i < MANY; i++)
        need(tuza_spawn(returns, NULL) == 0);
    tuza_waitgroup_wait(&group);
    do { // the last ones are about to return
        tuza_yield();
        tz_sched_counts(&now, &started);
    } while (now > 1);
    need(started == MANY + 1 && tz_load(&ran) == MANY);
    return 0;
}

START_TEST(s3_03_the_return_of_its_function_ends_a_goroutine)
{
    api_run(many_return, 1);
}
END_TEST

// What a function does that runs on the system stack.
static void yields(void *arg)
{
    (void)arg;
    tuza_yield();
}

static void exits(void *arg)
{
    (void)arg;
    tuza_goexit();
}

static void sleeps(void *arg)
{
    (void)arg;
    tuza_sleep(1000);
}

static void (*on_system_stack)(void *);

static int call_on_system_stack(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_on_system_stack(on_system_stack, NULL);
    return 0;
}

static void on_system_stack_child(void) { api_run(call_on_system_stack, 1); }

START_TEST(s3_04_parking_on_the_system_stack_is_fatal)
{
    static void (*const what[])(void *) = { yields, exits, sleeps };
    static const char *const texts[] = {
        "fatal: goroutine 1 parks, yields or ends inside of "
        "tuza_on_system_stack",
        NULL
    };
    for (size_t i = 0; i < tz_countof(what); i++) {
        on_system_stack = what[i];
        api_ended_with(api_child(on_system_stack_child, 25), 2, texts);
    }
}
END_TEST

static struct tz_ctx here, there;

static void entry_returns(void *arg) { (void)arg; }

static int scheduler_function_returns(int argc, char **argv)
{
    static char stack[64 * 1024] TZ_ALIGNED(16);
    (void)argc, (void)argv;
    tz_crit_enter();
    tz_ctx_init(&there, (uintptr_t)(stack + sizeof stack), entry_returns, NULL);
    tz_ctx_switch(&here, &there);
    return 0;
}

static void scheduler_function_child(void)
{
    api_run(scheduler_function_returns, 1);
}

START_TEST(s3_04_a_scheduler_function_that_returns_aborts)
{
    static const char *const texts[] = {
        "the first function of a stack has returned", NULL
    };
    api_ended_with(api_child(scheduler_function_child, 25), -SIGABRT, texts);
}
END_TEST

static int switch_to_nothing(int argc, char **argv)
{
    (void)argc, (void)argv;
    tz_crit_enter();
    tz_ctx_switch(&here, NULL);
    return 0;
}

static void switch_to_nothing_child(void) { api_run(switch_to_nothing, 1); }

START_TEST(s3_02_a_bad_context_is_reported_as_such)
{
    static const char *const texts[] = {
        "a switch to a context that is none", "goroutine 1 [running", NULL
    };
    api_ended_with(api_child(switch_to_nothing_child, 25), -SIGABRT, texts);
}
END_TEST

int main(void)
{
    return api_check("switch",
                     (const TTest *const[]){
                         s3_03_the_return_of_its_function_ends_a_goroutine,
                         s3_04_parking_on_the_system_stack_is_fatal,
                         s3_04_a_scheduler_function_that_returns_aborts,
                         s3_02_a_bad_context_is_reported_as_such, NULL });
}
