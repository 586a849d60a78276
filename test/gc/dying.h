// SPDX-License-Identifier: BSD-3-Clause
// test/gc/dying.h: objects that are made elsewhere and forgotten, and waiting
// for what follows from it.
#ifndef TEST_GC_DYING_H
#define TEST_GC_DYING_H

#include "canary.h"
#include "gc/special.h"

// Runs fn(arg) in a goroutine of its own, so that no word of what it did is
// left on this stack; the collector starts by itself meanwhile, as ever.
struct elsewhere {
    void (*fn)(void *arg);
    void *arg;
    int done;
};

static void run_elsewhere(void *arg)
{
    struct elsewhere *e = arg;
    e->fn(e->arg);
    __atomic_store_n(&e->done, 1, __ATOMIC_RELEASE);
}

static inline void elsewhere(void (*fn)(void *), void *arg)
{
    struct elsewhere e = { fn, arg, 0 };
    tuza_spawn(run_elsewhere, &e);
    while (!__atomic_load_n(&e.done, __ATOMIC_ACQUIRE))
        tuza_yield();
}

// Whether a finalizer or a cleanup is queued or being run.
static inline bool something_runs(void)
{
    tz_special_lock();
    uint32_t n = tz_special_count(TZ_SPECIAL_RUN_FINALIZER) +
                 tz_special_count(TZ_SPECIAL_RUN_CLEANUP) +
                 tz_special_count(TZ_SPECIAL_STOPPED);
    tz_special_unlock();
    return n != 0;
}

// Collects and lets others run until *count has reached `enough`, a number of
// which a few may be held by stale words; fails after many collections.
static inline void collect_until(const int *count, int enough)
{
    for (int i = 0; __atomic_load_n(count, __ATOMIC_SEQ_CST) < enough; i++) {
        if (i == 50)
            ck_abort_msg("%d of %d after %d collections",
                         __atomic_load_n(count, __ATOMIC_SEQ_CST), enough, i);
        if (i % 4 == 3)
            scrub_stacks();
        tuza_gc();
        while (something_runs())
            tuza_yield();
    }
}

static inline int counted(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}
static inline void count_one(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
}

// Nearly all of n.
static inline int most(int n) { return n - n / 8; }

#endif
