// SPDX-License-Identifier: BSD-3-Clause
// test/os/note_test.c: one sleeps, one wakes, once.

#include <pthread.h>

#include "os_check.h"
#include "os/clock.h"
#include "os/note.h"
#include "os/thread.h"

static struct {
    struct tz_note note;
    struct tz_note back;
    int tid;   // atomic
    long data; // written before the wake, read after the sleep
    bool timed;
} t;

static void *sleeper(void *arg)
{
    (void)arg;
    tz_store(&t.tid, tz_thread_id());
    if (t.timed)
        ck_assert(tz_note_sleep_for(&t.note, INT64_MAX));
    else
        tz_note_sleep(&t.note);
    ck_assert_int_eq(t.data, 42);
    return NULL;
}

static void wake_a_sleeper(bool timed)
{
    pthread_t thread;
    t.timed = timed;
    tz_note_clear(&t.note);
    pthread_create(&thread, NULL, sleeper, NULL);
    while (tz_load(&t.tid) == 0)
        sched_yield();
    os_wait_asleep(tz_load(&t.tid));
    t.data = 42;
    tz_note_wake(&t.note);
    pthread_join(thread, NULL);
}

START_TEST(a_wake_ends_the_sleep)
{
    wake_a_sleeper(false);
}
END_TEST

START_TEST(a_wake_ends_the_longest_timed_sleep)
{
    wake_a_sleeper(true);
}
END_TEST

START_TEST(a_sleep_after_the_wake_returns_at_once)
{
    tz_note_clear(&t.note);
    tz_note_wake(&t.note);
    tz_note_sleep(&t.note);
    ck_assert(tz_note_sleep_for(&t.note, 0));
}
END_TEST

START_TEST(an_unwoken_sleep_lasts_its_time)
{
    static const int64_t times[] = { -1, 0, 1, 1000000, 20000000 };
    tz_note_clear(&t.note);
    for (size_t i = 0; i < tz_countof(times); i++) {
        int64_t start = tz_clock_now();
        ck_assert(!tz_note_sleep_for(&t.note, times[i]));
        ck_assert_int_ge(tz_clock_now() - start, times[i]);
    }
}
END_TEST

static void *answer(void *arg)
{
    for (long i = 0; i < (long)arg; i++) {
        tz_note_sleep(&t.note);
        tz_note_clear(&t.note);
        t.data++;
        tz_note_wake(&t.back);
    }
    return NULL;
}

START_TEST(notes_hand_data_back_and_forth)
{
    enum { ROUNDS = 5000 };
    pthread_t thread;
    pthread_create(&thread, NULL, answer, (void *)ROUNDS);
    for (long i = 0; i < ROUNDS; i++) {
        ck_assert_int_eq(t.data, i);
        tz_note_wake(&t.note);
        tz_note_sleep(&t.back);
        tz_note_clear(&t.back);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(t.data, ROUNDS);
}
END_TEST

static void wake_twice(void)
{
    tz_note_wake(&t.note);
    tz_note_wake(&t.note);
}

START_TEST(a_second_wake_dies)
{
    struct os_ended e = os_child(wake_twice);
    os_assert_has(e.text, "woken twice");
    ck_assert_int_eq(e.status, -SIGABRT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_wake_ends_the_sleep,
        a_wake_ends_the_longest_timed_sleep,
        a_sleep_after_the_wake_returns_at_once,
        an_unwoken_sleep_lasts_its_time,
        notes_hand_data_back_and_forth,
        a_second_wake_dies,
        NULL,
    };
    return os_check("os/note", tests);
}
