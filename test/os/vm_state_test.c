// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_state_test.c: the states of memory and what is charged to them.

#include <sys/syscall.h>

#include "vm_rig.h"

static void wanted_madvfree(void)
{
    ck_assert_int_eq(setenv("TUZADEBUG", "gctrace=0,madvfree=1", 1), 0);
}

static const struct call *last(char what)
{
    for (int i = k.calls; i-- > 0;)
        if (k.log[i].what == what)
            return &k.log[i];
    return NULL;
}

START_TEST(s2_13_memory_is_dropped_at_once_unless_told)
{
    install();
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(last('a')->flags, MADV_DONTNEED);
    ck_assert(tz_vm_unused_zeroes());
}
END_TEST

START_TEST(s2_13_lazy_dropping_is_an_option)
{
    wanted_madvfree();
    install();
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(last('a')->flags, MADV_FREE);
    ck_assert_ptr_eq(last('a')->p, p);
    ck_assert(!tz_vm_unused_zeroes());
    ck_assert_uint_eq(stats().released[TZ_VM_HEAP], n);
    tz_vm_used(p, n, TZ_VM_HEAP);
    memset(p, 2, n);
    ck_assert_int_eq(p[n - 1], 2);
}
END_TEST

START_TEST(s2_13_a_kernel_without_lazy_dropping_gets_the_other)
{
    wanted_madvfree();
    install();
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    k.fail_madvise = 1; // of the probe
    k.madvise_err = EINVAL;
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(last('a')->flags, MADV_DONTNEED);
    ck_assert(tz_vm_unused_zeroes());
    tz_vm_used(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(p[0] | p[n - 1], 0);
    k.calls = 0;
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(k.calls, 1); // found out once
}
END_TEST

START_TEST(s2_13_a_single_range_without_lazy_dropping)
{
    wanted_madvfree();
    install();
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    ck_assert(!tz_vm_unused_zeroes());
    memset(p, 1, n);
    k.fail_madvise = 1; // of huge pages, say
    k.madvise_err = EINVAL;
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(last('a')->flags, MADV_DONTNEED);
    ck_assert_int_eq(p[0] | p[n - 1], 0);
    ck_assert(!tz_vm_unused_zeroes()); // of others
}
END_TEST

START_TEST(s2_14_using_again_is_no_call_and_no_huge_page)
{
    install();
    size_t n = 4 * TZ_MIB;
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    k.calls = 0;
    tz_vm_used(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(k.calls, 0);
    p[0] = 1;
    for (int i = 0; i < 3; i++) {
        tz_vm_unused(p, n, TZ_VM_HEAP);
        tz_vm_used(p, n, TZ_VM_HEAP);
    }
    char *s = tz_vm_alloc_stacks(n, n);
    ck_assert_ptr_nonnull(s);
    for (int i = 0; i < k.calls; i++)
        if (k.log[i].what == 'a')
            ck_assert(k.log[i].flags == MADV_DONTNEED ||
                      k.log[i].flags == MADV_NOHUGEPAGE);
}
END_TEST

static void touch_faulted(void)
{
    size_t n = 2 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    signal(SIGSEGV, SIG_DFL);
    if (tz_vm_fault(p, tz_vm_page()) != 0 || p[tz_vm_page()] != 1)
        _exit(1);
    *(volatile char *)p = 1;
}

START_TEST(s2_15_a_faulted_range_faults)
{
    install();
    size_t n = 2 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    ck_assert_int_eq(tz_vm_fault(p + 1, n), -EINVAL);
    ck_assert_int_eq(tz_vm_fault(p, n), 0);
    ck_assert(tz_vmsys_faults(p) && mapped(p));
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], n);
    unsigned char in;
    ck_assert_int_eq(mincore(p, tz_vm_page(), &in), 0);
    ck_assert_int_eq(in & 1, 0);
    tz_vm_free(p, n, TZ_VM_HEAP, TZ_VM_READY);
    ck_assert_int_eq(k.balance, 0);
}
END_TEST

