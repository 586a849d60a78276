// SPDX-License-Identifier: BSD-3-Clause
// test/base/atomic_test.c: atomic operations: values, then threads.

#include <pthread.h>

#include "base/atomic.h"
#include "os/os_check.h"

START_TEST(each_operation_returns_the_value_before_it)
{
    uint32_t x = 5;
    ck_assert_uint_eq(tz_xchg(&x, 6), 5);
    ck_assert_uint_eq(tz_xchg_acq(&x, 7), 6);
    ck_assert_uint_eq(tz_xchg_rel(&x, 8), 7);
    ck_assert_uint_eq(tz_xadd(&x, 2), 8);
    ck_assert_uint_eq(tz_xadd_rlx(&x, -1u), 10);
    ck_assert_uint_eq(tz_xor_bits(&x, 6), 9); // an inclusive or
    ck_assert_uint_eq(tz_xor_bits_rlx(&x, 16), 15);
    ck_assert_uint_eq(tz_xand_bits(&x, 0x11), 31);
    ck_assert_uint_eq(tz_load(&x), 17);
    tz_store(&x, 1);
    ck_assert_uint_eq(tz_load_acq(&x), 1);
    tz_store_rel(&x, 2);
    ck_assert_uint_eq(tz_load_rlx(&x), 2);
    tz_store_rlx(&x, 3);
    ck_assert_uint_eq(x, 3);
}
END_TEST

START_TEST(a_swap_happens_only_from_the_expected_value)
{
    void *p = NULL;
    int a = 0, b = 0;
    ck_assert(tz_cas(&p, NULL, &a));
    ck_assert(!tz_cas(&p, NULL, &b));
    ck_assert_ptr_eq(p, &a);
    ck_assert(tz_cas_acq(&p, &a, &b));
    ck_assert(!tz_cas_acq(&p, &a, &a));
    ck_assert(tz_cas_rel(&p, &b, NULL));
    ck_assert(!tz_cas_rel(&p, &b, &a));
    ck_assert_ptr_null(p);
}
END_TEST

enum { ROUNDS = 100000 };

static struct {
    uint64_t sum; // atomic
    uint32_t arrived; // atomic
    uint32_t flag[2] TZ_ALIGNED(64);
    uint32_t seen[2];
    uint32_t both_zero;
} race;

static void *adder(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        tz_xadd(&race.sum, 1);
        uint64_t old;
        do
            old = tz_load_rlx(&race.sum);
        while (!tz_cas(&race.sum, old, old + 2));
    }
    return arg;
}

START_TEST(no_addition_is_lost)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, adder, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(race.sum, 9 * ROUNDS);
}
END_TEST

// Two threads meet here: both have come before either leaves.
static void meet(uint32_t *target)
{
    *target += 2;
    tz_xadd(&race.arrived, 1);
    while ((int32_t)(tz_load(&race.arrived) - *target) < 0)
        sched_yield();
}

// Each raises its flag and looks at the other's.
static void *dekker(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, target = 0;
    for (int i = 0; i < ROUNDS / 10; i++) {
        meet(&target);
        tz_xchg(&race.flag[me], 1);
        tz_store_rlx(&race.seen[me], tz_load(&race.flag[!me]));
        meet(&target);
        if (me == 0 && !tz_load_rlx(&race.seen[0]) &&
            !tz_load_rlx(&race.seen[1]))
            race.both_zero++;
        tz_store(&race.flag[me], 0);
    }
    return NULL;
}

START_TEST(an_exchange_is_seen_before_a_later_load)
{
    pthread_t t;
    pthread_create(&t, NULL, dekker, (void *)1);
    dekker(NULL);
    pthread_join(t, NULL);
    ck_assert_uint_eq(race.both_zero, 0);
}
END_TEST

int main(void)
{
    return os_check("base/atomic",
                    (const TTest *const[]){
                        each_operation_returns_the_value_before_it,
                        a_swap_happens_only_from_the_expected_value,
                        no_addition_is_lost,
                        an_exchange_is_seen_before_a_later_load, NULL });
}
