// SPDX-License-Identifier: BSD-3-Clause
// test/os/futex_test.c: sleeping on a word.

#include <pthread.h>

#include "os_check.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"

static struct {
    uint32_t word; // atomic
    int tid;       // atomic
    int awake;     // atomic
} t;

START_TEST(a_changed_word_does_not_sleep)
{
    t.word = 1;
    tz_futex_sleep(&t.word, 0, -1);
}
END_TEST

START_TEST(a_sleep_ends_with_its_time_and_keeps_errno)
{
    enum { NS = 5000000 };
    errno = 77;
    int64_t start = tz_clock_now();
    // It may end early for no reason, but not every time.
    for (int i = 0; i < 100 && tz_clock_now() - start < NS; i++)
        tz_futex_sleep(&t.word, 0, NS);
    ck_assert_int_ge(tz_clock_now() - start, NS);
    tz_futex_sleep(&t.word, 0, 0);
    tz_futex_sleep(&t.word, 1, -1);
    tz_futex_wake(&t.word, 1);
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void *sleeper(void *arg)
{
    (void)arg;
    tz_store(&t.tid, tz_thread_id());
    while (tz_load(&t.word) == 0)
        tz_futex_sleep(&t.word, 0, -1);
    tz_xadd(&t.awake, 1);
    return NULL;
}

static pthread_t start_sleeper(void)
{
    pthread_t thread;
    tz_store(&t.tid, 0);
    pthread_create(&thread, NULL, sleeper, NULL);
    while (tz_load(&t.tid) == 0)
        sched_yield();
    os_wait_asleep(tz_load(&t.tid));
    return thread;
}

START_TEST(a_wake_of_one_wakes_one)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_sleeper();
    tz_store(&t.word, 1);
    for (int i = 1; i <= 3; i++) {
        tz_futex_wake(&t.word, 1);
        while (tz_load(&t.awake) < i)
            sched_yield();
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

START_TEST(a_wake_of_all_wakes_all)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        threads[i] = start_sleeper();
    tz_store(&t.word, 1);
    tz_futex_wake(&t.word, UINT32_MAX);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(t.awake, 3);
}
END_TEST

START_TEST(waking_a_word_that_is_gone_is_harmless)
{
    errno = 77;
    tz_futex_wake((uint32_t *)4096, 1);
    tz_futex_wake((uint32_t *)4097, 1); // refused by the kernel
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void sleep_on_a_hole(void)
{
    tz_futex_sleep((uint32_t *)4096, 0, -1);
}

START_TEST(sleeping_on_a_word_that_is_gone_dies_instead_of_spinning)
{
    struct os_ended e = os_child(sleep_on_a_hole);
    os_assert_has(e.text, "futex wait");
    ck_assert_int_eq(e.status, -SIGABRT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_changed_word_does_not_sleep,
        a_sleep_ends_with_its_time_and_keeps_errno,
        a_wake_of_one_wakes_one,
        a_wake_of_all_wakes_all,
        waking_a_word_that_is_gone_is_harmless,
        sleeping_on_a_word_that_is_gone_dies_instead_of_spinning,
        NULL,
    };
    return os_check("os/futex", tests);
}
