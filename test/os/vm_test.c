// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_test.c: memory from the kernel as it is.

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "os_check.h"
#include "os/vm.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

static struct tz_vm_stats stats(void)
{
    struct tz_vm_stats s;
    tz_vm_stats_read(&s);
    return s;
}

static bool all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

// How many pages of [p, p+n) are in memory; -1 when a page is not mapped.
static int resident(void *p, size_t n)
{
    unsigned char in[4096];
    size_t pages = n / tz_vm_page();
    ck_assert_uint_le(pages, sizeof in);
    if (mincore(p, n, in))
        return -1;
    int count = 0;
    for (size_t i = 0; i < pages; i++)
        count += in[i] & 1;
    return count;
}

static char maps[1 << 20];

static int count_mappings(void)
{
    os_read_file("/proc/self/maps", maps, sizeof maps);
    return os_count(maps, "\n");
}

START_TEST(the_page_is_the_kernels)
{
    ck_assert_uint_eq(tz_vm_page(), (size_t)getpagesize());
}
END_TEST

START_TEST(s2_11_fresh_memory_is_zeroed_and_charged)
{
    for (int use = 0; use < TZ_VM_USES; use++) {
        size_t n = (size_t)(use + 1) * 3 * tz_vm_page();
        struct tz_vm_stats before = stats();
        char *p = tz_vm_alloc(n, (enum tz_vm_use)use);
        ck_assert_ptr_nonnull(p);
        ck_assert(all_zero(p, n));
        memset(p, 1, n);
        ck_assert_uint_eq(stats().ready[use], before.ready[use] + n);
        ck_assert_uint_eq(stats().reserved[use], before.reserved[use]);
        ck_assert_uint_gt(stats().calls, before.calls);
        tz_vm_free(p, n, (enum tz_vm_use)use, true);
        ck_assert_uint_eq(stats().ready[use], before.ready[use]);
        ck_assert_int_eq(resident(p, n), -1);
    }
}
END_TEST

START_TEST(part_pages_are_refused_before_any_call)
{
    size_t page = tz_vm_page();
    char *p = tz_vm_reserve(NULL, 4 * page, 0, TZ_VM_HEAP);
    struct tz_vm_stats before = stats();
    ck_assert_ptr_null(tz_vm_alloc(0, TZ_VM_META));
    ck_assert_ptr_null(tz_vm_alloc(page + 1, TZ_VM_META));
    ck_assert_ptr_null(tz_vm_alloc(SIZE_MAX, TZ_VM_META));
    ck_assert_ptr_null(tz_vm_reserve(p + 1, page, 0, TZ_VM_HEAP));
    ck_assert_ptr_null(tz_vm_reserve(NULL, page, page * 3, TZ_VM_HEAP));
    ck_assert_ptr_null(
        tz_vm_reserve(NULL, SIZE_MAX - page + 1, 8 * page, TZ_VM_HEAP));
    ck_assert_ptr_null(tz_vm_alloc_stacks(page - 1, page));
    ck_assert_int_eq(tz_vm_map(p + 8, page, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_map(p, page - 8, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_map(NULL, page, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_guard(p + 8, page), -EINVAL);
    ck_assert_int_eq(tz_vm_protect(p, 0), -EINVAL);
    ck_assert_uint_eq(stats().calls, before.calls);
}
END_TEST

START_TEST(too_much_is_refused_and_moves_nothing)
{
    struct tz_vm_stats before = stats();
    ck_assert_ptr_null(tz_vm_alloc((size_t)1 << 60, TZ_VM_META));
    ck_assert_ptr_null(tz_vm_reserve(NULL, (size_t)1 << 60, 0, TZ_VM_HEAP));
    ck_assert_ptr_null(tz_vm_alloc_stacks((size_t)1 << 60, 0));
    struct tz_vm_stats after = stats();
    ck_assert_mem_eq(before.ready, after.ready, sizeof before.ready);
    ck_assert_mem_eq(before.reserved, after.reserved, sizeof before.reserved);
}
END_TEST

START_TEST(s2_07_reservations_are_aligned_and_no_larger)
{
    size_t page = tz_vm_page();
    const size_t aligns[] = { 0, page, 16 * page, 4 * TZ_MIB, TZ_GIB };
    const size_t sizes[] = { page, 7 * page, 4 * TZ_MIB };
    for (size_t a = 0; a < tz_countof(aligns); a++) {
        for (size_t s = 0; s < tz_countof(sizes); s++) {
            size_t n = sizes[s];
            char *p = tz_vm_reserve(NULL, n, aligns[a], TZ_VM_HEAP);
            ck_assert_ptr_nonnull(p);
            if (aligns[a])
                ck_assert_uint_eq((uintptr_t)p % aligns[a], 0);
            ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], n);
            ck_assert(tz_vmsys_faults(p) && tz_vmsys_faults(p + n - page));
            tz_vm_free(p, n, TZ_VM_HEAP, false);
            ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 0);
            ck_assert_int_eq(resident(p, page), -1);
        }
    }
}
END_TEST

