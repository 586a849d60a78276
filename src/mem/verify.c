// SPDX-License-Identifier: BSD-3-Clause
// mem/verify.c: TUZADEBUG=gcverify=1: whether the heap is what it should be.
//
// Between the phases of a collection all that the heap knows is looked at and
// compared: what is known twice must agree. In this order:
//
//     headers    those that are free
//     regions    bitmap, summaries, units; each page by its class byte: of a
//                span, and then the span once: its geometry, bits, types
//     centrals   each list: its links, the state of its spans, their number
//     sums       what was counted on the way, and the counters
//
// A span that the pages know and no list, or the other way round, shows in the
// sums: each listed one is looked up by its address, and both are counted.
//
// Nothing moves meanwhile: the world is stopped, the sweeper is held, the page
// heap's lock is held, caches have given back what they had. What the scavenger
// has taken out of the bitmap is a sum too.
//
// Cost: a look at each page's entries, 512 bits of each span, and a system call
// for each type. GHC's sanity checker and Go's checkmark are of this kind.

#include "mem/verify.h"

#include "base/bits.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "os/peek.h"
#include "tuza/mem.h"

enum { TYPES = 64 };

struct verify {
    const char *when;
    bool unmarked;
    bool marking; // a mark beside the program has not ended
    uint32_t cycle;
    uint64_t listed, buried; // spans
    uint64_t spans;          // of the pages
    uint64_t loose;          // pages that are used and in no span
    uint64_t inuse, manual, grown, released, untouched, live; // bytes
    const tuza_type *good[TYPES]; // types that were looked at
};

static TZ_NORETURN TZ_COLD void fail(const struct verify *v,
                                     const struct tz_wrong *w)
{
    tz_throw("gcverify, %s: %s (%llu) is 0x%llx, and should be 0x%llx", v->when,
             w->field, (unsigned long long)w->at, (unsigned long long)w->is,
             (unsigned long long)w->should);
}

static TZ_NORETURN TZ_COLD void fail_span(const struct verify *v,
                                          const struct tz_span *s,
                                          const struct tz_wrong *w)
{
    tz_throw("gcverify, %s: span %p of %u pages at %p, class %u, state %u: "
             "%s (%llu) is 0x%llx, and should be 0x%llx",
             v->when, (const void *)s, s->npages, (void *)s->base,
             s->spanclass, s->state, w->field, (unsigned long long)w->at,
             (unsigned long long)w->is, (unsigned long long)w->should);
}

#define MUST(v, field, at, is, should)                                         \
    do {                                                                       \
        struct tz_wrong w_;                                                    \
        if (tz_unlikely((uint64_t)(is) != (uint64_t)(should)) &&               \
            !tz_wrong(&w_, (field), (at), (uint64_t)(is), (uint64_t)(should))) \
            fail((v), &w_);                                                    \
    } while (0)

#define SPAN_MUST(v, s, field, at, is, should)                                 \
    do {                                                                       \
        struct tz_wrong w_;                                                    \
        if (tz_unlikely((uint64_t)(is) != (uint64_t)(should)) &&               \
            !tz_wrong(&w_, (field), (at), (uint64_t)(is), (uint64_t)(should))) \
            fail_span((v), (s), &w_);                                          \
    } while (0)

// --- centrals

// The span of the pages at s->base; NULL: they know none.
static const struct tz_span *looked_up(const struct tz_span *s)
{
    struct tz_region *r = tz_heap_region(s->base);
    return r ? r->spans[(s->base - r->base) >> TZ_PAGE_SHIFT] : NULL;
}

// A header is persistent, and nothing else is followed.
static void check_header(const struct verify *v, const void *s, uint64_t at)
{
    MUST(v, "a span's header, by its address", at,
         (uintptr_t)s % TZ_CACHE_LINE == 0 && tz_persist_contains(s), true);
}

// The first free place from `next` on; nelems: none.
static uint32_t first_free(const struct tz_span *s)
{
    uint32_t i = s->next;
    while (i < s->nelems && (s->bits->word[i / 64].alloc >> (i % 64) & 1))
        i++;
    return i;
}

