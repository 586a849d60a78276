// SPDX-License-Identifier: BSD-3-Clause
// mem/mheap.c: the page heap.
//
// The heap is a region of addresses (mem/region.c), of which a prefix is mapped
// and grows. When a region is used up another is added wherever there is room.
//
// All that the runtime knows about a page is in tables beside the region,
// indexed by page: class byte, span, bits. So an address leads to its object
// by a subtraction and two or three dense loads, an overflowing write in the
// heap meets no metadata, and marking touches little memory.
//
// Pages are taken under the heap lock, one-page spans mostly 64 at a time for
// a P and for objects with, or without, pointers; it then cuts them off without a
// lock. Free ones go back to the system
// (mem/scavenge.c). Before memory is refused, the caller's cached pages are put
// back, and other Ps are asked to do the same. Go's mheap.go is the model; it
// indexes arenas of 64 MiB where we have one region in the usual case.

#include "mem/mheap.h"

#include <errno.h>

#include "base/bits.h"
#include "base/san.h"
#include "mem/limit.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "os/env.h"
#include "os/tlsroots.h"
#include "os/vm.h"

struct tz_heap tz_mem = {
    .lock = TZ_LOCK_INIT(TZ_RANK_HEAP),
    .free_spans = TZ_LIST_INIT(tz_mem.free_spans),
    .trigger = UINT64_MAX,
    .goal = UINT64_MAX,
};

// A heap as large as that is not given back soon: whose pages come one by one costs
// more than a system call for a unit of them.
enum { PREFAULT_MIN = TZ_DEBUG ? 1 << 20 : 64 << 20 };

// One more region, with room for npages. With the lock.
static struct tz_region *region_add(uint32_t npages)
{
    uint32_t i = tz_mem.nregions;
    if (i == TZ_MAX_REGIONS)
        return NULL;
    struct tz_region *r = &tz_mem.region[i];
    size_t min = tz_align_up((size_t)npages << TZ_PAGE_SHIFT, TZ_CHUNK_BYTES);
    if (tz_region_make(r, min, i == 0) != 0)
        return NULL;
    r->id = i;
    tz_store_rel(&tz_mem.nregions, i + 1); // with tz_heap_region's acquire
    return r;
}

int tz_heap_init(void)
{
    tz_store_rlx(&tz_mem.sample_rate, tz_env.memprofile_rate);
    // The base of a region would hold the region's first object for ever.
    tz_roots_leave_out(&tz_mem, sizeof tz_mem);
    tz_lock_acquire(&tz_mem.lock);
    struct tz_region *r = region_add(1);
    tz_lock_release(&tz_mem.lock);
    if (!r)
        return -ENOMEM;
#if TZ_TSAN
    __tsan_java_init(r->base, r->size);
#endif
    return 0;
}

// tz_region_grow, with statistics, if the memory limit lets the side tables grow, too;
// if not, *lacking is what that would need.
static int region_grow(struct tz_region *r, uint32_t npages, size_t *lacking)
{
    size_t n = 0, meta = tz_region_meta(r);
    size_t all = ((size_t)npages << TZ_PAGE_SHIFT) + tz_region_growth(r, npages);
    if (!tz_limit_allows(all)) {
        *lacking = all;
        return -ENOMEM;
    }
    int err = tz_region_grow(r, npages, &n);
    tz_xadd_rlx(&tz_mem.sys, n);
    tz_xadd_rlx(&tz_mem.meta, tz_region_meta(r) - meta);
    return err;
}

// Grows some region until it has npages free in a row.
static bool heap_grow(uint32_t npages, size_t *lacking)
{
    // A region that others have mapped into is closed; one that has just been
    // added is no better now and then.
    enum { TRIES = 4 };
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        int err = region_grow(&tz_mem.region[i], npages, lacking);
        if (err != -ENOSPC) // no memory: more addresses do not help
            return err == 0;
    }
    for (int i = 0; i < TRIES; i++) {
        struct tz_region *r = region_add(npages);
        if (!r)
            return false;
        int err = region_grow(r, npages, lacking);
        if (err != -ENOSPC)
            return err == 0;
    }
    return false;
}

