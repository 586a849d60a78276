// SPDX-License-Identifier: BSD-3-Clause
// test/model/litmus_test.c: that the explorer finds what it is said to find,
// and nothing that cannot be: the small programs that memory models are told
// apart by.

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "model/model_check.h"

static uint32_t x, y, r[4];

// Explores threads a and b (and c), which note what they read in r; found is
// set when an execution ends with the given r.
static uint32_t want[4];
static void found_it(void)
{
    if (!memcmp(r, want, sizeof r))
        model_fail("found");
}

static bool possible(void (*a)(void), void (*b)(void), void (*c)(void),
                     uint32_t r0, uint32_t r1, uint32_t r2)
{
    struct model_program p = { .name = "litmus",
                               .thread = { a, b, c },
                               .check = found_it,
                               .preemptions = 4,
                               .stale = 4,
                               .limit = 100000 };
    want[0] = r0, want[1] = r1, want[2] = r2;
    struct model_result res = model_explore(&p);
    ck_assert(res.failed || res.complete);
    ck_assert(!res.failed || !strcmp(res.why, "found"));
    return res.failed;
}

// Store buffering: each stores, then looks at what the other stores.
static void sb_rel_x(void)
{
    tz_store_rel(&x, 1);
    r[0] = tz_load(&y);
}
static void sb_rel_y(void)
{
    tz_store_rel(&y, 1);
    r[1] = tz_load(&x);
}
static void sb_sc_x(void)
{
    tz_store(&x, 1);
    r[0] = tz_load(&y);
}
static void sb_sc_y(void)
{
    tz_store(&y, 1);
    r[1] = tz_load(&x);
}
static void sb_xchg_x(void)
{
    (void)tz_xchg(&x, 1);
    r[0] = tz_load_rlx(&y);
}
static void sb_rmw_y(void)
{
    tz_xadd(&y, 1);
    r[1] = tz_load_acq(&x);
}

START_TEST(stores_wait_in_a_buffer_unless_they_are_sequentially_consistent)
{
    ck_assert(possible(sb_rel_x, sb_rel_y, NULL, 0, 0, 0));
    ck_assert(possible(sb_rel_x, sb_sc_y, NULL, 0, 0, 0));
    ck_assert(!possible(sb_sc_x, sb_sc_y, NULL, 0, 0, 0));
    ck_assert(!possible(sb_xchg_x, sb_rmw_y, NULL, 0, 0, 0));
    ck_assert(possible(sb_sc_x, sb_sc_y, NULL, 1, 1, 0));
    ck_assert(possible(sb_sc_x, sb_sc_y, NULL, 0, 1, 0));
    ck_assert(possible(sb_sc_x, sb_sc_y, NULL, 1, 0, 0));
}
END_TEST

// Message passing: x is the message, y the flag.
static void mp_send_rlx(void)
{
    tz_store_rlx(&x, 1);
    tz_store_rlx(&y, 1);
}
static void mp_send_rel(void)
{
    tz_store_rlx(&x, 1);
    tz_store_rel(&y, 1);
}
static void mp_get_rlx(void)
{
    r[0] = tz_load_rlx(&y);
    r[1] = tz_load_rlx(&x);
}
static void mp_get_acq(void)
{
    r[0] = tz_load_acq(&y);
    r[1] = tz_load_rlx(&x);
}

START_TEST(a_message_needs_a_release_and_an_acquire)
{
    ck_assert(possible(mp_send_rlx, mp_get_acq, NULL, 1, 0, 0));
    ck_assert(possible(mp_send_rel, mp_get_rlx, NULL, 1, 0, 0));
    ck_assert(!possible(mp_send_rel, mp_get_acq, NULL, 1, 0, 0));
    ck_assert(possible(mp_send_rel, mp_get_acq, NULL, 1, 1, 0));
}
END_TEST

// What was acquired is passed on; a read-modify-write keeps a release alive.
static void pass_on(void)
{
    tz_xadd_rlx(&y, 1);
}
static void get_two(void)
{
    r[0] = tz_load_acq(&y);
    r[1] = tz_load_rlx(&x);
}

START_TEST(a_release_lives_on_in_what_reads_and_writes)
{
    ck_assert(!possible(mp_send_rel, pass_on, get_two, 2, 0, 0));
    ck_assert(possible(mp_send_rel, pass_on, get_two, 2, 1, 0));
    ck_assert(possible(mp_send_rlx, pass_on, get_two, 2, 0, 0));
}
END_TEST

// Coherence: nobody sees a variable go back.
static void two_stores(void)
{
    tz_store_rlx(&x, 1);
    tz_store_rlx(&x, 2);
}
static void two_loads(void)
{
    r[0] = tz_load_rlx(&x);
    r[1] = tz_load_rlx(&x);
}

START_TEST(a_variable_never_goes_back)
{
    ck_assert(!possible(two_stores, two_loads, NULL, 2, 1, 0));
    ck_assert(!possible(two_stores, two_loads, NULL, 1, 0, 0));
    ck_assert(possible(two_stores, two_loads, NULL, 1, 2, 0));
}
END_TEST

