// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/mheap_test.c: spans, the pages below them, and finding the object
// of an address.

#include "mem_check.h"
#include "os/vm_own.h"

static struct tz_span *span(unsigned cls, bool noscan)
{
    struct tz_span *s = tz_heap_span_alloc(NULL, tz_sizeclass[cls].npages,
                                           tz_spanclass(cls, noscan));
    ck_assert_ptr_nonnull(s);
    return s;
}

static struct tz_span *large(uint32_t npages)
{
    struct tz_span *s = tz_heap_span_alloc(NULL, npages, 0);
    ck_assert_ptr_nonnull(s);
    return s;
}

static void set_alloc(struct tz_span *s, uint32_t i)
{
    s->bits->word[i / 64].alloc |= UINT64_C(1) << (i % 64);
}

static bool finds(uintptr_t p, uintptr_t base, size_t size)
{
    struct tz_object o;
    if (!tz_heap_find(p, &o))
        return false;
    ck_assert_uint_eq(o.base, base);
    ck_assert_uint_eq(o.size, size);
    return true;
}

START_TEST(every_byte_of_an_object_leads_to_it_and_no_other_byte_does)
{
    heap_start();
    for (unsigned cls = 1; cls < TZ_CLASS_COUNT; cls++) {
        struct tz_span *s = span(cls, cls % 2);
        size_t size = tz_sizeclass[cls].size;
        for (uint32_t i = 0; i < s->nelems; i += 2)
            set_alloc(s, i);
        size_t step = size > 1024 ? 8 : 1;
        for (size_t off = 0; off < (size_t)s->npages * TZ_PAGE_SIZE;
             off += step) {
            size_t i = off / size;
            bool want = i < s->nelems && i % 2 == 0;
            if (finds(s->base + off, s->base + i * size, size) != want)
                ck_abort_msg("class %u, offset %zu", cls, off);
        }
    }
}
END_TEST

START_TEST(s3_30_first_middle_last_and_next_byte)
{
    struct tz_object o;
    heap_start();
    unsigned cls = tz_sizeclass_of(48);
    struct tz_span *s = span(cls, true);
    set_alloc(s, 0);
    set_alloc(s, 3);
    set_alloc(s, s->nelems - 1);
    uintptr_t at = s->base + 3 * 48;
    uintptr_t last = s->base + (s->nelems - 1) * 48;
    ck_assert(finds(at, at, 48));
    ck_assert(finds(at + 24, at, 48));
    ck_assert(finds(at + 47, at, 48));
    ck_assert(!finds(at + 48, 0, 0)); // one past: the next slot is free
    ck_assert(!finds(at - 1, 0, 0));
    ck_assert(finds(last + 47, last, 48));
    ck_assert(!finds(last + 48, 0, 0)); // the span's tail
    ck_assert(!finds(s->base + TZ_PAGE_SIZE - 1, 0, 0));
    ck_assert(tz_heap_find(at + 5, &o));
    ck_assert(o.noscan);
    ck_assert_uint_eq(o.index, 3);
    ck_assert_ptr_eq(o.bits, s->bits);
}
END_TEST

START_TEST(large_objects_are_found_from_any_page)
{
    heap_start();
    uint32_t n = 3 * TZ_CHUNK_PAGES / 2;
    struct tz_span *s = large(n);
    size_t size = (size_t)n * TZ_PAGE_SIZE;
    ck_assert(!finds(s->base, 0, 0)); // not allocated yet
    set_alloc(s, 0);
    for (size_t off = 0; off < size; off += TZ_PAGE_SIZE / 2)
        ck_assert(finds(s->base + off, s->base, size));
    ck_assert(finds(s->base + size - 1, s->base, size));
    ck_assert(!finds(s->base + size, 0, 0));
    uintptr_t base = s->base;
    tz_heap_span_free(s);
    for (size_t off = 0; off < size; off += TZ_PAGE_SIZE)
        ck_assert(!finds(base + off, 0, 0));
}
END_TEST

