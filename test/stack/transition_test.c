// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/transition_test.c: when memory becomes stacks, and stops to be:
// what the system is told where it polices the stack pointer (here: where
// TUZADEBUG=mapstack=1 says so), seen from the hook table.

#include <dlfcn.h>

#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "stack/slabpool.h"
#include "stack/stackcache.h"
#include "stack_check.h"

static long page_told; // by sysconf; 0: the truth

// Not instrumented, for a sanitizer asks before it is ready.
TZ_NO_SANITIZE long sysconf(int name)
{
    if (name == _SC_PAGESIZE && page_told)
        return page_told;
    static long (*real)(int);
    if (!real)
        real = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

enum what { REMAP, REMAP_BACK, MAP, UNMAP, GUARD };

static struct {
    enum what what;
    uintptr_t lo, hi;
    uintptr_t first; // of a remap: the word that lay at lo
    bool manual;     // lo was in a manual span
} call[4096];
static uint32_t ncalls;

static void note(enum what what, uintptr_t lo, size_t n)
{
    ck_assert_uint_lt(ncalls, tz_countof(call));
    call[ncalls].what = what;
    call[ncalls].lo = lo;
    call[ncalls].hi = lo + n;
    call[ncalls].first = what == REMAP ? *(uintptr_t *)lo : 0;
    call[ncalls++].manual = tz_heap_manual_of(lo) != NULL;
}

static int log_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    if (flags & MAP_FIXED)
        note(flags & MAP_STACK ? REMAP : REMAP_BACK, (uintptr_t)addr, n);
    size_t more = flags & MAP_FIXED ? 0 : (size_t)page_told;
    char *p = mmap(addr, n + more, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    if (more) // to begin where a page of that size does
        p = (char *)tz_align_up((uintptr_t)p, more);
    *out = p;
    if (!(flags & MAP_FIXED))
        note(MAP, (uintptr_t)p, n);
    return 0;
}

static int log_munmap(void *addr, size_t n)
{
    note(UNMAP, (uintptr_t)addr, n);
    return munmap(addr, n) ? errno : 0;
}

static int log_madvise(void *addr, size_t n, int advice)
{
    if (advice == 102) // MADV_GUARD_INSTALL
        note(GUARD, (uintptr_t)addr, n);
    return madvise(addr, n, advice) ? errno : 0;
}

static void start(bool police)
{
    struct tz_vm_hooks h = { .mmap = log_mmap, .munmap = log_munmap,
                             .madvise = log_madvise };
    ck_assert_int_eq(setenv("TUZADEBUG", police ? "mapstack=1" : "", 1), 0);
    ck_assert_int_eq(tz_vm_set_hooks(&h), 0);
    ck_assert_int_eq(tz_vm_stack_policed(), police);
    tz_central_init();
    ck_assert_int_eq(tz_heap_init(), 0);
    tz_stack_init(0, 0);
    ncalls = 0;
}

static uint32_t count_of(enum what what)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ncalls; i++)
        n += call[i].what == what;
    return n;
}

// The last of the first n calls that map or unmap p; -1: none.
static int last_before(uint32_t n, uintptr_t p)
{
    while (n-- > 0)
        if (call[n].what != GUARD && p - call[n].lo < call[n].hi - call[n].lo)
            return (int)n;
    return -1;
}

static int last_about(uintptr_t p) { return last_before(ncalls, p); }

// Bytes that are stack memory in the system's eyes. The mark goes with the
// mapping, too.
static uint64_t marked(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < ncalls; i++) {
        int was = call[i].what == UNMAP ? last_before(i, call[i].lo) : -1;
        if (call[i].what == REMAP)
            n += call[i].hi - call[i].lo;
        else if (call[i].what == REMAP_BACK ||
                 (was >= 0 && call[was].what == REMAP))
            n -= call[i].hi - call[i].lo;
    }
    return n;
}

static uintptr_t fixed_get(unsigned order)
{
    uintptr_t lo = 0;
    ck_assert_int_eq(tz_stackpool_get(NULL, order, &lo), 0);
    return lo;
}

START_TEST(s1_05_a_span_is_remapped_before_its_first_byte_is_written)
{
    start(true);
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        uint32_t n = 32768 / (1024u << order);
        uintptr_t lo[32];
        ncalls = 0;
        for (uint32_t i = 0; i < n; i++) // the list has survived
            lo[i] = fixed_get(order);
        ck_assert_uint_eq(count_of(REMAP), 1);
        int at = last_about(lo[0]);
        ck_assert_int_eq(call[at].what, REMAP);
        ck_assert(call[at].manual); // taken from the heap before
        ck_assert_uint_eq(call[at].hi - call[at].lo, 32768);
        ck_assert(call[at].first - call[at].lo > 32768); // no list yet
        for (uint32_t i = 0; i < n; i++)
            ck_assert(lo[i] >= call[at].lo && lo[i] < call[at].hi);
    }
}
END_TEST

