// SPDX-License-Identifier: BSD-3-Clause
// test/sched/take_test.c: goroutines that block or compute without having said
// so lose their P, and notice nothing.

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sched/proc.h"
#include "support/goroutines.h"

enum { MANY = 50, HOLD_MS = 300 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// --- many calls at once, on one P

static int fds[MANY][2];
static pthread_mutex_t mutex[MANY];
static sem_t locked;
static int how;          // the test's way to block
static int ended, wrong; // atomic
static int inside, most; // of them; atomic
static int ticks, stop;  // atomic

// Outside: holds the mutexes, and what is to be read back, for so long.
static void *hold(void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++)
        pthread_mutex_lock(&mutex[i]);
    sem_post(&locked);
    struct timespec t = { 0, 2 * HOLD_MS * 1000000 };
    nanosleep(&t, NULL);
    for (int i = 0; i < MANY; i++) {
        pthread_mutex_unlock(&mutex[i]);
        if (write(fds[i][1], "x", 1) != 1)
            abort();
    }
    return NULL;
}

static bool lasted(int64_t since, int ms)
{
    return now_ns() - since >= ms * INT64_C(1000000);
}

static bool blocks_right(int i)
{
    struct timespec t = { 0, HOLD_MS * 1000000 }, rest = { 7, 7 };
    struct timeval tv = { 0, HOLD_MS * 1000 };
    struct epoll_event ev;
    int64_t since = now_ns();
    char c = 0;
    switch (how) {
    case 0:
        return nanosleep(&t, &rest) == 0 && lasted(since, HOLD_MS);
    case 1:
        return poll(NULL, 0, HOLD_MS) == 0 && lasted(since, HOLD_MS);
    case 2:
        return read(fds[i][0], &c, 1) == 1 && c == 'x';
    case 3:
        pthread_mutex_lock(&mutex[i]); // an errorcheck one: of this thread
        return pthread_mutex_unlock(&mutex[i]) == 0;
    case 4:
        return select(0, NULL, NULL, NULL, &tv) == 0 &&
               lasted(since, HOLD_MS);
    case 5: {
        struct pollfd p = { fds[i][0], POLLIN, 0 };
        return ppoll(&p, 1, &t, NULL) <= 1;
    }
    case 6: {
        int ep = epoll_create1(EPOLL_CLOEXEC);
        int n = epoll_wait(ep, &ev, 1, HOLD_MS);
        close(ep);
        return n == 0 && lasted(since, HOLD_MS);
    }
    case 7: {
        int word = 1;
        errno = 0;
        long r = syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 1, &t, NULL, 0);
        return r == -1 && errno == ETIMEDOUT && lasted(since, HOLD_MS);
    }
    default:
        return clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0 &&
               lasted(since, HOLD_MS);
    }
}

static void block(void *arg)
{
    int n = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    int seen = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
    while (seen < n && !__atomic_compare_exchange_n(&most, &seen, n, false,
                                                    __ATOMIC_SEQ_CST,
                                                    __ATOMIC_SEQ_CST))
        ;
    if (!blocks_right((int)(intptr_t)arg))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void tick(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        tuza_sleep(1000 * 1000);
        __atomic_add_fetch(&ticks, 1, __ATOMIC_SEQ_CST);
    }
}

// Ticks in so many ms when nothing else runs: fewer on a busy machine.
static int ticks_alone(int ms)
{
    __atomic_store_n(&ticks, 0, __ATOMIC_SEQ_CST);
    tuza_sleep(ms * INT64_C(1000000));
    return __atomic_exchange_n(&ticks, 0, __ATOMIC_SEQ_CST);
}

// How many ticks the ticker had while all of them blocked, and how many it would
// have had alone.
static void block_once(int *had, int *alone)
{
    pthread_t outside;
    __atomic_store_n(&ended, 0, __ATOMIC_SEQ_CST);
    need_eq(pthread_create(&outside, NULL, hold, NULL), 0);
    while (sem_wait(&locked) != 0)
        ;
    int before = ticks_alone(HOLD_MS / 2);
    int64_t since = now_ns();
    for (int i = 0; i < MANY; i++)
        need_eq(tuza_spawn(block, (void *)(intptr_t)i), 0);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < MANY)
        tuza_sleep(1000 * 1000);
    int took_ms = (int)((now_ns() - since) / 1000000);
    *had = __atomic_load_n(&ticks, __ATOMIC_SEQ_CST);
    int after = ticks_alone(HOLD_MS / 2);
    *alone = (before < after ? before : after) * took_ms / (HOLD_MS / 2);
    pthread_join(outside, NULL);
    char c;
    for (int i = 0; how != 2 && i < MANY; i++)
        need_eq(read(fds[i][0], &c, 1), 1);
}

