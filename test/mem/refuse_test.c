// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/refuse_test.c: a heap on a system that refuses memory.

#include "mem_check.h"

static struct tz_vm_stats stats(void)
{
    struct tz_vm_stats s;
    tz_vm_stats_read(&s);
    return s;
}

START_TEST(a_refused_tebibyte_becomes_a_smaller_region)
{
    sys_install();
    sys.mmap_max = 5 * TZ_GIB;
    heap_start();
    ck_assert_uint_eq(tz_mem.nregions, 1);
    ck_assert(tz_mem.region[0].held);
    ck_assert_uint_eq(tz_mem.region[0].size, 4 * TZ_GIB);
    ck_assert_uint_eq(tz_mem.region[0].base % (4 * TZ_MIB), 0);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 1000, 0));
}
END_TEST

START_TEST(s2_05_where_4_gib_are_refused_nothing_is_reserved)
{
    sys_install();
    sys.mmap_max = 3 * TZ_GIB;
    heap_start();
    ck_assert_uint_eq(tz_mem.nregions, 1);
    ck_assert(!tz_mem.region[0].held);
    ck_assert_uint_eq(tz_mem.region[0].base % (4 * TZ_MIB), 0);
    struct tz_vm_stats s = stats();
    ck_assert_uint_eq(s.reserved[TZ_VM_HEAP] + s.reserved[TZ_VM_META], 0);
    ck_assert_uint_eq(s.ready[TZ_VM_HEAP], 0);
    struct tz_span *a = tz_heap_span_alloc(NULL, 60, 0);
    ck_assert_ptr_nonnull(a);
    memset((void *)a->base, 1, 60 * TZ_PAGE_SIZE);
    ck_assert_uint_eq(tz_mem.sys, 512 * TZ_KIB); // not a chunk
    struct tz_span *b = tz_heap_span_alloc(NULL, 68, 0);
    ck_assert_uint_eq(b->base, a->base + 60 * TZ_PAGE_SIZE);
    ck_assert_uint_eq(tz_mem.sys, TZ_MIB); // the tail was used
    struct tz_object o; // of a chunk that is mapped in part
    ck_assert(!tz_heap_find(a->base + 300 * TZ_PAGE_SIZE, &o));
    s = stats();
    ck_assert_uint_eq(s.ready[TZ_VM_HEAP], tz_mem.sys);
    ck_assert_uint_le(tz_mem.meta, 128 * TZ_KIB);
}
END_TEST

// Others map where a claimed region wants to grow, again and again.
START_TEST(s2_09_a_claim_that_others_map_into_is_closed)
{
    sys_install();
    sys.mmap_max = 3 * TZ_GIB;
    heap_start();
    for (uint32_t i = 0; i < 10; i++) {
        struct tz_span *a = tz_heap_span_alloc(NULL, 60, 0);
        ck_assert_ptr_nonnull(a);
        ck_assert_uint_eq(a->region, i);
        memset((void *)a->base, 1, 60 * TZ_PAGE_SIZE);
        struct tz_region *r = &tz_mem.region[i];
        char *next = (char *)r->base + r->pages.npages * TZ_PAGE_SIZE;
        char *p = mmap(next, 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                       0);
        if (i == 0 && p != next)
            return; // not on this kernel
        ck_assert_ptr_eq(p, next);
        *p = 7;
        struct tz_span *b = tz_heap_span_alloc(NULL, 600, 0);
        ck_assert_ptr_nonnull(b);
        ck_assert_uint_eq(b->region, i + 1);
        memset((void *)b->base, 2, 600 * TZ_PAGE_SIZE);
        struct tz_span *c = tz_heap_span_alloc(NULL, 4, 0);
        ck_assert_uint_eq(c->region, i); // what it has it still gives
        ck_assert_int_eq(*p, 7);
        ck_assert(r->closed);
        struct tz_object o;
        ck_assert(!tz_heap_find((uintptr_t)p, &o));
        // Leave nothing: the next round begins in the next region.
        ck_assert_ptr_nonnull(tz_heap_span_alloc(
            NULL, tz_mem.region[i + 1].pages.nfree, 0));
    }
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], tz_mem.sys);
}
END_TEST