static void check_place(const struct verify *v, const struct tz_span *s,
                        enum tz_centrallist l)
{
    SPAN_MUST(v, s, "its state, on a list", l, s->state, TZ_SPAN_LISTED);
    if (l != TZ_LIST_EMPTY)
        SPAN_MUST(v, s, "whether it is swept, on list", l,
                  s->swept_in == v->cycle, l != TZ_LIST_UNSWEPT);
    if (l == TZ_LIST_EMPTY)
        SPAN_MUST(v, s, "the objects of an empty span", 0, s->nalloc, 0);
    else if (l == TZ_LIST_PARTIAL) // [mem.I6]
        SPAN_MUST(v, s, "whether it has something to give", 0,
                  first_free(s) < s->nelems, true);
}

static void check_list(struct verify *v, unsigned which,
                       const struct tz_list *list, enum tz_centrallist l)
{
    const struct tz_list *prev = list;
    for (const struct tz_list *n = list->next; n != list; n = n->next) {
        const struct tz_span *s = tz_list_entry(n, struct tz_span, node);
        check_header(v, s, which);
        SPAN_MUST(v, s, "its link back, on list", l, (uintptr_t)n->prev,
                  (uintptr_t)prev);
        SPAN_MUST(v, s, "its central", l,
                  tz_central_of(s->spanclass, s->uncollectable), which);
        SPAN_MUST(v, s, "the span of its first page", l,
                  (uintptr_t)looked_up(s), (uintptr_t)s);
        check_place(v, s, l);
        v->listed++;
        prev = n;
    }
    MUST(v, "the last of a list, central", which, (uintptr_t)list->prev,
         (uintptr_t)prev);
}

static uint32_t length(const struct tz_list *list, uint32_t *pages)
{
    uint32_t n = 0;
    tz_list_for(at, list) {
        n++;
        *pages += tz_list_entry(at, struct tz_span, node)->npages;
    }
    return n;
}

static void check_centrals(struct verify *v)
{
    uint32_t kept = 0;
    struct tz_centralview c;
    for (unsigned which = 0; which < TZ_CENTRAL_COUNT; which++) {
        tz_central_view(which, &c);
        for (int l = 0; l < TZ_CENTRALLISTS; l++)
            check_list(v, which, c.list[l], (enum tz_centrallist)l);
        MUST(v, "the number of empty spans, central", which, c.nempty,
             length(c.list[TZ_LIST_EMPTY], &kept));
    }
    MUST(v, "the pages of all empty spans", 0, c.kept, kept);
}

// With the heap's lock.
static void check_free_headers(const struct verify *v)
{
    const struct tz_list *prev = &tz_mem.free_spans;
    for (const struct tz_list *n = prev->next; n != &tz_mem.free_spans;
         prev = n, n = n->next) {
        const struct tz_span *s = tz_list_entry(n, struct tz_span, node);
        check_header(v, s, 0);
        SPAN_MUST(v, s, "the link back of a free header", 0, (uintptr_t)n->prev,
                  (uintptr_t)prev);
        SPAN_MUST(v, s, "the state of a free header", 0, s->state,
                  TZ_SPAN_FREE);
    }
}

// --- spans

