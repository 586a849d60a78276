// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_hook_test.c: memory from hostile kernels and tools, played by the
// hook table.
//
// vm_rig.h has the hooks.

#include "vm_rig.h"

#include "os/vm_own.h"

START_TEST(s0_01_one_of_mmap_and_munmap_alone_is_refused)
{
    struct tz_vm_hooks half = { .mmap = hook_mmap };
    ck_assert_int_eq(tz_vm_set_hooks(&half), -EINVAL);
    half = (struct tz_vm_hooks){ .munmap = hook_munmap };
    ck_assert_int_eq(tz_vm_set_hooks(&half), -EINVAL);
    ck_assert_int_eq(tz_vm_set_hooks(NULL), -EINVAL);
    half = (struct tz_vm_hooks){ .madvise = hook_madvise };
    ck_assert_int_eq(tz_vm_set_hooks(&half), 0);
    char *p = tz_vm_alloc(tz_vm_page(), TZ_VM_META); // libc's
    tz_vm_unused(p, tz_vm_page(), TZ_VM_META);
    ck_assert_int_eq(count_calls('m'), 0);
    ck_assert_int_gt(count_calls('a'), 0);
}
END_TEST

START_TEST(late_hooks_are_refused)
{
    tz_vm_alloc(tz_vm_page(), TZ_VM_META);
    ck_assert_int_eq(tz_vm_set_hooks(&hooks), -EBUSY);
    ck_assert_int_eq(k.calls, 0);
}
END_TEST

// Every operation once; ends with all given back.
static void use_all(void)
{
    size_t page = tz_vm_page();
    char *meta = tz_vm_alloc(3 * page, TZ_VM_META);
    char *heap = tz_vm_reserve(NULL, 64 * page, 32 * page, TZ_VM_HEAP);
    ck_assert(meta && heap);
    ck_assert_int_eq(tz_vm_map(heap, 8 * page, TZ_VM_HEAP), 0);
    char *stacks = tz_vm_alloc_stacks(64 * page, 64 * page);
    ck_assert_ptr_nonnull(stacks);
    ck_assert_uint_eq((uintptr_t)heap % (32 * page), 0);
    ck_assert_uint_eq((uintptr_t)stacks % (64 * page), 0);
    if (tz_vm_guard(stacks, page))
        ck_assert_int_eq(tz_vm_protect(stacks, page), 0);
    memset(heap, 1, 8 * page);
    tz_vm_unused(heap, 8 * page, TZ_VM_HEAP);
    ck_assert_int_eq(k.balance, believed());
    tz_vm_used(heap, 8 * page, TZ_VM_HEAP);
    ck_assert_int_eq(heap[0], 0);
    ck_assert_int_eq(k.balance, believed());
    ck_assert_int_eq(k.balance, (3 + 64 + 64) * (int64_t)page);
    tz_vm_free(meta, 3 * page, TZ_VM_META, true);
    tz_vm_free(heap, 8 * page, TZ_VM_HEAP, true);
    tz_vm_free(heap + 8 * page, 56 * page, TZ_VM_HEAP, false);
    tz_vm_free(stacks, 64 * page, TZ_VM_STACK, true);
    ck_assert_int_eq(believed(), 0);
}

START_TEST(each_mapped_byte_is_unmapped_once)
{
    install();
    use_all();
    ck_assert_int_eq(k.balance, 0);
    ck_assert_uint_eq(stats().calls, (uint64_t)k.calls);
}
END_TEST

START_TEST(s2_24_a_page_off_does_no_harm)
{
    install();
    k.ignore_hints = k.offset = true;
    for (int i = 0; i < 10; i++)
        use_all();
    ck_assert_int_eq(k.balance, 0);
}
END_TEST

START_TEST(s2_17_reserving_learns_that_hints_are_ignored)
{
    enum { N = 20 };
    install();
    k.ignore_hints = k.offset = true;
    size_t align = 16 * TZ_MIB, n = align + tz_vm_page();
    char *hint = (char *)((uintptr_t)0x5000 << 32);
    for (int i = 0; i < N; i++) {
        char *p = tz_vm_reserve(hint, n, align, TZ_VM_HEAP);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % align, 0);
    }
    // One mmap each, and at most three more until that is learnt.
    ck_assert_int_le(count_calls('m'), N + 3);
    ck_assert_int_eq(k.balance, (int64_t)n * N);
}
END_TEST

