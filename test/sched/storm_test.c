// SPDX-License-Identifier: BSD-3-Clause
// test: no-tsan
// test/sched/storm_test.c: a program that lives among a million of its own
// signals, with handlers of every kind, while goroutines run, wait, call,
// collect and fault. Each signal is handled once, on the stack that its handler
// asked for; errno and values stay what they were.

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/san.h"
#include "os/vm.h"
#include "sched/preempt.h"
#include "support/goroutines.h"

enum {
    KINDS = 8, // bits: installed in a goroutine, SA_ONSTACK, SA_RESTART
    IN_GOROUTINE = 1,
    ONSTACK = 2,
    RESTART = 4,
    SIGNALS = 1000000,
    PENDING_MOST = 500,
    LOOK_EVERY = 16,
    PROCS = 4,
    FAULTS = 100,
    TIMEOUT_S = 240
};

static struct {
    TZ_ALIGNED(TZ_CACHE_LINE) uint32_t sent, handled; // atomic
    uint32_t wrong_stack;                             // atomic
} kinds[KINDS];
static uint32_t urgent, faults; // atomic
static uint32_t go, stop;       // atomic
static tuza_waitgroup group;
static char *pages; // FAULTS of them, without access at first
static int ends[2]; // of a pipe

static int signal_of(int kind) { return SIGRTMIN + 1 + kind; }

static void on_kind(int signo)
{
    int saved = errno, kind = signo - signal_of(0);
    uint32_t n = tz_xadd(&kinds[kind].handled, 1);
    stack_t ss;
    // The thread that waits in tuza_run has no stack for signals.
    if (n % LOOK_EVERY == 0 && sigaltstack(NULL, &ss) == 0 &&
        !(ss.ss_flags & SS_DISABLE) &&
        !(ss.ss_flags & SS_ONSTACK) == !!(kind & ONSTACK))
        tz_xadd(&kinds[kind].wrong_stack, 1);
    errno = saved;
}

// Called by the runtime's, which keeps errno.
static void on_urgent(int signo)
{
    (void)signo;
    errno = EDOM;
    tz_xadd(&urgent, 1);
}

static void on_fault(int signo, siginfo_t *info, void *uc)
{
    uintptr_t at = (uintptr_t)info->si_addr, page = tz_vm_page();
    (void)uc;
    if (at - (uintptr_t)pages >= FAULTS * page) {
        signal(signo, SIG_DFL);
        return;
    }
    tz_xadd(&faults, 1);
    mprotect((void *)(at / page * page), page, PROT_READ | PROT_WRITE);
    errno = ERANGE;
}

static void install(int which)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if ((kind & IN_GOROUTINE) != which)
            continue;
        struct sigaction act = { .sa_handler = on_kind };
        act.sa_flags = (kind & ONSTACK ? SA_ONSTACK : 0) |
                       (kind & RESTART ? SA_RESTART : 0);
        sigfillset(&act.sa_mask);
        need(sigaction(signal_of(kind), &act, NULL) == 0);
    }
}

// A plain thread, which handles none. Signals of these kinds queue up, so none
// may be lost.
static void *send_all(void *arg)
{
    uint64_t random = test_seed();
    uint32_t sent = 0, handled;
    (void)arg;
    while (!tz_load(&go))
        sched_yield();
    for (int n = scaled(TZ_ASAN ? SIGNALS / 4 : SIGNALS); n > 0; n--) {
        int kind = (int)rnd(&random, KINDS);
        if (n % 8 == 0)
            kill(getpid(), TZ_SIG_STOP);
        while (kill(getpid(), signal_of(kind)) < 0)
            sched_yield();
        tz_xadd(&kinds[kind].sent, 1);
        if (++sent % PENDING_MOST)
            continue;
        do {
            handled = 0;
            for (int i = 0; i < KINDS; i++)
                handled += tz_load(&kinds[i].handled);
            sched_yield();
        } while (handled + PENDING_MOST < sent);
    }
    tz_store(&stop, 1);
    return NULL;
}

