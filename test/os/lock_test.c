// SPDX-License-Identifier: BSD-3-Clause
// test/os/lock_test.c: mutual exclusion, sleeping, and the order of ranks.

#include <pthread.h>

#include "os_check.h"
#include "os/lock.h"
#include "os/thread.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct {
    struct tz_lock lock;
    long sum;  // guarded by lock
    int inside; // guarded by lock
    int tid;    // atomic
} t = { .lock = TZ_LOCK_INIT(TZ_RANK_HEAP) };

static void *add_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        tz_lock_acquire(&t.lock);
        ck_assert_int_eq(t.inside++, 0);
        t.sum++;
        if (i % 64 == 0)
            sched_yield(); // others come while it is held
        t.inside--;
        tz_lock_release(&t.lock);
    }
    return NULL;
}

START_TEST(only_one_thread_is_inside)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, add_many, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(t.sum, THREADS * ROUNDS);
    ck_assert(!tz_lock_held(&t.lock));
}
END_TEST

static void *take_once(void *arg)
{
    (void)arg;
    tz_store(&t.tid, tz_thread_id());
    tz_lock_acquire(&t.lock);
    t.sum++;
    tz_lock_release(&t.lock);
    return NULL;
}

START_TEST(a_release_wakes_the_sleeper)
{
    pthread_t thread;
    tz_lock_acquire(&t.lock);
    pthread_create(&thread, NULL, take_once, NULL);
    while (tz_load(&t.lock.word) != 2)
        sched_yield();
    os_wait_asleep(tz_load(&t.tid));
    ck_assert_int_eq(t.sum, 0);
    tz_lock_release(&t.lock);
    pthread_join(thread, NULL);
    ck_assert_int_eq(t.sum, 1);
    ck_assert_uint_eq(tz_load(&t.lock.word), 0);
}
END_TEST

START_TEST(many_sleepers_all_get_it)
{
    pthread_t threads[THREADS];
    tz_lock_acquire(&t.lock);
    for (int i = 0; i < THREADS; i++) {
        tz_store(&t.tid, 0);
        pthread_create(&threads[i], NULL, take_once, NULL);
        while (tz_load(&t.tid) == 0)
            sched_yield();
        os_wait_asleep(tz_load(&t.tid));
    }
    tz_lock_release(&t.lock);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(t.sum, THREADS);
}
END_TEST

START_TEST(try_takes_a_free_lock_only)
{
    ck_assert(tz_lock_try(&t.lock));
    ck_assert(tz_lock_held(&t.lock));
    ck_assert_int_eq(tz_tls_get()->locks, 1);
    ck_assert(!tz_lock_try(&t.lock));
    ck_assert_int_eq(tz_tls_get()->locks, 1);
    tz_lock_release(&t.lock);
    ck_assert_int_eq(tz_tls_get()->locks, 0);
}
END_TEST

START_TEST(holding_is_a_critical_section_and_keeps_errno)
{
    errno = 77;
    tz_lock_acquire(&t.lock);
    ck_assert_int_eq(tz_tls_get()->locks, 1);
    tz_store(&t.lock.word, 2); // as if one slept: take the slow way out
    tz_lock_release(&t.lock);
    ck_assert_int_eq(tz_tls_get()->locks, 0);
    ck_assert_uint_eq(tz_tls_get()->held_ranks, 0);
    ck_assert_int_eq(errno, 77);
}
END_TEST

// The rank rules are called directly, so that they are tested in each build.

static struct tz_lock gc_start = TZ_LOCK_INIT(TZ_RANK_GC_START);
static struct tz_lock heap = TZ_LOCK_INIT(TZ_RANK_HEAP);
static struct tz_lock leaf = TZ_LOCK_INIT(TZ_RANK_LEAF);
static struct tz_lock chan[3] = { TZ_LOCK_INIT(TZ_RANK_CHAN),
                                  TZ_LOCK_INIT(TZ_RANK_CHAN),
                                  TZ_LOCK_INIT(TZ_RANK_CHAN) };

static void take(struct tz_lock *l)
{
    tz_lockrank_acquire(l);
    l->word = 1;
}

static void leave(struct tz_lock *l)
{
    tz_lockrank_release(l);
    l->word = 0;
}

START_TEST(rising_ranks_are_in_order)
{
    take(&gc_start);
    take(&chan[0]);
    take(&heap);
    take(&leaf);
    leave(&gc_start); // in any order
    leave(&leaf);
    leave(&heap);
    leave(&chan[0]);
    ck_assert_uint_eq(tz_tls_get()->held_ranks, 0);
}
END_TEST

START_TEST(several_channels_may_be_held)
{
    for (int i = 0; i < 3; i++)
        take(&chan[i]);
    take(&heap);
    leave(&heap);
    for (int i = 0; i < 3; i++)
        leave(&chan[i]);
    ck_assert_uint_eq(tz_tls_get()->held_ranks, 0);
    take(&gc_start);
    leave(&gc_start);
}
END_TEST

static void falling(void)
{
    take(&heap);
    take(&chan[0]);
}

static void equal(void)
{
    struct tz_lock other = TZ_LOCK_INIT(TZ_RANK_HEAP);
    take(&heap);
    take(&other);
}

static void one_channel_left(void)
{
    take(&chan[0]);
    take(&chan[1]);
    leave(&chan[0]);
    take(&gc_start);
}

static void not_held(void)
{
    leave(&heap);
}

static void held_by_another(void)
{
    heap.word = 1;
    leave(&heap);
}

static void no_such_rank(void)
{
    heap.rank = TZ_RANK_COUNT;
    take(&heap);
}

START_TEST(a_broken_order_dies_and_tells_both_ranks)
{
    static const struct {
        void (*body)(void);
        const char *text;
    } rows[] = {
        { falling, "lock rank: takes CHAN while holding HEAP" },
        { equal, "lock rank: takes HEAP while holding HEAP" },
        { one_channel_left, "lock rank: takes GC_START while holding CHAN" },
        { not_held, "releases HEAP, which this thread does not hold" },
        { held_by_another, "releases HEAP, which this thread does not hold" },
        { no_such_rank, "does not exist" },
    };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = os_child(rows[i].body);
        os_assert_has(e.text, rows[i].text);
        ck_assert_int_eq(e.status, -SIGABRT);
    }
}
END_TEST

static void real_locks_falling(void)
{
    tz_lock_acquire(&heap);
    tz_lock_acquire(&chan[0]);
}

START_TEST(only_debug_builds_check_each_acquisition)
{
    struct os_ended e = os_child(real_locks_falling);
    ck_assert_int_eq(e.status, TZ_DEBUG ? -SIGABRT : 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        only_one_thread_is_inside,
        a_release_wakes_the_sleeper,
        many_sleepers_all_get_it,
        try_takes_a_free_lock_only,
        holding_is_a_critical_section_and_keeps_errno,
        rising_ranks_are_in_order,
        several_channels_may_be_held,
        a_broken_order_dies_and_tells_both_ranks,
        only_debug_builds_check_each_acquisition,
        NULL,
    };
    return os_check("os/lock", tests);
}
