// SPDX-License-Identifier: BSD-3-Clause
// mem/mheap.c: the page heap.
//
// The heap is a region: one large reservation, of which a prefix is mapped and
// grows. It starts at a TiB and halves until the system agrees. When a region
// is used up (a small one, on a system that refuses large reservations)
// another is reserved wherever there is room; addresses are never assumed.
//
// All that the runtime knows about a page is in tables beside the region,
// indexed by page: class byte, span, bits. So an address leads to its object
// by a subtraction and two or three dense loads, an overflowing write in the
// heap meets no metadata, and marking touches little memory.
//
// Pages are taken under the heap lock, one-page spans mostly 64 at a time for
// a P, which then cuts them off without a lock. Go's mheap.go is the model; it
// indexes arenas of 64 MiB where we have one region in the usual case.

#include "mem/mheap.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/san.h"
#include "mem/limit.h"
#include "mem/persist.h"
#include "os/vm.h"

struct tz_heap tz_mem = {
    .lock = TZ_LOCK_INIT(TZ_RANK_HEAP),
    .free_spans = TZ_LIST_INIT(tz_mem.free_spans),
    .trigger = UINT64_MAX,
};

enum { CLS, SPANS, BITS, FREED, TYPES, BITMAP, CHUNKS, GROUPS, TABLES };
_Static_assert(TABLES == tz_countof(((struct tz_region *)0)->mapped), "tables");

// Bytes of each table per 4 MiB chunk of heap. Groups and tops are small and
// mapped whole.
static const size_t table_step[GROUPS] = {
    [CLS] = TZ_CHUNK_PAGES,
    [SPANS] = TZ_CHUNK_PAGES * sizeof(struct tz_span *),
    [BITS] = TZ_CHUNK_PAGES * sizeof(struct tz_pagebits),
    [FREED] = TZ_CHUNK_PAGES * TZ_FREED_WORDS * sizeof(uint64_t),
    [TYPES] = TZ_CHUNK_PAGES * sizeof(union tz_typerec),
    [BITMAP] = TZ_CHUNK_PAGES / 8,
    [CHUNKS] = sizeof(struct tz_runs),
};

enum { CHUNK_BYTES = TZ_CHUNK_PAGES * TZ_PAGE_SIZE };

static uint32_t chunks_of(const struct tz_region *r)
{
    return (uint32_t)(r->size / CHUNK_BYTES);
}

// Offset and size of table t in the tables' reservation.
static size_t table_at(const struct tz_region *r, int t, size_t *size)
{
    // Summaries are kept for whole groups and tops.
    size_t chunks = tz_align_up(chunks_of(r), 4096);
    size_t off = 0, n = 0;
    for (int i = 0; i <= t; i++) {
        off += n;
        n = i == GROUPS ? (chunks / 64 + chunks / 4096) * sizeof(struct tz_runs)
            : i == CHUNKS ? chunks * table_step[CHUNKS]
                          : chunks_of(r) * table_step[i];
        n = tz_align_up(n, tz_vm_page());
    }
    *size = n;
    return off;
}

// Maps table t up to `bytes` from its start.
static int table_map(struct tz_region *r, int t, size_t bytes)
{
    bytes = tz_align_up(bytes, tz_vm_page());
    if (bytes <= r->mapped[t])
        return 0;
    size_t size;
    char *start = r->tables + table_at(r, t, &size);
    TZ_CHECK(bytes <= size);
    int err =
        tz_vm_map(start + r->mapped[t], bytes - r->mapped[t], TZ_VM_META);
    if (err)
        return err;
    tz_xadd_rlx(&tz_mem.meta, bytes - r->mapped[t]);
    r->mapped[t] = bytes;
    return 0;
}

