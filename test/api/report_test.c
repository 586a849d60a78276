// SPDX-License-Identifier: BSD-3-Clause
// test/api/report_test.c: what a program that goes wrong is told.
//
// Every test runs a small program in a child process, and reads what it
// printed and how it ended. A spawn site is where tuza_go stands, so the
// programs note the line before they start the goroutine.

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/api_check.h"

enum { SECONDS = 20 };
#define DEADLOCK "all goroutines are asleep - deadlock!"

// Prints "site <name> <file:line>" for the tuza_go that shares its line.
#define SITE(name) (printf("site " name " " API_HERE "\n"), fflush(stdout))

// Asserts that the dump names goroutine `number` in that state, and that the
// lines up to the next goroutine hold what the child printed as the site.
static void dump_names(const char *text, const char *function,
                       const char *state)
{
    char key[100], site[200] = "", line[300];
    snprintf(key, sizeof key, "site %s ", function);
    const char *at = strstr(text, key);
    ck_assert_msg(at, "no %sin:\n%s", key, text);
    ck_assert_int_eq(sscanf(at + strlen(key), "%199s", site), 1);
    for (at = text; (at = strstr(at, "\ngoroutine ")) != NULL; at++) {
        const char *end = strstr(at + 1, "\ngoroutine ");
        size_t n = end ? (size_t)(end - at) : strlen(at);
        size_t head = strcspn(at + 1, "\n");
        snprintf(line, sizeof line, "%.*s", (int)head, at + 1);
        if (memmem(at, n, site, strlen(site)) &&
            memmem(at, n, function, strlen(function)) && strstr(line, state))
            return;
    }
    ck_abort_msg("no goroutine of %s, spawned at %s, [%s] in:\n%s", function,
                 site, state, text);
}

tuza_fn(receiver, tuza_chan(int), c)
{
    tuza_recv(c, NULL);
}
tuza_fn(sender, tuza_chan(int), c)
{
    tuza_send(c, 1);
}
tuza_fn(selecter, tuza_chan(int), c, tuza_chan(int), d)
{
    int v;
    tuza_select(TUZA_RECV(c, &v), TUZA_RECV(d, &v));
}
tuza_fn(nil_receiver)
{
    tuza_chan_recv(NULL, NULL);
}
tuza_fn(locker, tuza_mutex *, m)
{
    tuza_mutex_lock(m);
}
tuza_fn(group_waiter, tuza_waitgroup *, wg)
{
    tuza_waitgroup_wait(wg);
}

static tuza_mutex mutex;
static tuza_waitgroup group;

static int deadlock(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) a = tuza_chan_make(int, 0);
    tuza_chan(int) b = tuza_chan_make(int, 0);
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_mutex_lock(&mutex);
    tuza_waitgroup_add(&group, 1);
    SITE("receiver"), tuza_go(receiver, a);
    SITE("sender"), tuza_go(sender, b);
    SITE("selecter"), tuza_go(selecter, c, c);
    SITE("nil_receiver"), tuza_go(nil_receiver);
    SITE("locker"), tuza_go(locker, &mutex);
    SITE("group_waiter"), tuza_go(group_waiter, &group);
    tuza_recv(c, NULL);
    return 0;
}

static void child_deadlock(void)
{
    tuza_run_main(deadlock, 0, NULL, NULL);
}

START_TEST(a_deadlock_is_reported_with_every_goroutine)
{
    const struct api_ended *e = api_child(child_deadlock, SECONDS);
    api_ended_with(e, 2,
                   (const char *[]){ DEADLOCK, "goroutine 1 [chan receive",
                                     NULL });
    dump_names(e->text, "receiver", "[chan receive");
    dump_names(e->text, "sender", "[chan send");
    dump_names(e->text, "selecter", "[select");
    dump_names(e->text, "nil_receiver", "[chan receive (nil chan)");
    dump_names(e->text, "locker", "utex");
    dump_names(e->text, "group_waiter", "ait");
    ck_assert_int_eq(api_count_lines(e->text, "^goroutine [0-9]+ \\["), 7);
}
END_TEST

static int wait_alone(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan_recv(tuza_chan_new(0, 0), NULL);
    return 0;
}

