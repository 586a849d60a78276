// SPDX-License-Identifier: BSD-3-Clause
// test/diag/goroutines_test.c: tuza_dump and SIGQUIT, and the form of what they
// write.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/clock.h"
#include "sched/proc.h"
#include "stack/unwind.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline))
#define NOTAIL __asm__ volatile("")

// What tuza_dump writes; the caller's until the next call.
static const char *dumped(void)
{
    static char text[512 * 1024];
    int fd = memfd_create("dump", 0);
    need(fd >= 0);
    need_eq(tuza_dump(fd), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    need(n > 0);
    text[n] = 0;
    close(fd);
    return text;
}

// How often `what` stands in the text.
static int count_of(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

tuza_fn(receiver, tuza_chan(int), c, const char *, label)
{
    tuza_set_label(label);
    tuza_recv(c, NULL);
}

static struct tz_g *g_of(uint64_t id)
{
    for (size_t i = 0; i < tz_allg_count(); i++)
        if (tz_allg_get(i)->id == id)
            return tz_allg_get(i);
    ck_abort_msg("no goroutine %d", (int)id);
    return NULL;
}

IN_GOROUTINES(a_dump_has_the_form_of_gos_and_the_program_goes_on, 1)
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_go(receiver, c, "a \"label]\n");
    until_waiting(1);
    const char *text = dumped();
    need(strstr(text, "\ngoroutine 1 [running]:\n"));
    need(strstr(text, "\ngoroutine 2 [chan receive, "
                      "labels:{\"goroutine\": \"a ?label??\"}]:\n"));
    need_eq(count_of(text, " in goroutine 1\n\t" __FILE__ ":"), 1);
    // Nothing but heads, pairs of frame and place, and creators.
    need_eq(api_count_lines(text, "^goroutine [0-9]+ \\[[^]]+\\]:$"), 2);
    need_eq(api_count_lines(text, "^[^\t].*\\(\\.\\.\\.\\)$") +
                api_count_lines(text, "^created by .+ in goroutine [0-9]+$"),
            api_count_lines(text, "^\t.+:[0-9]+ \\+0x[0-9a-f]+$") +
                api_count_lines(text, "^\t.+:[0-9]+$"));
    tuza_send(c, 1);
}

// Minutes of waiting are those since the park, from a clock that is read now
// and then.
IN_GOROUTINES(a_dump_tells_how_many_minutes_each_has_waited, 1)
{
    int64_t minute = 60 * TZ_NSEC_PER_SEC;
    while (!tz_load_rlx(&tz_sched.now_coarse))
        tuza_sleep(TUZA_MS(1));
    tuza_chan(int) c = tuza_chan_make(int, 0);
    int64_t before = tz_load_rlx(&tz_sched.now_coarse);
    tuza_go(receiver, c, NULL);
    tuza_go(receiver, c, NULL);
    until_waiting(2);
    struct tz_g *g = g_of(2);
    need(tz_load_rlx(&g->wait_since) >= before);
    need(tz_load_rlx(&g->wait_since) <= tz_clock_now());
    need_eq(count_of(dumped(), "[chan receive]:"), 2);
    tz_store_rlx(&g->wait_since, tz_clock_now() - 2 * minute - minute / 2);
    tz_store_rlx(&g_of(3)->wait_since, tz_clock_now() - minute / 2);
    need_eq(count_of(dumped(), "[chan receive, 2 minutes]:"), 1);
    need_eq(count_of(dumped(), " minutes]"), 1);
    // The next wait counts anew.
    tuza_send(c, 1);
    tuza_send(c, 1);
}

IN_GOROUTINES(the_coarse_clock_goes_on, 1)
{
    int64_t first = 0, now;
    while ((now = tz_load_rlx(&tz_sched.now_coarse)) == 0 || now == first ||
           first == 0) {
        first = first ? first : now;
        tuza_sleep(TUZA_MS(1));
    }
    need(now > first && now <= tz_clock_now());
}

// --- in declared calls

enum { CALLS = 50 };
static int pipe_fd[2];
static tuza_waitgroup done;

static NOINLINE void asks_the_kernel(void)
{
    char b;
    need_eq(TUZA_SYSCALL(read(pipe_fd[0], &b, 1)), 1);
    NOTAIL;
}
static NOINLINE void calls_it(void)
{
    asks_the_kernel();
    NOTAIL;
}
tuza_fn(caller)
{
    calls_it();
    tuza_waitgroup_done(&done);
}

static int in_calls(void)
{
    int n = 0;
    for (size_t i = 0; i < tz_allg_count(); i++)
        n += tz_load_rlx(&tz_allg_get(i)->status) == TZ_G_SYSCALL;
    return n;
}

IN_GOROUTINES(s3_40_a_dump_shows_who_made_each_of_50_declared_calls, 2)
{
    need_eq(pipe(pipe_fd), 0);
    tuza_waitgroup_add(&done, CALLS);
    for (int i = 0; i < CALLS; i++)
        tuza_go(caller);
    while (in_calls() < CALLS)
        tuza_yield();
    // One is counted a moment before its call of read has pushed an address.
    bool all = false;
    while (!all) {
        const char *text = dumped();
        need_eq(count_of(text, " [syscall]:\n"), CALLS);
        all = !tz_unwind_cpu.tables ||
              (count_of(text, ".asks_the_kernel(...)\n") == CALLS &&
               count_of(text, ".calls_it(...)\n") == CALLS);
    }
    for (int i = 0; i < CALLS; i++)
        need_eq(write(pipe_fd[1], "x", 1), 1);
    tuza_waitgroup_wait(&done);
}

// --- others, errors, signals

static volatile int spin; // atomic
tuza_fn(spinner)
{
    __atomic_store_n(&spin, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&spin, __ATOMIC_SEQ_CST) != 2)
        ;
    __atomic_store_n(&spin, 3, __ATOMIC_SEQ_CST);
}