START_TEST(s2_06_every_region_lies_below_4_gib_where_it_must)
{
    sys_install();
    sys.below = (uintptr_t)4 << 30;
    heap_start();
    for (int i = 0; i < 10; i++) {
        struct tz_span *s = tz_heap_span_alloc(NULL, 1000, 0);
        ck_assert_ptr_nonnull(s);
        ck_assert_uint_le(s->base + 1000 * TZ_PAGE_SIZE, sys.below);
        memset((void *)s->base, 1, 1000 * TZ_PAGE_SIZE);
    }
    struct tz_region *r = &tz_mem.region[0];
    ck_assert(!r->held);
    ck_assert_uint_le((uintptr_t)r->tables + r->tables_size, sys.below);
    // More than there is room for: clean refusal.
    ck_assert_ptr_null(tz_heap_span_alloc(NULL, 5u << 17, 0));
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 1000, 0));
}
END_TEST

START_TEST(s2_19_no_address_is_needed)
{
    sys_install();
    sys.no_place = true;
    heap_start();
    ck_assert(tz_mem.region[0].held);
    ck_assert_uint_ge(tz_mem.region[0].size, 64 * TZ_GIB);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 1000, 0));
}
END_TEST

static void use_all_of(struct tz_region *r)
{
    ck_assert_uint_eq(r->base % (4 * TZ_MIB), 0);
    for (int i = 0; i < 8; i++) {
        struct tz_span *s = tz_heap_span_alloc(NULL, 100, 0);
        ck_assert_ptr_nonnull(s);
        memset((void *)s->base, 1, 100 * TZ_PAGE_SIZE);
        memset(s->bits, 1, sizeof *s->bits);
    }
}

START_TEST(s2_24_results_one_page_off_make_an_aligned_heap)
{
    sys_install();
    sys.shift = true;
    heap_start();
    use_all_of(&tz_mem.region[0]);
    ck_assert(tz_mem.region[0].held);
}
END_TEST

START_TEST(s2_24_also_where_little_is_granted)
{
    sys_install();
    sys.shift = true;
    sys.mmap_max = 3 * TZ_GIB;
    heap_start();
    use_all_of(&tz_mem.region[0]);
}
END_TEST

START_TEST(the_smallest_region_is_one_chunk)
{
    sys_install();
    sys.no_place = true;
    sys.mmap_max = 9 * TZ_MIB; // the reservation, room to align it, guards
    heap_start();
    ck_assert_uint_le(tz_mem.region[0].size, 8 * TZ_MIB);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, TZ_CHUNK_PAGES, 0));
}
END_TEST

START_TEST(no_region_at_all_is_enomem_and_leaves_nothing)
{
    sys_install();
    sys.fail_at = 1, sys.fail_on = true;
    ck_assert_int_eq(tz_heap_init(), -ENOMEM);
    struct tz_vm_stats s = stats();
    ck_assert_uint_eq(s.reserved[TZ_VM_HEAP] + s.reserved[TZ_VM_META], 0);
    ck_assert_ptr_null(tz_heap_region(0));
    sys.fail_at = 0;
    heap_start();
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 1, 0));
}
END_TEST

static int fail_at;

static void one_region_body(void)
{
    sys_install();
    sys.fail_at = fail_at;
    heap_start();
    struct tz_vm_stats s = stats();
    if (s.reserved[TZ_VM_HEAP] != tz_mem.region[0].heap_size ||
        s.reserved[TZ_VM_META] != tz_mem.region[0].tables_size ||
        s.unmap_deferred != 0)
        _exit(10);
}

START_TEST(a_refused_table_gives_the_region_back)
{
    for (fail_at = 1; fail_at <= 6; fail_at++)
        ck_assert_int_eq(os_child(one_region_body).status, 0);
}
END_TEST

// A first region of 8 MiB, then as much as max allows.
static void tiny_first(size_t max)
{
    sys_install();
    sys.no_place = true;
    sys.mmap_max = 13 * TZ_MIB;
    heap_start();
    ck_assert_uint_le(tz_mem.region[0].size, 12 * TZ_MIB);
    sys.mmap_max = max;
}