static int leave_alone(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_goexit();
}

static int after_work(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    for (int i = 0; i < 1000; i++) {
        tuza_go(sender, c);
        tuza_recv(c, NULL);
    }
    tuza_recv(c, NULL);
    return 0;
}

static int after_sleep(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_sleep(TUZA_MS(30));
    return wait_alone(0, NULL);
}

static int after_call(int argc, char **argv)
{
    (void)argc, (void)argv;
    TUZA_BLOCKING(usleep(30 * 1000));
    return wait_alone(0, NULL);
}

static int (*program)(int, char **);
static int program_maxprocs;

static void child_program(void)
{
    tuza_config config = { .size = sizeof config,
                           .maxprocs = program_maxprocs };
    tuza_run_main(program, 0, NULL, &config);
}

static struct api_ended *run_program(int (*fn)(int, char **), int maxprocs)
{
    program = fn;
    program_maxprocs = maxprocs;
    return api_child(child_program, SECONDS);
}

START_TEST(a_deadlock_is_found_however_many_threads)
{
    int (*const programs[])(int, char **) = { wait_alone, leave_alone,
                                              after_work, after_sleep,
                                              after_call };
    const int threads[] = { 1, 2, 8 };
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++)
            api_ended_with(run_program(programs[i], threads[j]), 2,
                           (const char *[]){ DEADLOCK, NULL });
}
END_TEST

tuza_fn(sleep_and_send, tuza_chan(int), c)
{
    tuza_sleep(TUZA_MS(100));
    tuza_send(c, 1);
}

tuza_fn(call_and_send, tuza_chan(int), c)
{
    TUZA_BLOCKING(usleep(100 * 1000));
    tuza_send(c, 1);
}

static int wait_for_sleeper_and_call(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_go(sleep_and_send, c);
    tuza_recv(c, NULL);
    tuza_go(call_and_send, c);
    tuza_recv(c, NULL);
    return 4;
}

START_TEST(sleepers_and_calls_are_no_deadlock)
{
    api_ended_with(run_program(wait_for_sleeper_and_call, 1), 4,
                   (const char *[]){ NULL });
    api_ended_with(run_program(wait_for_sleeper_and_call, 2), 4,
                   (const char *[]){ NULL });
}
END_TEST

// Stack overflow. The frame size is a parameter: a frame of many pages must
// not jump over the guard.
// Calls go by a variable, so that no compiler can see where this leads.
static int depth_reached;
static int recurse_small(volatile int *up);
static int recurse_large(volatile int *up);
static int (*volatile call_small)(volatile int *) = recurse_small;
static int (*volatile call_large)(volatile int *) = recurse_large;

static int recurse_small(volatile int *up)
{
    volatile int here = *up + 1;
    depth_reached = here;
    return call_small(&here) + here;
}

static int recurse_large(volatile int *up)
{
    volatile char frame[3 * 4096];
    volatile int here = *up + 1;
    for (size_t i = 0; i < sizeof frame; i += 1024)
        frame[i] = (char)i;
    depth_reached = here;
    return call_large(&here) + frame[1024];
}

tuza_fn(overflow_small)
{
    volatile int zero = 0;
    recurse_small(&zero);
}

tuza_fn(overflow_large)
{
    volatile int zero = 0;
    recurse_large(&zero);
}

static int start_overflow_small(int argc, char **argv)
{
    (void)argv, (void)argc;
    SITE("overflow_small"), tuza_go(overflow_small);
    return wait_alone(0, NULL);
}

static int start_overflow_large(int argc, char **argv)
{
    (void)argv, (void)argc;
    SITE("overflow_large"), tuza_go(overflow_large);
    return wait_alone(0, NULL);
}

static int overflow_main(int argc, char **argv)
{
    (void)argv;
    volatile int zero = argc;
    // Not recurse_small: main's stack is the largest, and TSan keeps a stack of
    // its own, of 65536 calls.
    return recurse_large(&zero);
}