START_TEST(addresses_outside_are_no_objects)
{
    struct tz_object o;
    ck_assert(!tz_heap_find(4096, &o)); // before there is a heap
    heap_start();
    struct tz_span *s = span(1, false);
    set_alloc(s, 0);
    struct tz_region *r = tz_heap_region(s->base);
    ck_assert_ptr_nonnull(r);
    const uintptr_t out[] = {
        0, 1, 4096, (uintptr_t)&o, (uintptr_t)out, (uintptr_t)s,
        (uintptr_t)s->bits, r->base - 1, r->base + r->size,
        r->base + r->size - 1,               // not grown
        r->base + TZ_CHUNK_PAGES * TZ_PAGE_SIZE, // likewise
        r->base + 5 * TZ_PAGE_SIZE,          // grown, never used
        UINTPTR_MAX, UINTPTR_MAX / 2, (uintptr_t)1 << 63
    };
    for (size_t i = 0; i < tz_countof(out); i++)
        ck_assert_msg(!tz_heap_find(out[i], &o), "number %zu", i);
    ck_assert_ptr_null(tz_heap_region(r->base - 1));
    ck_assert_ptr_null(tz_heap_region(r->base + r->size));
    ck_assert_ptr_null(tz_heap_region(r->base + r->size - 1));
    ck_assert_ptr_null(tz_heap_region(r->base + 4 * TZ_MIB));
    ck_assert_ptr_eq(tz_heap_region(r->base + 4 * TZ_MIB - 1), r);
}
END_TEST

START_TEST(a_new_span_has_no_objects_whatever_its_pages_held)
{
    heap_start();
    struct tz_span *s = span(1, false);
    uintptr_t base = s->base;
    ck_assert_uint_eq(s->needzero, 0);
    for (uint32_t i = 0; i < s->nelems; i++) {
        set_alloc(s, i);
        s->bits->word[i / 64].mark |= UINT64_C(1) << (i % 64);
    }
    tz_heap_span_free(s);
    s = span(2, false);
    ck_assert_uint_eq(s->base, base); // the lowest page again
    ck_assert_uint_eq(s->needzero, 1);
    ck_assert_uint_eq(s->nelems, tz_sizeclass[2].nelems);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(s->bits->word[i].alloc, 0);
        ck_assert_uint_eq(s->bits->word[i].mark, 0);
    }
    for (size_t off = 0; off < TZ_PAGE_SIZE; off++)
        ck_assert(!finds(base + off, 0, 0));
}
END_TEST

START_TEST(one_used_page_makes_a_span_need_zeroing)
{
    heap_start();
    struct tz_span *low = large(10), *high = large(10);
    uintptr_t base = high->base;
    tz_heap_span_free(high);
    struct tz_span *s = large(11); // 10 used pages and a fresh one
    ck_assert_uint_eq(s->base, base);
    ck_assert_uint_eq(s->needzero, 1);
    struct tz_span *t = large(3); // fresh ones only
    ck_assert_uint_eq(t->needzero, 0);
    const char *p = (const char *)t->base;
    for (size_t i = 0; i < 3 * TZ_PAGE_SIZE; i++)
        ck_assert_int_eq(p[i], 0);
    ck_assert_uint_eq(low->needzero, 0);
}
END_TEST

START_TEST(headers_are_used_again_and_inuse_returns_to_0)
{
    heap_start();
    uint64_t used = 0;
    for (int round = 0; round < 5; round++) {
        struct tz_span *s[100];
        for (uint32_t i = 0; i < 100; i++)
            s[i] = large(i + 1);
        ck_assert_uint_eq(tz_mem.inuse, 5050 * TZ_PAGE_SIZE);
        if (round == 1)
            used = tz_persist_used();
        for (int i = 0; i < 100; i++)
            tz_heap_span_free(s[i]);
        ck_assert_uint_eq(tz_mem.inuse, 0);
    }
    ck_assert_uint_eq(tz_persist_used(), used);
    ck_assert_uint_eq(tz_mem.peak, 5050 * TZ_PAGE_SIZE);
    // All pages are one run again.
    struct tz_span *all = large((uint32_t)(tz_mem.sys / TZ_PAGE_SIZE));
    ck_assert_uint_eq(all->base, tz_mem.region[0].base);
}
END_TEST