START_TEST(hints_that_work_again_are_noticed)
{
    install();
    size_t n = 16 * TZ_MIB;
    char *spot = tz_vm_reserve(NULL, n * 8, n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(spot);
    tz_vm_free(spot, n * 8, TZ_VM_HEAP, false);
    k.ignore_hints = true;
    for (int i = 0; i < 5; i++) {
        char *p = tz_vm_reserve(spot, n, n, TZ_VM_HEAP);
        tz_vm_free(p, n, TZ_VM_HEAP, false);
    }
    k.ignore_hints = false;
    ck_assert_ptr_eq(tz_vm_reserve(spot, n, n, TZ_VM_HEAP), spot);
    k.calls = 0;
    ck_assert_ptr_eq(tz_vm_reserve(spot + n, n, n, TZ_VM_HEAP), spot + n);
    ck_assert_int_eq(k.calls, 1);
}
END_TEST

START_TEST(s2_04_a_refusal_moves_nothing_and_unmaps_nothing)
{
    install();
    size_t page = tz_vm_page();
    static const int errs[] = { ENOMEM, EINVAL, ENOSYS };
    for (size_t i = 0; i < tz_countof(errs); i++) {
        k.fail_mmap = FOREVER;
        k.mmap_err = errs[i];
        ck_assert_ptr_null(tz_vm_alloc(page, TZ_VM_META));
        ck_assert_ptr_null(tz_vm_reserve(NULL, page, 8 * page, TZ_VM_HEAP));
        ck_assert_ptr_null(tz_vm_alloc_stacks(page, page));
        ck_assert(!tz_vm_guard_works());
    }
    ck_assert_int_eq(count_calls('u'), 0);
    ck_assert_int_eq(believed(), 0);
    ck_assert_int_eq(k.balance, 0);
    // And is not taken for an answer about the kernel.
    k.fail_mmap = 0;
    k.madvise_lies = false;
    char *p = tz_vm_alloc(page, TZ_VM_META);
    int err = madvise(p, page, tz_vmsys_advice(TZ_VMSYS_GUARD));
    ck_assert(tz_vm_guard_works() == (err == 0 && tz_vmsys_faults(p)));
}
END_TEST

START_TEST(s2_08_a_refusal_of_the_second_step_leaks_nothing)
{
    install();
    k.offset = true;
    size_t n = 16 * TZ_MIB;
    char *p = tz_vm_reserve(NULL, n, n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(p);
    k.calls = 0;
    char *q = tz_vm_reserve(NULL, n + tz_vm_page(), n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(q);
    ck_assert_int_eq(count_calls('m'), 2); // there was a second step
    ck_assert_int_eq(k.balance, believed());
}
END_TEST

static void refused_by(int err)
{
    install();
    k.fail_mmap = FOREVER;
    k.mmap_err = err;
    for (int i = 0; i < 3; i++)
        if (tz_vm_alloc(4 * tz_vm_page(), TZ_VM_META))
            _exit(1);
    tz_vm_die("a test");
}

static void refused_eacces(void)
{
    refused_by(EACCES);
}

static void refused_eagain(void)
{
    refused_by(EAGAIN);
}

static void refused_enomem(void)
{
    refused_by(ENOMEM);
}

static void refused_nothing(void)
{
    tz_vm_die("a test");
}

// Whoever survives a refusal need not tell it; a death of it is one line.
START_TEST(s2_11_a_death_of_want_tells_why_in_one_line)
{
    static const struct {
        void (*body)(void);
        const char *words;
    } rows[] = {
        { refused_eacces, "Permission denied; a security policy such as "
                          "SELinux" },
        { refused_eagain, "see `ulimit -l`" },
        { refused_enomem, "Cannot allocate memory; see `ulimit -v`" },
    };
    char call[64];
    snprintf(call, sizeof call, "(mmap of %zu bytes: ", 4 * tz_vm_page());
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = os_child(rows[i].body);
        ck_assert_int_eq(e.status, 2);
        ck_assert(!strncmp(e.text, "tuza: fatal: a test: out of memory (", 36));
        os_assert_has(e.text, call);
        os_assert_has(e.text, rows[i].words);
        ck_assert_int_eq(os_count(e.text, "\n"), 1);
    }
    struct os_ended e = os_child(refused_nothing);
    ck_assert_str_eq(e.text, "tuza: fatal: a test: out of memory\n");
}
END_TEST

START_TEST(s2_11_a_refusal_names_the_last_call)
{
    char text[256], tiny[5];
    ck_assert_str_eq(tz_vm_refusal(text, sizeof text), "");
    install();
    char *p = tz_vm_reserve(NULL, 4 * tz_vm_page(), 0, TZ_VM_HEAP);
    k.fail_mprotect = 1;
    ck_assert_int_eq(tz_vm_map(p, tz_vm_page(), TZ_VM_HEAP), -ENOMEM);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "mprotect of %zu bytes at %p: Cannot",
             tz_vm_page(), (void *)p);
    os_assert_has(tz_vm_refusal(text, sizeof text), wanted);
    ck_assert_str_eq(tz_vm_refusal(tiny, sizeof tiny), "mpro");
}
END_TEST

START_TEST(s2_09_a_failed_map_leaves_the_reservation)
{
    install();
    size_t page = tz_vm_page(), n = 4 * page;
    char *p = tz_vm_reserve(NULL, 3 * n, 0, TZ_VM_HEAP);
    for (int part = 0; part < 2; part++) {
        k.part_mprotect = part;
        k.fail_mprotect = 1;
        ck_assert_int_eq(tz_vm_map(p + n, n, TZ_VM_HEAP), -ENOMEM);
        ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 0);
        ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 3 * n);
        ck_assert_int_eq(k.balance, believed());
        for (char *q = p; q < p + 3 * n; q += page)
            ck_assert(mapped(q) && tz_vmsys_faults(q));
    }
    ck_assert_int_eq(tz_vm_map(p + n, n, TZ_VM_HEAP), 0);
    ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 2 * n);
}
END_TEST

