// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/sync_test.c: Go's src/sync mutex_test.go and waitgroup_test.go, and
// src/runtime/sema_test.go, retold.

#include "support/goroutines.h"
#include "sync/sema.h"

typedef tuza_chan(int) int_chan;

// mutex_test.go: TestSemaphore

tuza_fn(hammer_semaphore, uint32_t *, s, int, loops, int_chan, done)
{
    for (int i = 0; i < loops; i++) {
        tz_sema_acquire(s, false, TZ_WAIT_MUTEX);
        tz_sema_release(s, false);
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(semaphore, 2)
{
    uint32_t s = 1;
    int_chan done = tuza_chan_make(int, 0);
    for (int i = 0; i < 10; i++)
        tuza_go(hammer_semaphore, &s, scaled(1000), done);
    for (int i = 0; i < 10; i++)
        tuza_recv(done, NULL);
    need_eq(s, 1);
}

// TestMutex

tuza_fn(hammer_mutex, tuza_mutex *, m, int, loops, int_chan, done)
{
    for (int i = 0; i < loops; i++) {
        if (i % 3 == 0) {
            if (tuza_mutex_trylock(m) == 0)
                tuza_mutex_unlock(m);
            continue;
        }
        tuza_mutex_lock(m);
        tuza_mutex_unlock(m);
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(mutex, 10)
{
    tuza_mutex m = { 0 };
    int_chan done = tuza_chan_make(int, 0);
    tuza_mutex_lock(&m);
    need_eq(tuza_mutex_trylock(&m), -EBUSY);
    tuza_mutex_unlock(&m);
    need_eq(tuza_mutex_trylock(&m), 0);
    tuza_mutex_unlock(&m);
    for (int i = 0; i < 10; i++)
        tuza_go(hammer_mutex, &m, scaled(10000), done);
    for (int i = 0; i < 10; i++)
        tuza_recv(done, NULL);
}

// TestMutexMisuse

DEATH(mutex_misuse_unlock, "unlocked")
{
    tuza_mutex m = { 0 };
    tuza_mutex_unlock(&m);
}

DEATH(mutex_misuse_unlock_twice, "unlocked")
{
    tuza_mutex m = { 0 };
    tuza_mutex_lock(&m);
    tuza_mutex_unlock(&m);
    tuza_mutex_unlock(&m);
}

// TestMutexFairness

static tuza_mutex contended;

tuza_fn(hold_it_long, int_chan, stop)
{
    do {
        tuza_mutex_lock(&contended);
        tuza_sleep(TUZA_US(100));
        tuza_mutex_unlock(&contended);
    } while (tuza_select(TUZA_RECV(stop, NULL), TUZA_DEFAULT) == 1);
}

tuza_fn(want_it_ten_times, int_chan, done)
{
    for (int i = 0; i < 10; i++) {
        tuza_sleep(TUZA_US(100));
        tuza_mutex_lock(&contended);
        tuza_mutex_unlock(&contended);
    }
    tuza_send(done, 1);
}

IN_GOROUTINES(mutex_fairness, 2)
{
    int_chan stop = tuza_chan_make(int, 0), done = tuza_chan_make(int, 1);
    tuza_go(hold_it_long, stop);
    tuza_go(want_it_ten_times, done);
    need_eq(tuza_select(TUZA_RECV(done, NULL), TUZA_AFTER(TUZA_SEC(10))), 0);
    tuza_close(stop);
}

// waitgroup_test.go: TestWaitGroup

tuza_fn(meet_at, tuza_waitgroup *, wg1, tuza_waitgroup *, wg2, int_chan, exited)
{
    tuza_waitgroup_done(wg1);
    tuza_waitgroup_wait(wg2);
    tuza_send(exited, 1);
}

IN_GOROUTINES(waitgroup, 2)
{
    static tuza_waitgroup wg1, wg2;
    for (int round = 0; round < 8; round++) {
        int_chan exited = tuza_chan_make(int, 16);
        tuza_waitgroup_add(&wg1, 16);
        tuza_waitgroup_add(&wg2, 16);
        for (int i = 0; i < 16; i++)
            tuza_go(meet_at, &wg1, &wg2, exited);
        tuza_waitgroup_wait(&wg1);
        for (int i = 0; i < 16; i++) {
            need_eq(tuza_select(TUZA_RECV(exited, NULL), TUZA_DEFAULT), 1);
            tuza_waitgroup_done(&wg2);
        }
        for (int i = 0; i < 16; i++)
            tuza_recv(exited, NULL);
    }
}

// TestWaitGroupMisuse

DEATH(waitgroup_misuse, "negative wait group counter")
{
    tuza_waitgroup wg = { 0 };
    tuza_waitgroup_add(&wg, 1);
    tuza_waitgroup_done(&wg);
    tuza_waitgroup_done(&wg);
}

// TestWaitGroupRace. A done is the last access to the group, so that it may go
// as soon as the wait has returned.

struct race {
    tuza_waitgroup wg;
    int32_t n;
};

tuza_fn(add_one_and_done, struct race *, r)
{
    __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&r->wg);
}

IN_GOROUTINES(waitgroup_race, 2)
{
    for (int i = 0, loops = scaled(20000); i < loops; i++) {
        struct race r = { .n = 0 };
        tuza_waitgroup_add(&r.wg, 1);
        tuza_go(add_one_and_done, &r);
        tuza_waitgroup_add(&r.wg, 1);
        tuza_go(add_one_and_done, &r);
        tuza_waitgroup_wait(&r.wg);
        need_eq(__atomic_load_n(&r.n, __ATOMIC_RELAXED), 2);
        memset(&r, 0xee, sizeof r);
    }
}

// TestWaitGroupAlign

struct odd {
    char x;
    tuza_waitgroup wg;
};

tuza_fn(done_in_odd, struct odd *, o)
{
    tuza_waitgroup_done(&o->wg);
}

IN_GOROUTINES(waitgroup_align, 2)
{
    struct odd o = { .x = 1 };
    tuza_waitgroup_add(&o.wg, 1);
    tuza_go(done_in_odd, &o);
    tuza_waitgroup_wait(&o.wg);
}

// runtime/sema_test.go: TestSemaHandoff. There the releaser yields to whom it
// handed over; here it does not, but nobody else can have what was handed over.

tuza_fn(acquire_and_reply, uint32_t *, sema, int_chan, done)
{
    tz_sema_acquire(sema, false, TZ_WAIT_MUTEX);
    tuza_send(done, 1);
}

IN_GOROUTINES(sema_handoff, 2)
{
    int_chan done = tuza_chan_make(int, 1);
    for (int i = 0, n = scaled(10000); i < n; i++) {
        uint32_t sema = 0;
        tuza_go(acquire_and_reply, &sema, done);
        while (tz_sema_waiters(&sema) == 0)
            tuza_yield();
        tz_sema_release(&sema, true);
        need_eq(__atomic_load_n(&sema, __ATOMIC_RELAXED), 0);
        tuza_recv(done, NULL);
    }
}

int main(void)
{
    const TTest *const tests[] = {
        semaphore,
        mutex,
        mutex_misuse_unlock,
        mutex_misuse_unlock_twice,
        mutex_fairness,
        waitgroup,
        waitgroup_misuse,
        waitgroup_race,
        waitgroup_align,
        sema_handoff,
        NULL,
    };
    return api_check("go/sync", tests);
}