// On a machine that others use a round may be without ticks for their sake.
static void block_all(int kind)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    how = kind;
    sem_init(&locked, 0, 0);
    for (int i = 0; i < MANY; i++) {
        pthread_mutex_init(&mutex[i], &attr);
        need_eq(pipe(fds[i]), 0);
    }
    need_eq(tuza_spawn(tick, NULL), 0);
    int had = 0, alone = 1;
    for (int round = 0; round < 5 && (2 * had < alone || 2 * most < MANY); round++)
        block_once(&had, &alone);
    need(2 * had >= alone);
    need(2 * most >= MANY); // 1 if they block one after another
    need_eq(wrong, 0);
    need(tz_load(&tz_sched.taken_blocked) > 0);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

#define MANY_IN(name, kind) IN_GOROUTINES(name, 1) { block_all(kind); }
MANY_IN(many_sleep_at_once_in_nanosleep, 0)
MANY_IN(many_wait_at_once_in_poll, 1)
MANY_IN(many_wait_at_once_in_read, 2)
MANY_IN(many_wait_at_once_for_a_pthread_mutex, 3)
MANY_IN(many_wait_at_once_in_select, 4)
MANY_IN(many_wait_at_once_in_ppoll, 5)
MANY_IN(many_wait_at_once_in_epoll_wait, 6)
MANY_IN(many_wait_at_once_in_futex, 7)
MANY_IN(many_sleep_at_once_in_clock_nanosleep, 8)

// --- what others see meanwhile

static void sleep_undeclared(void *arg)
{
    struct timespec t = { 0, 200 * 1000000 };
    void **keep = tuza_alloc(sizeof *keep);
    keep[0] = (void *)(intptr_t)0x5a5a;
    need_eq(nanosleep(&t, NULL), 0);
    need_eq((intptr_t)keep[0], 0x5a5a); // it was scanned meanwhile
    memset(tuza_alloc(64), 1, 64);      // has a P again
    __atomic_store_n((int *)arg, 1, __ATOMIC_SEQ_CST);
}

// Collections, the world stopped each time, while the P of one is taken.
IN_GOROUTINES(collections_do_not_disturb_an_undeclared_call, 1)
{
    int done[8] = { 0 };
    for (int i = 0; i < 8; i++)
        need_eq(tuza_spawn(sleep_undeclared, &done[i]), 0);
    for (int n = 0; n < 8;) {
        tuza_gc();
        for (int i = 0; i < 200; i++)
            memset(tuza_alloc(32), 0xee, 32);
        tuza_sleep(1000 * 1000);
        n = 0;
        for (int i = 0; i < 8; i++)
            n += __atomic_load_n(&done[i], __ATOMIC_SEQ_CST);
    }
}

static int spinning, let_go; // atomic

static void spin(void *arg)
{
    (void)arg;
    __atomic_store_n(&spinning, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&let_go, __ATOMIC_RELAXED))
        ;
    memset(tuza_alloc(100), 1, 100);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

// A loop without calls does not keep the others from its P.
IN_GOROUTINES(a_loop_without_calls_loses_its_p, 1)
{
    tz_store_rlx(&tz_sched.most_takers, 4); // ThreadSanitizer's builds let none
    need_eq(tuza_spawn(spin, NULL), 0);
    while (!__atomic_load_n(&spinning, __ATOMIC_RELAXED))
        tuza_yield();
    for (int i = 0; i < 5; i++)
        tuza_sleep(1000 * 1000);
    need(tz_load(&tz_sched.taken_busy) >= 1);
    tuza_gc(); // stops it as well
    __atomic_store_n(&let_go, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        tuza_yield();
}

// Nor does one that allocates every few microseconds, and so wants its P back before
// anybody has come for it.
static void count_turns(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        tuza_yield();
        __atomic_fetch_add(&ticks, 1, __ATOMIC_SEQ_CST);
    }
}

