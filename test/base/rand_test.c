// SPDX-License-Identifier: BSD-3-Clause
// test/base/rand_test.c: the generator's bounds and its state.

#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "base/rand.h"
#include "os/os_check.h"

static void seed_it(void)
{
    uint64_t seed = (uint64_t)time(NULL);
    printf("rand: seed %" PRIu64 "\n", seed);
    tz_tls_get()->rand[0] = seed;
}

START_TEST(numbers_stay_below_their_bound)
{
    static const uint32_t bounds[] = { 1,        2,        3,
                                       7,        64,       1000,
                                       1u << 20, 1u << 31, (1u << 31) + 1,
                                       UINT32_MAX };
    seed_it();
    for (size_t i = 0; i < tz_countof(bounds); i++)
        for (int k = 0; k < 20000; k++)
            ck_assert_uint_lt(tz_rand_n(bounds[i]), bounds[i]);
}
END_TEST

START_TEST(every_number_below_the_bound_comes_equally_often)
{
    enum { N = 13, EACH = 10000 };
    uint32_t count[N] = { 0 };
    seed_it();
    for (int i = 0; i < N * EACH; i++)
        count[tz_rand_n(N)]++;
    for (int i = 0; i < N; i++) { // eight standard deviations
        ck_assert_uint_gt(count[i], EACH - 800);
        ck_assert_uint_lt(count[i], EACH + 800);
    }
}
END_TEST

START_TEST(a_seed_gives_one_sequence_and_another_gives_another)
{
    uint64_t a = 42, b = 42, c = 43;
    int same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = tz_rand_next(&a);
        ck_assert_uint_eq(x, tz_rand_next(&b));
        same += x == tz_rand_next(&c);
    }
    ck_assert_int_eq(same, 0);
}
END_TEST

static void *draw(void *arg)
{
    tz_tls_get()->rand[0] = 9;
    *(uint64_t *)arg = tz_rand();
    return NULL;
}

START_TEST(each_thread_has_a_state_of_its_own)
{
    uint64_t state = 9, want = tz_rand_next(&state), got = 0;
    pthread_t t;
    tz_tls_get()->rand[0] = 9;
    pthread_create(&t, NULL, draw, &got);
    pthread_join(t, NULL);
    ck_assert_uint_eq(got, want);
    ck_assert_uint_eq(tz_rand(), want);
}
END_TEST

int main(void)
{
    return os_check("base/rand",
                    (const TTest *const[]){
                        numbers_stay_below_their_bound,
                        every_number_below_the_bound_comes_equally_often,
                        a_seed_gives_one_sequence_and_another_gives_another,
                        each_thread_has_a_state_of_its_own, NULL });
}