IN_GOROUTINES(one_that_runs_on_another_thread_is_said_to_do_so, 2)
{
    tuza_go(spinner);
    while (__atomic_load_n(&spin, __ATOMIC_SEQ_CST) != 1)
        tuza_yield();
    need(strstr(dumped(), "\ngoroutine 2 [running]:\n\tgoroutine running on "
                          "other thread; stack unavailable\ncreated by "));
    __atomic_store_n(&spin, 2, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&spin, __ATOMIC_SEQ_CST) != 3)
        tuza_yield();
}

static void *dump_there(void *arg)
{
    *(int *)arg = count_of(dumped(), "\ngoroutine 1 [");
    return NULL;
}

IN_GOROUTINES(any_thread_may_ask_and_errors_are_told, 2)
{
    pthread_t t;
    int seen = 0;
    need_eq(pthread_create(&t, NULL, dump_there, &seen), 0);
    need_eq(TUZA_BLOCKING(pthread_join(t, NULL)), 0);
    need_eq(seen, 1);
    need_eq(tuza_dump(-1), -EBADF);
    int fd = open("/dev/full", O_WRONLY);
    need_eq(tuza_dump(fd), -ENOSPC);
    close(fd);
}

static void dump_now(int sig)
{
    (void)sig;
    int fd = open("/dev/null", O_WRONLY);
    tuza_dump(fd);
    close(fd);
}

tuza_fn(churn, int, rounds, tuza_waitgroup *, wg)
{
    for (int i = 0; i < rounds; i++)
        tuza_yield();
    tuza_waitgroup_done(wg);
}

static volatile int stop_asking;
static void *ask_often(void *process)
{
    (void)process;
    while (!__atomic_load_n(&stop_asking, __ATOMIC_SEQ_CST)) {
        kill(getpid(), SIGUSR1);
        usleep(500);
    }
    return NULL;
}

// In the middle of switches, of spawns, with locks held: wherever it comes.
IN_GOROUTINES(a_dump_in_a_signal_handler_harms_nobody, 2)
{
    struct sigaction sa = { .sa_handler = dump_now, .sa_flags = SA_ONSTACK };
    sigaction(SIGUSR1, &sa, NULL);
    pthread_t t;
    need_eq(pthread_create(&t, NULL, ask_often, NULL), 0);
    for (int round = 0; round < scaled(40); round++) {
        tuza_waitgroup wg = { 0 };
        tuza_waitgroup_add(&wg, 100);
        for (int i = 0; i < 100; i++)
            tuza_go(churn, 20, &wg);
        tuza_waitgroup_wait(&wg);
    }
    __atomic_store_n(&stop_asking, 1, __ATOMIC_SEQ_CST);
    TUZA_BLOCKING(pthread_join(t, NULL));
}

static NOINLINE void quits(void)
{
    raise(SIGQUIT);
    NOTAIL;
}

static int quit_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_go(receiver, c, NULL);
    until_waiting(1);
    quits();
    printf("went on\n");
    return 0;
}
static void quit_child(void)
{
    tuza_run_main(quit_main, 0, NULL, NULL);
}

