// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/sync/sema_test.c: the table of semaphores.

#include "support/goroutines.h"
#include "sync/sema.h"

// Addresses so far apart fall into the same bucket.
enum { STRIDE = 251 * 8 / sizeof(uint32_t) };
static uint32_t counters[STRIDE * 4000];

static uint32_t *counter(int i)
{
    return &counters[(size_t)i * STRIDE];
}

static tuza_waitgroup group;
static int log_of[3000]; // who was woken, in order
static int logged;       // atomic

struct one {
    uint32_t *addr;
    int id;
    bool lifo;
};
static struct one ones[10000];

static void acquire_and_log(void *arg)
{
    struct one *o = arg;
    tz_sema_acquire(o->addr, o->lifo, TZ_WAIT_MUTEX);
    log_of[__atomic_fetch_add(&logged, 1, __ATOMIC_ACQ_REL) % 3000] = o->id;
    tuza_waitgroup_done(&group);
}

static void start(uint32_t *addr, int id, bool lifo)
{
    int base = waiting_now();
    ones[id] = (struct one){ addr, id, lifo };
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(acquire_and_log, &ones[id]);
    until_waiting(base + 1);
}

static void until_logged(int n)
{
    while (__atomic_load_n(&logged, __ATOMIC_ACQUIRE) < n)
        tuza_yield();
}

IN_GOROUTINES(a_count_is_taken_without_waiting, 1)
{
    uint32_t s = 2;
    tz_sema_acquire(&s, false, TZ_WAIT_MUTEX);
    tz_sema_acquire(&s, false, TZ_WAIT_MUTEX);
    need_eq(s, 0);
    tz_sema_release(&s, false);
    tz_sema_release(&s, true);
    need_eq(s, 2);
    need_eq(tz_sema_waiters(&s), 0);
}

IN_GOROUTINES(waiters_of_an_address_are_first_in_first_out, 1)
{
    for (int i = 0; i < 50; i++) {
        start(counter(0), i, false);
        start(counter(1), 100 + i, false); // the same bucket
    }
    need_eq(tz_sema_waiters(counter(0)), 50);
    for (int i = 0; i < 50; i++) {
        tz_sema_release(counter(0), false);
        until_logged(i + 1);
        need_eq(log_of[i], i);
    }
    need_eq(tz_sema_waiters(counter(0)), 0);
    need_eq(tz_sema_waiters(counter(1)), 50);
    for (int i = 0; i < 50; i++) {
        tz_sema_release(counter(1), true);
        until_logged(51 + i);
        need_eq(log_of[50 + i], 100 + i);
    }
    tuza_waitgroup_wait(&group);
    need(*counter(0) == 0 && *counter(1) == 0);
}

IN_GOROUTINES(lifo_waiters_stand_in_front, 1)
{
    start(counter(0), 1, false);
    start(counter(0), 2, false);
    start(counter(0), 3, true);
    start(counter(0), 4, false);
    start(counter(0), 5, true);
    static const int want[] = { 5, 3, 1, 2, 4 };
    need_eq(tz_sema_waiters(counter(0)), 5);
    for (int i = 0; i < 5; i++) {
        tz_sema_release(counter(0), false);
        until_logged(i + 1);
        need_eq(log_of[i], want[i]);
    }
}

IN_GOROUTINES(a_handoff_cannot_be_taken_by_others, 1)
{
    start(counter(0), 1, false);
    tz_sema_release(counter(0), true);
    need_eq(*counter(0), 0); // although the waiter has not run yet
    need_eq(logged, 0);
    until_logged(1);
    start(counter(0), 2, false);
    tz_sema_release(counter(0), false);
    need_eq(*counter(0), 1); // anybody may have it
    tz_sema_acquire(counter(0), false, TZ_WAIT_MUTEX);
    for (int i = 0; i < 20; i++)
        tuza_yield();
    need_eq(logged, 1); // it woke in vain and waits again
    need_eq(tz_sema_waiters(counter(0)), 1);
    tz_sema_release(counter(0), false);
    until_logged(2);
}

