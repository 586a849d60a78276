// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/sync/mutex_test.c: the mutex between goroutines.

#include "support/goroutines.h"
#include "sync/sema.h"

static tuza_mutex mutex;
static tuza_waitgroup group;
static long counter; // guarded by mutex
static int inside;   // goroutines in the critical section; atomic

static void lock_exclusively(void)
{
    tuza_mutex_lock(&mutex);
    need_eq(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0);
}

static void unlock_exclusively(void)
{
    need_eq(__atomic_fetch_add(&inside, -1, __ATOMIC_RELAXED), 1);
    tuza_mutex_unlock(&mutex);
}

static void count(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        lock_exclusively();
        counter++;
        if (i % 64 == 0)
            tuza_yield(); // somebody else tries while we have it
        unlock_exclusively();
    }
    tuza_waitgroup_done(&group);
}

static void count_together(int goroutines, int n)
{
    tuza_waitgroup_add(&group, goroutines);
    for (int i = 0; i < goroutines; i++)
        tuza_spawn(count, &n);
    tuza_waitgroup_wait(&group);
    need_eq(counter, (long)goroutines * n);
    need(mutex.state == 0 && mutex.sema == 0);
}

IN_GOROUTINES(one_at_a_time_on_two_threads, 2)
{
    count_together(8, scaled(20000));
}

IN_GOROUTINES(one_at_a_time_on_one_thread, 1)
{
    count_together(8, scaled(20000));
}

IN_GOROUTINES(one_at_a_time_on_many_threads, 8)
{
    count_together(30, scaled(3000));
}

IN_GOROUTINES(an_attempt_says_busy, 1)
{
    need_eq(tuza_mutex_trylock(&mutex), 0);
    need_eq(tuza_mutex_trylock(&mutex), -EBUSY);
    tuza_mutex_unlock(&mutex);
    tuza_mutex_lock(&mutex);
    need_eq(tuza_mutex_trylock(&mutex), -EBUSY);
    tuza_mutex_unlock(&mutex);
    need_eq(tuza_mutex_trylock(&mutex), 0);
    tuza_mutex_unlock(&mutex);
}

static void unlock_for_main(void *arg)
{
    (void)arg;
    tuza_mutex_unlock(&mutex);
}

IN_GOROUTINES(another_goroutine_may_unlock, 2)
{
    for (int i = 0; i < 1000; i++) {
        tuza_mutex_lock(&mutex);
        tuza_spawn(unlock_for_main, NULL);
        tuza_mutex_lock(&mutex); // waits for it
        tuza_mutex_unlock(&mutex);
    }
}

static int turns[50], taken; // guarded by mutex

static void take_turn(void *arg)
{
    tuza_mutex_lock(&mutex);
    turns[taken++] = *(int *)arg;
    tuza_mutex_unlock(&mutex);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(waiters_get_it_in_order_when_nobody_else_wants_it, 1)
{
    static int id[50];
    int base = waiting_now();
    tuza_waitgroup_add(&group, 50);
    tuza_mutex_lock(&mutex);
    for (int i = 0; i < 50; i++) {
        id[i] = i;
        tuza_spawn(take_turn, &id[i]);
        until_waiting(base + i + 1);
    }
    need_eq(tz_sema_waiters(&mutex.sema), 50);
    tuza_mutex_unlock(&mutex);
    tuza_waitgroup_wait(&group);
    for (int i = 0; i < 50; i++)
        need_eq(turns[i], i);
}

// A goroutine that takes the mutex again and again, and never leaves it free
// for long, cannot keep a waiter out: after 1 ms it has to hand it over.
static int stop;

static void hog(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        lock_exclusively();
        int64_t until = tuza_now() + TUZA_US(100);
        while (tuza_now() < until)
            tuza_yield();
        unlock_exclusively();
    }
    tuza_waitgroup_done(&group);
}

static void share_with_hogs(int hogs)
{
    tuza_waitgroup_add(&group, hogs);
    for (int i = 0; i < hogs; i++)
        tuza_spawn(hog, NULL);
    for (int i = 0; i < 50; i++) {
        lock_exclusively();
        unlock_exclusively();
        tuza_yield();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_wait(&group);
    need(mutex.state == 0 && mutex.sema == 0);
}

IN_GOROUTINES(a_hog_does_not_starve_others_on_one_thread, 1)
{
    share_with_hogs(1);
}

IN_GOROUTINES(hogs_do_not_starve_others_on_two_threads, 2)
{
    share_with_hogs(3);
}

// Handed over while starving, the mutex stays locked for newcomers.
IN_GOROUTINES(a_starving_mutex_is_not_for_newcomers, 1)
{
    static int id[2] = { 0, 1 };
    int base = waiting_now();
    tuza_waitgroup_add(&group, 2);
    tuza_mutex_lock(&mutex);
    tuza_spawn(take_turn, &id[0]);
    until_waiting(base + 1);
    tuza_spawn(take_turn, &id[1]);
    until_waiting(base + 2);
    tuza_sleep(TUZA_MS(2));
    tuza_mutex_unlock(&mutex); // wakes one, which finds it locked again
    need_eq(tuza_mutex_trylock(&mutex), 0);
    until_waiting(base + 2);
    need(mutex.state & 4);
    tuza_mutex_unlock(&mutex);
    need_eq(tuza_mutex_trylock(&mutex), -EBUSY);
    need_eq(taken, 0);
    tuza_waitgroup_wait(&group);
    need_eq(taken, 2);
    need_eq(turns[0], 0); // the one that woke in vain stayed in front
    need(mutex.state == 0 && mutex.sema == 0);
}

DEATH(an_unlock_of_an_unlocked_mutex_is_fatal,
      "fatal: unlock of an unlocked mutex 0x")
{
    tuza_mutex_unlock(&mutex);
}

DEATH(a_second_unlock_is_fatal, "fatal: unlock of an unlocked mutex 0x")
{
    tuza_mutex_lock(&mutex);
    tuza_mutex_unlock(&mutex);
    tuza_mutex_unlock(&mutex);
}

DEATH(a_mutex_locked_twice_by_the_only_goroutine_is_a_deadlock, "deadlock")
{
    tuza_mutex_lock(&mutex);
    tuza_mutex_lock(&mutex);
}

int main(void)
{
    const TTest *const tests[] = {
        one_at_a_time_on_two_threads,
        one_at_a_time_on_one_thread,
        one_at_a_time_on_many_threads,
        an_attempt_says_busy,
        another_goroutine_may_unlock,
        waiters_get_it_in_order_when_nobody_else_wants_it,
        a_hog_does_not_starve_others_on_one_thread,
        hogs_do_not_starve_others_on_two_threads,
        a_starving_mutex_is_not_for_newcomers,
        an_unlock_of_an_unlocked_mutex_is_fatal,
        a_second_unlock_is_fatal,
        a_mutex_locked_twice_by_the_only_goroutine_is_a_deadlock,
        NULL,
    };
    return api_check("mutex", tests);
}
