// SPDX-License-Identifier: BSD-3-Clause
// test/api/run_test.c: starting and ending the runtime.

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/api_check.h"

static int given_argc;
static char **given_argv;

static int note_arguments(int argc, char **argv)
{
    given_argc = argc;
    given_argv = argv;
    return 42;
}

START_TEST(run_returns_the_value_of_main)
{
    char *argv[] = { "name", "argument", NULL };
    ck_assert_int_eq(tuza_run(note_arguments, 2, argv, NULL), 42);
    ck_assert_int_eq(given_argc, 2);
    ck_assert_ptr_eq(given_argv, argv);
}
END_TEST

START_TEST(a_second_run_is_refused)
{
    ck_assert_int_eq(tuza_run(note_arguments, 1, NULL, NULL), 42);
    given_argc = 0;
    ck_assert_int_eq(tuza_run(note_arguments, 2, NULL, NULL), -EALREADY);
    ck_assert_int_eq(given_argc, 0);
}
END_TEST

static int run_in_run(int argc, char **argv)
{
    return tuza_run(note_arguments, argc, argv, NULL) == -EALREADY ? 0 : 1;
}

START_TEST(a_run_inside_of_a_run_is_refused)
{
    api_run(run_in_run, 0);
}
END_TEST

static uint64_t stopped_count;

tuza_fn(count_for_ever)
{
    for (;;) {
        __atomic_fetch_add(&stopped_count, 1, __ATOMIC_RELAXED);
        tuza_yield();
    }
}

static int leave_some_running(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(tuza_go(count_for_ever), 0);
    while (__atomic_load_n(&stopped_count, __ATOMIC_RELAXED) < 1000)
        tuza_yield();
    return 0;
}

START_TEST(goroutines_left_behind_stay_stopped)
{
    api_run(leave_some_running, 2);
    uint64_t then = __atomic_load_n(&stopped_count, __ATOMIC_RELAXED);
    usleep(50 * 1000); // they would count by thousands
    uint64_t now = __atomic_load_n(&stopped_count, __ATOMIC_RELAXED);
    ck_assert_uint_eq(then, now);
}
END_TEST

static uint64_t maxprocs(void)
{
    tuza_schedstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_schedstats_read(&st), 0);
    return st.maxprocs;
}

static int maxprocs_are(int argc, char **argv)
{
    (void)argv;
    return maxprocs() == (uint64_t)argc ? 0 : 1;
}

START_TEST(config_sets_maxprocs)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 3 };
    unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(tuza_run(maxprocs_are, 3, NULL, &config), 0);
}
END_TEST

START_TEST(environment_wins_over_config)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 3 };
    setenv("TUZAMAXPROCS", "5", 1);
    ck_assert_int_eq(tuza_run(maxprocs_are, 5, NULL, &config), 0);
}
END_TEST

START_TEST(maxprocs_default_to_the_affinity_mask)
{
    unsetenv("TUZAMAXPROCS");
    int ncpu = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        ncpu = CPU_COUNT(&set);
    ck_assert_int_eq(tuza_run(maxprocs_are, ncpu, NULL, NULL), 0);
}
END_TEST

START_TEST(a_wrong_variable_is_told_and_ignored)
{
    setenv("TUZAMAXPROCS", "many", 1);
    tuza_config config = { .size = sizeof config, .maxprocs = 3 };
    ck_assert_int_eq(tuza_run(maxprocs_are, 3, NULL, &config), 0);
}
END_TEST

// A program that was built when the struct ended after maxprocs.
START_TEST(a_shorter_config_of_the_past_is_understood)
{
    struct {
        size_t size;
        int maxprocs;
        char junk[sizeof(tuza_config)];
    } old = { .size = offsetof(tuza_config, maxprocs) + sizeof(int),
              .maxprocs = 2 };
    memset(old.junk, 0x5a, sizeof old.junk);
    unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(
        tuza_run(maxprocs_are, 2, NULL, (const tuza_config *)(void *)&old), 0);
}
END_TEST