// Summaries of a whole group are read at once, so chunk summaries are mapped
// by groups; the two small tables at once.
static int tables_grow(struct tz_region *r, uint32_t nchunks)
{
    for (int t = 0; t < CHUNKS; t++)
        if (table_map(r, t, nchunks * table_step[t]))
            return -ENOMEM;
    size_t size;
    if (table_map(r, CHUNKS, tz_align_up(nchunks, 64) * table_step[CHUNKS]))
        return -ENOMEM;
    table_at(r, GROUPS, &size);
    return table_map(r, GROUPS, size);
}

static void tables_lay_out(struct tz_region *r)
{
    size_t size;
    char *t = r->tables;
    r->cls = (uint8_t *)(t + table_at(r, CLS, &size));
    r->spans = (struct tz_span **)(void *)(t + table_at(r, SPANS, &size));
    r->bits = (struct tz_pagebits *)(void *)(t + table_at(r, BITS, &size));
    r->freed = (uint64_t *)(void *)(t + table_at(r, FREED, &size));
    r->types = (union tz_typerec *)(void *)(t + table_at(r, TYPES, &size));
    r->pages.bitmap = (uint64_t *)(void *)(t + table_at(r, BITMAP, &size));
    r->pages.chunk = (struct tz_runs *)(void *)(t + table_at(r, CHUNKS, &size));
    r->pages.group = (struct tz_runs *)(void *)(t + table_at(r, GROUPS, &size));
    r->pages.top = r->pages.group + tz_align_up(chunks_of(r), 4096) / 64;
}

// Reserves a region of `size` bytes and its tables. With the lock.
static int region_reserve(struct tz_region *r, size_t size)
{
    memset(r, 0, sizeof *r);
    char *base = tz_vm_reserve(NULL, size, CHUNK_BYTES, TZ_VM_HEAP);
    if (!base)
        return -ENOMEM;
    r->base = (uintptr_t)base;
    r->size = size;
    size_t last, off = table_at(r, GROUPS, &last);
    r->tables_size = off + last;
    r->tables = tz_vm_reserve(NULL, r->tables_size, 0, TZ_VM_META);
    if (!r->tables) {
        tz_vm_free(base, size, TZ_VM_HEAP, false);
        r->size = 0;
        return -ENOMEM;
    }
    tables_lay_out(r);
    return 0;
}

// One more region, as large as the system grants, of at least min bytes.
static struct tz_region *region_add(size_t min)
{
    uint32_t i = tz_mem.nregions;
    if (i == TZ_MAX_REGIONS)
        return NULL;
    // Later regions follow a refusal of the first size: ask for less at once.
    size_t size = i == 0 ? (TZ_TSAN ? 64 * TZ_GIB : 1024 * TZ_GIB) : TZ_GIB;
    min = tz_align_up(min, CHUNK_BYTES);
    size = tz_max(size, min);
    struct tz_region *r = &tz_mem.region[i];
    while (region_reserve(r, size) != 0) {
        if (size == min)
            return NULL;
        size = tz_max(tz_align_up(size / 2, CHUNK_BYTES), min);
    }
    r->id = i;
    tz_store_rel(&tz_mem.nregions, i + 1); // with tz_heap_region's acquire
    return r;
}

int tz_heap_init(void)
{
    tz_lock_acquire(&tz_mem.lock);
    struct tz_region *r = region_add(CHUNK_BYTES);
    tz_lock_release(&tz_mem.lock);
    if (!r)
        return -ENOMEM;
#if TZ_TSAN
    __tsan_java_init(r->base, r->size);
#endif
    return 0;
}

static uint32_t chunks_needed(uint32_t npages)
{
    return (npages + TZ_CHUNK_PAGES - 1) / TZ_CHUNK_PAGES;
}

