// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/base/fault_test.c: the two ways to end a process. The dump of
// goroutines is a fake.

#include <pthread.h>

#include "base/port.h"
#include "base/print.h"
#include "os/os_check.h"

static void (*during_dump)(void);

void tz_port_dump(void)
{
    tz_print("DUMP\n");
    if (during_dump)
        during_dump();
}

static void say_bye(void) { tz_print("atexit\n"); }

static void fatal_body(void)
{
    atexit(say_bye);
    tz_fatal("bad %s %d", "thing", 3);
}

START_TEST(fatal_reports_dumps_and_exits_with_2_at_once)
{
    struct os_ended e = os_child(fatal_body);
    ck_assert_int_eq(e.status, 2);
    ck_assert_str_eq(e.text, "tuza: fatal: bad thing 3\nDUMP\n");
}
END_TEST

static void throw_body(void) { tz_throw("list %p broken", (void *)16); }

START_TEST(throw_reports_dumps_and_aborts)
{
    struct os_ended e = os_child(throw_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    ck_assert_str_eq(e.text,
                     "tuza: internal error: list 0x10 broken\nDUMP\n");
}
END_TEST

static void throw_ignored_body(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGABRT, SIG_IGN);
    throw_body();
}

START_TEST(throw_aborts_where_sigabrt_is_blocked_and_ignored)
{
    ck_assert_int_eq(os_child(throw_ignored_body).status, -SIGABRT);
}
END_TEST

static void leave(int sig)
{
    (void)sig;
    _exit(5);
}

static void throw_handled_body(void)
{
    signal(SIGABRT, leave);
    throw_body();
}

START_TEST(throw_aborts_whatever_handler_the_program_has)
{
    ck_assert_int_eq(os_child(throw_handled_body).status, -SIGABRT);
}
END_TEST

static void check_body(void)
{
    int one = 1;
    TZ_CHECK(one == 1);
    TZ_CHECK(one == 2);
}

START_TEST(a_failed_check_shows_what_and_where)
{
    struct os_ended e = os_child(check_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "check failed: one == 2 (");
    os_assert_has(e.text, "fault_test.c:");
}
END_TEST

static void dcheck_body(void)
{
    int calls = 0;
    TZ_DCHECK(calls++ > 0);
    if (calls)
        tz_print("evaluated\n");
}

START_TEST(a_debug_check_costs_nothing_in_other_builds)
{
    struct os_ended e = os_child(dcheck_body);
    ck_assert_int_eq(e.status, TZ_DEBUG ? -SIGABRT : 0);
    if (!TZ_DEBUG)
        ck_assert_str_eq(e.text, "");
}
END_TEST

static void long_body(void)
{
    static char many[4000];
    memset(many, 'x', sizeof many - 1);
    tz_fatal("%s", many);
}

START_TEST(a_long_reason_is_cut)
{
    struct os_ended e = os_child(long_body);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "tuza: fatal: xxx");
    os_assert_has(e.text, "xxx\nDUMP\n");
    ck_assert_uint_lt(strlen(e.text), 1024);
}
END_TEST

static void throw_again(void) { tz_throw("second"); }

static void twice_body(void)
{
    during_dump = throw_again;
    tz_fatal("first");
}

START_TEST(a_failure_while_reporting_is_told_and_ends_the_process)
{
    struct os_ended e = os_child(twice_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    ck_assert_str_eq(e.text,
                     "tuza: fatal: first\nDUMP\ntuza: internal error: second "
                     "(while reporting the failure above)\n");
}
END_TEST

static int other_tid; // atomic

static void *other_thread(void *arg)
{
    tz_store(&other_tid, gettid());
    tz_throw("other");
    return arg;
}

static void start_other(void)
{
    pthread_t t;
    pthread_create(&t, NULL, other_thread, NULL);
    while (!tz_load(&other_tid))
        sched_yield();
    os_wait_asleep(tz_load(&other_tid)); // it waits for us to end
}

static void other_body(void)
{
    during_dump = start_other;
    tz_fatal("first");
}

START_TEST(a_failure_on_another_thread_waits_for_the_first_report)
{
    struct os_ended e = os_child(other_body);
    ck_assert_int_eq(e.status, 2);
    ck_assert_str_eq(e.text, "tuza: fatal: first\nDUMP\n");
}
END_TEST

int main(void)
{
    return os_check(
        "base/fault",
        (const TTest *const[]){
            fatal_reports_dumps_and_exits_with_2_at_once,
            throw_reports_dumps_and_aborts,
            throw_aborts_where_sigabrt_is_blocked_and_ignored,
            throw_aborts_whatever_handler_the_program_has,
            a_failed_check_shows_what_and_where,
            a_debug_check_costs_nothing_in_other_builds, a_long_reason_is_cut,
            a_failure_while_reporting_is_told_and_ends_the_process,
            a_failure_on_another_thread_waits_for_the_first_report, NULL });
}
