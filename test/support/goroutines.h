// SPDX-License-Identifier: BSD-3-Clause
// test/support/goroutines.h: tests whose body is a program of goroutines.
//
//     IN_GOROUTINES(values_keep_their_order, 2)
//     {
//         …; need(v == i);
//     }
//
// is a libcheck test of that name: the body is the first goroutine, on so many
// Ps. DEATH(claim, "text") { … } is one that has to end with exit status 2 and
// the text on standard error; it has one P.
#ifndef TEST_GOROUTINES_H
#define TEST_GOROUTINES_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/sched.h"
#include "support/api_check.h"

#define GOROUTINE_MAIN_(claim)                                                 \
    static void claim##_body(void);                                            \
    static int claim##_main(int argc, char **argv)                             \
    {                                                                          \
        (void)argc, (void)argv;                                                \
        claim##_body();                                                        \
        return 0;                                                              \
    }

#define IN_GOROUTINES(claim, maxprocs)                                         \
    GOROUTINE_MAIN_(claim)                                                     \
    START_TEST(claim)                                                          \
    {                                                                          \
        api_run(claim##_main, maxprocs);                                       \
    }                                                                          \
    END_TEST                                                                   \
    static void claim##_body(void)

#define DEATH(claim, text)                                                     \
    GOROUTINE_MAIN_(claim)                                                     \
    static void claim##_child(void)                                            \
    {                                                                          \
        api_run(claim##_main, 1);                                              \
    }                                                                          \
    START_TEST(claim)                                                          \
    {                                                                          \
        const char *const texts[] = { text, NULL };                            \
        api_ended_with(api_child(claim##_child, 25), 2, texts);                \
    }                                                                          \
    END_TEST                                                                   \
    static void claim##_body(void)

// ck_assert writes to a file at every call, pass or fail; these only fail.
#define need(cond)                                                             \
    ((cond) ? (void)0 : ck_abort_msg("needed: %s (line %d)", #cond, __LINE__))
#define need_eq(a, b)                                                          \
    do {                                                                       \
        long long need_a_ = (long long)(a), need_b_ = (long long)(b);          \
        if (need_a_ != need_b_)                                                \
            ck_abort_msg("needed: %s == %s, but %lld != %lld (line %d)", #a,   \
                         #b, need_a_, need_b_, __LINE__);                      \
    } while (0)

// n in proportion to TEST_SCALE, a percentage; at least 1.
static inline int scaled(int n)
{
    const char *s = getenv("TEST_SCALE");
    long percent = s ? strtol(s, NULL, 10) : 100;
    long r = (long)n * percent / 100;
    return r < 1 ? 1 : (int)r;
}

// The seed of a random test: TEST_SEED, or a new one; printed.
static inline uint64_t test_seed(void)
{
    const char *s = getenv("TEST_SEED");
    uint64_t seed = s ? strtoull(s, NULL, 10) : (uint64_t)tuza_now();
    printf("TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

// xorshift64*: a test's own random numbers, in [0, n).
static inline uint32_t rnd(uint64_t *state, uint32_t n)
{
    uint64_t x = *state ? *state : 88172645463325252u;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    *state = x;
    return (uint32_t)(((x * 2685821657736338717u >> 32) * n) >> 32);
}

// Goroutines that wait at this moment, the runtime's own included. One that is
// counted may still be on its way, but holds the lock under which it queued.
static inline int waiting_now(void)
{
    int n = 0;
    for (size_t i = 0; i < tz_allg_count(); i++)
        n += tz_load_rlx(&tz_allg_get(i)->status) == TZ_G_WAITING;
    return n;
}

// Lets others run until n goroutines wait.
static inline void until_waiting(int n)
{
    while (waiting_now() < n)
        tuza_yield();
}

#endif