START_TEST(s1_05_a_slab_is_remapped_before_its_guards_are_cut)
{
    start(true);
    struct tz_stack st = stack_get(NULL, 0, NULL);
    const struct tz_slab *s = slab_at(st.lo);
    uint32_t remap = UINT32_MAX, guard = UINT32_MAX;
    for (uint32_t i = 0; i < ncalls; i++) {
        if (call[i].what == REMAP) {
            ck_assert_uint_eq(call[i].lo, s->base);
            ck_assert_uint_eq(call[i].hi, s->base + s->count * 256 * TZ_KIB);
            remap = i;
        }
        if (call[i].what == GUARD && call[i].lo == s->base)
            guard = i;
    }
    ck_assert_uint_ne(remap, UINT32_MAX);
    ck_assert(!tz_vm_guard_works() || (guard != UINT32_MAX && guard > remap));
    ck_assert_uint_eq(marked(), stack_sys());
}
END_TEST

// The four places where stack memory stops to be: a fixed span, and a large
// stack, at once and at the end of a collection; and slabs.
START_TEST(s1_06_what_is_told_is_untold_at_all_four_places)
{
    start(true);
    uintptr_t fixed = fixed_get(2);
    tz_stackpool_put(NULL, 2, fixed);
    ck_assert_int_eq(call[last_about(fixed)].what, REMAP_BACK);
    ck_assert(call[last_about(fixed)].manual); // not heap yet
    ck_assert_uint_eq(marked(), 0);

    struct tz_stack large = stack_get(NULL, 16 * TZ_MIB, NULL);
    uintptr_t lo = large.lo;
    ck_assert_uint_eq(marked(), 16 * TZ_MIB);
    tz_stack_put(NULL, &large);
    ck_assert(!tz_slabpool_unmap(false)); // somebody may want it again
    tz_slabpool_step();
    tz_slabpool_step();
    ck_assert(tz_slabpool_unmap(false));
    ck_assert_int_eq(call[last_about(lo)].what, UNMAP);
    ck_assert_uint_eq(marked(), 0);

    fixed = fixed_get(0);
    large = stack_get(NULL, 32 * TZ_MIB, NULL);
    lo = large.lo;
    tz_stack_gc_begin();
    tz_stackpool_put(NULL, 0, fixed);
    tz_stack_put(NULL, &large);
    ck_assert_uint_eq(marked(), 32768 + 32 * TZ_MIB);
    tz_stack_gc_end();
    ck_assert_int_eq(call[last_about(fixed)].what, REMAP_BACK);
    tz_stack_give_back();
    ck_assert_int_eq(call[last_about(lo)].what, UNMAP);
    ck_assert_uint_eq(marked(), 0);

    struct tz_stack st = stack_get(NULL, 0, NULL);
    tz_stack_put(NULL, &st);
    ck_assert_uint_eq(marked(), stack_stats().sys);
    while (tz_slabpool_unmap(true))
        ;
    ck_assert_uint_eq(marked(), 0);
    uint64_t remaps, back;
    tz_vm_stack_counts(&remaps, &back);
    ck_assert_uint_eq(remaps, back);
    ck_assert_uint_eq(remaps, count_of(REMAP));
}
END_TEST

START_TEST(s1_06_remaps_less_remaps_back_are_the_stacks)
{
    enum { HELD = 100 };
    struct {
        uintptr_t fixed;
        unsigned order;
        struct tz_stack st;
    } held[HELD] = { 0 };
    uint64_t seed = 11;
    start(true);
    for (int n = 0; n < 3000; n++) {
        uint64_t r = tz_rand_next(&seed);
        int i = (int)(r % HELD);
        if (held[i].fixed) {
            tz_stackpool_put(NULL, held[i].order, held[i].fixed);
            held[i].fixed = 0;
        } else if (held[i].st.lo) {
            tz_stack_put(NULL, &held[i].st);
        } else if (r >> 32 & 3) {
            held[i].order = r >> 40 & 3;
            held[i].fixed = fixed_get(held[i].order);
        } else {
            held[i].st = stack_get(NULL, r >> 40 & 7 ? 64 * TZ_KIB
                                                     : 16 * TZ_MIB, NULL);
        }
        if (n % 500 == 499) {
            tz_stack_gc_begin();
            tz_stack_gc_end();
            tz_stack_give_back();
        }
        if (n % 50 == 0) {
            uint64_t slabs, ahead;
            struct tz_stackpool_stats fixed;
            tz_slab_stats(&slabs, &ahead);
            tz_stackpool_stats(&fixed);
            ck_assert_uint_eq(marked(), slabs + fixed.sys);
        }
    }
}
END_TEST

START_TEST(s1_07_remaps_are_never_more_than_stacks_at_the_peak)
{
    start(true);
    struct tz_stack st[5];
    for (int n = 0; n < 1000; n++) {
        if (n == 0)
            tz_stack_gc_begin();
        for (int i = 0; i < 5; i++)
            st[i] = stack_get(NULL, 16 * TZ_MIB, NULL);
        for (int i = 0; i < 5; i++)
            tz_stack_put(NULL, &st[i]);
    }
    ck_assert_uint_eq(count_of(REMAP), 5);
    ck_assert_uint_eq(count_of(REMAP_BACK), 0);
}
END_TEST