static void check_geometry(const struct verify *v, const struct tz_region *r,
                           const struct tz_span *s, uint32_t page)
{
    SPAN_MUST(v, s, "its first byte, by page", page, s->base,
              r->base + ((uintptr_t)page << TZ_PAGE_SHIFT));
    SPAN_MUST(v, s, "its region", 0, s->region, r->id);
    SPAN_MUST(v, s, "whether it lies in what is grown", 0,
              s->npages > 0 && s->npages <= r->pages.npages - page, true);
    if (s->state == TZ_SPAN_MANUAL)
        return;
    unsigned cls = s->spanclass;
    SPAN_MUST(v, s, "its class, by class byte", page, cls, r->cls[page] - 1);
    bool large = tz_sizeclass[cls].size == 0;
    if (!large)
        SPAN_MUST(v, s, "its pages", 0, s->npages, tz_sizeclass[cls].npages);
    SPAN_MUST(v, s, "its number of places", 0, s->nelems,
              tz_sizeclass[cls].nelems);
    SPAN_MUST(v, s, "the size of its objects", 0, s->elem_size,
              large ? (size_t)s->npages << TZ_PAGE_SHIFT
                    : tz_sizeclass[cls].size);
    SPAN_MUST(v, s, "its alloc and mark bits", 0, (uintptr_t)s->bits,
              (uintptr_t)&r->bits[page]);
    SPAN_MUST(v, s, "its freed bits", 0, (uintptr_t)s->freed,
              (uintptr_t)&r->freed[(size_t)page * TZ_FREED_WORDS]);
    SPAN_MUST(v, s, "its types", 0, (uintptr_t)s->types,
              (uintptr_t)&r->types[page]);
    SPAN_MUST(v, s, "whether its state is listed or buried", 0,
              s->state == TZ_SPAN_LISTED || s->state == TZ_SPAN_BURIED, true);
}

// Its objects' bits; of what awaits its sweep, the marked ones are alive.
static void check_bits(struct verify *v, const struct tz_span *s)
{
    bool swept = s->swept_in == v->cycle || s->state == TZ_SPAN_BURIED;
    uint32_t nalloc = 0, nlive = 0;
    for (uint32_t i = 0; i < 8; i++) {
        uint64_t alloc = s->bits->word[i].alloc, mark = s->bits->word[i].mark;
        uint64_t freed = s->freed[i];
        uint32_t rest = s->nelems > i * 64 ? s->nelems - i * 64 : 0;
        uint64_t places = tz_mask64((uint32_t)tz_min(rest, 64));
        SPAN_MUST(v, s, "its alloc bits, word", i, alloc & ~places, 0);
        SPAN_MUST(v, s, "its mark bits, word", i, mark,
                  v->unmarked ? 0 : mark & alloc);
        SPAN_MUST(v, s, "its freed bits, word", i, freed,
                  s->some_freed ? freed & alloc : 0);
        nalloc += tz_popcount64(alloc);
        nlive += tz_popcount64((swept ? alloc : mark) & ~freed);
    }
    SPAN_MUST(v, s, "its number of objects", 0, s->nalloc, nalloc);
    v->live += nlive * (uint64_t)s->elem_size;
    SPAN_MUST(v, s, "whether its search starts inside", 0,
              s->next <= s->nelems, true);
}

// A type of a larger object: one that its allocation has written. Others may
// write at this place only, so what is there is a type or nothing.
static void check_type(struct verify *v, const struct tz_span *s, uint32_t i)
{
    const tuza_type *t = s->types[i / 16].type[i % 16];
    const tuza_type **known = &v->good[((uintptr_t)t >> 4) % TYPES];
    tuza_type copy;
    if (!t || *known == t)
        return;
    bool good = tz_peek(&copy, (uintptr_t)t, sizeof copy) && copy.size > 0 &&
                copy.size % sizeof(uintptr_t) == 0 && copy.size <= s->elem_size;
    SPAN_MUST(v, s, "whether the type is one, of object", i, good, true);
    *known = t;
}

static void check_span(struct verify *v, const struct tz_region *r,
                       const struct tz_span *s, uint32_t page)
{
    check_geometry(v, r, s, page);
    size_t bytes = (size_t)s->npages << TZ_PAGE_SHIFT;
    if (s->state == TZ_SPAN_MANUAL) {
        v->manual += bytes;
        return;
    }
    v->inuse += bytes;
    v->spans++;
    v->buried += s->state == TZ_SPAN_BURIED;
    check_bits(v, s);
    if (tz_sizeclass[s->spanclass].kind != TZ_TYPED ||
        s->elem_size <= TZ_BITS_MAX)
        return;
    for (uint32_t i = 0; i < s->nelems; i++)
        if (s->bits->word[i / 64].alloc >> (i % 64) & 1)
            check_type(v, s, i);
}

// --- regions

static bool page_used(const struct tz_region *r, uint32_t page)
{
    return r->pages.bitmap[page / 64] >> (page % 64) & 1;
}

