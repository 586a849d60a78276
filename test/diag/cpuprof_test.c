// SPDX-License-Identifier: BSD-3-Clause
// test/diag/cpuprof_test.c: the CPU profile: who is in it, with what weight, and
// that what is written can be read.

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "diag/profile_read.h"
#include "sched/proc.h"
#include "stack/unwind.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline))
#define NOTAIL __asm__ volatile("")

static int64_t thread_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * TZ_NSEC_PER_SEC + t.tv_nsec;
}

// Uses so much processor time of its thread, which it does not leave.
NOINLINE void burn_here(int ms);
void burn_here(int ms)
{
    int64_t until = thread_cpu() + ms * TZ_NSEC_PER_MSEC;
    while (thread_cpu() < until)
        for (int i = 0; i < 1000; i++)
            NOTAIL;
}
NOINLINE void burn_via(int ms);
void burn_via(int ms)
{
    burn_here(ms);
    NOTAIL;
}

static int out(void)
{
    int fd = memfd_create("profile", 0);
    need(fd >= 0);
    return fd;
}

static int started(int hz)
{
    int fd = out();
    need_eq(tuza_cpuprofile_start(fd, hz), 0);
    return fd;
}

static void stopped(int fd)
{
    need_eq(tuza_cpuprofile_stop(), 0);
    pr_read(fd);
    close(fd);
}

// --- S3-20

enum { THREADS = 8, BURN_MS = 200 };
static int pipe_fd[THREADS][2];
static tuza_waitgroup done;
static char label[THREADS][8];

tuza_fn(sleeper, int, i)
{
    char b;
    snprintf(label[i], sizeof label[i], "s%d", i);
    tuza_set_label(label[i]);
    if (i % 2) {
        need_eq(TUZA_SYSCALL(read(pipe_fd[i][0], &b, 1)), 1);
    } else {
        struct pollfd p = { .fd = pipe_fd[i][0], .events = POLLIN };
        need_eq(TUZA_SYSCALL(poll(&p, 1, -1)), 1);
    }
    burn_via(BURN_MS);
    tuza_waitgroup_done(&done);
}

static int in_calls(void)
{
    int n = 0;
    for (size_t i = 0; i < tz_allg_count(); i++)
        n += tz_load_rlx(&tz_allg_get(i)->status) == TZ_G_SYSCALL;
    return n;
}

IN_GOROUTINES(s3_20_threads_that_slept_in_calls_at_the_start_have_samples, 8)
{
    tuza_waitgroup_add(&done, THREADS);
    for (int i = 0; i < THREADS; i++) {
        need_eq(pipe(pipe_fd[i]), 0);
        tuza_go(sleeper, i);
    }
    while (in_calls() < THREADS)
        tuza_yield();
    int fd = started(100);
    for (int i = 0; i < THREADS; i++)
        need_eq(write(pipe_fd[i][1], "x", 1), 1);
    tuza_waitgroup_wait(&done);
    stopped(fd);
    for (int i = 0; i < THREADS; i++) {
        // 20 each; a tick of the kernel may be as long as 10 ms.
        uint64_t n = pr_count(label[i], NULL);
        ck_assert_msg(n >= 10 && n <= 30, "%s has %d", label[i], (int)n);
    }
}

// --- weight, names, later threads

tuza_fn(burner, const char *, name)
{
    tuza_set_label(name);
    burn_via(300);
    tuza_waitgroup_done(&done);
}

IN_GOROUTINES(threads_that_begin_later_have_theirs_and_time_is_right, 4)
{
    int fd = started(200);
    tuza_waitgroup_add(&done, 3);
    tuza_go(burner, "one");
    tuza_go(burner, "two");
    tuza_go(burner, "three");
    tuza_waitgroup_wait(&done);
    stopped(fd);
    need_eq(pr.period, 5 * TZ_NSEC_PER_MSEC);
    need_eq(pr.comments, 0);
    static const char *const name[] = { "one", "two", "three" };
    for (int i = 0; i < 3; i++) {
        uint64_t n = pr_count(name[i], NULL);
        ck_assert_msg(n >= 45 && n <= 75, "%s: %d of 60", name[i], (int)n);
    }
    if (tz_unwind_cpu.tables) {
        uint64_t all = pr_count("one", NULL);
        need(pr_count("one", "burn_via") * 10 >= all * 9);
        need(pr_count("one", "burn_here") * 10 >= all * 9);
        need(pr_count("one", "goroutine_main") * 10 >= all * 9);
    }
    need_eq(pr_count("none of these", NULL), 0);
}

// More often than the kernel's ticks: few signals, each for several periods.
IN_GOROUTINES(a_high_rate_does_not_lose_time, 1)
{
    int fd = started(1000);
    burn_here(300);
    stopped(fd);
    uint64_t n = pr_count(NULL, NULL);
    ck_assert_msg(n >= 225 && n <= 375, "%d of 300", (int)n);
}

IN_GOROUTINES(one_that_sleeps_uses_no_time, 1)
{
    int fd = started(1000);
    for (int i = 0; i < 20; i++)
        tuza_sleep(TUZA_MS(10));
    stopped(fd);
    ck_assert_uint_lt(pr_count(NULL, NULL), 100); // of 200 ms
}

