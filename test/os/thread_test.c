// SPDX-License-Identifier: BSD-3-Clause
// test/os/thread_test.c: threads, who they are and where their stacks are.

#include <pthread.h>
#include <sys/syscall.h>

#include "os_check.h"
#include "os/clock.h"
#include "os/thread.h"

static struct {
    int done;    // atomic
    int tid;     // atomic
    int release; // atomic
    int hits;    // atomic; signals handled
    int hit_tid; // atomic; by which thread
    sigset_t mask;
    uintptr_t lo, hi, here, pointer;
    char name[32];
} t;

static void wait_for(int *count, int value)
{
    while (tz_load(count) < value)
        sched_yield();
}

static void look_around(void *arg)
{
    char local;
    ck_assert_ptr_eq(arg, &t);
    pthread_sigmask(SIG_SETMASK, NULL, &t.mask);
    tz_thread_stack(&t.lo, &t.hi);
    t.here = (uintptr_t)&local;
    t.pointer = tz_thread_pointer();
    tz_thread_name("a name that is too long");
    os_read_file("/proc/thread-self/comm", t.name, sizeof t.name);
    tz_store(&t.tid, tz_thread_id());
    tz_store(&t.done, 1);
}

static void run_one(size_t stack_size)
{
    tz_store(&t.done, 0);
    ck_assert_int_eq(tz_thread_start(look_around, &t, stack_size), 0);
    wait_for(&t.done, 1);
}

START_TEST(a_thread_starts_with_all_signals_blocked)
{
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    run_one(0);
    for (int s = 1; s < 65; s++) {
        bool reserved = s == SIGKILL || s == SIGSTOP || s == 32 || s == 33;
        ck_assert_int_eq(sigismember(&t.mask, s) == 1, !reserved);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < 65; s++)
        ck_assert_int_eq(sigismember(&before, s), sigismember(&after, s));
}
END_TEST

START_TEST(stack_bounds_hold_its_locals)
{
    static const size_t sizes[] = { 0, 1, 256 * 1024, 1024 * 1024 };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        run_one(sizes[i]);
        ck_assert(t.lo < t.here && t.here < t.hi);
        ck_assert_uint_ge(t.hi - t.lo, sizes[i]);
        if (sizes[i] > 1 && !TZ_ASAN && !TZ_TSAN)
            ck_assert_uint_le(t.hi - t.lo, sizes[i] + 65536);
    }
}
END_TEST

START_TEST(the_main_threads_stack_is_found_too)
{
    uintptr_t lo, hi;
    char local;
    errno = 77;
    tz_thread_stack(&lo, &hi);
    ck_assert_int_eq(errno, 77);
    ck_assert(lo < (uintptr_t)&local && (uintptr_t)&local < hi);
    // As libc finds it, which leaves out the environment at the top.
    pthread_attr_t attr;
    void *base;
    size_t size;
    ck_assert_int_eq(pthread_getattr_np(pthread_self(), &attr), 0);
    ck_assert_int_eq(pthread_attr_getstack(&attr, &base, &size), 0);
    pthread_attr_destroy(&attr);
    ck_assert_uint_ge(hi, (uintptr_t)base + size);
    ck_assert_uint_eq(lo, (uintptr_t)base);
    memset(alloca(64 * 1024), 1, 64 * 1024);
    ck_assert_uint_lt(lo, (uintptr_t)&local - 64 * 1024);
}
END_TEST

START_TEST(threads_have_pointers_of_their_own)
{
    run_one(0);
    ck_assert_uint_eq(tz_thread_pointer(), (uintptr_t)pthread_self());
    ck_assert_uint_ne(t.pointer, tz_thread_pointer());
    ck_assert_uint_ne(t.pointer, 0);
}
END_TEST

START_TEST(names_are_cut)
{
    run_one(0);
    ck_assert_str_eq(t.name, "a name that is \n");
}
END_TEST

static void hit(int signo)
{
    (void)signo;
    tz_store(&t.hit_tid, tz_thread_id());
    tz_xadd(&t.hits, 1);
}

