// SPDX-License-Identifier: BSD-3-Clause
// test/base/event_test.c: listeners hear what they want, and nothing else.

#include <check.h>
#include <string.h>

#include "base/event.h"

enum { RUN = 1 << TZ_EV_RUN, PARK = 1 << TZ_EV_PARK };

static struct {
    int calls;
    enum tz_event kind;
    uint64_t a, b;
} heard[2];

static void hear(int i, enum tz_event kind, uint64_t a, uint64_t b)
{
    heard[i].calls++;
    heard[i].kind = kind;
    heard[i].a = a;
    heard[i].b = b;
}

static void first(enum tz_event kind, uint64_t a, uint64_t b)
{
    hear(0, kind, a, b);
}

static void second(enum tz_event kind, uint64_t a, uint64_t b)
{
    hear(1, kind, a, b);
}

START_TEST(a_listener_hears_the_kinds_that_it_wants)
{
    static struct tz_listener l[2] = { { .fn = first }, { .fn = second } };
    tz_event(TZ_EV_RUN, 1, 2);
    tz_event_want(&l[0], RUN);
    tz_event(TZ_EV_PARK, 3, 4);
    ck_assert_int_eq(heard[0].calls, 0);
    tz_event(TZ_EV_RUN, 5, UINT64_MAX);
    ck_assert_int_eq(heard[0].calls, 1);
    ck_assert_int_eq(heard[0].kind, TZ_EV_RUN);
    ck_assert_uint_eq(heard[0].a, 5);
    ck_assert_uint_eq(heard[0].b, UINT64_MAX);

    tz_event_want(&l[1], RUN | PARK);
    tz_event(TZ_EV_RUN, 6, 7);
    tz_event(TZ_EV_PARK, 8, 9);
    ck_assert_int_eq(heard[0].calls, 2);
    ck_assert_int_eq(heard[1].calls, 2);
    ck_assert_int_eq(heard[1].kind, TZ_EV_PARK);

    tz_event_want(&l[0], 0);
    tz_event(TZ_EV_RUN, 1, 1);
    ck_assert_int_eq(heard[0].calls, 2);
    ck_assert_int_eq(heard[1].calls, 3);
    tz_event_want(&l[1], 0);
    ck_assert_uint_eq(tz_base_events.kinds, 0);
    tz_event_want(&l[1], PARK); // again, and not twice on the list
    tz_event(TZ_EV_PARK, 1, 1);
    ck_assert_int_eq(heard[1].calls, 4);
}
END_TEST

START_TEST(each_kind_has_a_bit_and_a_name)
{
    ck_assert_int_le(TZ_EV_COUNT, 32);
    for (int i = 0; i < TZ_EV_COUNT; i++) {
        ck_assert_ptr_nonnull(tz_event_name((enum tz_event)i));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(tz_event_name((enum tz_event)i),
                             tz_event_name((enum tz_event)k));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("event");
    TCase *tc = tcase_create("event");
    tcase_add_test(tc, a_listener_hears_the_kinds_that_it_wants);
    tcase_add_test(tc, each_kind_has_a_bit_and_a_name);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