// Whether the memory limit lets these pages, just taken, be used; if not they
// are free again, and *lacking is what they would need.
static bool allowed(struct tz_region *r, uint32_t page, uint32_t npages,
                    size_t *lacking)
{
    size_t n = tz_scav_lacking(r, page, npages);
    if (n == 0 || tz_limit_allows(n)) {
        tz_scav_taken(r, page, npages);
        return true;
    }
    tz_pagealloc_put(&r->pages, page, npages);
    *lacking = n;
    return false;
}

static struct tz_region *find_pages(uint32_t npages, uint32_t *page,
                                    size_t *lacking)
{
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        *page = tz_pagealloc_take(&r->pages, npages);
        if (*page != TZ_NO_PAGE)
            return allowed(r, *page, npages, lacking) ? r : NULL;
    }
    return NULL;
}

// n pages from the lowest region that has them. With the lock.
static struct tz_region *take_pages(uint32_t npages, uint32_t *page,
                                    size_t *lacking)
{
    struct tz_region *r = find_pages(npages, page, lacking);
    if (!r && *lacking == 0 && heap_grow(npages, lacking))
        r = find_pages(npages, page, lacking);
    return r;
}

static void put_pages(struct tz_region *r, uint32_t page, uint32_t npages)
{
    tz_pagealloc_put(&r->pages, page, npages);
    tz_scav_freed(r, page, npages);
}

// Every free page among 64, of the lowest region that has any, but for what
// the memory limit forbids.
static bool find_64(struct tz_pageblock *b, size_t *lacking)
{
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        uint64_t free = tz_pagealloc_take_64(&r->pages, &b->first);
        b->region = r;
        b->free = free;
        for (uint64_t w = free; w; w &= w - 1) {
            uint32_t bit = tz_ctz64(w);
            if (!allowed(r, b->first + bit, 1, lacking))
                b->free &= ~(UINT64_C(1) << bit);
        }
        if (free)
            return b->free != 0;
    }
    return false;
}

// With the lock.
static bool pageblock_fill(struct tz_pageblock *b, size_t *lacking)
{
    if (find_64(b, lacking))
        return true;
    return *lacking == 0 && heap_grow(1, lacking) && find_64(b, lacking);
}

// Pages were taken, or could not be because so much is lacking below the hard
// limit: gives the memory of others back, and sweeps until there are enough,
// for a unit of pages goes back only as a whole. True when trying again may
// help. For the soft limit's sake alone it stops early: the collector cannot
// stop us here.
static bool make_room(size_t lacking)
{
    enum { BYTES_MAX = 2 << 20, SPANS_MAX = 512, STEP = 32 };
    size_t want = lacking ? lacking : tz_min(tz_limit_over(0), BYTES_MAX);
    size_t sum = 0;
    bool more = want > 0;
    if (more)
        tz_central_trim();
    for (int i = 0;; i += STEP) {
        sum += tz_scavenge(want - sum);
        if (sum >= want || !more || (!lacking && i >= SPANS_MAX))
            return sum > 0 && lacking;
        for (int k = 0; more && k < STEP; k++)
            more = tz_central_sweep_one();
    }
}

static struct tz_span *span_header(struct tz_pagecache *pc)
{
    struct tz_span *s = pc ? pc->spans : NULL;
    if (s) {
        pc->spans = (struct tz_span *)(void *)s->node.next;
        return s;
    }
    tz_lock_acquire(&tz_mem.lock);
    struct tz_list *n = tz_list_pop_front(&tz_mem.free_spans);
    for (int i = 0; pc && i < 32; i++) {
        struct tz_list *more = tz_list_pop_front(&tz_mem.free_spans);
        if (!more)
            break;
        more->next = (struct tz_list *)(void *)pc->spans;
        pc->spans = tz_list_entry(more, struct tz_span, node);
    }
    tz_lock_release(&tz_mem.lock);
    if (n)
        return tz_list_entry(n, struct tz_span, node);
    return tz_persist_alloc(sizeof *s, TZ_CACHE_LINE);
}