START_TEST(s2_15_touching_it_raises_sigsegv)
{
    ck_assert_int_eq(os_child(touch_faulted).status, -SIGSEGV);
}
END_TEST

START_TEST(s2_16_memory_in_any_state_is_freed)
{
    install();
    size_t page = tz_vm_page();
    for (int use = 0; use < TZ_VM_USES; use++) {
        enum tz_vm_use u = (enum tz_vm_use)use;
        char *p = tz_vm_reserve(NULL, 9 * page, 0, u);
        ck_assert_int_eq(tz_vm_map(p + 3 * page, 6 * page, u), 0);
        tz_vm_unused(p + 6 * page, 3 * page, u);
        struct tz_vm_stats s = stats();
        ck_assert_uint_eq(s.reserved[u], 3 * page);
        ck_assert_uint_eq(s.ready[u], 3 * page);
        ck_assert_uint_eq(s.released[u], 3 * page);
        tz_vm_free(p + 6 * page, 3 * page, u, TZ_VM_RELEASED);
        ck_assert_uint_eq(stats().released[u], 0);
        tz_vm_free(p, 3 * page, u, TZ_VM_RESERVED);
        ck_assert_uint_eq(stats().reserved[u], 0);
        tz_vm_free(p + 3 * page, 3 * page, u, TZ_VM_READY);
        ck_assert_uint_eq(stats().ready[u], 0);
        ck_assert_int_eq(k.balance, 0);
        for (size_t i = 0; i < 9; i++)
            ck_assert(!mapped(p + i * page));
    }
}
END_TEST

START_TEST(s2_20_a_charge_moves_whole)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(8 * page, TZ_VM_OTHER);
    tz_vm_charge(TZ_VM_OTHER, TZ_VM_META, 3 * page);
    ck_assert_uint_eq(stats().ready[TZ_VM_OTHER], 5 * page);
    ck_assert_uint_eq(stats().ready[TZ_VM_META], 3 * page);
    ck_assert_int_eq(believed(), k.balance);
    tz_vm_charge(TZ_VM_META, TZ_VM_OTHER, 3 * page);
    tz_vm_free(p, 8 * page, TZ_VM_OTHER, TZ_VM_READY);
    ck_assert_int_eq(believed(), 0);
}
END_TEST

static void check_sums(void)
{
    ck_assert_int_eq(believed(), k.balance);
}

// Everything there is, each step of which may fail.
static void live(char *wish)
{
    size_t page = tz_vm_page(), n = 8 * page;
    char *p = tz_vm_alloc(n, TZ_VM_META);
    check_sums();
    char *r = tz_vm_reserve(NULL, 4 * n, 4 * n, TZ_VM_HEAP);
    check_sums();
    bool ready = r && tz_vm_map(r + n, n, TZ_VM_HEAP) == 0;
    check_sums();
    char *s = tz_vm_alloc_stacks(n, 2 * n);
    check_sums();
    if (s && tz_vm_guard(s, page) != 0)
        tz_vm_protect(s, page);
    bool at = tz_vm_map_at(wish, n, TZ_VM_GC) == 0;
    check_sums();
    tz_vm_probe(wish + n, n);
    check_sums();
    if (p) {
        tz_vm_unused(p, n, TZ_VM_META);
        check_sums();
        tz_vm_used(p, n / 2, TZ_VM_META);
        tz_vm_free(p, n / 2, TZ_VM_META, TZ_VM_READY);
        check_sums();
        tz_vm_free(p + n / 2, n / 2, TZ_VM_META, TZ_VM_RELEASED);
        check_sums();
    }
    if (r) {
        tz_vm_free(r, n, TZ_VM_HEAP, TZ_VM_RESERVED);
        tz_vm_free(r + n, n, TZ_VM_HEAP,
                   ready ? TZ_VM_READY : TZ_VM_RESERVED);
        tz_vm_free(r + 2 * n, 2 * n, TZ_VM_HEAP, TZ_VM_RESERVED);
        check_sums();
    }
    if (s)
        tz_vm_free(s, n, TZ_VM_STACK, TZ_VM_READY);
    if (at)
        tz_vm_free(wish, n, TZ_VM_GC, TZ_VM_READY);
    check_sums();
}

