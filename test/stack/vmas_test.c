// SPDX-License-Identifier: BSD-3-Clause
// test: release-only parts
// test/stack/vmas_test.c: a million stacks are few mappings. Of 64 KiB, which
// need a quarter of the page tables that those of the default class do.

#include "stack/slabpool.h"
#include "stack/stackcache.h"
#include "stack_check.h"

enum { MOST = 1000000 };

static uint32_t mappings(void)
{
    char text[65536];
    uint32_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(text, sizeof text, f))
        n++;
    fclose(f);
    return n;
}

START_TEST(a_million_stacks_take_at_most_64_mappings)
{
    static uintptr_t lo[MOST];
    tz_stack_init(0, 0);
    if (!tz_vm_guard_works() || !tz_slab_cheap(1))
        return; // zones are mappings here, or there is little room
    struct tz_stackcache *c = tz_stackcache_make();
    uint32_t before = mappings();
    uint64_t persistent = 0;
    struct tz_vm_stats vm[2];
    tz_vm_stats_read(&vm[0]);
    for (int i = 0; i < MOST; i++)
        lo[i] = stack_get(c, 64 * TZ_KIB, &lo[i]).lo;
    tz_vm_stats_read(&vm[1]);
    ck_assert_uint_le(mappings() - before, 64);
    // What is known of a stack: at most 16 bytes.
    for (int use = 0; use < TZ_VM_USES; use++)
        if (use != TZ_VM_STACK)
            persistent += vm[1].ready[use] - vm[0].ready[use];
    ck_assert_uint_le(persistent / MOST, 16);
    for (int i = 0; i < MOST; i++) {
        struct tz_stack st, found;
        void *who;
        ck_assert_int_eq(tz_stack_find(lo[i], &st, &who), TZ_STACK_IN);
        ck_assert_ptr_eq(who, &lo[i]);
        found = st;
        tz_stack_put(c, &found);
    }
    for (int i = 0; i < 3; i++) {
        tz_stack_gc_begin();
        tz_stack_gc_end();
    }
    tz_stack_give_back();
    ck_assert_uint_eq(stack_sys(), 0);
    ck_assert_uint_le(mappings() - before, 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stack/vmas");
    TCase *tc = tcase_create("vmas");
    tcase_set_timeout(tc, 200);
    tcase_add_test(tc, a_million_stacks_take_at_most_64_mappings);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