START_TEST(s2_07_a_free_hint_is_taken_a_busy_one_moves)
{
    size_t n = 64 * TZ_MIB;
    char *hint = tz_vm_reserve(NULL, n, n, TZ_VM_HEAP);
    tz_vm_free(hint, n, TZ_VM_HEAP, false);
    ck_assert_ptr_eq(tz_vm_reserve(hint, n, n, TZ_VM_HEAP), hint);
    // A busy one is not, and what is there stays.
    char *other = tz_vm_reserve(hint, n, n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(other);
    ck_assert(other >= hint + n || other + n <= hint);
    ck_assert_uint_eq((uintptr_t)other % n, 0);
}
END_TEST

START_TEST(s2_23_reservations_cost_no_memory_limit)
{
    if (TZ_ASAN || TZ_TSAN)
        return; // their own tables count
    struct rlimit limit = { 64 * TZ_MIB, 64 * TZ_MIB };
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0);
    char *p = tz_vm_reserve(NULL, 64 * TZ_GIB, 0, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(tz_vm_map(p, TZ_MIB, TZ_VM_HEAP), 0);
    struct tz_vm_stats before = stats();
    ck_assert_int_eq(tz_vm_map(p + TZ_MIB, 128 * TZ_MIB, TZ_VM_HEAP), -ENOMEM);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], before.ready[TZ_VM_HEAP]);
    // Still ours, from one end to the other.
    ck_assert_int_eq(resident(p, TZ_MIB), 0);
    ck_assert_int_eq(resident(p + TZ_MIB, 16 * TZ_MIB), 0);
    ck_assert_int_eq(resident(p + 113 * TZ_MIB, 16 * TZ_MIB), 0);
}
END_TEST

START_TEST(s2_10_map_readies_a_part_and_no_more)
{
    size_t page = tz_vm_page(), n = 8 * page;
    char *p = tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP);
    char *ready = p + 2 * page;
    ck_assert_int_eq(tz_vm_map(ready, 3 * page, TZ_VM_HEAP), 0);
    ck_assert(all_zero(ready, 3 * page));
    memset(ready, 1, 3 * page);
    ck_assert(tz_vmsys_faults(ready - page));
    ck_assert(tz_vmsys_faults(ready + 3 * page));
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 3 * page);
    ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 5 * page);
    tz_vm_free(p, 2 * page, TZ_VM_HEAP, false);
    tz_vm_free(ready, 3 * page, TZ_VM_HEAP, true);
    tz_vm_free(ready + 3 * page, 3 * page, TZ_VM_HEAP, false);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 0);
    ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 0);
}
END_TEST

START_TEST(s2_13_unused_memory_leaves_and_reads_zero)
{
    size_t n = 64 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    ck_assert_int_eq(resident(p, n), 64);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(resident(p, n), 0);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 0);
    ck_assert_uint_eq(stats().released[TZ_VM_HEAP], n);
    ck_assert(tz_vm_unused_zeroes());
    uint64_t calls = stats().calls;
    tz_vm_used(p, n, TZ_VM_HEAP);
    ck_assert_uint_eq(stats().calls, calls);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], n);
    ck_assert_uint_eq(stats().released[TZ_VM_HEAP], 0);
    ck_assert(all_zero(p, n));
}
END_TEST

