// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/crash_test.c: Go's src/runtime/crash_test.go and the programs that
// it runs (testdata/testprog/deadlock.go), retold: how programs end that can
// not go on, with what status and what words.

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/san.h"
#include "support/goroutines.h"

#define DEADLOCK "tuza: fatal: all goroutines are asleep - deadlock!"

typedef int program(int argc, char **argv);

static program *to_run;
static int procs;
static size_t stack_size;

static void child(void)
{
    tuza_config c = { .size = sizeof c, .maxprocs = procs,
                      .stack_size = stack_size };
    unsetenv("TUZAMAXPROCS");
    tuza_run_main(to_run, 0, NULL, &c);
}

static struct api_ended *end_of(program *fn, int maxprocs)
{
    to_run = fn;
    procs = maxprocs;
    return api_child(child, 25);
}

static void ends_with(program *fn, int maxprocs, int status, const char *text)
{
    const char *const texts[] = { text, NULL };
    api_ended_with(end_of(fn, maxprocs), status, texts);
}

// On 1, 2 and 4 Ps.
static void deadlocks(program *fn, const char *main_is)
{
    for (int n = 1; n <= 4; n *= 2) {
        const char *const texts[] = { DEADLOCK, main_is, NULL };
        api_ended_with(end_of(fn, n), 2, texts);
    }
}

// TestSimpleDeadlock

static int select_nothing(int argc, char **argv)
{
    (void)argc, (void)argv;
    return tuza_chan_select(NULL, 0);
}

START_TEST(simple_deadlock)
{
    deadlocks(select_nothing, "goroutine 1 [select (no cases)]:");
}
END_TEST

// TestInitDeadlock: the same before main, in a constructor of the program.

static __attribute__((constructor)) void run_before_main(void)
{
    if (getenv("CRASH_INIT_DEADLOCK"))
        tuza_run(select_nothing, 0, NULL, NULL);
}

static void execute_myself(void)
{
    setenv("CRASH_INIT_DEADLOCK", "1", 1);
    execl("/proc/self/exe", "crash_test", (char *)NULL);
}

START_TEST(init_deadlock)
{
    const char *const texts[] = { DEADLOCK, "goroutine 1 [select", NULL };
    api_ended_with(api_child(execute_myself, 25), 2, texts);
}
END_TEST

// TestLockedDeadlock2 without the lock: a second goroutine waits for ever too.

tuza_fn(select_nothing_too) { tuza_chan_select(NULL, 0); }

static int two_wait(int argc, char **argv)
{
    tuza_go(select_nothing_too);
    tuza_sleep(TUZA_MS(1));
    return select_nothing(argc, argv);
}

START_TEST(deadlock_of_two)
{
    for (int n = 1; n <= 4; n *= 2) {
        struct api_ended *e = end_of(two_wait, n);
        const char *const texts[] = { DEADLOCK, "select_nothing_too", NULL };
        api_ended_with(e, 2, texts);
        need_eq(api_count_lines(e->text, "^goroutine [12] \\[select \\(no c"),
                2);
    }
}
END_TEST

// TestGoexitDeadlock: main ends, the others run on, and end too.

tuza_fn(work_and_return)
{
    for (volatile int i = 0; i < 10; i++)
        ;
}

static int exit_main_first(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_go(work_and_return);
    tuza_go(work_and_return);
    tuza_goexit();
}

START_TEST(goexit_deadlock)
{
    for (int n = 1; n <= 4; n *= 2) {
        struct api_ended *e = end_of(exit_main_first, n);
        const char *const texts[] = { DEADLOCK, NULL };
        api_ended_with(e, 2, texts);
        need_eq(api_count_lines(e->text, "^goroutine "), 0);
    }
}
END_TEST

// TestGoexitCrash: the other still sleeps when main ends; a collection first.

tuza_fn(sleep_a_little) { tuza_sleep(TUZA_MS(20)); }

static int exit_main_after_gc(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_go(sleep_a_little);
    tuza_keepalive(tuza_new(int));
    tuza_gc();
    tuza_goexit();
}

START_TEST(goexit_crash) { deadlocks(exit_main_after_gc, ""); }
END_TEST

// TestGoexitDefer, TestGoexitInPanic: what they observe without panics: nothing
// after a goexit is run, in main or elsewhere, and all of them gone is the end.

static tuza_chan(int) told;

static void leave(int depth);
static void (*volatile leave_deeper)(int depth) = leave;

static void leave(int depth)
{
    if (depth == 0)
        tuza_goexit();
    leave_deeper(depth - 1);
    printf("went on\n");
}

tuza_fn(tell_and_leave, int, depth)
{
    tuza_send(told, depth);
    leave(depth);
}

static int everybody_leaves(int argc, char **argv)
{
    (void)argc, (void)argv;
    told = tuza_chan_make(int, 0);
    for (int i = 0; i < 20; i++)
        tuza_go(tell_and_leave, i);
    for (int i = 0; i < 20; i++)
        tuza_recv(told, NULL);
    leave(10);
    return 0;
}

