// SPDX-License-Identifier: BSD-3-Clause
// test/diag/schedtrace_test.c: TUZADEBUG=schedtrace, in Go's form.

#include <unistd.h>

#include "support/goroutines.h"

#define LINE                                                                   \
    "^SCHED [0-9]+ms: gomaxprocs=3 idleprocs=[0-3] threads=[0-9]+ "            \
    "spinningthreads=[0-9]+ needspinning=0 idlethreads=[0-9]+ "                \
    "runqueue=[0-9]+ \\[ [0-9]+ [0-9]+ [0-9]+ \\] "                            \
    "schedticks=\\[ [0-9]+ [0-9]+ [0-9]+ \\]$"

// Runs until at least `ms` have passed by the clock of the trace.
static int work_for(int argc, char **argv)
{
    (void)argv;
    int64_t until = tuza_now() + (int64_t)argc * TUZA_MS(1);
    while (tuza_now() < until)
        tuza_yield();
    return 0;
}

tuza_fn(waits_for, tuza_chan(int), c)
{
    tuza_recv(c, NULL);
}

static void spin_until(void *until)
{
    while (tuza_now() < *(int64_t *)until)
        ;
}

// Six are queued behind the one that runs, on the only P, which nobody takes from
// it: it is on the system stack.
static int queue_six(int argc, char **argv)
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    for (int i = 0; i < 6; i++)
        tuza_go(waits_for, c);
    int64_t until = tuza_now() + (int64_t)argc * TUZA_MS(1);
    tuza_on_system_stack(spin_until, &until);
    (void)argv;
    return 0;
}

static void child(const char *debug, int (*fn)(int, char **), int ms, int procs)
{
    tuza_config config = { .size = sizeof config, .maxprocs = procs };
    unsetenv("TUZAMAXPROCS");
    setenv("TUZADEBUG", debug, 1);
    tuza_run_main(fn, ms, NULL, &config);
}
static void every_20_ms(void) { child("schedtrace=20", work_for, 1000, 3); }
static void every_day(void) { child("schedtrace=86400000", work_for, 200, 3); }
static void off(void) { child("schedtrace=0", work_for, 200, 3); }
static void six(void) { child("schedtrace=20", queue_six, 500, 1); }

START_TEST(a_line_comes_every_so_many_milliseconds)
{
    const struct api_ended *e = api_child(every_20_ms, 30);
    api_ended_with(e, 0, (const char *[]){ NULL });
    int n = api_count_lines(e->text, LINE);
    ck_assert_int_eq(n, api_count_lines(e->text, ""));
    ck_assert_int_ge(n, 2); // 50 on a machine that has nothing else to do
    // Never sooner than a period after the one before, or the start.
    long last = 0;
    for (const char *at = e->text; (at = strstr(at, "SCHED ")); at++) {
        long ms = strtol(at + 6, NULL, 10);
        ck_assert_int_ge(ms, last + 19); // both are cut to whole ones
        last = ms;
    }
}
END_TEST

START_TEST(no_line_before_its_time_and_none_unasked)
{
    const struct api_ended *e = api_child(every_day, 30);
    api_ended_with(e, 0, (const char *[]){ NULL });
    ck_assert_str_eq(e->text, "");
    e = api_child(off, 30);
    api_ended_with(e, 0, (const char *[]){ NULL });
    ck_assert_str_eq(e->text, "");
}
END_TEST

START_TEST(the_queue_of_a_p_is_counted)
{
    const struct api_ended *e = api_child(six, 30);
    api_ended_with(e, 0, (const char *[]){ "gomaxprocs=1 idleprocs=0 ",
                                           " [ 6 ] schedticks=[ 1 ]", NULL });
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_line_comes_every_so_many_milliseconds,
        no_line_before_its_time_and_none_unasked,
        the_queue_of_a_p_is_counted,
        NULL,
    };
    return api_check("schedtrace", tests);
}
