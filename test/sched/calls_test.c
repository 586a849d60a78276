// SPDX-License-Identifier: BSD-3-Clause
// test/sched/calls_test.c: what the scheduler promises of declared calls, of
// stops and of the end, rule by rule: docs/rules.tsv, group calls.

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"
#include "tuza/errno.h"

static tuza_waitgroup group;
static uint32_t stop; // atomic
static int fd[2];

static int in_calls(void)
{
    int n = 0;
    for (size_t i = 0; i < tz_allg_count(); i++)
        n += tz_load_acq(&tz_allg_get(i)->status) == TZ_G_SYSCALL;
    return n;
}

// --- by number

static void write_later(void *arg)
{
    (void)arg;
    need_eq(tuza_syscall(SYS_write, fd[1], "x", 1), 1);
}

IN_GOROUTINES(a_call_by_number_returns_what_the_kernel_does, 1)
{
    char c = 0;
    tuza_lock_thread(); // errno is the thread's
    errno = 77;
    need_eq(tuza_syscall(SYS_getppid), getppid());
    need_eq(tuza_syscall(SYS_close, -1), -EBADF);
    need_eq(tuza_syscall(SYS_ptrace, PTRACE_ATTACH, getpid(), 0, 0), -EPERM);
    need_eq(errno, 77); // no libc in between
    tuza_unlock_thread();
    long at = tuza_syscall(SYS_mmap, NULL, 4096, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // all six
    need(at > 0 && at % 4096 == 0 && *(volatile char *)at == 0);
    need_eq(tuza_syscall(SYS_munmap, at, 4096), 0);
    need_eq(pipe(fd), 0);
    need_eq(tuza_spawn(write_later, NULL), 0);
    need_eq(tuza_syscall(SYS_read, fd[0], &c, 1), 1); // others have the P
    need_eq(c, 'x');
}

// --- S3-12. What is left of the stack when a call is entered is what the
// frames of enter, the call and exit take, waits for locks included, and 0 to
// 512 bytes more. With less the end is told; nothing is written over.
// test/split/grow_test.c has the same where stacks grow.
enum { FRAMES = TZ_ASAN || TZ_TSAN || TZ_DEBUG ? 4096 : 1024, STEP = 16 };

static void make_call(void *arg)
{
    if (*(int *)arg)
        (void)TUZA_BLOCKING(getppid());
    else
        (void)TUZA_SYSCALL(getppid());
}

// Who comes back queues globally, where one P looks every 61st time.
static void collect_often(void *arg)
{
    (void)arg;
    for (int i = 0; !tz_load(&stop); i++) {
        if (i % 20 == 0)
            tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void call_near_the_end(void)
{
    struct tz_g *g = tz_getg();
    struct tz_stack before = g->stack;
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(collect_often, NULL);
    for (int round = 0; round < 5; round++)
        for (uintptr_t left = 0; left <= 512; left += STEP)
            for (int kind = 0; kind < 2; kind++) {
                uintptr_t sp = tz_align_up(before.lo + FRAMES + left, 16);
                tz_ctx_call_on(sp, make_call, &kind);
                need(g->stack.lo == before.lo && g->stack.hi == before.hi);
                need(!g->links && !g->seg);
            }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// The first that waits asked for the number of CPUs there, in 2 KiB.
static void wait_for_lock(void *lock)
{
    tz_crit_enter();
    tz_lock_acquire_slow(lock); // apart from the ranks that are held
    tz_crit_leave();
}

IN_GOROUTINES(the_first_wait_for_a_lock_needs_little_stack, 1)
{
    static struct tz_lock lock; // free: so that the wait ends
    tz_lock_init(&lock, TZ_RANK_SCHED);
    tz_ctx_call_on(tz_align_up(tz_getg()->stack.lo + FRAMES, 16),
                   wait_for_lock, &lock);
    need(lock.word != 0);
}

IN_GOROUTINES(s3_12_a_call_needs_little_stack_on_one_proc, 1)
{
    call_near_the_end();
}
IN_GOROUTINES(s3_12_a_call_needs_little_stack_on_two_procs, 2)
{
    call_near_the_end();
}

static uintptr_t too_little;

static int call_with_too_little(int argc, char **argv)
{
    (void)argc, (void)argv;
    int kind = too_little / STEP % 2;
    tz_ctx_call_on(tz_align_up(tz_getg()->stack.lo + too_little, 16), make_call,
                   &kind);
    return 0;
}

static void too_little_child(void)
{
    exit(tuza_run(call_with_too_little, 0, NULL, NULL));
}

// Between two goroutines the thread is neither's: then it is a pointer into the
// guard zone of this one.
static bool told_as_overflow(const struct api_ended *e)
{
    return e->status == 2 &&
           (strstr(e->text, "stack overflow in goroutine 1") ||
            (strstr(e->text, "guard zone") && strstr(e->text, "goroutine 1")));
}

START_TEST(s3_12_what_does_not_fit_is_told_as_overflow)
{
    int told = 0;
    for (too_little = 32; too_little <= 512; too_little += STEP) {
        const struct api_ended *e = api_child(too_little_child, 25);
        ck_assert_msg(e->status == 0 || told_as_overflow(e),
                      "%d bytes: status %d: %s", (int)too_little, e->status,
                      e->text);
        told += e->status == 2;
    }
    ck_assert_int_gt(told, 0);
}
END_TEST

// --- S3-13
static void enter_outside(void) { tuza_syscall_enter(); }
static void block_outside(void) { tuza_blocking_enter(); }
static void exit_outside(void) { tuza_syscall_exit(); }

START_TEST(s3_13_a_call_outside_of_a_goroutine_is_fatal)
{
    const char *const entered[] = { "TUZA_SYSCALL outside of a goroutine",
                                    NULL };
    api_ended_with(api_child(enter_outside, 25), 2, entered);
    api_ended_with(api_child(block_outside, 25), 2, entered);
    api_ended_with(api_child(exit_outside, 25), 2,
                   (const char *[]){ "without tuza_syscall_enter", NULL });
}
END_TEST

static void need_nothing_counted(void)
{
    const struct tz_tls *t = tz_tls_get();
    tuza_schedstats st = { .size = sizeof st };
    need_eq(tuza_schedstats_read(&st), 0);
    need_eq(st.handoffs, 0);
    need_eq(st.goroutines, 0);
    need_eq(tz_load(&tz_sched.mcount), 0);
    need_eq(tuza_errno(), 0);
    need(!t->g && !t->p && !t->m);
}

START_TEST(s3_13_calls_before_the_start_count_nothing)
{
    need_nothing_counted();
    if (TZ_TSAN || TZ_ASAN)
        return; // what follows shares memory with a child, unknown to them
    pid_t pid = vfork(); // so that what it counts is seen here
    if (pid == 0) {
        close(STDERR_FILENO);
        tuza_syscall_enter();
        _exit(0);
    }
    int status = 0;
    need_eq(waitpid(pid, &status, 0), pid);
    need(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    need_nothing_counted();
}
END_TEST

// --- S3-14
enum { READERS = 40 };

static void read_to_end(void *arg)
{
    (void)arg;
    char byte;
    need_eq(TUZA_BLOCKING(read(fd[0], &byte, 1)), 0);
    tuza_waitgroup_done(&group);
}

static void readers_enter(int n)
{
    need_eq(pipe(fd), 0);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(read_to_end, NULL), 0);
    while (in_calls() < n)
        tuza_yield();
}

static int arrived; // atomic
static tuza_waitgroup meeting;

static void meet(void *arg)
{
    (void)arg;
    tz_xadd(&arrived, 1);
    while (tz_load(&arrived) < 2)
        ;
    tuza_waitgroup_done(&meeting);
}

static void count_statuses(void *arg)
{
    int running = 0;
    (void)arg;
    need_eq(in_calls(), READERS);
    for (size_t i = 0; i < tz_allg_count(); i++)
        running += tz_load(&tz_allg_get(i)->status) == TZ_G_RUNNING;
    need(running >= 1 && running <= 2);
}

// While all of them are in calls there is room for as many as without them.
IN_GOROUTINES(s3_14_goroutines_in_calls_do_not_count_as_running, 2)
{
    readers_enter(READERS);
    for (int i = 0; i < 20; i++) {
        arrived = 0;
        tuza_waitgroup_add(&meeting, 2);
        tuza_spawn(meet, NULL);
        tz_world_call(count_statuses, NULL);
        meet(NULL);
        tuza_waitgroup_wait(&meeting);
    }
    close(fd[1]);
    tuza_waitgroup_wait(&group);
    need_eq(in_calls(), 0);
}

// --- S3-16. A thousand threads in calls: none is waited for, none signalled.
static uint64_t signals_to_callers(void)
{
    uint64_t n = 0;
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink) {
        struct tz_g *g = tz_load(&m->curg);
        if (g && tz_load(&g->status) == TZ_G_SYSCALL)
            n += tz_load(&m->stop_sent);
    }
    return n;
}

static int callers;

static void all_are_in_calls(void *arg)
{
    (void)arg;
    need_eq(in_calls(), callers);
}

IN_GOROUTINES(s3_16_a_stop_leaves_a_thousand_in_calls_alone, 2)
{
    callers = scaled(1000);
    readers_enter(callers);
    uint64_t before = signals_to_callers();
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        tz_world_call(all_are_in_calls, NULL);
    }
    need_eq(signals_to_callers(), before);
    close(fd[1]);
    tuza_waitgroup_wait(&group);
}

// --- S3-19. Calls go in and out while a thread outside has the only lock that
// they could want. It gives that back if they do not.
enum { ENOUGH = 20 };
static uint32_t holds, passed; // atomic; since it holds the lock

static void *hold_lock(void *arg)
{
    (void)arg;
    while (!tz_load(&stop)) {
        tz_lock_acquire(&tz_sched.lock);
        tz_store(&passed, 0);
        tz_store(&holds, 1);
        int64_t end = tuza_now() + TUZA_MS(20);
        while (tz_load(&passed) < ENOUGH && tuza_now() < end)
            sched_yield();
        bool enough = tz_load(&passed) >= ENOUGH;
        tz_store(&holds, 0);
        tz_lock_release(&tz_sched.lock);
        if (enough)
            tz_store(&stop, 1);
    }
    return NULL;
}

static void need_no_trace_of_a_call(const struct tz_p *p)
{
    const struct tz_tls *t = tz_tls_get();
    need_eq(tz_load(&t->g->status), TZ_G_RUNNING);
    need(t->p && t->m->p == t->p && t->cache == t->p->cache);
    need(t->p->m == t->m && !t->m->oldp && t->g->m == t->m);
    need_eq(tz_load(&t->p->status), TZ_P_RUNNING);
    need(!p || p == t->p);
}

IN_GOROUTINES(s3_19_the_usual_call_takes_no_lock_and_leaves_no_trace, 1)
{
    pthread_t thread;
    need_eq(pthread_create(&thread, NULL, hold_lock, NULL), 0);
    int64_t end = tuza_now() + TUZA_SEC(20);
    while (!tz_load(&stop) && tuza_now() < end) {
        uint64_t before = tz_load(&tz_sched.handoffs);
        const struct tz_p *p = tz_tls_get()->p;
        (void)TUZA_SYSCALL(getppid());
        bool kept = tz_load(&tz_sched.handoffs) == before;
        need_no_trace_of_a_call(kept ? p : NULL);
        if (tz_load(&holds))
            tz_xadd(&passed, 1);
    }
    bool some = tz_load(&stop);
    tz_store(&stop, 1);
    TUZA_BLOCKING(pthread_join(thread, NULL));
    need(some);
}

// --- S3-21. A hundred come back while the world is stopped: none runs before
// it starts, all run afterwards.
static int woke; // atomic

static void read_and_count(void *arg)
{
    (void)arg;
    char byte;
    need_eq(TUZA_BLOCKING(read(fd[0], &byte, 1)), 0);
    tz_xadd(&woke, 1);
    tuza_waitgroup_done(&group);
}

static void spin(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop))
        ;
    tuza_waitgroup_done(&group);
}