START_TEST(goexit_of_everybody)
{
    for (int n = 1; n <= 4; n *= 2) {
        struct api_ended *e = end_of(everybody_leaves, n);
        const char *const texts[] = { DEADLOCK, NULL };
        api_ended_with(e, 2, texts);
        need(!strstr(e->text, "went on"));
    }
}
END_TEST

// Main has ended, another waits for a third that works: no deadlock.

tuza_fn(end_the_process, tuza_chan(int), c)
{
    int status = 0;
    tuza_recv(c, &status);
    exit(status);
}

tuza_fn(send_after_a_while, tuza_chan(int), c)
{
    tuza_sleep(TUZA_MS(20));
    (void)TUZA_BLOCKING(usleep(20 * 1000));
    tuza_send(c, 7);
}

static int others_go_on(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 0);
    tuza_go(end_the_process, c);
    tuza_go(send_after_a_while, c);
    tuza_goexit();
}

START_TEST(goexit_of_main_while_others_run)
{
    for (int n = 1; n <= 4; n *= 2)
        ends_with(others_go_on, n, 7, "");
}
END_TEST

// TestStackOverflow: frames of 64 KiB. The text names the limits.

// Calls go by a variable, so that no compiler can see where this leads.
static int use_64k(volatile char *up);
static int (*volatile call_again)(volatile char *) = use_64k;

static int use_64k(volatile char *up)
{
    volatile char frame[64 * 1024];
    for (size_t i = sizeof frame; i > 0; i -= 1024)
        frame[i - 1] = *up; // from the top down, as a probe would
    return call_again(frame) + frame[0];
}

static int recurse(int argc, char **argv)
{
    (void)argv;
    volatile char c = (char)argc;
    return use_64k(&c);
}

tuza_fn(recurse_too)
{
    recurse(0, NULL);
}

static int recurse_elsewhere(int argc, char **argv)
{
    tuza_go(recurse_too);
    return select_nothing(argc, argv);
}

START_TEST(stack_overflow)
{
    stack_size = 1024 * 1024;
    const char *const texts[] = { "tuza: fatal: stack overflow in goroutine ",
                                  "stack [0x", "use_64k", "TUZASTACK=", NULL };
    api_ended_with(end_of(recurse, 2), 2, texts);
    struct api_ended *e = end_of(recurse_elsewhere, 2);
    api_ended_with(e, 2, texts);
    need_eq(api_count_lines(e->text, "class 1024 KiB"), 1);
}
END_TEST

// TestG0StackOverflow: code on the system stack goes too deep. That is told
// and does not hang, on the process's first thread and on another.

static void recurse_on_system_stack(void *arg)
{
    volatile char c = *(char *)arg;
    use_64k(&c);
}

static int overflow_g0(int argc, char **argv)
{
    (void)argc, (void)argv;
    char c = 1;
    tuza_on_system_stack(recurse_on_system_stack, &c);
    return 0;
}

static long first_thread;

tuza_fn(overflow_other_g0)
{
    while (api_thread() == first_thread)
        tuza_yield();
    overflow_g0(0, NULL);
}

static int overflow_g0_elsewhere(int argc, char **argv)
{
    (void)argc, (void)argv;
    first_thread = getpid();
    tuza_go(overflow_other_g0);
    while (api_thread() == first_thread)
        ;
    return select_nothing(argc, argv);
}

START_TEST(g0_stack_overflow)
{
    if (TZ_ASAN || TZ_TSAN)
        return; // they tell it in their own words
    ends_with(overflow_g0, 1, 2, "tuza: fatal: stack overflow in goroutine 1");
    ends_with(overflow_g0_elsewhere, 4, 2, "overflow in goroutine");
}
END_TEST

// TestMainGoroutineID

static tuza_mutex not_locked;

static int unlock_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_mutex_unlock(&not_locked);
    return 0;
}

START_TEST(main_goroutine_id)
{
    for (int n = 1; n <= 4; n *= 2) {
        struct api_ended *e = end_of(unlock_it, n);
        const char *const texts[] = { "\ngoroutine 1 [running]:\n", NULL };
        api_ended_with(e, 2, texts);
    }
}
END_TEST

// TestNoHelperGoroutines: the runtime has none; only the program's are shown,
// with a timer and after collections.

static int with_timer(int argc, char **argv)
{
    for (int i = 0; i < 3; i++)
        tuza_gc();
    need_eq(tuza_select(TUZA_AFTER(1)), 0);
    return unlock_it(argc, argv);
}

START_TEST(no_helper_goroutines)
{
    struct api_ended *e = end_of(with_timer, 4);
    ck_assert_int_eq(e->status, 2);
    ck_assert_msg(api_count_lines(e->text, "^goroutine [0-9]+ \\[") == 1,
                  "%s", e->text);
}
END_TEST

// TestBreakpoint, TestAbort: they end the process by their signals.

static int signal_to_raise;

static int raise_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    raise(signal_to_raise);
    return 0;
}