IN_GOROUTINES(a_loop_that_allocates_does_not_starve_the_others, 1)
{
    tz_store_rlx(&tz_sched.most_takers, 4);
    tuza_gc_set_percent(-1); // nor does it give way to a collection
    need_eq(tuza_spawn(count_turns, NULL), 0);
    int64_t since = now_ns();
    while (__atomic_load_n(&ticks, __ATOMIC_SEQ_CST) < 20 && !lasted(since, 10000)) {
        for (volatile int i = 0; i < 3000; i++)
            ;
        need(tuza_alloc(100));
    }
    need_eq(__atomic_load_n(&ticks, __ATOMIC_SEQ_CST), 20);
}

// A stop asks a goroutine without a P while it is in a critical section: it stops at
// the section's end, not when it is asked once more a millisecond later.
static void is_asked_inside(void *arg)
{
    (void)arg;
    struct tz_tls *t = tz_tls_get();
    while (t->p) // until it is taken
        __asm__ volatile("" ::: "memory");
    t->locks++; // as in gc/barrier.c
    __atomic_store_n(&spinning, 1, __ATOMIC_SEQ_CST);
    while (!tz_load(&t->stop)) // by the handler
        ;
    need_eq(tz_load(&t->m->nop), TZ_NOP_ASKED);
    uint32_t epoch = tz_load(&tz_sched.epoch);
    tz_crit_leave();
    // It was stopped there; ThreadSanitizer puts signals off.
    need(TZ_TSAN || tz_load(&tz_sched.epoch) != epoch);
    __atomic_store_n(&ended, 1, __ATOMIC_SEQ_CST);
}