// Maps more of r: at least npages in a row at its end, more when the heap is
// large. With the lock.
static bool region_grow(struct tz_region *r, uint32_t npages)
{
    uint32_t need = chunks_needed(npages);
    uint32_t have = r->pages.nchunks, room = chunks_of(r) - have;
    if (need > room)
        return false;
    uint32_t extra = (uint32_t)tz_min(have / 8, 16); // up to 64 MiB
    uint32_t n = (uint32_t)tz_min(tz_max(need, extra), room);
    for (;; n = need) {
        char *at = (char *)r->base + (size_t)have * CHUNK_BYTES;
        if (tz_limit_allows((uint64_t)n * CHUNK_BYTES) &&
            tables_grow(r, have + n) == 0 &&
            tz_vm_map(at, (size_t)n * CHUNK_BYTES, TZ_VM_HEAP) == 0)
            break;
        if (n == need)
            return false;
    }
    tz_xadd_rlx(&tz_mem.sys, (uint64_t)n * CHUNK_BYTES);
    tz_pagealloc_grow(&r->pages, n);
    return true;
}

// n pages from the lowest region that has them. With the lock.
static struct tz_region *take_pages(uint32_t npages, uint32_t *page)
{
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        *page = tz_pagealloc_take(&r->pages, npages);
        if (*page != TZ_NO_PAGE)
            return r;
    }
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        struct tz_region *r = &tz_mem.region[i];
        if (region_grow(r, npages)) {
            *page = tz_pagealloc_take(&r->pages, npages);
            return r;
        }
        // There were addresses, but no memory: more addresses do not help.
        if (chunks_needed(npages) <= chunks_of(r) - r->pages.nchunks)
            return NULL;
    }
    struct tz_region *r = region_add((size_t)npages << TZ_PAGE_SHIFT);
    if (!r || !region_grow(r, npages))
        return NULL;
    *page = tz_pagealloc_take(&r->pages, npages);
    return r;
}