START_TEST(s2_12_flags_and_protections_are_modest)
{
    install();
    use_all();
    for (int i = 0; i < k.calls; i++) {
        const struct call *c = &k.log[i];
        if (c->what == 'm' || c->what == 'p')
            ck_assert_int_eq(c->prot & PROT_EXEC, 0);
        if (c->what != 'm')
            continue;
        int both = MAP_PRIVATE | MAP_ANONYMOUS;
        ck_assert_int_eq(c->flags & both, both);
        ck_assert_int_eq(c->flags & MAP_FIXED, 0); // nobody's mapping is hit
        if (c->prot == PROT_NONE)
            ck_assert_int_ne(c->flags & MAP_NORESERVE, 0);
    }
}
END_TEST

static void misaligned_result(void)
{
    install();
    tz_vm_page();
    k.misaligned = true;
    tz_vm_alloc(tz_vm_page(), TZ_VM_META);
}

static void munmap_refused(void)
{
    install();
    char *p = tz_vm_alloc(2 * tz_vm_page(), TZ_VM_META);
    k.fail_munmap = 1;
    k.munmap_err = EINVAL;
    char line[64];
    snprintf(line, sizeof line, "at %p\n", (void *)p);
    if (write(STDERR_FILENO, line, strlen(line)) > 0)
        tz_vm_free(p, 2 * tz_vm_page(), TZ_VM_META, true);
}

START_TEST(a_hook_that_returns_no_page_is_fatal)
{
    struct os_ended e = os_child(misaligned_result);
    os_assert_has(e.text, "tuza: fatal: mmap: ");
    ck_assert_int_eq(e.status, 2);
}
END_TEST

START_TEST(s0_04_a_munmap_that_fails_is_fatal_and_tells_all)
{
    struct os_ended e = os_child(munmap_refused);
    char address[32], length[32];
    ck_assert_int_eq(sscanf(e.text, "at %31s", address), 1);
    snprintf(length, sizeof length, "%zu bytes", 2 * tz_vm_page());
    const char *line = strchr(e.text, '\n') + 1;
    os_assert_has(line, "tuza: fatal: munmap: ");
    os_assert_has(line, address);
    os_assert_has(line, length);
    os_assert_has(line, "(Invalid argument)");
    ck_assert_int_eq(e.status, 2);
}
END_TEST

// Frees page i of p as if the kernel had too many mappings.
static void free_refused(char *p, size_t i)
{
    k.fail_munmap = 1;
    k.munmap_err = ENOMEM;
    tz_vm_free(p + i * tz_vm_page(), tz_vm_page(), TZ_VM_HEAP, true);
    ck_assert_int_eq(k.fail_munmap, 0);
}