IN_GOROUTINES(who_is_asked_to_stop_in_a_section_stops_at_its_end, 1)
{
    tz_store_rlx(&tz_sched.most_takers, 4);
    need_eq(tuza_spawn(is_asked_inside, NULL), 0);
    while (!__atomic_load_n(&spinning, __ATOMIC_SEQ_CST))
        tuza_yield();
    tuza_gc();
    while (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        tuza_yield();
}

IN_GOROUTINES(s3_33_the_world_stops_while_four_goroutines_spin, 2)
{
    tz_store_rlx(&tz_sched.most_takers, 8);
    for (int i = 0; i < 4; i++)
        need_eq(tuza_spawn(spin, NULL), 0);
    for (int i = 0; i < 10; i++)
        tuza_gc();
    __atomic_store_n(&let_go, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < 4)
        tuza_yield();
}

static int most_takers; // that were seen; by the thread outside

static void *let_go_later(void *arg)
{
    (void)arg;
    for (int64_t since = now_ns(); !lasted(since, 500);) {
        int n = (int)tz_load(&tz_sched.busy_takers);
        most_takers = n > most_takers ? n : most_takers;
        sched_yield();
    }
    __atomic_store_n(&let_go, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

// So many loops and no more run beside the Ps: the next keeps its own.
IN_GOROUTINES(four_loops_run_beside_each_p, 1)
{
    pthread_t outside;
    tz_store_rlx(&tz_sched.most_takers, 4);
    for (int i = 0; i < 7; i++)
        need_eq(tuza_spawn(spin, NULL), 0);
    need_eq(pthread_create(&outside, NULL, let_go_later, NULL), 0);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < 7)
        tuza_yield();
    pthread_join(outside, NULL);
    need(most_takers >= 2);
    need(most_takers <= 4);
    need_eq(tz_load(&tz_sched.busy_takers), 0);
    need_eq(tz_load(&tz_sched.nops), 0);
}

static int two_loops_and_main(int argc, char **argv)
{
    pthread_t outside;
    (void)argc, (void)argv;
    tuza_maxprocs(2);
    tuza_maxprocs(1);
    for (int i = 0; i < 2; i++)
        need_eq(tuza_spawn(spin, NULL), 0);
    need_eq(pthread_create(&outside, NULL, let_go_later, NULL), 0);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < 2)
        tuza_yield();
    pthread_join(outside, NULL);
    return 0;
}

// The setting wins over what a change of the Ps makes of the default.
START_TEST(so_many_loops_run_on_as_the_program_says)
{
    tuza_config c = { .size = sizeof c, .maxprocs = 1, .max_taken = 1 };
    ck_assert_int_eq(tuza_run(two_loops_and_main, 0, NULL, &c), 0);
    ck_assert_int_eq(most_takers, 1);
}
END_TEST

START_TEST(no_loop_loses_its_p_where_none_may)
{
    setenv("TUZADEBUG", "taken=0", 1); // wins over the program's
    tuza_config c = { .size = sizeof c, .maxprocs = 1, .max_taken = 4 };
    ck_assert_int_eq(tuza_run(two_loops_and_main, 0, NULL, &c), 0);
    ck_assert_int_eq(most_takers, 0);
}
END_TEST

START_TEST(a_setting_of_less_than_none_is_refused)
{
    tuza_config c = { .size = sizeof c, .max_taken = -2 };
    ck_assert_int_eq(tuza_run(two_loops_and_main, 0, NULL, &c), -EINVAL);
}
END_TEST

// --- signals of the program's

static volatile sig_atomic_t alarms;
static void on_alarm(int signo)
{
    (void)signo;
    alarms++;
}

static void be_interrupted(void *arg)
{
    struct timespec t = { 5, 0 }, rest = { 0, 0 };
    errno = 0;
    int r = nanosleep(&t, &rest);
    need_eq(r, -1);
    need_eq(errno, EINTR);
    need(rest.tv_sec >= 2);
    __atomic_store_n((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static int interrupt_it(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct sigaction act = { .sa_handler = on_alarm };
    sigaction(SIGUSR1, &act, NULL);
    int done = 0;
    need_eq(tuza_spawn(be_interrupted, &done), 0);
    while (tz_load(&tz_sched.taken_blocked) == 0)
        tuza_sleep(1000 * 1000);
    tuza_sleep(20 * 1000 * 1000);
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink)
        if (tz_load(&m->nop) == TZ_NOP_REST)
            syscall(SYS_tgkill, getpid(), m->tid, SIGUSR1);
    while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST))
        tuza_sleep(1000 * 1000);
    need_eq(alarms, 1);
    return 0;
}

// The program's own signal ends the call as it would have without us.
START_TEST(a_signal_of_the_programs_interrupts_the_call)
{
    api_run(interrupt_it, 1);
}
END_TEST

// --- calls that are not blocked for ever

static void wait_for_child(void *arg)
{
    int status = 0;
    need_eq(waitpid(*(pid_t *)arg, &status, 0), *(pid_t *)arg);
    need(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static pid_t child;

static int wait_with_others(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(tuza_spawn(wait_for_child, &child), 0);
    while (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST))
        tuza_sleep(1000 * 1000);
    return 0;
}

START_TEST(waiting_for_a_child_is_such_a_call)
{
    child = fork();
    if (child == 0) {
        struct timespec t = { 0, 100 * 1000000 };
        nanosleep(&t, NULL);
        _exit(7);
    }
    api_run(wait_with_others, 1);
}
END_TEST

int main(void)
{
    return api_check("sched/take",
                     (const TTest *const[]){
                         many_sleep_at_once_in_nanosleep,
                         many_wait_at_once_in_poll,
                         many_wait_at_once_in_read,
                         many_wait_at_once_for_a_pthread_mutex,
                         many_wait_at_once_in_select,
                         many_wait_at_once_in_ppoll,
                         many_wait_at_once_in_epoll_wait,
                         many_wait_at_once_in_futex,
                         many_sleep_at_once_in_clock_nanosleep,
                         collections_do_not_disturb_an_undeclared_call,
                         a_loop_without_calls_loses_its_p,
                         a_loop_that_allocates_does_not_starve_the_others,
                         who_is_asked_to_stop_in_a_section_stops_at_its_end,
                         s3_33_the_world_stops_while_four_goroutines_spin,
                         four_loops_run_beside_each_p,
                         so_many_loops_run_on_as_the_program_says,
                         no_loop_loses_its_p_where_none_may,
                         a_setting_of_less_than_none_is_refused,
                         a_signal_of_the_programs_interrupts_the_call,
                         waiting_for_a_child_is_such_a_call,
                         NULL });
}
