// SPDX-License-Identifier: BSD-3-Clause
// test: parts no-asan no-tsan
// test/stack/space_test.c: stacks where the process may map only so much.

#include <sys/resource.h>

#include "os/space.h"
#include "stack_check.h"

// From now on `left` bytes more may be mapped.
static void leave(uint64_t left)
{
    struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY }, l = none;
    l.rlim_cur = 16 * (uint64_t)TZ_GIB;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &l), 0);
    l.rlim_cur -= tz_space_left() - left; // what is mapped, and that
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &l), 0);
}

static size_t stride_of_a_new_stack(size_t size)
{
    return tz_slab_stride(slab_at(stack_get(NULL, size, NULL).lo));
}

START_TEST(default_stacks_are_smaller_where_there_is_little)
{
    tz_stack_init(0, 0);
    leave(400 * TZ_MIB);
    ck_assert_uint_eq(stride_of_a_new_stack(0), 256 * TZ_KIB);
    while (tz_stack_class_of(1) != tz_stack_class_of(
               stride_of_a_new_stack(0))) // used up, it goes down by itself
        ck_assert_uint_gt(tz_space_left(), 32 * TZ_MIB);
    ck_assert_uint_lt(tz_space_left(), 65 * TZ_MIB);
}
END_TEST

START_TEST(a_thousand_stacks_fit_where_they_can)
{
    static const uint64_t mib[] = { 20, 30, 60, 120, 250, 500 };
    uint32_t i = (uint32_t)_i;
    tz_stack_init(0, 0);
    leave(mib[i] * TZ_MIB);
    for (int n = 0; n < 1000; n++)
        stack_get(NULL, 0, NULL);
}
END_TEST

START_TEST(a_size_that_was_asked_for_is_kept_to)
{
    struct tz_stack st;
    tz_stack_init(256 * TZ_KIB, 0);
    leave(20 * TZ_MIB);
    ck_assert_uint_eq(stride_of_a_new_stack(0), 256 * TZ_KIB);
    ck_assert_uint_eq(stride_of_a_new_stack(TZ_MIB), TZ_MIB);
    ck_assert_uint_eq(stride_of_a_new_stack(8 * TZ_MIB), 8 * TZ_MIB);
    while (tz_stack_get(NULL, 0, NULL, &st) == 0)
        ck_assert_uint_eq(tz_slab_stride(slab_at(st.lo)), 256 * TZ_KIB);
    ck_assert_uint_lt(tz_space_left(), 3 * TZ_MIB);
}
END_TEST

START_TEST(a_slab_takes_an_eighth_of_what_is_left)
{
    tz_stack_init(0, 0);
    leave(100 * TZ_MIB);
    ck_assert_uint_eq(slab_at(stack_get(NULL, TZ_MIB, NULL).lo)->count, 8);
    ck_assert_uint_eq(slab_at(stack_get(NULL, 8 * TZ_MIB, NULL).lo)->count, 1);
    ck_assert_uint_eq(slab_at(stack_get(NULL, 16384, NULL).lo)->count, 64);
}
END_TEST

// Grants 64 KiB, with and without room to align it, and no more.
static bool above_64k(size_t n)
{
    return n > 64 * TZ_KIB && n != 64 * TZ_KIB + TZ_MIB - tz_vm_page();
}

START_TEST(a_refused_default_stack_becomes_a_smaller_one)
{
    sys_install();
    tz_stack_init(0, 0);
    struct tz_stackcache *caches[] = { NULL, tz_stackcache_make() };
    stride_of_a_new_stack(16 * TZ_KIB); // what is persistent is there
    sys.refuses = above_64k;
    for (int i = 0; i < 2; i++) {
        struct tz_stack st = stack_get(caches[i], 0, NULL);
        ck_assert_uint_eq(tz_slab_stride(slab_at(st.lo)), 64 * TZ_KIB);
        tz_stack_put(caches[i], &st);
    }
    ck_assert_uint_eq(stack_inuse(), 16 * TZ_KIB);
    struct tz_stack st;
    ck_assert_int_eq(tz_stack_get(NULL, 256 * TZ_KIB, NULL, &st), -ENOMEM);
    sys.refuses = NULL;
    ck_assert_uint_eq(stride_of_a_new_stack(0), 256 * TZ_KIB);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stack/space");
    TCase *tc = tcase_create("space");
    tcase_add_test(tc, default_stacks_are_smaller_where_there_is_little);
    tcase_add_loop_test(tc, a_thousand_stacks_fit_where_they_can, 0, 6);
    tcase_add_test(tc, a_size_that_was_asked_for_is_kept_to);
    tcase_add_test(tc, a_slab_takes_an_eighth_of_what_is_left);
    tcase_add_test(tc, a_refused_default_stack_becomes_a_smaller_one);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