// Random addresses of one bucket, random ends, against simple queues.
IN_GOROUTINES(the_tree_agrees_with_simple_queues, 1)
{
    enum { ADDRS = 40, MOST = 60 };
    static int queue[ADDRS][MOST], length[ADDRS];
    uint64_t seed = test_seed();
    int id = 0, woken = 0, total = scaled(3000);
    while (id < total || woken < id) {
        int a = (int)rnd(&seed, ADDRS);
        if (id < total && length[a] < MOST && rnd(&seed, 2)) {
            bool lifo = rnd(&seed, 4) == 0;
            start(counter(a), id, lifo);
            if (lifo)
                memmove(&queue[a][1], queue[a],
                        sizeof(int) * (size_t)length[a]);
            queue[a][lifo ? 0 : length[a]] = id++;
            length[a]++;
        } else if (length[a]) {
            tz_sema_release(counter(a), rnd(&seed, 2));
            until_logged(++woken);
            need_eq(log_of[(woken - 1) % 3000], queue[a][0]);
            memmove(queue[a], &queue[a][1], sizeof(int) * (size_t)--length[a]);
        }
        need_eq(tz_sema_waiters(counter(a)), length[a]);
        tz_sema_check(counter(a));
    }
    tuza_waitgroup_wait(&group);
}

// A release and a waiter at the same moment: no wake-up is lost.
static uint32_t ping, pong;

static void ponger(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        tz_sema_acquire(&ping, false, TZ_WAIT_MUTEX);
        tz_sema_release(&pong, false);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(no_wake_up_is_lost, 2)
{
    int n = scaled(50000);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(ponger, &n);
    for (int i = 0; i < n; i++) {
        tz_sema_release(&ping, i % 3 == 0);
        tz_sema_acquire(&pong, i % 2, TZ_WAIT_MUTEX);
    }
    tuza_waitgroup_wait(&group);
}

// Neither many addresses of a bucket nor many waiters of one make it linear.
static void acquire_only(void *arg)
{
    tz_sema_acquire(arg, false, TZ_WAIT_MUTEX);
    tuza_waitgroup_done(&group);
}

static int64_t time_many(int n, int addrs)
{
    int base = waiting_now();
    tuza_waitgroup_add(&group, n);
    int64_t t = tuza_now();
    for (int i = 0; i < n; i++)
        tuza_spawn(acquire_only, counter(i % addrs));
    while (waiting_now() < base + n)
        for (int i = 0; i < 100; i++) // counting them is linear
            tuza_yield();
    for (int i = 0; i < n; i++)
        tz_sema_release(counter(i % addrs), false);
    tuza_waitgroup_wait(&group);
    return tuza_now() - t;
}

static void needs_to_be_linear(bool many)
{
    enum { N = 2000 };
    int n = scaled(N);
    (void)time_many(2 * n, many ? 2 * n : 2); // makes the Gs and stacks
    for (int tries = 0; tries < 12; tries++) {
        int64_t t1 = time_many(n, many ? n : 2);
        int64_t t2 = time_many(2 * n, many ? 2 * n : 2);
        if (t2 < 3 * t1 || n < N) // fewer are too few to tell
            return;
    }
    ck_abort_msg("twice the waiters take more than three times as long");
}

IN_GOROUTINES(many_waiters_or_addresses_are_not_linear, 1)
{
    needs_to_be_linear(false);
    needs_to_be_linear(true);
}

int main(void)
{
    const TTest *const tests[] = {
        a_count_is_taken_without_waiting,
        waiters_of_an_address_are_first_in_first_out,
        lifo_waiters_stand_in_front,
        a_handoff_cannot_be_taken_by_others,
        the_tree_agrees_with_simple_queues,
        no_wake_up_is_lost,
        many_waiters_or_addresses_are_not_linear,
        NULL,
    };
    return api_check("sema", tests);
}