static void keep_errno(void *arg)
{
    volatile int *e = arg; // so that the loop below stays
    for (int i = 1; !tz_load_rlx(&stop); i = i % 100 + 1) {
        errno = i;
        for (*e = 0; *e < 1000;)
            ++*e;
        need_eq(errno, i);
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

// Both ends of a pipe: what is written is read, whatever interrupts.
static void write_bytes(void *arg)
{
    (void)arg;
    for (unsigned char c = 0; !tz_load_rlx(&stop);) {
        ssize_t n = TUZA_SYSCALL(write(ends[1], &c, 1));
        need(n == 1 || tuza_errno() == EINTR);
        c = (unsigned char)(c + (n == 1));
    }
    close(ends[1]);
    tuza_waitgroup_done(&group);
}

static void read_bytes(void *arg)
{
    (void)arg;
    for (unsigned char c, want = 0;;) {
        ssize_t n = TUZA_BLOCKING(read(ends[0], &c, 1));
        if (n == 0)
            break;
        need(n == 1 || tuza_errno() == EINTR);
        if (n == 1)
            need_eq(c, want++);
    }
    tuza_waitgroup_done(&group);
}

static void send_numbers(void *arg)
{
    tuza_chan(int) c = arg;
    for (int i = 0; !tz_load_rlx(&stop); i++)
        tuza_send(c, i);
    tuza_close(c);
    tuza_waitgroup_done(&group);
}

static void receive_numbers(void *arg)
{
    tuza_chan(int) c = arg;
    int v;
    for (int want = 0; tuza_recv(c, &v); want++)
        need_eq(v, want);
    tuza_waitgroup_done(&group);
}

static void collect(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop)) {
        tuza_gc();
        tuza_sleep(TUZA_MS(1));
    }
    tuza_waitgroup_done(&group);
}

static void fault(void *arg)
{
    (void)arg;
    for (int i = 0; i < FAULTS; i++) {
        volatile char *p = pages + (size_t)i * tz_vm_page();
        *p = 7;
        need_eq(*p, 7);
        tuza_sleep(TUZA_US(100));
    }
    tuza_waitgroup_done(&group);
}

static int live_in_a_storm(int argc, char **argv)
{
    void (*const fns[])(void *) = { keep_errno,  keep_errno,   write_bytes,
                                    read_bytes,  send_numbers, receive_numbers,
                                    collect,     fault };
    int spun[tz_countof(fns)];
    tuza_chan(int) c = tuza_chan_make(int, 0);
    (void)argc, (void)argv;
    install(IN_GOROUTINE);
    tuza_waitgroup_add(&group, tz_countof(fns));
    for (size_t i = 0; i < tz_countof(fns); i++)
        need_eq(tuza_spawn(fns[i], i < 2 ? (void *)&spun[i] : c), 0);
    tz_store(&go, 1);
    tuza_waitgroup_wait(&group);
    for (int i = 0; i < KINDS; i++) {
        while (tz_load(&kinds[i].handled) < tz_load(&kinds[i].sent))
            tuza_yield();
        need_eq(tz_load(&kinds[i].handled), tz_load(&kinds[i].sent));
        need_eq(tz_load(&kinds[i].wrong_stack), 0);
    }
    need_eq(tz_load(&faults), FAULTS);
    need(tz_load(&urgent) > 0);
    return 0;
}

START_TEST(a_program_lives_among_a_million_signals)
{
    pthread_t sender;
    sigset_t all, before;
    struct sigaction act = { .sa_handler = on_urgent };
    sigaction(TZ_SIG_STOP, &act, NULL);
    struct sigaction segv = { .sa_sigaction = on_fault };
    segv.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &segv, NULL);
    install(0);
    ck_assert_int_eq(pipe(ends), 0);
    pages = mmap(NULL, FAULTS * tz_vm_page(), PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ck_assert_int_eq(pthread_create(&sender, NULL, send_all, NULL), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    api_run(live_in_a_storm, PROCS);
    pthread_join(sender, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storm");
    TCase *tc = tcase_create("storm");
    tcase_set_tags(tc, "a_program_lives_among_a_million_signals");
    tcase_set_timeout(tc, TIMEOUT_S);
    tcase_add_test(tc, a_program_lives_among_a_million_signals);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