// Refills a P's cache with pages and headers. With the lock.
static bool pagecache_fill(struct tz_pagecache *pc)
{
    for (int grown = 0; grown < 2; grown++) {
        for (uint32_t i = 0; i < tz_mem.nregions; i++) {
            pc->region = &tz_mem.region[i];
            pc->free = tz_pagealloc_take_64(&pc->region->pages, &pc->first);
            if (pc->free)
                return true;
        }
        uint32_t page;
        struct tz_region *r = take_pages(1, &page);
        if (!r)
            return false;
        tz_pagealloc_put(&r->pages, page, 1);
    }
    return false;
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

// Takes npages pages, through the cache when it is one.
static struct tz_region *pages_get(struct tz_pagecache *pc, uint32_t npages,
                                   uint32_t *page)
{
    if (npages == 1 && pc) {
        if (!pc->free) {
            tz_lock_acquire(&tz_mem.lock);
            bool ok = pagecache_fill(pc);
            tz_lock_release(&tz_mem.lock);
            if (!ok)
                return NULL;
        }
        unsigned bit = tz_ctz64(pc->free);
        pc->free &= pc->free - 1;
        *page = pc->first + bit;
        return pc->region;
    }
    tz_lock_acquire(&tz_mem.lock);
    struct tz_region *r = take_pages(npages, page);
    tz_lock_release(&tz_mem.lock);
    return r;
}

static void count_inuse(uint64_t bytes)
{
    uint64_t now = tz_xadd_rlx(&tz_mem.inuse, bytes) + bytes;
    uint64_t peak = tz_load_rlx(&tz_mem.peak);
    while (now > peak && !tz_cas(&tz_mem.peak, peak, now))
        peak = tz_load_rlx(&tz_mem.peak);
}

static void span_set_up(struct tz_span *s, struct tz_region *r, uint32_t page,
                        uint32_t npages, unsigned spanclass)
{
    const struct tz_sizeclass *c = &tz_sizeclass[spanclass];
    bool large = c->size == 0;
    tz_list_init(&s->node);
    s->base = r->base + ((uintptr_t)page << TZ_PAGE_SHIFT);
    s->npages = npages;
    s->nelems = c->nelems;
    s->elem_size = large ? (size_t)npages << TZ_PAGE_SHIFT : c->size;
    s->spanclass = (uint8_t)spanclass;
    s->region = (uint16_t)r->id;
    s->nalloc = 0;
    s->next = 0;
    s->needzero = 0;
    s->state = TZ_SPAN_OWNED;
    s->uncollectable = false;
    s->bits = &r->bits[page];
    s->freed = &r->freed[(size_t)page * TZ_FREED_WORDS];
    s->types = &r->types[page];
    for (size_t i = 0; i < 8; i++)
        s->bits->alloc[i] = s->bits->mark[i] = 0;
    for (uint32_t i = page; i < page + npages; i++) {
        s->needzero |= r->cls[i] != TZ_PAGE_FRESH;
        r->spans[i] = s;
        // Release: who sees the class byte sees the span (tz_heap_find).
        tz_store_rel(&r->cls[i], (uint8_t)(spanclass + 1));
    }
}

struct tz_span *tz_heap_span_alloc(struct tz_pagecache *pc, uint32_t npages,
                                   unsigned spanclass)
{
    struct tz_span *s = span_header(pc);
    if (!s)
        return NULL;
    uint32_t page;
    struct tz_region *r = pages_get(pc, npages, &page);
    if (!r) {
        header_free(s);
        return NULL;
    }
    span_set_up(s, r, page, npages, spanclass);
    count_inuse((uint64_t)npages << TZ_PAGE_SHIFT);
    return s;
}

void tz_heap_span_free(struct tz_span *s)
{
    struct tz_region *r = &tz_mem.region[s->region];
    uint32_t page = (uint32_t)((s->base - r->base) >> TZ_PAGE_SHIFT);
    uint32_t npages = s->npages;
    s->state = TZ_SPAN_FREE;
    for (uint32_t i = page; i < page + npages; i++) {
        tz_store_rel(&r->cls[i], (uint8_t)TZ_PAGE_FREE);
        r->spans[i] = NULL;
    }
    tz_lock_acquire(&tz_mem.lock);
    tz_pagealloc_put(&r->pages, page, npages);
    tz_list_push_front(&tz_mem.free_spans, &s->node);
    tz_lock_release(&tz_mem.lock);
    tz_xadd_rlx(&tz_mem.inuse, -((uint64_t)npages << TZ_PAGE_SHIFT));
}

void tz_heap_pagecache_flush(struct tz_pagecache *pc)
{
    tz_lock_acquire(&tz_mem.lock);
    for (uint64_t w = pc->free; w; w &= w - 1)
        tz_pagealloc_put(&pc->region->pages, pc->first + tz_ctz64(w), 1);
    pc->free = 0;
    while (pc->spans) {
        struct tz_span *s = pc->spans;
        pc->spans = (struct tz_span *)(void *)s->node.next;
        tz_list_push_front(&tz_mem.free_spans, &s->node);
    }
    tz_lock_release(&tz_mem.lock);
}

TZ_NO_SANITIZE bool tz_heap_find(uintptr_t p, struct tz_object *out)
{
    struct tz_region *r = tz_heap_region(p);
    if (!r)
        return false;
    size_t page = (p - r->base) >> TZ_PAGE_SHIFT;
    if (page >= (size_t)tz_load_acq(&r->pages.nchunks) * TZ_CHUNK_PAGES)
        return false;
    uint8_t cls = tz_load_acq(&r->cls[page]);
    if (cls == TZ_PAGE_FRESH || cls == TZ_PAGE_FREE)
        return false;
    struct tz_span *s = tz_load_rlx(&r->spans[page]);
    if (!s)
        return false;
    uint32_t i = tz_sizeclass_index(s->spanclass, p - s->base);
    if (i >= s->nelems)
        return false;
    uint64_t there = tz_load_rlx(&s->bits->alloc[i / 64]) &
                     ~tz_load_rlx(&s->freed[i / 64]);
    if (!(there >> (i % 64) & 1))
        return false;
    *out = (struct tz_object){ s->base + i * s->elem_size, s->elem_size,
                               tz_span_noscan(s), s, s->bits, i };
    return true;
}