// What was a stack becomes an object whose words the collector reads.
static void becomes_zeroed_heap(bool police)
{
    start(police);
    uintptr_t lo[40], base;
    for (int i = 0; i < 40; i++) {
        lo[i] = fixed_get(3);
        memset((void *)lo[i], 0x5a, 8192);
    }
    base = lo[0];
    for (int i = 0; i < 40; i++)
        tz_stackpool_put(NULL, 3, lo[i]);
    struct tz_mcache *c = tz_mcache_make();
    bool found = false;
    for (int n = 0; n < 20 && !found; n++) {
        char *p = tz_mcache_alloc(c, 320 * TZ_KIB, TZ_SCAN);
        ck_assert_ptr_nonnull(p);
        size_t zero = 0; // a ck_assert for each byte would be slow
        while (zero < 320 * TZ_KIB && p[zero] == 0)
            zero++;
        ck_assert_uint_eq(zero, 320 * TZ_KIB);
        found = base - (uintptr_t)p < 320 * TZ_KIB;
    }
    ck_assert(found);
}

START_TEST(s1_08_what_becomes_heap_reads_as_zero)
{
    becomes_zeroed_heap(false);
}
END_TEST

START_TEST(s1_08_what_becomes_heap_reads_as_zero_where_it_is_remapped)
{
    becomes_zeroed_heap(true);
}
END_TEST

START_TEST(s1_10_heap_that_was_a_stack_has_lost_its_mark)
{
    start(true);
    uintptr_t lo[100];
    for (int i = 0; i < 100; i++)
        lo[i] = fixed_get(3);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(call[last_about(lo[i])].what, REMAP);
    for (int i = 0; i < 100; i++)
        tz_stackpool_put(NULL, 3, lo[i]);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(call[last_about(lo[i])].what, REMAP_BACK);
}
END_TEST

// A kernel whose pages are larger than the heap's, or than a span.
START_TEST(s1_14_what_is_remapped_is_whole_pages_of_any_size)
{
    page_told = 16384 << _i; // 16, 32 and 64 KiB
    start(true);
    ck_assert_uint_eq(tz_vm_page(), (size_t)page_told);
    uintptr_t lo[80];
    for (int i = 0; i < 80; i++) {
        lo[i] = fixed_get(3);
        memset((void *)lo[i], 0x5a, 8192);
    }
    for (int i = 0; i < 80; i++)
        ck_assert_int_eq(call[last_about(lo[i])].what, REMAP);
    for (int i = 0; i < 80; i++)
        tz_stackpool_put(NULL, 3, lo[i]);
    struct tz_stack st = stack_get(NULL, 16 * TZ_KIB, NULL);
    const struct tz_slab *s = slab_at(st.lo);
    ck_assert_uint_ge(tz_slab_stride(s), 4 * (size_t)page_told);
    ck_assert_uint_eq(s->guard_size % (size_t)page_told, 0);
    *(volatile char *)st.lo = 1;
    tz_stack_put(NULL, &st);
    while (tz_slabpool_unmap(true))
        ;
    ck_assert_uint_gt(count_of(REMAP), 1);
    for (uint32_t i = 0; i < ncalls; i++)
        ck_assert_uint_eq((call[i].lo | call[i].hi) % (size_t)page_told, 0);
    ck_assert_uint_eq(marked(), 0);
}
END_TEST

START_TEST(s1_04_where_nothing_is_policed_nothing_is_remapped)
{
    start(false);
    uintptr_t fixed[100];
    struct tz_stack st = stack_get(NULL, 0, NULL);
    struct tz_stack large = stack_get(NULL, 16 * TZ_MIB, NULL);
    for (int i = 0; i < 100; i++)
        fixed[i] = fixed_get(1);
    for (int i = 0; i < 100; i++)
        tz_stackpool_put(NULL, 1, fixed[i]);
    tz_stack_put(NULL, &st);
    tz_stack_put(NULL, &large);
    while (tz_slabpool_unmap(true))
        ;
    ck_assert_uint_eq(count_of(REMAP) + count_of(REMAP_BACK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stack/transition");
    TCase *tc = tcase_create("transition");
    tcase_add_test(tc,
                   s1_05_a_span_is_remapped_before_its_first_byte_is_written);
    tcase_add_test(tc, s1_05_a_slab_is_remapped_before_its_guards_are_cut);
    tcase_add_test(tc, s1_06_what_is_told_is_untold_at_all_four_places);
    tcase_add_test(tc, s1_06_remaps_less_remaps_back_are_the_stacks);
    tcase_add_test(tc, s1_07_remaps_are_never_more_than_stacks_at_the_peak);
    tcase_add_test(tc, s1_08_what_becomes_heap_reads_as_zero);
    tcase_add_test(tc,
                   s1_08_what_becomes_heap_reads_as_zero_where_it_is_remapped);
    tcase_add_test(tc, s1_10_heap_that_was_a_stack_has_lost_its_mark);
    tcase_add_loop_test(tc, s1_14_what_is_remapped_is_whole_pages_of_any_size,
                        0, 3);
    tcase_add_test(tc, s1_04_where_nothing_is_policed_nothing_is_remapped);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
