// SPDX-License-Identifier: BSD-3-Clause
// test: whole timeout=300
// test/go/thread_test.c: Go's tests of goroutines that are tied to threads, of
// the number of threads and of the number of Ps, retold: src/runtime's
// proc_test.go with testdata/testprog/lockosthread.go, crash_test.go, and
// test/fixedbugs/bug370.go.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/san.h"
#include "support/goroutines.h"
#include "tuza/thread.h"

typedef tuza_chan(int) int_chan;

static uint32_t stop; // atomic
static tuza_waitgroup group;

static bool thread_exists(long tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", tid);
    return access(path, F_OK) == 0;
}

static void until_thread_ends(long tid)
{
    int64_t t = tuza_now();
    while (thread_exists(tid)) {
        need(tuza_now() - t < TUZA_SEC(20));
        need(api_thread() != tid); // nobody else runs on it
        tuza_sleep(TUZA_MS(1));
    }
}

// TestYieldLockedProgress

tuza_fn(ask_and_yield, int_chan, asked, int_chan, answered)
{
    tuza_lock_thread();
    long tid = api_thread();
    while (tuza_select(TUZA_RECV(asked, NULL), TUZA_DEFAULT) != 0)
        tuza_yield();
    need_eq(api_thread(), tid);
    tuza_unlock_thread();
    tuza_send(answered, 1);
}

static void yield_locked_progress(void)
{
    int_chan asked = tuza_chan_make(int, 0), answered = tuza_chan_make(int, 0);
    tuza_go(ask_and_yield, asked, answered);
    tuza_sleep(TUZA_MS(10));
    tuza_send(asked, 1);
    tuza_recv(answered, NULL);
}

IN_GOROUTINES(yield_locked_progress_on_one_proc, 1) { yield_locked_progress(); }
IN_GOROUTINES(yield_locked_progress_on_four, 4) { yield_locked_progress(); }

// TestYieldLocked: the lock is still held at the end.

tuza_fn(yield_and_sleep_locked, int_chan, c)
{
    tuza_lock_thread();
    long tid = api_thread();
    for (int i = 0; i < 10; i++) {
        tuza_yield();
        tuza_sleep(TUZA_MS(1));
        need_eq(api_thread(), tid);
    }
    tuza_send(c, 1);
}

IN_GOROUTINES(yield_locked, 2)
{
    int_chan c = tuza_chan_make(int, 0);
    tuza_go(yield_and_sleep_locked, c);
    tuza_recv(c, NULL);
}

// TestBlockLocked

tuza_fn(send_locked, int_chan, c, int, n)
{
    tuza_lock_thread();
    long tid = api_thread();
    for (int i = 0; i < n; i++) {
        tuza_send(c, i);
        need_eq(api_thread(), tid);
    }
    tuza_unlock_thread();
    tuza_waitgroup_done(&group);
}

static void block_locked(void)
{
    int n = scaled(1000);
    int_chan c = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 1);
    tuza_go(send_locked, c, n);
    for (int i = 0, v; i < n; i++) {
        tuza_recv(c, &v);
        need_eq(v, i);
    }
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(block_locked_on_one_proc, 1) { block_locked(); }
IN_GOROUTINES(block_locked_on_four_procs, 4) { block_locked(); }

// Both ends tied; nobody else ever runs on either thread.