START_TEST(s0_15_a_deferred_range_loses_memory_and_access_at_once)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(4 * page, TZ_VM_HEAP);
    memset(p, 1, 4 * page);
    free_refused(p, 1);
    ck_assert_uint_eq(stats().unmap_deferred, page);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 3 * page);
    ck_assert_int_eq(k.balance, believed());
    ck_assert(mapped(p + page) && tz_vmsys_faults(p + page));
    unsigned char in;
    ck_assert_int_eq(mincore(p + page, page, &in), 0);
    ck_assert_int_eq(in & 1, 0);
    ck_assert_int_eq(p[0] + p[2 * page], 2);
}
END_TEST

START_TEST(s0_15_deferred_ranges_join_and_go_with_a_later_free)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(16 * page, TZ_VM_HEAP);
    static const size_t order[] = { 1, 3, 2, 9, 5, 4 };
    for (size_t i = 0; i < tz_countof(order); i++)
        free_refused(p, order[i]);
    ck_assert_uint_eq(stats().unmap_deferred, 6 * page);
    k.calls = 0;
    tz_vm_free(p + 15 * page, page, TZ_VM_HEAP, true);
    ck_assert_uint_eq(stats().unmap_deferred, 0);
    ck_assert_int_eq(count_calls('u'), 3); // itself, 1 to 5, and 9
    ck_assert_int_eq(k.balance, believed());
    ck_assert(!mapped(p + page) && mapped(p) && mapped(p + 6 * page));
}
END_TEST

START_TEST(s0_15_deferred_ranges_go_when_memory_is_short)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(4 * page, TZ_VM_HEAP);
    char *r = tz_vm_reserve(NULL, 4 * page, 0, TZ_VM_HEAP);
    free_refused(p, 1);
    k.fail_mmap = 1;
    k.mmap_err = ENOMEM;
    ck_assert_ptr_nonnull(tz_vm_alloc(page, TZ_VM_META));
    ck_assert_uint_eq(stats().unmap_deferred, 0);
    free_refused(p, 2);
    k.fail_mprotect = 1;
    ck_assert_int_eq(tz_vm_map(r, page, TZ_VM_HEAP), 0);
    ck_assert_uint_eq(stats().unmap_deferred, 0);
    ck_assert_int_eq(k.balance, believed());
}
END_TEST

START_TEST(a_retry_that_fails_keeps_the_range)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(8 * page, TZ_VM_HEAP);
    free_refused(p, 1);
    free_refused(p, 3);
    // The next free works, what it tries again does not.
    ck_assert_uint_eq(stats().unmap_deferred, 2 * page);
    k.fail_munmap = 3; // this one too, then both of the retry
    tz_vm_free(p + 5 * page, page, TZ_VM_HEAP, true);
    ck_assert_uint_eq(stats().unmap_deferred, 3 * page);
    k.fail_munmap = 0;
    tz_vm_free(p + 7 * page, page, TZ_VM_HEAP, true);
    ck_assert_uint_eq(stats().unmap_deferred, 0);
    ck_assert_int_eq(k.balance, believed());
}
END_TEST

static void overflow_the_list(void)
{
    enum { N = 1030 };
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(2 * N * page, TZ_VM_HEAP);
    for (size_t i = 0; i < N; i++)
        free_refused(p, 2 * i);
    ck_assert_uint_eq(stats().unmap_deferred, N * page);
    ck_assert_int_eq(k.balance, believed());
}

START_TEST(more_deferred_ranges_than_fit_are_told_once)
{
    struct os_ended e = os_child(overflow_the_list);
    os_assert_has(e.text, "vm.max_map_count");
    ck_assert_int_eq(os_count(e.text, "\n"), 1);
    ck_assert_int_eq(e.status, 0);
}
END_TEST

START_TEST(advice_is_tried_again)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_HEAP);
    tz_vm_unused(p, page, TZ_VM_HEAP); // the probe is over
    tz_vm_used(p, page, TZ_VM_HEAP);
    memset(p, 1, page);
    k.calls = 0;
    k.fail_madvise = 3;
    k.madvise_err = EAGAIN;
    tz_vm_unused(p, page, TZ_VM_HEAP);
    ck_assert_int_eq(k.calls, 4);
    unsigned char in;
    ck_assert_int_eq(mincore(p, page, &in), 0);
    ck_assert_int_eq(in & 1, 0);
}
END_TEST