static bool page_free(uint32_t page)
{
    const uint64_t *bitmap = tz_mem.region[0].pages.bitmap;
    return !(bitmap[page / 64] >> (page % 64) & 1);
}

START_TEST(a_page_cache_hands_out_64_pages_and_gives_the_rest_back)
{
    struct tz_pagecache pc = { 0 };
    heap_start();
    struct tz_span *s[10];
    for (uint32_t i = 0; i < 10; i++) {
        s[i] = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, false));
        ck_assert_uint_eq(s[i]->base,
                          tz_mem.region[0].base + i * TZ_PAGE_SIZE);
    }
    ck_assert_uint_eq(tz_popcount64(pc.block[0].free), 54);
    ck_assert(!page_free(63)); // the cache has it
    ck_assert(tz_mem.sys == 64 * TZ_PAGE_SIZE || page_free(64));
    tz_heap_pagecache_flush(&pc);
    ck_assert_uint_eq(pc.block[0].free, 0);
    for (uint32_t page = 0; page < 64; page++)
        ck_assert_int_eq(page_free(page), page >= 10);
    tz_heap_span_free(s[3]);
    struct tz_span *again = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, false));
    ck_assert_uint_eq(again->base, tz_mem.region[0].base + 3 * TZ_PAGE_SIZE);
    tz_heap_pagecache_flush(&pc);
    ck_assert(!page_free(3));
}
END_TEST

// Whether all of the unit of a page, and nothing else of the 64, is in memory.
static bool unit_alone_is_there(const struct tz_span *s)
{
    enum { OF_OS = TZ_PAGE_SIZE / 4096, ALL = 64 * OF_OS };
    unsigned char in[ALL] = { 0 };
    ck_assert_int_eq(tz_vm_resident((void *)s->base, ALL * 4096, in), 0);
    for (int i = 0; i < ALL; i++)
        if ((in[i] & 1) != (i < TZ_UNIT_PAGES * OF_OS))
            return false;
    return true;
}

START_TEST(units_of_a_large_heap_come_at_once)
{
    struct tz_pagecache pc = { 0 };
    heap_start();
    bool can = tz_vmask_prefault() && tz_vm_page() == 4096 && !tz_vm_populates();
    struct tz_span *s = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, true));
    ck_assert(!can || !unit_alone_is_there(s)); // a small one's come by and by
    tz_heap_pagecache_flush(&pc);
    large((TZ_DEBUG ? 1 << 20 : 64 << 20) / TZ_PAGE_SIZE);
    do // away from pages with others
        s = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, true));
    while ((s->base - tz_mem.region[0].base) % (64 * TZ_PAGE_SIZE));
    ck_assert(!can || unit_alone_is_there(s));
    for (uint32_t i = 1; i < TZ_UNIT_PAGES; i++)
        tz_heap_span_alloc(&pc, 1, tz_spanclass(1, true));
    ck_assert(!can || unit_alone_is_there(s));
    tz_heap_span_alloc(&pc, 1, tz_spanclass(1, true));
    ck_assert(!can || !unit_alone_is_there(s));
}
END_TEST

// What a mark arms, and what it does not, lie on pages of their own as far as one can
// see to it cheaply: each call that arms interrupts other processors.
START_TEST(objects_with_pointers_and_without_share_no_64_pages)
{
    struct tz_pagecache pc = { 0 };
    heap_start();
    for (uint32_t i = 0; i < 64; i++)
        for (int noscan = 0; noscan < 2; noscan++) {
            unsigned kind = noscan ? TZ_NOSCAN : TZ_SCAN;
            struct tz_span *s = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, kind));
            ck_assert_uint_eq(s->base, tz_mem.region[0].base +
                                           (i + 64 * noscan) * TZ_PAGE_SIZE);
        }
    ck_assert_uint_eq(pc.block[0].free | pc.block[1].free, 0);
    tz_heap_pagecache_flush(&pc);
}
END_TEST

