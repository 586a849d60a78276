// SPDX-License-Identifier: BSD-3-Clause
// test/sched/mask_test.c: signal masks, forks, and stops that last for ever.

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/api_check.h"

static int collect_beside_a_spinner_done;

static void spin(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&collect_beside_a_spinner_done, __ATOMIC_RELAXED))
        ;
}

// Needs the stop signal: the spinner makes no call.
static int collect_beside_a_spinner(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_spawn(spin, NULL);
    tuza_yield();
    tuza_gc();
    __atomic_store_n(&collect_beside_a_spinner_done, 1, __ATOMIC_RELAXED);
    return 0;
}

static void child_with_all_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGALRM); // ends the child when it hangs
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    tuza_config two = { .size = sizeof two, .maxprocs = 2 };
    tuza_run_main(collect_beside_a_spinner, 0, NULL, &two);
}

START_TEST(a_program_that_begins_with_all_signals_blocked_can_be_stopped)
{
    api_ended_with(api_child(child_with_all_blocked, 20), 0,
                   (const char *[]){ NULL });
}
END_TEST

static int signal_myself(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 100; i++) {
        kill(getpid(), SIGTERM); // blocked by the program in every thread
        TUZA_BLOCKING(usleep(100));
    }
    return 0;
}

static void child_with_term_blocked(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, NULL);
    exit(tuza_run(signal_myself, 0, NULL, NULL));
}

START_TEST(what_the_program_has_blocked_stays_blocked_in_all_threads)
{
    api_ended_with(api_child(child_with_term_blocked, 20), 0,
                   (const char *[]){ NULL });
}
END_TEST

static int fork_and_collect(int argc, char **argv)
{
    (void)argc, (void)argv;
    pid_t pid = fork();
    if (pid == 0) {
        tuza_gc();
        _exit(0);
    }
    int status;
    TUZA_BLOCKING(waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void child_that_forks(void)
{
    exit(tuza_run(fork_and_collect, 0, NULL, NULL));
}

START_TEST(a_collection_after_fork_says_so_and_does_not_hang)
{
    api_ended_with(api_child(child_that_forks, 20), 2,
                   (const char *[]){ "child of a fork", NULL });
}
END_TEST

static void print_for_ever(void *arg)
{
    FILE *f = arg;
    for (;;)
        fprintf(f, "%d\n", 1);
}

static FILE *null;

static int leave_them_printing(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 3; i++)
        tuza_spawn(print_for_ever, null);
    for (int i = 0; i < 10; i++)
        tuza_sleep(TUZA_MS(1));
    return 7;
}

// The stream's lock must be free when tuza_run has returned.
static void child_that_prints_afterwards(void)
{
    null = fopen("/dev/null", "w");
    tuza_config c = { .size = sizeof c, .maxprocs = 4 };
    int r = tuza_run(leave_them_printing, 0, NULL, &c);
    fprintf(null, "%d\n", r);
    exit(r);
}

START_TEST(goroutines_that_main_leaves_behind_hold_no_lock_of_libc)
{
    for (int i = 0; i < 10; i++)
        api_ended_with(api_child(child_that_prints_afterwards, 20), 7,
                       (const char *[]){ NULL });
}
END_TEST

static int nest(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_syscall_enter();
    tuza_syscall_enter();
    return 0;
}

static void child_that_nests(void) { exit(tuza_run(nest, 0, NULL, NULL)); }

START_TEST(a_declared_call_inside_another_is_told)
{
    api_ended_with(api_child(child_that_nests, 20), 2,
                   (const char *[]){ "declared call", NULL });
}
END_TEST

// One P: a loop of operations that never have to park leaves it all the same.
static int woken;

static void sleep_once(void *arg)
{
    (void)arg;
    tuza_sleep(TUZA_MS(1));
    __atomic_store_n(&woken, 1, __ATOMIC_RELAXED);
}

static bool asleep_for_long(int64_t since)
{
    return !__atomic_load_n(&woken, __ATOMIC_RELAXED) &&
           tuza_now() - since < TUZA_SEC(10);
}

static int call_until_woken(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_spawn(sleep_once, NULL);
    for (int64_t t = tuza_now(); asleep_for_long(t);)
        TUZA_SYSCALL(getppid());
    return !woken;
}

static int send_until_woken(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_spawn(sleep_once, NULL);
    tuza_yield();
    for (int64_t t = tuza_now(); asleep_for_long(t);) {
        tuza_send(c, 1);
        tuza_recv(c, NULL);
    }
    return !woken;
}

START_TEST(a_loop_of_short_calls_lets_others_run)
{
    api_run(call_until_woken, 1);
}
END_TEST

START_TEST(a_loop_on_a_buffered_channel_lets_others_run)
{
    api_run(send_until_woken, 1);
}
END_TEST

int main(void)
{
    return api_check("mask", (const TTest *const[]){
        a_program_that_begins_with_all_signals_blocked_can_be_stopped,
        what_the_program_has_blocked_stays_blocked_in_all_threads,
        a_collection_after_fork_says_so_and_does_not_hang,
        goroutines_that_main_leaves_behind_hold_no_lock_of_libc,
        a_declared_call_inside_another_is_told,
        a_loop_of_short_calls_lets_others_run,
        a_loop_on_a_buffered_channel_lets_others_run, NULL });
}