START_TEST(s2_20_the_sum_is_what_the_hooks_have_mapped)
{
    install();
    char *wish = tz_vm_reserve(NULL, 64 * tz_vm_page(), 0, TZ_VM_HEAP);
    tz_vm_free(wish, 64 * tz_vm_page(), TZ_VM_HEAP, TZ_VM_RESERVED);
    k.offset = true; // so that alignment needs its second step
    int at = 0;
    for (bool failed = true; failed; at++) {
        k.calls = k.injected = 0;
        k.fail_at = at;
        live(wish);
        failed = k.injected > 0;
        k.fail_at = -1;
        k.calls = 0;
        live(wish); // and what was deferred goes
        struct tz_vm_stats s = stats();
        ck_assert_uint_eq(s.unmap_deferred, 0);
        ck_assert_int_eq(believed(), 0);
        ck_assert_int_eq(k.balance, 0);
    }
    ck_assert_int_gt(at, 10);
}
END_TEST

START_TEST(s2_26_what_is_ready_for_the_first_time_is_zero)
{
    install();
    size_t n = 32 * tz_vm_page();
    for (int i = 0; i < 20; i++) {
        char *p[4] = { tz_vm_alloc(n, TZ_VM_META),
                       tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP),
                       tz_vm_alloc_stacks(n, 2 * n),
                       tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP) };
        tz_vm_free(p[3], n, TZ_VM_HEAP, TZ_VM_RESERVED);
        if (tz_vm_map_at(p[3], n, TZ_VM_HEAP) != 0)
            p[3] = tz_vm_alloc(n, TZ_VM_HEAP);
        ck_assert_int_eq(tz_vm_map(p[1], n, TZ_VM_HEAP), 0);
        for (int j = 0; j < 4; j++) {
            ck_assert(p[j][0] == 0 && memcmp(p[j], p[j] + 1, n - 1) == 0);
            memset(p[j], 1, n); // the next one there must not see it
        }
        static const enum tz_vm_use uses[] = { TZ_VM_META, TZ_VM_HEAP,
                                               TZ_VM_STACK, TZ_VM_HEAP };
        for (int j = 0; j < 4; j++)
            tz_vm_free(p[j], n, uses[j], TZ_VM_READY);
        k.calls = 0;
    }
}
END_TEST

// What the address sanitizer was told of a range must not outlive it: the next
// one there may be anybody's.
START_TEST(s0_14_asan_forgets_what_was_unmapped)
{
    install();
    size_t n = 8 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    tz_san_poison(p, n);
    tz_vm_free(p, n, TZ_VM_HEAP, TZ_VM_READY);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    char *q = (char *)syscall(SYS_mmap, p, n, PROT_READ | PROT_WRITE, flags,
                              -1, 0); // whom no sanitizer sees
    if (q == p)
        memset(q, 1, n);
    p = tz_vm_alloc(n, TZ_VM_HEAP);
    tz_san_poison(p, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    tz_vm_used(p, n, TZ_VM_HEAP);
    memset(p, 1, n);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_14_asan_forgets_what_was_unmapped,
        s2_13_memory_is_dropped_at_once_unless_told,
        s2_13_lazy_dropping_is_an_option,
        s2_13_a_kernel_without_lazy_dropping_gets_the_other,
        s2_13_a_single_range_without_lazy_dropping,
        s2_14_using_again_is_no_call_and_no_huge_page,
        s2_15_a_faulted_range_faults,
        s2_15_touching_it_raises_sigsegv,
        s2_16_memory_in_any_state_is_freed,
        s2_20_a_charge_moves_whole,
        s2_20_the_sum_is_what_the_hooks_have_mapped,
        s2_26_what_is_ready_for_the_first_time_is_zero,
        NULL,
    };
    return os_check("os/vm_state", tests);
}