static void add(void)
{
    uint32_t v = tz_load_rlx(&x);
    tz_store_rlx(&x, v + 1);
}
static void add_atomically(void)
{
    tz_xadd_rlx(&x, 1);
}
static uint32_t sum;
static void lost_one(void)
{
    if (x != sum)
        model_fail("found");
}

START_TEST(an_update_in_two_steps_is_lost_and_one_in_one_is_not)
{
    struct model_program p = { .name = "sum",
                               .thread = { add, add },
                               .check = lost_one,
                               .preemptions = 1,
                               .limit = 1000 };
    sum = 2;
    ck_assert(model_explore(&p).failed);
    p.preemptions = 0; // the bound holds
    struct model_result res = model_explore(&p);
    ck_assert(!res.failed && res.complete);
    p.thread[0] = p.thread[1] = p.thread[2] = add_atomically;
    p.preemptions = 3, p.stale = 3, sum = 3;
    res = model_explore(&p);
    ck_assert(!res.failed && res.complete);
}
END_TEST

// Sleeping: the word may change, or the wake come, before the sleep.
static void sleeper(void)
{
    while (tz_load_acq(&x) == 0)
        model_sleep(&x, 0, -1);
}
static void hasty_sleeper(void)
{
    if (tz_load_acq(&x) == 0)
        model_sleep(&y, 0, -1);
}
static void waker(void)
{
    tz_store(&x, 1);
    model_wake(&x, 1);
    model_wake(&y, 1);
}
static void mute_waker(void)
{
    tz_store(&x, 1);
}

START_TEST(a_lost_wake_up_is_found)
{
    struct model_program p = { .name = "sleep",
                               .thread = { sleeper, waker },
                               .preemptions = 2,
                               .stale = 2,
                               .limit = 10000,
                               .random = 100 };
    struct model_result res = model_explore(&p);
    ck_assert(!res.failed && res.complete);
    p.thread[1] = mute_waker;
    ck_assert(model_explore(&p).failed);
    p.thread[0] = hasty_sleeper, p.thread[1] = waker;
    ck_assert(model_explore(&p).failed);
}
END_TEST

// Plain data, handed over by a flag.
static void hand_over(void)
{
    model_touch(&x, sizeof x, true);
    tz_store_rel(&y, 1);
}
static void hand_over_rlx(void)
{
    model_touch(&x, sizeof x, true);
    tz_store_rlx(&y, 1);
}
static void take_over(void)
{
    if (tz_load_acq(&y))
        model_touch(&x, sizeof x, false);
}
static void take_over_rlx(void)
{
    if (tz_load_rlx(&y))
        model_touch(&x, sizeof x, false);
}

static bool race(void (*a)(void), void (*b)(void))
{
    struct model_program p = { .name = "race",
                               .thread = { a, b },
                               .preemptions = 1,
                               .limit = 1000 };
    struct model_result res = model_explore(&p);
    ck_assert(res.failed || res.complete);
    ck_assert(!res.failed || strstr(res.why, "data race"));
    return res.failed;
}

START_TEST(plain_data_are_handed_over_by_release_and_acquire)
{
    ck_assert(!race(hand_over, take_over));
    ck_assert(race(hand_over_rlx, take_over));
    ck_assert(race(hand_over, take_over_rlx));
}
END_TEST

START_TEST(a_failure_is_found_again_by_its_schedule)
{
    struct model_program p = { .name = "replay",
                               .thread = { hasty_sleeper, waker },
                               .preemptions = 2,
                               .limit = 10000 };
    struct model_result res = model_explore(&p);
    ck_assert(res.failed && strchr(res.schedule, ':'));
    setenv("MODEL_REPLAY", res.schedule, 1);
    struct model_result again = model_explore(&p);
    ck_assert(again.failed && again.searched == 0);
    ck_assert_str_eq(again.why, res.why);
    setenv("MODEL_REPLAY", "0", 1);
    ck_assert(!model_explore(&p).failed || !strcmp(res.schedule, "0"));
    unsetenv("MODEL_REPLAY");
    p.preemptions = 0, p.random = 100000; // by chance, too
    p.thread[0] = waker, p.thread[1] = sleeper;
    ck_assert(!model_explore(&p).failed);
}
END_TEST

int main(void)
{
    return model_tests(
        "litmus",
        (const TTest *const[]){
            stores_wait_in_a_buffer_unless_they_are_sequentially_consistent,
            a_message_needs_a_release_and_an_acquire,
            a_release_lives_on_in_what_reads_and_writes,
            a_variable_never_goes_back,
            an_update_in_two_steps_is_lost_and_one_in_one_is_not,
            a_lost_wake_up_is_found,
            plain_data_are_handed_over_by_release_and_acquire, a_failure_is_found_again_by_its_schedule,
            NULL });
}