tuza_fn(look_where_i_run, int_chan, c)
{
    while (!tz_load_rlx(&stop)) {
        tuza_send(c, (int)api_thread());
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(nobody_else_runs_on_a_tied_thread, 4)
{
    int_chan c = tuza_chan_make(int, 0);
    int tid;
    tuza_lock_thread();
    tuza_waitgroup_add(&group, 8);
    for (int i = 0; i < 8; i++)
        tuza_go(look_where_i_run, c);
    for (int i = 0; i < scaled(2000); i++) {
        tuza_recv(c, &tid);
        need(tid != api_thread());
    }
    tz_store(&stop, 1);
    while (tz_load(&group.state) >> 32)
        tuza_select(TUZA_RECV(c, NULL), TUZA_AFTER(TUZA_MS(1)));
    tuza_unlock_thread();
}

// TestLockOSThreadNesting: it takes as many unlocks as locks. One that ends
// tied ends its thread, and one that does not, does not.

tuza_fn(lock_and_end, int, locks, int, unlocks, int_chan, tid)
{
    for (int i = 0; i < locks; i++)
        tuza_lock_thread();
    for (int i = 0; i < unlocks; i++)
        tuza_unlock_thread();
    tuza_send(tid, (int)api_thread());
}

static long where_it_ran(int locks, int unlocks)
{
    int_chan c = tuza_chan_make(int, 1);
    int tid;
    tuza_go(lock_and_end, locks, unlocks, c);
    tuza_recv(c, &tid);
    return tid;
}

IN_GOROUTINES(lock_thread_nesting, 2)
{
    tuza_schedstats st = { .size = sizeof st };
    tuza_lock_thread(); // so that it is never main's thread that ends
    until_thread_ends(where_it_ran(1, 0));
    until_thread_ends(where_it_ran(2, 1));
    until_thread_ends(where_it_ran(100, 99));
    for (int i = 0; i < 20; i++) {
        long kept = where_it_ran(3, 3);
        do {
            tuza_sleep(TUZA_MS(1));
            tuza_schedstats_read(&st);
        } while (st.goroutines > 1);
        need(thread_exists(kept));
    }
    tuza_unlock_thread();
}

// TestLockOSThreadExit, LockOSThreadMain: one that was tied to the process's
// first thread ends. The others go on, elsewhere.

static int first_thread_is_left(int argc, char **argv)
{
    (void)argc, (void)argv;
    long first = getpid();
    if (where_it_ran(1, 0) != first)
        return 3; // with one P, both were to run on it
    for (int i = 0; i < 50; i++) {
        tuza_sleep(TUZA_MS(1));
        if (api_thread() == first)
            return 4;
    }
    tuza_gc();
    return 5;
}

static int (*to_run)(int, char **);
static int procs;

static void child(void)
{
    unsetenv("TUZAMAXPROCS");
    tuza_config c = { .size = sizeof c, .maxprocs = procs };
    tuza_run_main(to_run, 0, NULL, &c);
}

static void ends_with(int (*fn)(int, char **), int maxprocs, int status,
                      const char *text)
{
    const char *const texts[] = { text, NULL };
    to_run = fn;
    procs = maxprocs;
    api_ended_with(api_child(child, 25), status, texts);
}

START_TEST(lock_thread_exit_of_the_first)
{
    ends_with(first_thread_is_left, 1, 5, "");
}
END_TEST

// LockOSThreadAlt

IN_GOROUTINES(lock_thread_exit, 4)
{
    for (int i = 0; i < 20; i++) {
        tuza_lock_thread();
        long tid = where_it_ran(1, 0);
        need(tid != api_thread());
        tuza_unlock_thread();
        until_thread_ends(tid);
    }
}

// The same with tuza_goexit, deep in calls.

static void leave(int depth);
static void (*volatile leave_deeper)(int depth) = leave;

static void leave(int depth)
{
    if (depth == 0)
        tuza_goexit();
    leave_deeper(depth - 1);
    ck_abort_msg("goexit has returned");
}

tuza_fn(lock_and_leave, int_chan, c)
{
    tuza_lock_thread();
    tuza_send(c, (int)api_thread());
    leave(10);
}

IN_GOROUTINES(lock_thread_goexit, 2)
{
    int_chan c = tuza_chan_make(int, 0);
    int tid;
    tuza_lock_thread();
    tuza_go(lock_and_leave, c);
    tuza_recv(c, &tid);
    tuza_unlock_thread();
    until_thread_ends(tid);
}

// TestLockOSThreadAvoidsStatePropagation: what a tied one changed of its thread
// is not seen on any other, not on new ones either.

static void need_cwd(const char *wanted)
{
    char cwd[4096];
    need(getcwd(cwd, sizeof cwd) && strcmp(cwd, wanted) == 0);
}

tuza_fn(taint, int_chan, c)
{
    tuza_lock_thread();
    int ok = unshare(CLONE_FS) == 0;
    if (ok)
        need_eq(chdir("/tmp"), 0);
    tuza_send(c, ok);
}

tuza_fn(look_at_cwd, int_chan, c)
{
    tuza_lock_thread();
    need_cwd("/");
    tuza_recv(c, NULL);
    tuza_unlock_thread();
}

static void state_stays_where_it_is(void)
{
    int_chan c = tuza_chan_make(int, 0);
    int ok;
    need_eq(chdir("/"), 0);
    tuza_lock_thread();
    tuza_go(taint, c);
    tuza_recv(c, &ok);
    for (int i = 0; ok && i < 10; i++) {
        tuza_go(look_at_cwd, c);
        tuza_send(c, 1);
    }
    need_cwd("/");
    tuza_unlock_thread();
}

IN_GOROUTINES(no_state_propagation_on_one_proc, 1)
{
    state_stays_where_it_is();
}

IN_GOROUTINES(no_state_propagation_on_two_procs, 2)
{
    state_stays_where_it_is();
}

// TestLockOSThreadTemplateThreadRace, TestMexitSTW: goroutines are tied, and
// threads end, in the middle of stops of the world.

tuza_fn(collect_for_ever)
{
    while (!tz_load_rlx(&stop)) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(nothing) {}

tuza_fn(lock_yield_end, int64_t, start)
{
    while (tuza_now() < start)
        ;
    tuza_go(nothing); // work that wants another thread
    tuza_lock_thread();
    tuza_yield();
    if (tuza_goid() % 2)
        tuza_unlock_thread();
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(template_thread_race, 4)
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(collect_for_ever);
    for (int i = 0; i < scaled(200); i++) {
        int64_t start = tuza_now() + TUZA_US(100);
        tuza_waitgroup_add(&group, 2);
        tuza_go(lock_yield_end, start);
        tuza_go(lock_yield_end, start);
        while (tz_load(&group.state) >> 32 > 1)
            tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// A tied loop without calls is stopped and scanned like any other.

tuza_fn(hold_and_spin, int_chan, ready)
{
    int *volatile kept = tuza_new(int);
    *kept = 4711;
    tuza_lock_thread();
    tuza_send(ready, 1);
    while (!tz_load_rlx(&stop))
        ;
    need_eq(*kept, 4711);
    tuza_unlock_thread();
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(tied_loops_are_stopped, 3)
{
    int_chan ready = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++) {
        tuza_go(hold_and_spin, ready);
        tuza_recv(ready, NULL);
    }
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        for (int k = 0; k < 1000; k++)
            *tuza_new(int) = 1;
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// crash_test.go: TestLockedDeadlock, TestLockedDeadlock2

static int locked_deadlock(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_lock_thread();
    return tuza_chan_select(NULL, 0);
}

tuza_fn(lock_and_wait)
{
    locked_deadlock(0, NULL);
}

static int locked_deadlock_2(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_go(lock_and_wait);
    tuza_sleep(TUZA_MS(1));
    return tuza_chan_select(NULL, 0);
}

START_TEST(locked_deadlocks)
{
    const char *text = "tuza: fatal: all goroutines are asleep - deadlock!";
    for (int n = 1; n <= 4; n *= 2) {
        ends_with(locked_deadlock, n, 2, text);
        ends_with(locked_deadlock_2, n, 2, text);
    }
}
END_TEST

// TestThreadExhaustion: each goroutine has a thread of its own, until there are
// too many.

tuza_fn(take_a_thread, int_chan, c)
{
    tuza_lock_thread();
    tuza_send(c, 0);
    tuza_chan_select(NULL, 0);
}

static int exhaust_threads(int argc, char **argv)
{
    (void)argc, (void)argv;
    int_chan c = tuza_chan_make(int, 0);
    need_eq(tuza_max_threads(10), 10000);
    need_eq(tuza_max_threads(0), 10);
    for (int i = 0; i < 100; i++) {
        tuza_go(take_a_thread, c);
        tuza_recv(c, NULL);
    }
    return 0;
}

START_TEST(thread_exhaustion)
{
    if (TZ_TSAN)
        return; // the dump reads what the others write meanwhile
    ends_with(exhaust_threads, 1, 2, "tuza: fatal: thread limit");
    ends_with(exhaust_threads, 4, 2, "tuza: fatal: thread limit");
}
END_TEST

// runtime/debug garbage_test.go: TestSetMaxThreadsOvf: absurd limits.

IN_GOROUTINES(max_threads_of_any_size, 2)
{
    int before = tuza_max_threads(0);
    need_eq(tuza_max_threads(INT32_MAX), before);
    need_eq(tuza_max_threads(-1), INT32_MAX);
    need_eq(tuza_max_threads(before), INT32_MAX);
}

// bug370.go: Ps come and go, with a collection in between.

IN_GOROUTINES(bug370, 1)
{
    need_eq(tuza_maxprocs(2), 1);
    tuza_gc();
    need_eq(tuza_maxprocs(1), 2);
    tuza_gc();
    need_eq(tuza_maxprocs(0), 1);
}

// TestBigGOMAXPROCS, at run time.

IN_GOROUTINES(big_maxprocs, 1)
{
    tuza_maxprocs(1 << 30); // refused, or held to the most there may be
    int most = tuza_maxprocs(1024);
    need(most == 1 || most == 1024);
    need_eq(tuza_maxprocs(0), 1024);
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_go(lock_yield_end, 0);
    tuza_waitgroup_wait(&group);
    tuza_gc();
    need_eq(tuza_maxprocs(2), 1024);
    need_eq(tuza_maxprocs(2), 2);
}

// TestGoroutineParallelism, as Go's does it: P is set where it is needed.

enum { P = 4 };
static uint32_t turn; // atomic

tuza_fn(take_turns, uint32_t, p)
{
    for (uint32_t i = 0; i < 3; i++) {
        while (tz_load(&turn) != P * i + p)
            ;
        tz_store(&turn, P * i + p + 1);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(parallelism_comes_with_more_procs, 1)
{
    for (int round = 0; round < 10; round++) {
        tuza_maxprocs(P);
        turn = 0;
        tuza_waitgroup_add(&group, P);
        for (uint32_t p = 0; p < P; p++)
            tuza_go(take_turns, p);
        tuza_waitgroup_wait(&group);
        tuza_maxprocs(1);
    }
}

// Nothing that was queued or set on a P is lost with it (golang issues 47762
// and 45716): sleepers, senders and callers, while the number changes at random.

tuza_fn(sleep_send_call, int_chan, c, int, n)
{
    for (int i = 0; i < n; i++) {
        tuza_sleep(TUZA_US(200));
        tuza_send(c, i);
        (void)TUZA_SYSCALL(usleep(10));
    }
    tuza_waitgroup_done(&group);
}

tuza_fn(receive_for_ever, int_chan, c)
{
    while (tuza_recv(c, NULL))
        ;
}

IN_GOROUTINES(nothing_is_lost_when_the_number_changes, 2)
{
    uint64_t seed = test_seed();
    int_chan c = tuza_chan_make(int, 10);
    tuza_waitgroup_add(&group, 50);
    for (int i = 0; i < 50; i++) {
        tuza_go(sleep_send_call, c, scaled(100));
        tuza_go(receive_for_ever, c);
    }
    while (tz_load(&group.state) >> 32) {
        int n = 1 + (int)rnd(&seed, 9);
        tuza_maxprocs(n);
        need_eq(tuza_maxprocs(0), n);
        if (rnd(&seed, 4) == 0)
            tuza_gc();
        tuza_sleep(TUZA_US(50));
    }
    tuza_close(c);
}

int main(void)
{
    const TTest *const tests[] = {
        yield_locked_progress_on_one_proc,
        yield_locked_progress_on_four,
        yield_locked,
        block_locked_on_one_proc,
        block_locked_on_four_procs,
        nobody_else_runs_on_a_tied_thread,
        lock_thread_nesting,
        lock_thread_exit_of_the_first,
        lock_thread_exit,
        lock_thread_goexit,
        no_state_propagation_on_one_proc,
        no_state_propagation_on_two_procs,
        template_thread_race,
        tied_loops_are_stopped,
        locked_deadlocks,
        thread_exhaustion,
        max_threads_of_any_size,
        bug370,
        big_maxprocs,
        parallelism_comes_with_more_procs,
        nothing_is_lost_when_the_number_changes,
        NULL,
    };
    return api_check("go/thread", tests);
}