START_TEST(impossible_settings_are_refused)
{
    tuza_config config = { .size = sizeof config, .maxprocs = -1 };
    unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(tuza_run(note_arguments, 0, NULL, &config), -EINVAL);
    config = (tuza_config){ .size = 0, .maxprocs = 1 };
    ck_assert_int_eq(tuza_run(note_arguments, 0, NULL, &config), -EINVAL);
    config = (tuza_config){ .size = sizeof config, .gc_percent = -2 };
    ck_assert_int_eq(tuza_run(note_arguments, 0, NULL, &config), -EINVAL);
    ck_assert_ptr_null(given_argv);
}
END_TEST

static int return_argc(int argc, char **argv)
{
    (void)argv;
    printf("main has run\n");
    return argc;
}

static void run_main_with_7(void)
{
    tuza_run_main(return_argc, 7, NULL, NULL);
}

START_TEST(run_main_exits_with_the_value_of_main)
{
    api_ended_with(api_child(run_main_with_7, 20), 7,
                   (const char *[]){ "main has run\n", NULL });
}
END_TEST

static int leave_some_running_and_return_3(int argc, char **argv)
{
    leave_some_running(argc, argv);
    return 3;
}

static void run_main_with_others(void)
{
    tuza_run_main(leave_some_running_and_return_3, 0, NULL, NULL);
}

START_TEST(s3_37_the_others_end_with_the_process)
{
    api_ended_with(api_child(run_main_with_others, 20), 3,
                   (const char *[]){ NULL });
}
END_TEST

static void run_main_that_ends_well(void)
{
    tuza_run_main(leave_some_running, 0, NULL, NULL);
    abort(); // does not return
}

START_TEST(s3_37_the_end_of_main_is_success)
{
    api_ended_with(api_child(run_main_that_ends_well, 20), 0,
                   (const char *[]){ NULL });
}
END_TEST

static void run_main_that_cannot(void)
{
    tuza_config config = { .size = sizeof config, .maxprocs = -1 };
    tuza_run_main(return_argc, 0, NULL, &config);
}

START_TEST(run_main_that_cannot_start_says_why)
{
    const struct api_ended *e = api_child(run_main_that_cannot, 20);
    api_ended_with(e, 2, (const char *[]){ "Invalid argument", NULL });
    ck_assert_ptr_null(strstr(e->text, "main has run"));
    ck_assert_int_eq(api_count_lines(e->text, ""), 1);
}
END_TEST

tuza_fn(exit_with_9)
{
    exit(9);
}

static int let_another_exit(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_go(exit_with_9);
    tuza_chan_recv(tuza_chan_new(0, 0), NULL);
    return 0;
}

static void run_exit_in_goroutine(void)
{
    tuza_run_main(let_another_exit, 0, NULL, NULL);
}

START_TEST(any_goroutine_may_exit_the_process)
{
    api_ended_with(api_child(run_exit_in_goroutine, 20), 9,
                   (const char *[]){ NULL });
}
END_TEST

START_TEST(version_is_text)
{
    int major, minor, patch;
    ck_assert_int_eq(
        sscanf(tuza_version(), "%d.%d.%d", &major, &minor, &patch), 3);
}
END_TEST

int main(void)
{
    return api_check("run", (const TTest *const[]){
                                run_returns_the_value_of_main,
                                a_second_run_is_refused,
                                a_run_inside_of_a_run_is_refused,
                                goroutines_left_behind_stay_stopped,
                                config_sets_maxprocs,
                                environment_wins_over_config,
                                maxprocs_default_to_the_affinity_mask,
                                a_wrong_variable_is_told_and_ignored,
                                a_shorter_config_of_the_past_is_understood,
                                impossible_settings_are_refused,
                                run_main_exits_with_the_value_of_main,
                                s3_37_the_others_end_with_the_process,
                                s3_37_the_end_of_main_is_success,
                                run_main_that_cannot_start_says_why,
                                any_goroutine_may_exit_the_process,
                                version_is_text,
                                NULL });
}