START_TEST(locked_memory_reads_zero_as_well)
{
    size_t n = tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    memset(p, 1, n);
    if (mlock(p, n) == 0) { // madvise refuses
        tz_vm_unused(p, n, TZ_VM_HEAP);
        ck_assert(all_zero(p, n));
    }
}
END_TEST

START_TEST(prefaulted_memory_is_there_and_holds_what_it_held)
{
    size_t page = tz_vm_page(), n = 16 * page;
    char *p = tz_vm_alloc(n, TZ_VM_HEAP);
    p[5 * page] = 7;
    struct tz_vm_stats before = stats();
    tz_vm_prefault(p, n);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], before.ready[TZ_VM_HEAP]);
    if (page == 4096) // of larger ones mincore may tell less
        ck_assert_int_eq(resident(p, n), tz_vmask_prefault() ? 16 : 1);
    ck_assert_int_eq(p[5 * page], 7);
    p[5 * page] = 0;
    ck_assert(all_zero(p, n));
}
END_TEST

START_TEST(stacks_are_aligned_and_committed_page_by_page)
{
    size_t n = 4 * TZ_MIB;
    struct tz_vm_stats before = stats();
    char *p = tz_vm_alloc_stacks(n, n);
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq((uintptr_t)p % n, 0);
    ck_assert_uint_eq(stats().ready[TZ_VM_STACK],
                      before.ready[TZ_VM_STACK] + n);
    p[n - 1] = 1;
    p[0] = 1;
    ck_assert_int_eq(resident(p, n), 2); // huge pages would be 512 and more
    tz_vm_free(p, n, TZ_VM_STACK, true);
    ck_assert_int_eq(resident(p, tz_vm_page()), -1);
}
END_TEST

START_TEST(stacks_are_marked_for_no_huge_pages)
{
    char *p = tz_vm_alloc_stacks(TZ_MIB, 0), start[32];
    snprintf(start, sizeof start, "%lx-", (unsigned long)p);
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[1024];
    bool here = false, marked = false, thp = false;
    while (f && fgets(line, sizeof line, f)) {
        thp |= strstr(line, "AnonHugePages") != NULL;
        unsigned long lo, hi;
        if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
            here = lo <= (unsigned long)p && (unsigned long)p < hi;
        else if (here && !strncmp(line, "VmFlags:", 8))
            marked = strstr(line, " nh") != NULL;
    }
    if (f && thp && tz_vmcall_madvise(p, TZ_MIB, MADV_NOHUGEPAGE) == 0)
        ck_assert(marked);
}
END_TEST

START_TEST(guard_markers_stop_access_without_a_mapping_each)
{
    if (!tz_vm_guard_works())
        return; // the test below does without
    size_t page = tz_vm_page(), n = 256 * page;
    char *p = tz_vm_alloc_stacks(n, 0);
    int before = count_mappings();
    for (size_t i = 0; i < n; i += 2 * page)
        ck_assert_int_eq(tz_vm_guard(p + i, page), 0);
    ck_assert_int_eq(count_mappings(), before);
    for (size_t i = 0; i < n; i += 2 * page)
        ck_assert(tz_vmsys_faults(p + i) && !tz_vmsys_faults(p + i + page));
    // They survive what the runtime does to stacks.
    tz_vm_unused(p, n, TZ_VM_STACK);
    ck_assert(tz_vmsys_faults(p));
}
END_TEST

START_TEST(what_guard_works_says_is_true)
{
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_STACK);
    bool works = tz_vm_guard_works();
    ck_assert_int_eq(tz_vm_guard(p, page), works ? 0 : -EOPNOTSUPP);
    ck_assert(tz_vmsys_faults(p) == works);
    uint64_t calls = stats().calls;
    ck_assert(tz_vm_guard_works() == works);
    ck_assert_uint_eq(stats().calls, calls); // found out once
}
END_TEST