static void wait_for_signal(void *arg)
{
    (void)arg;
    sigset_t all;
    sigfillset(&all);
    tz_store(&t.tid, tz_thread_id());
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    while (tz_load(&t.release) == 0)
        tz_thread_sleep(TZ_NSEC_PER_MSEC);
    tz_store(&t.done, 1);
}

START_TEST(a_signal_reaches_the_thread_it_is_sent_to)
{
    signal(SIGUSR1, hit);
    ck_assert_int_eq(tz_thread_start(wait_for_signal, NULL, 0), 0);
    while (tz_load(&t.tid) == 0)
        sched_yield();
    ck_assert_int_ne(tz_load(&t.tid), tz_thread_id());
    ck_assert_int_eq(tz_thread_signal(tz_load(&t.tid), SIGUSR1), 0);
    wait_for(&t.hits, 1);
    ck_assert_int_eq(tz_load(&t.hit_tid), tz_load(&t.tid));
    tz_store(&t.release, 1);
    wait_for(&t.done, 1);
}
END_TEST

START_TEST(a_signal_that_cannot_be_sent_is_refused)
{
    errno = 77;
    ck_assert_int_eq(tz_thread_id(), (int)syscall(SYS_gettid));
    ck_assert_int_eq(tz_thread_signal(0x7ffffff0, SIGUSR1), -ESRCH);
    ck_assert_int_eq(tz_thread_signal(tz_thread_id(), 1000), -EINVAL);
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void count_up(void *arg)
{
    tz_xadd((int *)arg, 1);
}

START_TEST(many_starts_at_once_all_run)
{
    enum { N = 300 }; // more than there are slots
    int counts[N] = { 0 };
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(tz_thread_start(count_up, &counts[i], 256 * 1024), 0);
    for (int i = 0; i < N; i++)
        wait_for(&counts[i], 1);
}
END_TEST

START_TEST(a_refused_start_is_an_error_and_loses_nothing)
{
    int count = 0;
    errno = 77;
    for (int i = 0; i < 200; i++) {
        int err = tz_thread_start(count_up, &count, (size_t)1 << 60);
        ck_assert(err == -EAGAIN || err == -ENOMEM);
    }
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(tz_thread_start(count_up, &count, 0), 0);
    wait_for(&count, 1);
}
END_TEST

static void interrupt_twice(void *arg)
{
    int tid = *(int *)arg;
    for (int i = 1; i <= 2; i++) {
        os_wait_asleep(tid);
        ck_assert_int_eq(tz_thread_signal(tid, SIGUSR1), 0);
        wait_for(&t.hits, i);
    }
    tz_store(&t.done, 1);
}

START_TEST(a_sleep_lasts_its_time_in_spite_of_signals)
{
    enum { NS = 200000000 };
    int tid = tz_thread_id();
    signal(SIGUSR1, hit);
    ck_assert_int_eq(tz_thread_start(interrupt_twice, &tid, 0), 0);
    errno = 77;
    int64_t start = tz_clock_now();
    tz_thread_sleep(NS);
    ck_assert_int_ge(tz_clock_now() - start, NS);
    ck_assert_int_eq(errno, 77);
    tz_thread_sleep(0);
    tz_thread_sleep(-1);
    // Should the machine be slow, let the other one finish.
    while (tz_load(&t.done) == 0)
        tz_thread_sleep(TZ_NSEC_PER_MSEC);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_thread_starts_with_all_signals_blocked,
        stack_bounds_hold_its_locals,
        the_main_threads_stack_is_found_too,
        threads_have_pointers_of_their_own,
        names_are_cut,
        a_signal_reaches_the_thread_it_is_sent_to,
        a_signal_that_cannot_be_sent_is_refused,
        many_starts_at_once_all_run,
        a_refused_start_is_an_error_and_loses_nothing,
        a_sleep_lasts_its_time_in_spite_of_signals,
        NULL,
    };
    return os_check("os/thread", tests);
}