START_TEST(a_second_region_serves_when_the_first_is_full)
{
    tiny_first(0);
    struct tz_pagecache pc = { 0 };
    uint32_t small = (uint32_t)(tz_mem.region[0].size >> TZ_PAGE_SHIFT);
    for (uint32_t i = 0; i < small + 100; i++) {
        struct tz_span *s =
            tz_heap_span_alloc(&pc, 1, tz_spanclass(5, true));
        ck_assert_ptr_nonnull(s);
        s->bits->word[0].alloc = 1;
        struct tz_object o;
        ck_assert(tz_heap_find(s->base + 79, &o));
        ck_assert_uint_eq(o.base, s->base);
        ck_assert_uint_eq(s->region, i >= small);
        *(char *)(s->base + TZ_PAGE_SIZE - 1) = 1;
    }
    ck_assert_uint_eq(tz_mem.nregions, 2);
    struct tz_region *r = &tz_mem.region[1];
    ck_assert_uint_eq(r->size, 64 * TZ_GIB);
    ck_assert_ptr_eq(tz_heap_region(r->base), r);
    ck_assert_ptr_eq(tz_heap_region(r->base + r->limit - 1), r);
    ck_assert_ptr_null(tz_heap_region(r->base + r->limit));
}
END_TEST

START_TEST(spans_of_the_second_region_are_freed_and_used_again)
{
    tiny_first(0);
    struct tz_span *a = tz_heap_span_alloc(NULL, 5000, 0);
    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(a->region, 1);
    uintptr_t base = a->base;
    tz_heap_span_free(a);
    a = tz_heap_span_alloc(NULL, 5000, 0);
    ck_assert_uint_eq(a->base, base);
    ck_assert_uint_eq(a->needzero, 1);
    struct tz_span *b = tz_heap_span_alloc(NULL, 10, 0);
    ck_assert_uint_eq(b->region, 1); // grown pages before growth
}
END_TEST

START_TEST(objects_of_the_second_region_can_be_allocated)
{
    tiny_first(0);
    cache_start();
    char *p[20];
    for (int i = 0; i < 20; i++) {
        p[i] = tz_malloc(3 * TZ_MIB, false);
        ck_assert_ptr_nonnull(p[i]);
        ck_assert_uint_eq(object_at(p[i]).size, 3 * TZ_MIB);
        memset(p[i], i, 3 * TZ_MIB);
    }
    ck_assert_uint_eq(tz_mem.nregions, 2);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(p[i][TZ_MIB], i);
}
END_TEST

// Symptom: halving the size went below what was asked for; a request that
// would have fitted was refused, and a useless region stayed.
START_TEST(a_further_region_is_never_smaller_than_the_request)
{
    tiny_first(800 * TZ_MIB);
    struct tz_span *s = tz_heap_span_alloc(NULL, 600 * 128, 0); // 600 MiB
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(tz_mem.nregions, 2);
    ck_assert_uint_eq(tz_mem.region[1].size, 600 * TZ_MIB);
}
END_TEST

// Symptom: each refused allocation left one more reservation behind, until
// there were 256.
START_TEST(refused_memory_does_not_pile_up_regions)
{
    sys_install();
    heap_start();
    sys.protect_max = 64 * TZ_MIB;
    uint64_t reserved = stats().reserved[TZ_VM_HEAP];
    ck_assert_ptr_null(tz_heap_span_alloc(NULL, 128 * 128, 0));
    uint64_t used = tz_persist_used();
    for (int i = 0; i < 20; i++)
        ck_assert_ptr_null(tz_heap_span_alloc(NULL, 128 * 128, 0));
    ck_assert_uint_eq(tz_persist_used(), used); // the header is used again
    ck_assert_uint_eq(tz_mem.nregions, 1);
    ck_assert_uint_eq(stats().reserved[TZ_VM_HEAP], reserved);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 128, 0));
}
END_TEST

START_TEST(a_refused_extra_growth_falls_back_to_what_is_needed)
{
    sys_install();
    heap_start();
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, 128 * TZ_CHUNK_PAGES, 0));
    uint64_t before = tz_mem.sys;
    sys.protect_max = 4 * TZ_MIB;
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, TZ_CHUNK_PAGES, 0));
    ck_assert_uint_eq(tz_mem.sys, before + 4 * TZ_MIB);
    sys.protect_max = 0; // an eighth of what there is, from now on
    ck_assert_ptr_nonnull(tz_heap_span_alloc(NULL, TZ_CHUNK_PAGES, 0));
    ck_assert_uint_eq(tz_mem.sys, before + 17 * 4 * TZ_MIB);
}
END_TEST