static void is_overflow_report(const struct api_ended *e)
{
    api_ended_with(e, 2, (const char *[]){ "stack overflow", NULL });
    ck_assert_msg(
        api_count_lines(e->text, "0x[0-9a-f]+.+0x[0-9a-f]+") > 0,
        "no bounds in:\n%s", e->text);
    ck_assert_msg(api_count_lines(e->text, "goroutine [0-9]+") > 0,
                  "no goroutine in:\n%s", e->text);
}

START_TEST(a_stack_overflow_names_goroutine_site_and_bounds)
{
    int (*const programs[])(int, char **) = { start_overflow_small,
                                              start_overflow_large };
    for (int i = 0; i < 4; i++) {
        const struct api_ended *e = run_program(programs[i / 2], 1 + i % 2);
        char site[300];
        const char *at = strstr(e->text, "site ");
        is_overflow_report(e);
        ck_assert_int_eq(sscanf(at, "site %*s %299s", site), 1);
        ck_assert_msg(strstr(at + 5 + strlen(site), site),
                      "no spawn site in:\n%s", e->text);
        ck_assert_msg(strstr(e->text, "goroutine 2"), "not goroutine 2:\n%s",
                      e->text);
    }
}
END_TEST

START_TEST(a_stack_overflow_of_main_is_reported)
{
    const struct api_ended *e = run_program(overflow_main, 2);
    is_overflow_report(e);
    ck_assert_msg(strstr(e->text, "goroutine 1"), "not goroutine 1:\n%s",
                  e->text);
}
END_TEST

static int write_to_null(int argc, char **argv)
{
    (void)argv;
    *(volatile int *)(uintptr_t)(argc + 16) = 1;
    return 0;
}

// A wild pointer is not called an overflow, and ends as such things end.
START_TEST(another_fault_is_no_stack_overflow)
{
    const struct api_ended *e = run_program(write_to_null, 1);
    ck_assert_ptr_null(strstr(e->text, "stack overflow"));
    ck_assert_int_ne(e->status, 0);
    ck_assert_int_ne(e->status, 2);
}
END_TEST

static int close_twice(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_close(c);
    tuza_close(c);
    return 0;
}
static int close_nil(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan_close(NULL);
    return 0;
}
static int send_on_closed(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_close(c);
    tuza_send(c, 1);
    return 0;
}
static int unlock_unlocked(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_mutex_unlock(&mutex);
    return 0;
}
static int below_zero(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_done(&group);
    return 0;
}

START_TEST(misuse_is_fatal_and_named)
{
    static const struct {
        int (*fn)(int, char **);
        const char *says;
    } cases[] = { { close_twice, "close of closed channel" },
                  { close_nil, "close of NULL channel" },
                  { send_on_closed, "send on closed channel" },
                  { unlock_unlocked, "unlock of an unlocked mutex" },
                  { below_zero, "negative" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        api_ended_with(run_program(cases[i].fn, 2), 2,
                       (const char *[]){ "tuza: fatal", cases[i].says,
                                         "goroutine 1", NULL });
}
END_TEST

static void child_without_runtime(void)
{
    tuza_yield();
}

START_TEST(a_call_outside_of_a_goroutine_is_fatal)
{
    const struct api_ended *e = api_child(child_without_runtime, SECONDS);
    api_ended_with(e, 2, (const char *[]){ "tuza: fatal", "tuza_yield", NULL });
}
END_TEST

static int labelled(int argc, char **argv)
{
    tuza_set_label("waits on purpose");
    return wait_alone(argc, argv);
}

START_TEST(a_label_is_shown_in_dumps)
{
    api_ended_with(run_program(labelled, 2), 2,
                   (const char *[]){ DEADLOCK, "waits on purpose", NULL });
}
END_TEST

int main(void)
{
    return api_check(
        "report",
        (const TTest *const[]){
            a_deadlock_is_reported_with_every_goroutine,
            a_deadlock_is_found_however_many_threads,
            sleepers_and_calls_are_no_deadlock,
            a_stack_overflow_names_goroutine_site_and_bounds,
            a_stack_overflow_of_main_is_reported,
            another_fault_is_no_stack_overflow,
            misuse_is_fatal_and_named,
            a_call_outside_of_a_goroutine_is_fatal,
            a_label_is_shown_in_dumps,
            NULL });
}