static void header_free(struct tz_span *s)
{
    tz_lock_acquire(&tz_mem.lock);
    tz_list_push_front(&tz_mem.free_spans, &s->node);
    tz_lock_release(&tz_mem.lock);
}

// A page is the first that is taken of a unit: if the others are still the cache's,
// and none was ever used, they are all about to be written.
static void prefault_unit(const struct tz_pageblock *b, const struct tz_region *r,
                          uint32_t page)
{
    uint64_t others = (tz_mask64(TZ_UNIT_PAGES) - 1) << (page - b->first);
    if ((b->free & others) != others)
        return;
    for (uint32_t i = 0; i < TZ_UNIT_PAGES; i++)
        if (r->cls[page + i] != TZ_PAGE_FRESH)
            return;
    tz_vm_prefault((char *)r->base + ((size_t)page << TZ_PAGE_SHIFT), TZ_UNIT_BYTES);
}

// Takes npages pages, through a block of the cache when it is one.
static struct tz_region *pages_get(struct tz_pageblock *b, uint32_t npages,
                                   uint32_t *page)
{
    bool cached = npages == 1 && b, ok = cached && b->free;
    struct tz_region *r = NULL;
    size_t lacking = 0;
    while (!ok) {
        lacking = 0;
        tz_lock_acquire(&tz_mem.lock);
        if (cached)
            ok = pageblock_fill(b, &lacking);
        else
            ok = (r = take_pages(npages, page, &lacking)) != NULL;
        tz_lock_release(&tz_mem.lock);
        if (!make_room(ok ? 0 : lacking))
            break;
    }
    if (!cached || !ok)
        return r;
    unsigned bit = tz_ctz64(b->free);
    b->free &= b->free - 1;
    *page = b->first + bit;
    if (bit % TZ_UNIT_PAGES == 0 && tz_load_rlx(&tz_mem.inuse) >= PREFAULT_MIN)
        prefault_unit(b, b->region, *page);
    return b->region;
}

static void count_inuse(uint64_t bytes)
{
    uint64_t now = tz_xadd_rlx(&tz_mem.inuse, bytes) + bytes;
    uint64_t peak = tz_load_rlx(&tz_mem.peak);
    while (now > peak && !tz_cas(&tz_mem.peak, peak, now))
        peak = tz_load_rlx(&tz_mem.peak);
}

// The pages are s's from now on, which holds nothing.
static void span_take(struct tz_span *s, struct tz_region *r, uint32_t page,
                      uint32_t npages, uint8_t cls)
{
    tz_list_init(&s->node);
    s->base = r->base + ((uintptr_t)page << TZ_PAGE_SHIFT);
    s->npages = npages;
    s->region = (uint16_t)r->id;
    s->nalloc = 0;
    s->next = 0;
    s->needzero = 0;
    s->gone = TZ_GONE_NOT;
    s->uncollectable = false;
    s->sample_next = false;
    for (uint32_t i = page; i < page + npages; i++) {
        s->needzero |= r->cls[i] != TZ_PAGE_FRESH;
        r->spans[i] = s;
        // Release: who sees the class byte sees the span (tz_heap_find).
        tz_store_rel(&r->cls[i], cls);
    }
}

static void span_set_up(struct tz_span *s, struct tz_region *r, uint32_t page,
                        uint32_t npages, unsigned spanclass)
{
    const struct tz_sizeclass *c = &tz_sizeclass[spanclass];
    bool large = c->size == 0;
    s->nelems = c->nelems;
    s->elem_size = large ? (size_t)npages << TZ_PAGE_SHIFT : c->size;
    s->spanclass = (uint8_t)spanclass;
    s->state = TZ_SPAN_OWNED;
    s->bits = &r->bits[page];
    s->freed = &r->freed[(size_t)page * TZ_FREED_WORDS];
    s->types = &r->types[page];
    for (size_t i = 0; i < 8; i++)
        s->bits->word[i].alloc = s->bits->word[i].mark = 0;
    // Small objects' bits, which were here before, are no types.
    if (c->kind == TZ_TYPED && s->elem_size > TZ_BITS_MAX)
        for (size_t i = 0; i < s->nelems; i++)
            s->types[i / 16].type[i % 16] = NULL;
    if (tz_unlikely(tz_load_rlx(&tz_mem.marking)) && c->kind != TZ_NOSCAN)
        tz_region_fresh(r, page, npages, true); // before it is seen to have objects
    span_take(s, r, page, npages, (uint8_t)(spanclass + 1));
}