// A little of everything; counts what was refused.
static int workload(void)
{
    int refused = 0;
    static const size_t sizes[] = { 16, 100, 1000, 5000, 30000, 100000,
                                    5 * TZ_MIB, 9 * TZ_MIB };
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < tz_countof(sizes); i++) {
            size_t n = sizes[i];
            char *p = tz_malloc(n, i % 2);
            if (!p) {
                refused++;
                continue;
            }
            ck_assert_uint_ge(object_at(p).size, n);
            p[0] = p[n - 1] = 1;
        }
    }
    return refused;
}

static void fail_body(void)
{
    sys_install();
    sys.fail_at = fail_at;
    if (tz_heap_init() != 0)
        tz_heap_init();
    tz_central_init();
    struct tz_mcache *c = tz_mcache_make();
    if (!c)
        c = tz_mcache_make();
    tz_tls_get()->cache = c;
    int refused = workload();
    if (refused > 1)
        _exit(10);
    sys.fail_at = 0;
    if (workload() != 0)
        _exit(11);
    struct tz_vm_stats s = stats();
    if (s.ready[TZ_VM_HEAP] != tz_mem.sys ||
        s.ready[TZ_VM_META] < tz_mem.meta)
        _exit(12);
}

START_TEST(whichever_call_fails_it_is_null_once_at_most_and_works_again)
{
    for (fail_at = 1; fail_at <= 60; fail_at++) {
        struct os_ended e = os_child(fail_body);
        ck_assert_msg(e.status == 0, "call %d: %d %s", fail_at, e.status,
                      e.text);
    }
}
END_TEST

// No memory from call fail_at on: nothing moves any more but what succeeds.
static void fail_on_body(void)
{
    sys_install();
    heap_start();
    cache_start();
    sys.calls = 0;
    sys.fail_at = fail_at;
    sys.fail_on = true;
    if (workload() == 0)
        _exit(10);
    tz_mcache_flush(tz_tls_get()->cache);
    uint64_t live = tz_mem.live, inuse = tz_mem.inuse, meta = tz_mem.meta;
    struct tz_vm_stats before = stats();
    for (int i = 0; i < 10; i++)
        if (tz_malloc(20 * TZ_MIB, false) || tz_malloc(TZ_GIB, true))
            _exit(11);
    struct tz_vm_stats after = stats();
    after.calls = before.calls;
    if (tz_mem.live != live || tz_mem.inuse != inuse || tz_mem.meta != meta ||
        memcmp(&before, &after, sizeof before) != 0)
        _exit(12);
    sys.fail_at = 0;
    if (workload() != 0)
        _exit(13);
}

START_TEST(while_all_is_refused_statistics_stand_still)
{
    for (fail_at = 1; fail_at <= 60; fail_at++) {
        struct os_ended e = os_child(fail_on_body);
        ck_assert_msg(e.status == 0, "from call %d: %d %s", fail_at, e.status,
                      e.text);
    }
}
END_TEST

int main(void)
{
    // What is refused must be what a test refuses.
    void *p = mmap(NULL, 80 * TZ_GIB, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        printf("this system itself refuses large reservations\n");
        return 77;
    }
    munmap(p, 80 * TZ_GIB);
    return os_check(
        "mem/refuse",
        (const TTest *const[]){
            a_refused_tebibyte_becomes_a_smaller_region,
            s2_05_where_4_gib_are_refused_nothing_is_reserved,
            s2_09_a_claim_that_others_map_into_is_closed,
            s2_06_every_region_lies_below_4_gib_where_it_must,
            s2_19_no_address_is_needed,
            s2_24_results_one_page_off_make_an_aligned_heap,
            s2_24_also_where_little_is_granted,
            the_smallest_region_is_one_chunk,
            no_region_at_all_is_enomem_and_leaves_nothing,
            a_refused_table_gives_the_region_back,
            a_second_region_serves_when_the_first_is_full,
            spans_of_the_second_region_are_freed_and_used_again,
            objects_of_the_second_region_can_be_allocated,
            a_further_region_is_never_smaller_than_the_request,
            refused_memory_does_not_pile_up_regions,
            a_refused_extra_growth_falls_back_to_what_is_needed,
            whichever_call_fails_it_is_null_once_at_most_and_works_again,
            while_all_is_refused_statistics_stand_still, NULL });
}