START_TEST(protected_memory_stops_access)
{
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(3 * page, TZ_VM_STACK);
    ck_assert_int_eq(tz_vm_protect(p + page, page), 0);
    ck_assert(!tz_vmsys_faults(p) && tz_vmsys_faults(p + page) &&
              !tz_vmsys_faults(p + 2 * page));
    tz_vm_free(p, 3 * page, TZ_VM_STACK, true);
    ck_assert_int_eq(tz_vm_protect(p, page), -ENOMEM);
}
END_TEST

static void touch(char *p)
{
    *(volatile char *)p = 1;
}

static void touch_guard(void)
{
    size_t page = tz_vm_page();
    char *p = tz_vm_alloc(page, TZ_VM_STACK);
    signal(SIGSEGV, SIG_DFL);
    if (tz_vm_guard_works() ? tz_vm_guard(p, page) : tz_vm_protect(p, page))
        return;
    touch(p);
}

START_TEST(touching_a_guard_raises_sigsegv)
{
    ck_assert_int_eq(os_child(touch_guard).status, -SIGSEGV);
}
END_TEST

START_TEST(s2_12_nothing_is_executable)
{
    size_t n = 16 * tz_vm_page();
    char *p[4] = { tz_vm_alloc(n, TZ_VM_META), tz_vm_alloc_stacks(n, 0),
                   tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP),
                   tz_vm_reserve(NULL, n, 0, TZ_VM_HEAP) };
    ck_assert_int_eq(tz_vm_map(p[3], n, TZ_VM_HEAP), 0);
    FILE *f = fopen("/proc/self/maps", "r");
    char line[1024], prot[8];
    while (fgets(line, sizeof line, f)) {
        unsigned long lo, hi;
        ck_assert_int_eq(sscanf(line, "%lx-%lx %7s", &lo, &hi, prot), 3);
        for (int i = 0; i < 4; i++)
            if (lo <= (uintptr_t)p[i] && (uintptr_t)p[i] < hi)
                ck_assert_int_eq(prot[2], '-');
    }
    fclose(f);
}
END_TEST

START_TEST(mappings_have_names)
{
    size_t n = 16 * tz_vm_page();
    char *p = tz_vm_alloc(n, TZ_VM_META);
    bool named = syscall(SYS_prctl, 0x53564d41, 0, p, n, "tuza meta") == 0;
    tz_vm_alloc(n, TZ_VM_HEAP);
    tz_vm_alloc_stacks(n, 0);
    count_mappings();
    if (named) {
        os_assert_has(maps, "[anon:tuza meta]");
        os_assert_has(maps, "[anon:tuza heap]");
        os_assert_has(maps, "[anon:tuza stacks]");
    }
}
END_TEST

START_TEST(errno_is_kept)
{
    size_t n = tz_vm_page();
    errno = 77;
    tz_vm_alloc((size_t)1 << 60, TZ_VM_META);
    char *p = tz_vm_alloc_stacks(n, 16 * n);
    tz_vm_unused(p, n, TZ_VM_STACK);
    tz_vm_used(p, n, TZ_VM_STACK);
    if (tz_vm_guard_works())
        tz_vm_guard(p, n);
    tz_vm_free(p, n, TZ_VM_STACK, true);
    tz_vm_protect(p, n);
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    size_t page = tz_vm_page();
    char *held[16] = { 0 };
    size_t sizes[16] = { 0 };
    for (int i = 0; i < 2000; i++) {
        int k = rand_r(&seed) % 16;
        if (held[k]) {
            ck_assert_int_eq(held[k][0], held[k][sizes[k] - 1]);
            tz_vm_free(held[k], sizes[k], TZ_VM_HEAP, true);
            held[k] = NULL;
            continue;
        }
        sizes[k] = (size_t)(rand_r(&seed) % 8 + 1) * page;
        held[k] = tz_vm_reserve(NULL, sizes[k], 4 * page, TZ_VM_HEAP);
        ck_assert_int_eq(tz_vm_map(held[k], sizes[k], TZ_VM_HEAP), 0);
        ck_assert(all_zero(held[k], sizes[k]));
        held[k][0] = held[k][sizes[k] - 1] = (char)(rand_r(&seed) | 1);
    }
    for (int k = 0; k < 16; k++)
        if (held[k])
            tz_vm_free(held[k], sizes[k], TZ_VM_HEAP, true);
    return NULL;
}