// Memory was refused: pages that wait in caches are wanted. False when this
// one had none.
static bool caches_back(struct tz_pagecache *pc)
{
    pc->epoch = tz_xadd(&tz_mem.cache_epoch, 1) + 1;
    bool any = (pc->block[0].free | pc->block[1].free) != 0;
    tz_heap_pagecache_flush(pc);
    return any;
}

struct tz_span *tz_heap_span_alloc(struct tz_pagecache *pc, uint32_t npages,
                                   unsigned spanclass)
{
    struct tz_span *s = span_header(pc);
    if (!s)
        return NULL;
    uint32_t page;
    uint32_t epoch = tz_load_rlx(&tz_mem.cache_epoch); // orders nothing
    if (pc && tz_unlikely(pc->epoch != epoch)) {
        tz_heap_pagecache_flush(pc);
        pc->epoch = epoch;
    }
    bool noscan = tz_sizeclass[spanclass].kind == TZ_NOSCAN;
    struct tz_pageblock *b = pc ? &pc->block[noscan] : NULL;
    struct tz_region *r = pages_get(b, npages, &page);
    if (!r && pc && caches_back(pc))
        r = pages_get(b, npages, &page);
    if (!r) {
        header_free(s);
        return NULL;
    }
    span_set_up(s, r, page, npages, spanclass);
    count_inuse((uint64_t)npages << TZ_PAGE_SHIFT);
    return s;
}

// The span's pages are nobody's; their class bytes say cls.
static struct tz_region *span_leave(struct tz_span *s, uint8_t cls,
                                    uint32_t *page)
{
    struct tz_region *r = &tz_mem.region[s->region];
    uint32_t first = (uint32_t)((s->base - r->base) >> TZ_PAGE_SHIFT);
    s->state = TZ_SPAN_FREE;
    for (uint32_t i = first; i < first + s->npages; i++) {
        tz_store_rel(&r->cls[i], cls);
        r->spans[i] = NULL;
    }
    *page = first;
    return r;
}

void tz_heap_span_free(struct tz_span *s)
{
    uint32_t page;
    struct tz_region *r = span_leave(s, TZ_PAGE_FREE, &page);
    tz_lock_acquire(&tz_mem.lock);
    tz_xadd_rlx(&tz_mem.inuse, -((uint64_t)s->npages << TZ_PAGE_SHIFT));
    put_pages(r, page, s->npages);
    tz_list_push_front(&tz_mem.free_spans, &s->node);
    tz_lock_release(&tz_mem.lock);
}

// Bytes become the heap's, or stop to be; with the lock.
static void count_manual(int64_t bytes)
{
    tz_xadd_rlx(&tz_mem.manual, (uint64_t)bytes);
    tz_xadd_rlx(&tz_mem.sys, -(uint64_t)bytes);
}

struct tz_span *tz_heap_manual_alloc(uint32_t npages, enum tz_vm_use use)
{
    struct tz_span *s = span_header(NULL);
    if (!s)
        return NULL;
    uint32_t page;
    struct tz_region *r = pages_get(NULL, npages, &page);
    if (!r) {
        header_free(s);
        return NULL;
    }
    size_t bytes = (size_t)npages << TZ_PAGE_SHIFT;
    s->nelems = 0; // nothing is found in it
    s->elem_size = 0;
    s->spanclass = 0;
    s->state = TZ_SPAN_MANUAL;
    span_take(s, r, page, npages, TZ_PAGE_MANUAL);
    tz_lock_acquire(&tz_mem.lock);
    count_manual((int64_t)bytes);
    tz_lock_release(&tz_mem.lock);
    tz_vm_charge(TZ_VM_HEAP, use, bytes);
#if TZ_TSAN
    if (r->id == 0)
        __tsan_java_alloc(s->base, bytes); // it knows of one range
#endif
    return s;
}