static int abort_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    abort();
}

START_TEST(breakpoint_and_abort)
{
    signal_to_raise = SIGTRAP;
    ends_with(raise_it, 2, -SIGTRAP, "");
    ends_with(abort_it, 2, -SIGABRT, "");
}
END_TEST

// TestPanicRace, TestDoublePanic: many go wrong at once, on several threads;
// one report comes, whole, with the usual status.

static int ready_to_fail; // atomic

tuza_fn(fail_with_others)
{
    __atomic_fetch_add(&ready_to_fail, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ready_to_fail, __ATOMIC_SEQ_CST) < 4)
        ;
    tuza_mutex_unlock(&not_locked);
}

static int fail_together(int argc, char **argv)
{
    for (int i = 0; i < 4; i++)
        tuza_go(fail_with_others);
    return select_nothing(argc, argv);
}

START_TEST(panic_race)
{
    if (TZ_TSAN)
        return; // the dump reads what the others write meanwhile
    for (int i = 0; i < 10; i++) {
        struct api_ended *e = end_of(fail_together, 5);
        ck_assert_msg(e->status == 2 &&
                          api_count_lines(e->text, "^tuza: fatal: un") == 1 &&
                          api_count_lines(e->text, "^tuza: ") == 1,
                      "%s", e->text);
    }
}
END_TEST

// TestGoNil

static int go_nil(int argc, char **argv)
{
    tuza_spawn(NULL, NULL);
    return select_nothing(argc, argv);
}

START_TEST(go_nil_function)
{
    ends_with(go_nil, 1, 2, "tuza: fatal: go of a NULL function");
    ends_with(go_nil, 4, 2, "tuza: fatal: go of a NULL function");
}
END_TEST

// TestBadTraceback: a return address that leads nowhere does not keep the
// report from coming, nor its caller from being named.

static TZ_NOINLINE void bad_frame(void)
{
    uintptr_t *frame = __builtin_frame_address(0);
    frame[0] = 0xbad0;
    frame[1] = 0xbad1;
    tuza_mutex_unlock(&not_locked);
    __asm__ volatile(""); // no jump instead of the call
}

static int with_bad_frame(int argc, char **argv)
{
    (void)argc, (void)argv;
    bad_frame();
    return 0;
}

START_TEST(bad_traceback)
{
    struct api_ended *e = end_of(with_bad_frame, 1);
    const char *const texts[] = { "tuza: fatal: unlock", "goroutine 1 [running",
                                  "bad_frame", "0xbad1", NULL };
    api_ended_with(e, 2, texts);
    need(!strstr(e->text, "with_bad_frame"));
}
END_TEST

// TestVDSO: the clock is read by goroutines and by the handler of a fast
// profiling timer that interrupts them, while the collector stops them.

static int64_t seen_in_handler; // atomic
static int handled;             // atomic

static void on_prof(int sig)
{
    (void)sig;
    __atomic_store_n(&seen_in_handler, tuza_now(), __ATOMIC_RELAXED);
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static int readers_stop; // atomic

tuza_fn(read_clock, tuza_chan(int), done)
{
    int64_t last = tuza_now();
    while (!__atomic_load_n(&readers_stop, __ATOMIC_RELAXED)) {
        int64_t now = tuza_now();
        need(now >= last);
        last = now;
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(vdso, 3)
{
    struct sigaction sa = { .sa_handler = on_prof,
                            .sa_flags = SA_ONSTACK | SA_RESTART };
    struct itimerval fast = { { 0, 200 }, { 0, 200 } }, off = { { 0 }, { 0 } };
    tuza_chan(int) done = tuza_chan_make(int, 0);
    need_eq(sigaction(SIGPROF, &sa, NULL), 0);
    need_eq(setitimer(ITIMER_PROF, &fast, NULL), 0);
    tuza_go(read_clock, done);
    tuza_go(read_clock, done);
    for (int64_t end = tuza_now() + TUZA_MS(200); tuza_now() < end;)
        tuza_gc();
    while (__atomic_load_n(&handled, __ATOMIC_RELAXED) < 5)
        tuza_yield();
    __atomic_store_n(&readers_stop, 1, __ATOMIC_RELAXED);
    tuza_recv(done, NULL);
    tuza_recv(done, NULL);
    setitimer(ITIMER_PROF, &off, NULL);
    int64_t seen = __atomic_load_n(&seen_in_handler, __ATOMIC_RELAXED);
    need(seen > 0 && seen <= tuza_now());
}

int main(void)
{
    const TTest *const tests[] = {
        simple_deadlock,
        init_deadlock,
        deadlock_of_two,
        goexit_deadlock,
        goexit_crash,
        goexit_of_everybody,
        goexit_of_main_while_others_run,
        stack_overflow,
        g0_stack_overflow,
        main_goroutine_id,
        no_helper_goroutines,
        breakpoint_and_abort,
        panic_race,
        go_nil_function,
        bad_traceback,
        vdso,
        NULL,
    };
    return api_check("go/crash", tests);
}