// --- collections, switches, deep stacks: wherever the signal comes

struct node {
    struct node *left, *right;
};
static struct node *tree(int depth)
{
    struct node *n = tuza_alloc(sizeof *n);
    if (depth) {
        n->left = tree(depth - 1);
        n->right = tree(depth - 1);
    }
    return n;
}
tuza_fn(grower)
{
    for (int i = 0; i < 4; i++)
        tree(12);
    tuza_waitgroup_done(&done);
}
tuza_fn(ponger, tuza_chan(int), in, tuza_chan(int), back)
{
    int v;
    while (tuza_recv(in, &v))
        tuza_send(back, v);
}
static void below(void *arg)
{
    (void)arg;
    burn_here(20);
}

IN_GOROUTINES(a_signal_anywhere_in_the_runtime_harms_nobody, 4)
{
    int fd = started(1000);
    tuza_chan(int) to = tuza_chan_make(int, 0), back = tuza_chan_make(int, 0);
    tuza_go(ponger, to, back);
    for (int round = 0; round < scaled(10); round++) {
        tuza_waitgroup_add(&done, 4);
        for (int i = 0; i < 4; i++)
            tuza_go(grower);
        for (int i = 0, v; i < scaled(4000); i++) {
            tuza_send(to, i);
            tuza_recv(back, &v);
            need_eq(v, i);
        }
        tuza_on_system_stack(below, NULL);
        tuza_call_big(below, NULL, 1 << 20);
        tuza_gc();
        tuza_waitgroup_wait(&done);
    }
    stopped(fd);
    need(pr_count(NULL, NULL) > 20);
    tuza_close(to);
}

// --- starting and stopping

IN_GOROUTINES(what_cannot_be_is_refused_and_profiles_follow_each_other, 2)
{
    int fd = out();
    need_eq(tuza_cpuprofile_stop(), -EINVAL);
    need_eq(tuza_cpuprofile_start(fd, -1), -EINVAL);
    need_eq(tuza_cpuprofile_start(fd, 1001), -EINVAL);
    need_eq(tuza_cpuprofile_start(-1, 0), -EBADF);
    need_eq(tuza_cpuprofile_start(fd, 0), 0);
    need_eq(tuza_cpuprofile_start(fd, 0), -EBUSY);
    burn_here(100);
    stopped(fd);
    need_eq(pr.period, 10 * TZ_NSEC_PER_MSEC);
    need(pr_count(NULL, NULL) >= 5);
    burn_here(100); // in none
    for (int i = 0; i < 20; i++) {
        fd = started(100);
        stopped(fd);
        need(pr_count(NULL, NULL) <= 3);
    }
    fd = open("/dev/full", O_WRONLY);
    need_eq(tuza_cpuprofile_start(fd, 0), 0);
    need_eq(tuza_cpuprofile_stop(), -ENOSPC);
    close(fd);
    need_eq(tuza_cpuprofile_stop(), -EINVAL);
}

START_TEST(not_before_the_runtime_runs)
{
    ck_assert_int_eq(tuza_cpuprofile_start(1, 0), -EINVAL);
    ck_assert_int_eq(tuza_cpuprofile_stop(), -EINVAL);
}
END_TEST

// --- threads that the runtime does not know

static int handled; // atomic
static void own_handler(int sig)
{
    (void)sig;
    __atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
}

static void *burn_there(void *arg)
{
    for (int i = 0; i < 50; i++) {
        raise(SIGPROF);
        burn_here(1);
    }
    return arg;
}

static void on_a_plain_thread(int want)
{
    pthread_t t;
    int fd = started(100);
    uint32_t threads = tz_load(&tz_sched.mcount);
    need_eq(pthread_create(&t, NULL, burn_there, NULL), 0);
    need_eq(TUZA_SYSCALL(pthread_join(t, NULL)), 0);
    burn_here(100);
    stopped(fd);
    need(tz_load(&tz_sched.mcount) <= threads + 1); // for others' sake
    need_eq(pr_count(NULL, "burn_there"), 0);
    need_eq(__atomic_load_n(&handled, __ATOMIC_SEQ_CST), want);
    raise(SIGPROF); // and after: dropped, or the program's
    need_eq(__atomic_load_n(&handled, __ATOMIC_SEQ_CST), want ? want + 1 : 0);
}

IN_GOROUTINES(a_sigprof_on_a_plain_thread_is_dropped, 2)
{
    on_a_plain_thread(0);
}

IN_GOROUTINES(a_handler_of_the_programs_gets_what_is_not_ours, 2)
{
    signal(SIGPROF, own_handler);
    on_a_plain_thread(50);
}

int main(void)
{
    const TTest *const tests[] = {
        s3_20_threads_that_slept_in_calls_at_the_start_have_samples,
        threads_that_begin_later_have_theirs_and_time_is_right,
        a_high_rate_does_not_lose_time,
        one_that_sleeps_uses_no_time,
        a_signal_anywhere_in_the_runtime_harms_nobody,
        what_cannot_be_is_refused_and_profiles_follow_each_other,
        not_before_the_runtime_runs,
        a_sigprof_on_a_plain_thread_is_dropped,
        a_handler_of_the_programs_gets_what_is_not_ours,
        NULL,
    };
    return api_check("cpuprof", tests);
}