START_TEST(headers_in_a_page_cache_are_used_and_given_back)
{
    struct tz_pagecache pc = { 0 };
    struct tz_span *s[100];
    heap_start();
    for (int i = 0; i < 100; i++)
        s[i] = large(1);
    for (int i = 0; i < 100; i++)
        tz_heap_span_free(s[i]);
    uint64_t used = tz_persist_used();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            s[i] = tz_heap_span_alloc(&pc, 1, tz_spanclass(1, true));
        for (int i = 0; i < 50; i++)
            tz_heap_span_free(s[i]);
        tz_heap_pagecache_flush(&pc);
        ck_assert_ptr_null(pc.spans);
        for (int i = 50; i < 100; i++)
            tz_heap_span_free(s[i]);
    }
    int free = 0;
    tz_list_for(n, &tz_mem.free_spans) free++;
    ck_assert_int_eq(free, 100);
    ck_assert_uint_eq(tz_persist_used(), used);
}
END_TEST

// A span's first and last word name it; no two spans may share a page.
static void *churn(void *arg)
{
    enum { HELD = 64 };
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct tz_pagecache pc = { 0 };
    struct tz_span *held[HELD] = { 0 };
    for (int i = 0; i < 8000 + HELD; i++) {
        uint64_t r = tz_rand_next(&seed);
        struct tz_span **h = &held[i < 8000 ? r % HELD : (uint64_t)i - 8000];
        if (*h) {
            uintptr_t *w = (uintptr_t *)(*h)->base;
            size_t last = (*h)->npages * TZ_PAGE_SIZE / sizeof *w - 1;
            ck_assert_ptr_eq((void *)w[0], *h);
            ck_assert_ptr_eq((void *)w[last], *h);
            tz_heap_span_free(*h);
            *h = NULL;
        } else if (i < 8000) {
            uint32_t n = r >> 32 & 1 ? 1 : (uint32_t)(r >> 40) % 40 + 1;
            *h = tz_heap_span_alloc(&pc, n, 0);
            ck_assert_ptr_nonnull(*h);
            uintptr_t *w = (uintptr_t *)(*h)->base;
            w[0] = w[n * TZ_PAGE_SIZE / sizeof *w - 1] = (uintptr_t)*h;
        }
    }
    tz_heap_pagecache_flush(&pc);
    return NULL;
}

START_TEST(spans_of_two_threads_are_disjoint)
{
    uint64_t seed = seed_start("mheap");
    pthread_t t[2];
    heap_start();
    for (uint64_t i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(seed + i));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(tz_mem.inuse, 0);
    const struct tz_pagealloc *a = &tz_mem.region[0].pages;
    ck_assert_uint_eq(a->chunk[0].start, TZ_CHUNK_PAGES);
}
END_TEST

static void free_twice_body(void)
{
    heap_start();
    struct tz_span *s = large(2);
    struct tz_span copy = *s;
    tz_heap_span_free(s);
    tz_heap_span_free(&copy);
}

START_TEST(freeing_pages_twice_is_found_out)
{
    struct os_ended e = os_child(free_twice_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "check failed");
}
END_TEST

int main(void)
{
    return os_check(
        "mem/mheap",
        (const TTest *const[]){
            every_byte_of_an_object_leads_to_it_and_no_other_byte_does,
            s3_30_first_middle_last_and_next_byte,
            large_objects_are_found_from_any_page,
            addresses_outside_are_no_objects,
            a_new_span_has_no_objects_whatever_its_pages_held,
            one_used_page_makes_a_span_need_zeroing,
            headers_are_used_again_and_inuse_returns_to_0,
            a_page_cache_hands_out_64_pages_and_gives_the_rest_back,
            units_of_a_large_heap_come_at_once,
            objects_with_pointers_and_without_share_no_64_pages,
            headers_in_a_page_cache_are_used_and_given_back,
            spans_of_two_threads_are_disjoint,
            freeing_pages_twice_is_found_out, NULL });
}