START_TEST(sigquit_dumps_and_ends_with_status_2)
{
    const struct api_ended *e = api_child(quit_child, 20);
    api_ended_with(e, 2, (const char *[]){ "SIGQUIT: quit\nPC=0x",
                                           "\n\ngoroutine 1 [running]:\n",
                                           "\ngoroutine 2 [chan receive]:\n",
                                           NULL });
    ck_assert(!tz_unwind_cpu.tables || strstr(e->text, ".quits(...)\n"));
    ck_assert(!strstr(e->text, "went on"));
}
END_TEST

static void ignoring_child(void)
{
    signal(SIGQUIT, SIG_IGN);
    quit_child();
}

static void own_handler(int sig)
{
    (void)sig;
    if (write(STDOUT_FILENO, "own handler\n", 12) != 12)
        _exit(3);
}
static void handling_child(void)
{
    signal(SIGQUIT, own_handler);
    quit_child();
}

START_TEST(sigquit_stays_the_programs_when_it_was_before)
{
    const struct api_ended *e = api_child(ignoring_child, 20);
    api_ended_with(e, 0, (const char *[]){ "went on", NULL });
    ck_assert(!strstr(e->text, "goroutine"));
    e = api_child(handling_child, 20);
    api_ended_with(e, 0, (const char *[]){ "own handler\n", "went on", NULL });
    ck_assert(!strstr(e->text, "goroutine"));
}
END_TEST

static int idle_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_sleep(TUZA_SEC(60));
    return 0;
}
static void beside(void *(*fn)(void *))
{
    pthread_t t;
    ck_assert_int_eq(pthread_create(&t, NULL, fn, NULL), 0);
    pthread_detach(t);
}

// From a thread that does not take the signal itself.
static void *quit_when_idle(void *arg)
{
    (void)arg;
    sigset_t quit;
    sigemptyset(&quit);
    sigaddset(&quit, SIGQUIT);
    pthread_sigmask(SIG_BLOCK, &quit, NULL);
    while (waiting_now() == 0 || tz_load(&tz_sched.npidle) < tz_sched.nprocs)
        usleep(1000);
    kill(getpid(), SIGQUIT);
    return NULL;
}
static void idle_child(void)
{
    beside(quit_when_idle);
    tuza_run_main(idle_main, 0, NULL, NULL);
}

START_TEST(sigquit_finds_an_idle_program)
{
    api_ended_with(api_child(idle_child, 20), 2,
                   (const char *[]){ "SIGQUIT: quit\n",
                                     "\ngoroutine 1 [sleep]:\n", NULL });
}
END_TEST

// --- deadlock

static int wait_for_read(int argc, char **argv)
{
    (void)argv;
    tuza_waitgroup_add(&done, 1);
    if (argc)
        tuza_go(caller); // in read, which a plain thread ends
    tuza_waitgroup_wait(&done);
    return 0;
}
static void nobody_child(void)
{
    tuza_run_main(wait_for_read, 0, NULL, NULL);
}
static void *write_there(void *arg)
{
    (void)arg;
    while (!in_calls())
        usleep(1000);
    usleep(200 * 1000); // time for a wrong report, not to wait for anything
    need_eq(write(pipe_fd[1], "x", 1), 1);
    return NULL;
}
static void reader_child(void)
{
    ck_assert_int_eq(pipe(pipe_fd), 0);
    beside(write_there);
    tuza_run_main(wait_for_read, 1, NULL, NULL);
}

START_TEST(s3_34_a_deadlock_is_told_and_a_call_under_way_is_none)
{
    static const char text[] = "all goroutines are asleep - deadlock!";
    const struct api_ended *e = api_child(nobody_child, 20);
    api_ended_with(e, 2, (const char *[]){ text, "\ngoroutine 1 [wait group]:\n",
                                           NULL });
    e = api_child(reader_child, 20);
    api_ended_with(e, 0, (const char *[]){ NULL });
    ck_assert(!strstr(e->text, "deadlock"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_dump_has_the_form_of_gos_and_the_program_goes_on,
        a_dump_tells_how_many_minutes_each_has_waited,
        the_coarse_clock_goes_on,
        s3_40_a_dump_shows_who_made_each_of_50_declared_calls,
        one_that_runs_on_another_thread_is_said_to_do_so,
        any_thread_may_ask_and_errors_are_told,
        a_dump_in_a_signal_handler_harms_nobody,
        sigquit_dumps_and_ends_with_status_2,
        sigquit_stays_the_programs_when_it_was_before,
        sigquit_finds_an_idle_program,
        s3_34_a_deadlock_is_told_and_a_call_under_way_is_none,
        NULL,
    };
    return api_check("goroutines", tests);
}