// A kernel without that advice is asked once, a refusal for the moment is none.
START_TEST(s2_13_memory_that_is_not_to_be_had_at_once_comes_by_and_by)
{
    install();
    size_t page = tz_vm_page(), n = 4 * page;
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    k.fail_madvise = 1;
    k.madvise_err = EINVAL;
    tz_vm_prefault(p, n);
    int calls = k.calls;
    tz_vm_prefault(p, n);
    ck_assert_int_eq(k.calls, calls);
    ck_assert(k.fail_madvise == 0);
    memset(p, 1, n);
    ck_assert_int_eq(p[n - 1], 1);
}
END_TEST

START_TEST(a_refusal_of_memory_at_once_is_forgotten)
{
    install();
    size_t page = tz_vm_page(), n = 4 * page;
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    unsigned char in[64] = { 0 };
    tz_vm_prefault(p, page); // the probe is over
    k.fail_madvise = 1;
    k.madvise_err = ENOMEM;
    tz_vm_prefault(p, n);
    ck_assert_int_eq(mincore(p, n, in), 0);
    ck_assert_int_eq(in[3] & 1, 0);
    tz_vm_prefault(p, n);
    ck_assert_int_eq(mincore(p, n, in), 0);
    ck_assert_int_eq(in[3] & 1, tz_vmask_prefault());
}
END_TEST

START_TEST(s2_13_unused_reads_zero_where_advice_fails_or_lies)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_HEAP);
    *p = 1;
    k.madvise_lies = true;
    tz_vm_unused(p, page, TZ_VM_HEAP);
    ck_assert_int_eq(*p, 0);
    k.madvise_lies = false;
    tz_vm_used(p, page, TZ_VM_HEAP);
    *p = 1;
    k.fail_madvise = FOREVER;
    k.madvise_err = ENOSYS;
    tz_vm_unused(p, page, TZ_VM_HEAP);
    ck_assert_int_eq(*p, 0);
}
END_TEST

START_TEST(s2_13_a_late_refusal_of_advice_still_zeroes)
{
    install();
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_HEAP);
    tz_vm_unused(p, page, TZ_VM_HEAP);
    tz_vm_used(p, page, TZ_VM_HEAP);
    *p = 1;
    k.fail_madvise = FOREVER;
    k.madvise_err = EINVAL;
    tz_vm_unused(p, page, TZ_VM_HEAP);
    ck_assert_int_eq(*p, 0);
}
END_TEST

START_TEST(guards_that_do_nothing_do_not_work)
{
    install();
    k.madvise_lies = true; // qemu-user
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_STACK);
    ck_assert(!tz_vm_guard_works());
    ck_assert_int_eq(tz_vm_guard(p, page), -EOPNOTSUPP);
    ck_assert_int_eq(k.balance, believed()); // the scratch page is back
}
END_TEST

START_TEST(errno_is_kept_whatever_hooks_leave)
{
    install();
    errno = 77;
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_META);
    tz_vm_free(p, page, TZ_VM_META, true);
    ck_assert_int_eq(errno, 77);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_01_one_of_mmap_and_munmap_alone_is_refused,
        late_hooks_are_refused,
        each_mapped_byte_is_unmapped_once,
        s2_24_a_page_off_does_no_harm,
        s2_17_reserving_learns_that_hints_are_ignored,
        hints_that_work_again_are_noticed,
        s2_04_a_refusal_moves_nothing_and_unmaps_nothing,
        s2_08_a_refusal_of_the_second_step_leaks_nothing,
        s2_11_a_death_of_want_tells_why_in_one_line,
        s2_11_a_refusal_names_the_last_call,
        s2_09_a_failed_map_leaves_the_reservation,
        s2_12_flags_and_protections_are_modest,
        a_hook_that_returns_no_page_is_fatal,
        s0_04_a_munmap_that_fails_is_fatal_and_tells_all,
        s0_15_a_deferred_range_loses_memory_and_access_at_once,
        s0_15_deferred_ranges_join_and_go_with_a_later_free,
        s0_15_deferred_ranges_go_when_memory_is_short,
        a_retry_that_fails_keeps_the_range,
        more_deferred_ranges_than_fit_are_told_once,
        advice_is_tried_again,
        s2_13_memory_that_is_not_to_be_had_at_once_comes_by_and_by,
        a_refusal_of_memory_at_once_is_forgotten,
        s2_13_unused_reads_zero_where_advice_fails_or_lies,
        s2_13_a_late_refusal_of_advice_still_zeroes,
        guards_that_do_nothing_do_not_work,
        errno_is_kept_whatever_hooks_leave,
        NULL,
    };
    return os_check("os/vm_hook", tests);
}