START_TEST(threads_get_ranges_of_their_own)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churn, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], 0);
    ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], 0);
}
END_TEST

static void free_twice(void)
{
    char *p = tz_vm_alloc(tz_vm_page(), TZ_VM_META);
    tz_vm_free(p, tz_vm_page(), TZ_VM_META, true);
    tz_vm_free(p, tz_vm_page(), TZ_VM_META, true);
}

static void free_part_page(void)
{
    char *p = tz_vm_alloc(tz_vm_page(), TZ_VM_META);
    tz_vm_free(p + 8, tz_vm_page(), TZ_VM_META, true);
}

static void unused_part_page(void)
{
    char *p = tz_vm_alloc(tz_vm_page(), TZ_VM_META);
    tz_vm_unused(p + 8, tz_vm_page(), TZ_VM_META);
}

START_TEST(broken_calls_die)
{
    void (*const bodies[])(void) = { free_twice, free_part_page,
                                     unused_part_page };
    for (size_t i = 0; i < tz_countof(bodies); i++) {
        struct os_ended e = os_child(bodies[i]);
        os_assert_has(e.text, "check failed");
        ck_assert_int_eq(e.status, -SIGABRT);
    }
}
END_TEST

// Makes mappings until the kernel refuses another; false when it does not.
static bool reach_the_limit(char *p, size_t n)
{
    size_t page = tz_vm_page();
    for (size_t i = 0; i < n; i += 2 * page)
        if (mprotect(p + i, page, PROT_READ))
            return errno == ENOMEM;
    return false;
}

START_TEST(s0_15_at_the_limit_of_mappings_frees_wait)
{
    if (TZ_ASAN || TZ_TSAN)
        return; // slow, and their own mappings are in the way
    size_t page = tz_vm_page(), n = 512 * TZ_MIB;
    char *heap = tz_vm_alloc(16 * page, TZ_VM_HEAP);
    char *other = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!reach_the_limit(other, n))
        return; // a machine without one
    char *middle = heap + 8 * page;
    memset(middle, 1, page);
    tz_vm_free(middle, page, TZ_VM_HEAP, true);
    ck_assert_uint_eq(stats().unmap_deferred, page);
    ck_assert_int_eq(resident(middle, page), 0);
    ck_assert_int_eq(munmap(other, n), 0);
    tz_vm_free(heap, page, TZ_VM_HEAP, true);
    ck_assert_uint_eq(stats().unmap_deferred, 0);
    ck_assert_int_eq(resident(middle, page), -1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_page_is_the_kernels,
        s2_11_fresh_memory_is_zeroed_and_charged,
        part_pages_are_refused_before_any_call,
        too_much_is_refused_and_moves_nothing,
        s2_07_reservations_are_aligned_and_no_larger,
        s2_07_a_free_hint_is_taken_a_busy_one_moves,
        s2_23_reservations_cost_no_memory_limit,
        s2_10_map_readies_a_part_and_no_more,
        s2_13_unused_memory_leaves_and_reads_zero,
        locked_memory_reads_zero_as_well,
        prefaulted_memory_is_there_and_holds_what_it_held,
        stacks_are_aligned_and_committed_page_by_page,
        stacks_are_marked_for_no_huge_pages,
        guard_markers_stop_access_without_a_mapping_each,
        what_guard_works_says_is_true,
        protected_memory_stops_access,
        touching_a_guard_raises_sigsegv,
        s2_12_nothing_is_executable,
        mappings_have_names,
        errno_is_kept,
        threads_get_ranges_of_their_own,
        broken_calls_die,
        s0_15_at_the_limit_of_mappings_frees_wait,
        NULL,
    };
    return os_check("os/vm", tests);
}