// That all have come out of the kernel: each is in the global queue, or its
// thread looks for a P.
static void return_in_the_stop(void *arg)
{
    (void)arg;
    close(fd[1]);
    while (in_calls() > 0)
        sched_yield();
    need_eq(tz_load(&woke), 0);
    for (int i = 0; i < 1000; i++)
        sched_yield();
    need_eq(tz_load(&woke), 0);
    for (uint32_t i = 0; i < tz_nallp(); i++)
        need_eq(tz_load(&tz_sched.allp[i]->status), TZ_P_STOPPED);
}

static void return_in_a_stop(void)
{
    need_eq(pipe(fd), 0);
    tuza_waitgroup_add(&group, 101);
    for (int i = 0; i < 100; i++)
        need_eq(tuza_spawn(read_and_count, NULL), 0);
    tz_store_rlx(&tz_sched.most_takers, 4); // ThreadSanitizer's builds let none
    while (in_calls() < 100)
        tuza_yield();
    tuza_spawn(spin, NULL);
    tuza_yield();
    tz_world_call(return_in_the_stop, NULL);
    while (tz_load(&woke) < 100)
        tuza_yield();
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(s3_21_nobody_returns_into_a_stopped_world_on_one_proc, 1)
{
    return_in_a_stop();
}
IN_GOROUTINES(s3_21_nobody_returns_into_a_stopped_world_on_two_procs, 2)
{
    return_in_a_stop();
}

// --- S3-22
static struct tz_lock gate = TZ_LOCK_INIT(TZ_RANK_SEMA);

DEATH(s3_22_yielding_with_a_lock_held_is_fatal,
      "goroutine 1 yields with a lock held")
{
    tz_lock_acquire(&gate);
    tuza_yield();
}

static bool stays_locked(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return true;
}

static int park_with_lock(int argc, char **argv)
{
    (void)argc, (void)argv;
    tz_lock_acquire(&gate);
    tz_park(stays_locked, NULL, TZ_WAIT_NONE);
    return 0;
}

static void park_with_lock_child(void)
{
    exit(tuza_run(park_with_lock, 0, NULL, NULL));
}

// Some locks are released on the other side of the switch: what is left then is
// known to debug builds.
START_TEST(s3_22_parking_with_a_lock_held_is_the_end_in_debug_builds)
{
    if (TZ_DEBUG)
        api_ended_with(
            api_child(park_with_lock_child, 25), -SIGABRT,
            (const char *[]){ "goroutine 1 has parked with a lock held",
                              NULL });
}
END_TEST

static void yield_here(void *arg)
{
    (void)arg;
    tuza_yield();
}

DEATH(s3_22_yielding_on_the_system_stack_is_fatal,
      "goroutine 1 parks, yields or ends inside of tuza_on_system_stack")
{
    tuza_on_system_stack(yield_here, NULL);
}

// --- S3-34. Nobody can wake main but a thread that others have made.
static int forever; // atomic

static void *live_for_a_while(void *arg)
{
    while (!tz_load(&tz_sched.maybe_dead))
        sched_yield();
    int64_t end = tuza_now() + TUZA_MS(100); // ten times what a report takes
    while (tuza_now() < end)
        sched_yield();
    printf("still there\n");
    fflush(stdout);
    if (arg) {
        need_eq(tuza_attach(), 0);
        need_eq(tuza_chan_send(arg, &forever), 0);
        need_eq(tuza_detach(), 0);
    }
    return NULL;
}

static int wait_for_thread(int argc, char **argv)
{
    (void)argv;
    pthread_t thread;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    need_eq(pthread_create(&thread, NULL, live_for_a_while,
                           argc ? (void *)c : NULL),
            0);
    tuza_recv(c, NULL);
    return 0;
}

static void rescued(void)
{
    exit(tuza_run(wait_for_thread, 1, NULL, NULL));
}
static void not_rescued(void)
{
    exit(tuza_run(wait_for_thread, 0, NULL, NULL));
}

START_TEST(s3_34_a_thread_of_others_prevents_the_report)
{
    if (TZ_TSAN)
        return; // it has a thread of its own, so they are not counted
    api_ended_with(api_child(rescued, 25), 0,
                   (const char *[]){ "still there", NULL });
    // Its end is looked at; nobody is left then.
    api_ended_with(api_child(not_rescued, 25), 2,
                   (const char *[]){ "still there",
                                     "all goroutines are asleep - deadlock!",
                                     NULL });
}
END_TEST

int main(void)
{
    return api_check(
        "sched/calls",
        (const TTest *const[]){
            a_call_by_number_returns_what_the_kernel_does,
            the_first_wait_for_a_lock_needs_little_stack,
            s3_12_a_call_needs_little_stack_on_one_proc,
            s3_12_a_call_needs_little_stack_on_two_procs,
            s3_12_what_does_not_fit_is_told_as_overflow,
            s3_13_a_call_outside_of_a_goroutine_is_fatal,
            s3_13_calls_before_the_start_count_nothing,
            s3_14_goroutines_in_calls_do_not_count_as_running,
            s3_16_a_stop_leaves_a_thousand_in_calls_alone,
            s3_19_the_usual_call_takes_no_lock_and_leaves_no_trace,
            s3_21_nobody_returns_into_a_stopped_world_on_one_proc,
            s3_21_nobody_returns_into_a_stopped_world_on_two_procs,
            s3_22_yielding_with_a_lock_held_is_fatal,
            s3_22_yielding_on_the_system_stack_is_fatal,
            s3_22_parking_with_a_lock_held_is_the_end_in_debug_builds,
            s3_34_a_thread_of_others_prevents_the_report, NULL });
}