void tz_heap_manual_free(struct tz_span *s, enum tz_vm_use use, bool zero)
{
    TZ_CHECK(s->state == TZ_SPAN_MANUAL && s->nalloc == 0 && s->cut == 0);
    size_t bytes = (size_t)s->npages << TZ_PAGE_SHIFT;
    uint32_t page;
    struct tz_region *r =
        span_leave(s, zero ? TZ_PAGE_FRESH : TZ_PAGE_FREE, &page);
    tz_vm_charge(use, TZ_VM_HEAP, bytes);
    tz_lock_acquire(&tz_mem.lock);
    count_manual(-(int64_t)bytes);
    put_pages(r, page, s->npages);
    tz_list_push_front(&tz_mem.free_spans, &s->node);
    tz_lock_release(&tz_mem.lock);
}

TZ_NO_SANITIZE struct tz_span *tz_heap_manual_of(uintptr_t p)
{
    struct tz_region *r = tz_heap_region(p);
    if (!r)
        return NULL;
    size_t page = (p - r->base) >> TZ_PAGE_SHIFT;
    if (tz_load_acq(&r->cls[page]) != TZ_PAGE_MANUAL)
        return NULL;
    return tz_load_rlx(&r->spans[page]);
}

void tz_heap_pagecache_flush(struct tz_pagecache *pc)
{
    tz_lock_acquire(&tz_mem.lock);
    for (int i = 0; i < 2; i++) {
        struct tz_pageblock *b = &pc->block[i];
        for (uint64_t w = b->free; w; w &= w - 1)
            put_pages(b->region, b->first + tz_ctz64(w), 1);
        b->free = 0;
    }
    while (pc->spans) {
        struct tz_span *s = pc->spans;
        pc->spans = (struct tz_span *)(void *)s->node.next;
        tz_list_push_front(&tz_mem.free_spans, &s->node);
    }
    tz_lock_release(&tz_mem.lock);
}

void tz_heap_stats_read(struct tz_heap_stats *out)
{
    struct tz_heap_stats s = { .meta = tz_load_rlx(&tz_mem.meta) };
    tz_lock_acquire(&tz_mem.lock);
    uint64_t free = tz_mem.releasing;
    for (uint32_t i = 0; i < tz_mem.nregions; i++)
        free += tz_mem.region[i].pages.nfree;
    free <<= TZ_PAGE_SHIFT;
    s.sys = tz_load_rlx(&tz_mem.sys);
    // Counted after pages were taken and before they are given back.
    s.inuse = tz_load_rlx(&tz_mem.inuse);
    s.released = tz_load_rlx(&tz_mem.released);
    s.untouched = tz_load_rlx(&tz_mem.untouched);
    tz_lock_release(&tz_mem.lock);
    s.cached = s.sys - free - s.inuse;
    s.idle = free - s.released - s.untouched;
    *out = s;
}

TZ_NO_SANITIZE bool tz_heap_find(uintptr_t p, struct tz_object *out)
{
    struct tz_region *r = tz_heap_region(p);
    if (!r)
        return false;
    size_t page = (p - r->base) >> TZ_PAGE_SHIFT;
    uint8_t cls = tz_load_acq(&r->cls[page]);
    if (!tz_page_has_objects(cls))
        return false;
    struct tz_span *s = tz_load_rlx(&r->spans[page]);
    if (!s)
        return false;
    uint32_t i = tz_sizeclass_index(s->spanclass, p - s->base);
    if (i >= s->nelems)
        return false;
    uint64_t there =
        tz_load_rlx(&s->bits->word[i / 64].alloc) & ~tz_load_rlx(&s->freed[i / 64]);
    if (!(there >> (i % 64) & 1))
        return false;
    *out = (struct tz_object){s->base + i * s->elem_size,
                              s->elem_size,
                              tz_span_noscan(s),
                              s,
                              s->bits,
                              i};
    return true;
}
