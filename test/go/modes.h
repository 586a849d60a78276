// SPDX-License-Identifier: BSD-3-Clause
// test/go/modes.h: claims about the collector that hold whether it stops the
// world to mark or marks beside the program.
//
//     IN_MODES(nothing_is_lost, 2)
//     {
//         …; need(whole(p));
//     }
//
// is two libcheck tests, nothing_is_lost as in support/goroutines.h and
// nothing_is_lost_beside, the same with TUZADEBUG=gcmode=m1. MODES(claim) are
// both, for the list that main gives to api_check. In both clobberfree=1 writes
// over what is swept, so that what was lost is seen to be; a TUZADEBUG of the
// environment is left as it is in the first.
#ifndef TEST_GO_MODES_H
#define TEST_GO_MODES_H

#include "support/goroutines.h"

#define IN_MODES(claim, maxprocs)                                              \
    GOROUTINE_MAIN_(claim)                                                     \
    START_TEST(claim)                                                          \
    {                                                                          \
        setenv("TUZADEBUG", "clobberfree=1", 0);                               \
        api_run(claim##_main, maxprocs);                                       \
    }                                                                          \
    END_TEST                                                                   \
    START_TEST(claim##_beside)                                                 \
    {                                                                          \
        setenv("TUZADEBUG", "gcmode=m1,clobberfree=1", 1);                     \
        api_run(claim##_main, maxprocs);                                       \
    }                                                                          \
    END_TEST                                                                   \
    static void claim##_body(void)

#define MODES(claim) claim, claim##_beside

static inline tuza_memstats memstats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

// --- Collections one after the other, beside which a test's goroutines work.

static struct {
    int stop, done; // atomic
    int enough;     // in proportion to TEST_SCALE, 4 at least
} collections;

static inline void collect_without_end(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&collections.stop, __ATOMIC_ACQUIRE)) {
        tuza_gc();
        __atomic_add_fetch(&collections.done, 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&collections.stop, -1, __ATOMIC_RELEASE);
}

static inline void begin_collections(void)
{
    collections.stop = collections.done = 0;
    collections.enough = scaled(20) < 4 ? 4 : scaled(20);
    tuza_spawn(collect_without_end, NULL);
}

// What is done beside them goes on as long as there were fewer than this.
static inline bool few_collections(void)
{
    return __atomic_load_n(&collections.done, __ATOMIC_ACQUIRE) <
           collections.enough;
}

static inline void end_collections(void)
{
    __atomic_store_n(&collections.stop, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&collections.stop, __ATOMIC_ACQUIRE) != -1)
        tuza_yield();
}

#endif