// A page of no span, or the first of one; how many pages that is.
static uint32_t check_page(struct verify *v, const struct tz_region *r,
                           uint32_t page)
{
    unsigned cls = tz_load_rlx(&r->cls[page]); // the scavenger writes it
    const struct tz_span *s = r->spans[page];
    if (cls == TZ_PAGE_FRESH || cls == TZ_PAGE_FREE) {
        MUST(v, "the span of a page of none, page", page, (uintptr_t)s, 0);
        v->loose += page_used(r, page);
        return 1;
    }
    MUST(v, "whether the class byte is one, of page", page,
         cls == TZ_PAGE_MANUAL || tz_page_has_objects(cls), true);
    check_header(v, s, page);
    SPAN_MUST(v, s, "whether it is manual, by class byte", page,
              s->state == TZ_SPAN_MANUAL, cls == TZ_PAGE_MANUAL);
    check_span(v, r, s, page);
    for (uint32_t i = page; i < page + s->npages; i++) {
        SPAN_MUST(v, s, "the class byte of its page", i, r->cls[i], cls);
        SPAN_MUST(v, s, "the span of its page", i, (uintptr_t)r->spans[i],
                  (uintptr_t)s);
        SPAN_MUST(v, s, "whether it is used, its page", i, page_used(r, i), 1);
        if (!v->marking)
            SPAN_MUST(v, s, "whether it is still to be scanned, its page", i,
                      r->queued[i], 0);
    }
    return s->npages;
}

static void check_region(struct verify *v, const struct tz_region *r)
{
    struct tz_wrong w;
    uint32_t npages = r->pages.npages;
    MUST(v, "the pages of a region", r->id, npages <= tz_region_npages(r),
         true);
    if (!tz_pagealloc_check(&r->pages, &w) ||
        !tz_scav_check(r, &v->released, &v->untouched, &w))
        fail(v, &w);
    MUST(v, "the grown bytes of a region", r->id, r->limit,
         (uint64_t)r->pages.nchunks * TZ_CHUNK_BYTES);
    v->grown += (uint64_t)npages << TZ_PAGE_SHIFT;
    uint32_t page = 0;
    while (page < npages)
        page += check_page(v, r, page);
    for (; page < r->pages.nchunks * TZ_CHUNK_PAGES; page++)
        MUST(v, "the class byte of a page not grown", page, r->cls[page],
             TZ_PAGE_FRESH);
}

static void check_sums(const struct verify *v)
{
    MUST(v, "the spans of all lists, and buried", v->buried,
         v->listed + v->buried, v->spans);
    MUST(v, "the pages that are being released", 0, tz_mem.releasing,
         v->loose);
    MUST(v, "bytes in use", 0, tz_load_rlx(&tz_mem.inuse), v->inuse);
    MUST(v, "bytes of manual spans", 0, tz_load_rlx(&tz_mem.manual),
         v->manual);
    MUST(v, "bytes mapped", 0,
         tz_load_rlx(&tz_mem.sys) + tz_load_rlx(&tz_mem.manual), v->grown);
    MUST(v, "bytes released", 0, tz_load_rlx(&tz_mem.released), v->released);
    MUST(v, "bytes untouched", 0, tz_load_rlx(&tz_mem.untouched),
         v->untouched);
    MUST(v, "bytes alive", 0, tz_load_rlx(&tz_mem.live), v->live);
}

void tz_heap_verify(const char *when, bool unmarked)
{
    struct verify v = { .when = when, .unmarked = unmarked,
                        .marking = tz_load_rlx(&tz_mem.marking) };
    struct tz_centralview c;
    tz_central_hold(true);
    tz_central_view(0, &c);
    v.cycle = c.cycle;
    tz_lock_acquire(&tz_mem.lock);
    check_free_headers(&v);
    for (uint32_t i = 0; i < tz_mem.nregions; i++)
        check_region(&v, &tz_mem.region[i]);
    check_centrals(&v);
    check_sums(&v);
    tz_lock_release(&tz_mem.lock);
    tz_central_hold(false);
}
