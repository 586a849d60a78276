// SPDX-License-Identifier: BSD-3-Clause
// gc/mark.c: marking.
//
// Of every word that lies in the heap's range the line of bits is prefetched, and
// 32 such words later it is resolved: page, class, index, alloc bit. An object whose
// mark bit we are the first to set is to be scanned. So a cache miss on one line is
// spent on other words, and the many words that lead to what is marked already never
// touch the object: to ask for both at once took four times as long where pages are
// not in the TLB (Cher, Hosking, Vitek: Software prefetching for mark-sweep garbage
// collection).
//
// What is to be scanned is remembered in one of two ways (docs/adr/013). An object
// of its own is pushed on a stack, as a piece, and asked for eight pops before it is
// scanned; depth first keeps the stack short. Of objects of 32 to 512 bytes the page
// is queued, once, first in first out: when its turn comes, more of it is marked by
// then, and all of that is scanned in the order of addresses, for one miss of the
// TLB (after Go's Green Tea, mgcmark_greenteagc.go). Where that does not come true,
// as with trees and lists whose pages are visited for each object, it is given up
// for the class until the next collection.
//
// While the bits of the heap fit the cache, a word is resolved where it is read,
// and nothing waits in a queue (most of it in gc/near.c).
//
// Of ranges of 32 words and more those in the heap are found first, by vectors
// (gc/words.h, docs/adr/015).
//
// Of a typed object the words are scanned that its type's record names, which
// lies beside the bits (mem/types.c).
//
// An interior pointer counts, one past the end does not. Objects above 128 KiB
// are scanned in several pieces, so that workers share them: a pushed word with
// bit 0 set is the address of a piece.

#include "gc/mark.h"

#include <string.h>

#include "base/bits.h"
#include "gc/gcobj.h"
#include "gc/near.h"
#include "gc/pageq.h"
#include "mem/types.h"
#include "tuza/mem.h"

enum {
    OBLET = 128 * 1024,
    MANY = 32,   // words that a call to look for those in the heap pays for
    DENSE = 15,  // times that it is not made after it was in vain
    // Its bits (a 64th) stay in the cache.
    SMALL_HEAP = TZ_DEBUG ? 8 << 20 : 64 << 20
};

TZ_NORETURN TZ_COLD static void lost(const struct tz_gcwork *w,
                                     const struct tz_gcobj *f)
{
    struct tz_object o;
    if (w->told && tz_heap_find(w->at, &o))
        tz_fatal("gcmode=m3: the object of %zu bytes at %p is lost, and the word at %p "
                 "leads to it, %zu bytes into an object of %zu at %p: a store was "
                 "not told to the collector, of the one pointer or the other",
                 f->size, (void *)f->base, (void *)w->at,
                 (size_t)(w->at - o.base), o.size, (void *)o.base);
    tz_throw("gccheckmark: the object of %zu bytes at %p is not marked, and the "
             "word at %p leads to it",
             f->size, (void *)f->base, (void *)w->at);
}

TZ_NO_SANITIZE static inline bool mark(const struct tz_gcwork *w,
                                       const struct tz_gcobj *f)
{
    bool first = tz_gcobj_mark(w->alone, f->bits, f->index);
    if (first && tz_unlikely(w->check))
        lost(w, f);
    return first;
}

// When words were dropped: marks the object at once, so that no word has to be
// remembered; that it is to be scanned may be forgotten, for it is marked.
static void mark_now(struct tz_gcwork *w, uintptr_t word)
{
    struct tz_gcobj f;
    if (tz_unlikely(w->visit)) {
        w->visit(w, word);
        return;
    }
    if (!tz_heap_region(word) || !tz_gcobj_find(word & ~(uintptr_t)7, &f) ||
        !mark(w, &f))
        return;
    w->marked += f.size;
    for (size_t off = 0; f.kind != TZ_NOSCAN && off < f.size; off += OBLET)
        tz_work_push(w, (f.base + off) | TZ_WORK_PIECE);
}

// When a word is resolved.
enum how {
    HERE, // where it is found: the bits of the heap stay in the cache
    SOON, // when its bits have come
    LATER // when it is popped
};

// What the loops need of the first region.
struct view {
    uintptr_t base;
    size_t limit;
    const uint8_t *cls;
    struct tz_pagebits *bits;
    bool others; // there are more regions
    enum how how;
};

TZ_INLINE struct view view_of(const struct tz_gcwork *w)
{
    const struct tz_region *r = &tz_mem.region[0];
    struct view v = { r->base, tz_load_rlx(&r->limit), r->cls, r->bits,
                      tz_mem.nregions > 1, SOON };
    if (w->later)
        v.how = LATER;
    else if (v.limit <= w->near)
        v.how = HERE;
    return v;
}

// Pushes a page that counts as queued.
static void push_page(struct tz_gcwork *w, size_t page)
{
    const struct tz_region *r = &tz_mem.region[0];
    if (!tz_work_queue(w, r->base + (page << TZ_PAGE_SHIFT)))
        tz_pageq_leave(r, page, false); // it is scanned again (gc/again.c)
}

// Marks what a word of the first region leads to, if it is on a page of its own
// span; what is to be looked into is pushed as a piece. False: the word is for
// others to resolve.
TZ_NO_SANITIZE TZ_INLINE bool mark_here(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t word)
{
    size_t page = (word - v->base) >> TZ_PAGE_SHIFT;
    unsigned cls = tz_load_acq(&v->cls[page]);
    if (!tz_page_has_objects(cls))
        return true;
    const struct tz_sizeclass *c = &tz_sizeclass[cls - 1];
    if (tz_unlikely(c->npages != 1))
        return false;
    uint32_t off = word & (TZ_PAGE_SIZE - 1), size = c->size;
    uint32_t index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
    if (!tz_gcobj_mark(w->alone, &v->bits[page], index))
        return true;
    w->marked += size;
    uintptr_t at = word - off + index * size;
    if (v->how == SOON && w->by_page[cls - 1]) {
        if (tz_pageq_enter(&tz_mem.region[0], page, w->cycle, w->alone))
            push_page(w, page);
    } else if (c->kind != TZ_NOSCAN) {
        if (v->how == HERE)
            __builtin_prefetch((void *)at);
        tz_work_push(w, at | TZ_WORK_PIECE);
    }
    return true;
}

static void visit(struct tz_gcwork *w, uintptr_t word);

// Adds x, of which the lines have been asked for, to who waits; gives who has waited
// longest, when there is no more room, or 0.
TZ_INLINE uintptr_t wait_for(uintptr_t *all, struct tz_waits *w, uint32_t most,
                             uintptr_t x)
{
    uintptr_t old = 0;
    if (w->n == most) {
        old = all[w->at];
        all[w->at] = x;
        w->at = (w->at + 1) % most;
    } else {
        all[(w->at + w->n++) % most] = x;
    }
    return old;
}

TZ_INLINE uintptr_t waited_longest(const uintptr_t *all, struct tz_waits *w,
                                   uint32_t most)
{
    uintptr_t old = all[w->at];
    w->at = (w->at + 1) % most;
    w->n--;
    return old;
}

// Resolves a word of the first region.
TZ_INLINE void mark_or_visit(struct tz_gcwork *w, const struct view *v,
                             uintptr_t word)
{
    if (tz_unlikely(!mark_here(w, v, word)))
        visit(w, word);
}

// Asks for the bits of a word and resolves the one that has waited longest.
TZ_NO_SANITIZE TZ_INLINE void mark_soon(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t word)
{
    // Of objects of 16 bytes a page's second half has the second line, which comes
    // with the first on most machines.
    __builtin_prefetch(&v->bits[(word - v->base) >> TZ_PAGE_SHIFT]);
    uintptr_t old = w->word[w->word_at];
    w->word[w->word_at] = word;
    w->word_at = (w->word_at + 1) % TZ_WORDS;
    if (old)
        mark_or_visit(w, v, old);
}

TZ_NO_SANITIZE TZ_INLINE void mark_word(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t word)
{
    if (tz_likely(word - v->base < v->limit)) {
        word &= ~(uintptr_t)7;
        if (v->how == SOON)
            mark_soon(w, v, word);
        else if (v->how == LATER || !mark_here(w, v, word))
            tz_work_push(w, word);
    } else if (v->others && tz_heap_region(word)) {
        tz_work_push(w, word & ~(uintptr_t)7);
    }
}

// Of a long range the words in the heap are found by 64 at a time (gc/words.h); one
// that is written meanwhile is old or new, and noted. Where most of them are in it, so
// are those of the next, mostly: that would cost a quarter more than one by one.
TZ_NO_SANITIZE static TZ_NOINLINE void mark_many(struct tz_gcwork *w,
                                                 const struct view *v, uintptr_t lo,
                                                 uintptr_t hi)
{
    while (hi > lo) {
        uint32_t n = (uint32_t)tz_min((hi - lo) / sizeof lo, 64);
        hi -= n * sizeof lo;
        const uintptr_t *p = (const uintptr_t *)hi;
        if (w->dense > 0) {
            w->dense--;
            for (uint32_t i = n; i > 0;)
                mark_word(w, v, tz_load_rlx(&p[--i]));
            continue;
        }
        uint64_t bits = w->words(p, n, v->base, v->limit);
        if (tz_popcount64(bits) > n / 2)
            w->dense = DENSE;
        while (bits) {
            unsigned i = tz_log2(bits);
            bits &= ~(UINT64_C(1) << i);
            mark_word(w, v, tz_load_rlx(&p[i]));
        }
    }
}

// From the last word to the first: what the first leads to is popped first then,
// which is often what was allocated first.
TZ_NO_SANITIZE TZ_INLINE void mark_words(struct tz_gcwork *w, const struct view *v,
                                         uintptr_t lo, uintptr_t hi)
{
    if (hi - lo >= MANY * sizeof lo && w->words && !v->others) {
        mark_many(w, v, lo, hi);
        return;
    }
    for (const uintptr_t *p = (const uintptr_t *)hi; p > (const uintptr_t *)lo;)
        mark_word(w, v, tz_load_rlx(--p));
}

TZ_NO_SANITIZE void tz_mark_range(struct tz_gcwork *w, uintptr_t lo,
                                  uintptr_t hi)
{
    if (tz_unlikely(hi < lo || (lo | hi) % sizeof(uintptr_t) || hi >> 47 != 0))
        tz_throw("scan of %zd bytes at %p: not a range of words",
                 (ssize_t)(hi - lo), (void *)lo);
    if (tz_unlikely(w->again)) {
        for (w->at = lo; w->at < hi; w->at += sizeof(uintptr_t))
            mark_now(w, *(const uintptr_t *)w->at);
        return;
    }
    struct view v = view_of(w);
    mark_words(w, &v, lo, hi);
}

// --- typed objects

// The words that a bit stands for, from the last one.
TZ_NO_SANITIZE TZ_INLINE void mark_bits(struct tz_gcwork *w, const struct view *v,
                                        uintptr_t at, uint64_t bits)
{
    while (bits) {
        unsigned i = tz_log2(bits);
        uintptr_t word = tz_load_rlx((const uintptr_t *)at + i);
        bits &= ~(UINT64_C(1) << i);
        mark_word(w, v, word);
    }
}

// Of a small object, from the bits of its page.
TZ_NO_SANITIZE TZ_INLINE uint64_t small_bits(const union tz_typerec *types,
                                             uintptr_t base, size_t size)
{
    return tz_types_bits_at(types, (base & (TZ_PAGE_SIZE - 1)) / sizeof(uintptr_t),
                            (uint32_t)(size / sizeof(uintptr_t)));
}

TZ_NO_SANITIZE static void scan_bits(struct tz_gcwork *w, uintptr_t at,
                                     uint64_t bits)
{
    if (tz_likely(!w->again)) {
        struct view v = view_of(w);
        mark_bits(w, &v, at, bits);
        return;
    }
    for (; bits; bits &= bits - 1) {
        w->at = at + tz_ctz64(bits) * sizeof(uintptr_t);
        mark_now(w, tz_load_rlx((const uintptr_t *)w->at));
    }
}

#if TZ_TSAN // what a procedure reads may be changing
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#else
#define AnnotateIgnoreReadsBegin(file, line) ((void)0)
#define AnnotateIgnoreReadsEnd(file, line) ((void)0)
#endif

TZ_NO_SANITIZE static void trace(struct tz_gcwork *w, const tuza_type *t, uintptr_t at,
                                 size_t size)
{
    w->at = at;
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    t->trace((tuza_tracer *)(void *)w, (const void *)at, size);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

// Of an object without pointer bits: its type has a trace procedure, or it is being
// allocated.
TZ_NO_SANITIZE static TZ_NOINLINE void trace_small(struct tz_gcwork *w, uintptr_t at,
                                                   size_t size)
{
    uintptr_t word = tz_load_acq((const uintptr_t *)at);
    const tuza_type *t = word ? tz_types_traced(word) : NULL;
    if (t) {
        trace(w, t, at, size);
    } else if (word && !tz_load_rlx(&tz_mem.marking)) {
        tz_fatal("the object of %zu bytes at %p: its first word, where its type was, "
                 "which has a trace procedure, was overwritten with %p",
                 size, (void *)at, (void *)word);
    }
}

TZ_NO_SANITIZE void tuza_trace(tuza_tracer *tracer, const void *p)
{
    struct tz_gcwork *w = (struct tz_gcwork *)(void *)tracer;
    if (tz_unlikely(w->again)) {
        mark_now(w, (uintptr_t)p);
        return;
    }
    struct view v = view_of(w);
    mark_word(w, &v, (uintptr_t)p);
}

TZ_NO_SANITIZE static void scan_small_typed(struct tz_gcwork *w,
                                            const struct tz_gcobj *f)
{
    uint64_t bits = small_bits(f->types, f->base, f->size);
    if (bits)
        scan_bits(w, f->base, bits);
    else
        trace_small(w, f->base, f->size);
}

// The elements that begin in [lo, hi) of an object, by its type.
TZ_NO_SANITIZE static void scan_typed(struct tz_gcwork *w,
                                      const struct tz_gcobj *f, uintptr_t lo,
                                      uintptr_t hi)
{
    TZ_CHECK(lo >= f->base);
    const tuza_type *t = f->types[f->index / 16].type[f->index % 16];
    if (!t)
        return; // being allocated: all zero
    if (t->trace) {
        if (lo == f->base) // once, for all pieces
            trace(w, t, f->base, f->size);
        return;
    }
    size_t words = t->size / sizeof(uintptr_t);
    uintptr_t end = f->base + f->size;
    uintptr_t e = f->base + (lo - f->base + t->size - 1) / t->size * t->size;
    for (; e < hi && e + t->size <= end; e += t->size) {
        if (!t->mask) {
            scan_bits(w, e, t->bits & tz_mask64((unsigned)tz_min(words, 64)));
            continue;
        }
        for (size_t i = 0; i < words; i += 64)
            scan_bits(w, e + i * sizeof(uintptr_t),
                      t->mask[i / 64] &
                          tz_mask64((unsigned)tz_min(words - i, 64)));
    }
}

// The part [lo, hi) of an object.
void tz_mark_part(struct tz_gcwork *w, const struct tz_gcobj *f, uintptr_t lo,
                      uintptr_t hi)
{
    if (f->kind == TZ_SCAN)
        tz_mark_range(w, lo, hi);
    else if (f->size <= TZ_BITS_MAX)
        scan_small_typed(w, f);
    else
        scan_typed(w, f, lo, hi);
}

static TZ_NOINLINE void scan_piece(struct tz_gcwork *w, uintptr_t at)
{
    struct tz_gcobj f;
    TZ_CHECK(tz_gcobj_find(at, &f));
    uintptr_t end = tz_min(at + OBLET, f.base + f.size);
    w->looked += end - at;
    tz_mark_part(w, &f, at, end);
}

// An object that has just been marked; its pieces from byte `from` on only pushed.
static void push_pieces(struct tz_gcwork *w, const struct tz_gcobj *f, size_t from)
{
    w->marked += f->size;
    for (size_t off = from; f->kind != TZ_NOSCAN && off < f->size; off += OBLET)
        tz_work_push(w, (f->base + off) | TZ_WORK_PIECE);
}

static void scan_object(struct tz_gcwork *w, const struct tz_gcobj *f)
{
    push_pieces(w, f, OBLET);
    if (f->kind != TZ_NOSCAN)
        tz_mark_part(w, f, f->base, f->base + tz_min(f->size, OBLET));
}

TZ_NO_SANITIZE void tz_mark_uncollectable(struct tz_gcwork *w, struct tz_span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        struct tz_gcobj f = tz_gcobj_of_span(s, i);
        if (tz_unlikely(w->visit)) {
            w->at = 0;
            if (f.bits->word[i / 64].alloc >> (i % 64) & 1)
                w->visit(w, f.base);
        } else if (mark(w, &f)) {
            scan_object(w, &f);
        }
    }
}

static void visit(struct tz_gcwork *w, uintptr_t word)
{
    struct tz_gcobj f;
    if (tz_unlikely(word & TZ_WORK_PIECE))
        scan_piece(w, word - TZ_WORK_PIECE);
    else if (tz_gcobj_find(word, &f) && mark(w, &f))
        push_pieces(w, &f, 0);
}

// Whether all of it was scanned by a look in this collection, or will be now; of small
// ones nobody keeps account.
static bool looked_into(struct tz_gcwork *w, const struct tz_gcobj *f)
{
    enum { SMALL = 512 };
    if (f->size <= SMALL)
        return false;
    uint64_t hash = (uint64_t)(f->base / SMALL) * UINT64_C(0x9e3779b97f4a7c15);
    uintptr_t *last = &w->looked_into[hash >> (64 - TZ_LOOKED_INTO_BITS)];
    bool seen = *last == f->base;
    *last = f->base;
    return seen;
}

// Words may lead to what is free, or behind a span's last object.
static bool is_allocated(const struct tz_gcobj *f)
{
    return tz_load_rlx(&f->bits->word[f->index / 64].alloc) >> (f->index % 64) & 1;
}

// Also into what is marked, as that may wait for its scan.
TZ_NO_SANITIZE void tz_mark_look(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi)
{
    struct tz_gcobj f;
    for (uintptr_t at = lo; at < hi; at += sizeof(uintptr_t)) {
        uintptr_t word = tz_load_rlx((const uintptr_t *)at) & ~(uintptr_t)7;
        if (!tz_heap_region(word) || !tz_gcobj_find(word, &f) || !is_allocated(&f))
            continue;
        if (mark(w, &f))
            w->marked += f.size;
        if (f.kind != TZ_NOSCAN && !looked_into(w, &f))
            tz_mark_part(w, &f, f.base, f.base + f.size);
    }
}

// --- objects one by one, and pages

void tz_mark_begin(struct tz_gcwork *w, uint64_t cycle)
{
    if (w->cycle == cycle)
        return;
    w->countdown = 256;
    w->near = SMALL_HEAP;
    w->words = tz_words_best();
    memset(w->looked_into, 0, sizeof w->looked_into);
    w->cycle = cycle;
    for (unsigned i = 0; i < TZ_SPANCLASS_COUNT; i++) {
        const struct tz_sizeclass *c = &tz_sizeclass[i];
        w->by_page[i] = c->kind != TZ_NOSCAN && c->npages == 1 &&
                        c->size <= TZ_BITS_MAX && c->nelems <= TZ_SCANNED_WORDS * 64;
        w->looks[i] = w->seen[i] = 0;
    }
}

// The words of a small object of the first region.
TZ_NO_SANITIZE TZ_INLINE void scan_small_as(struct tz_gcwork *w, const struct view *v,
                                            const struct tz_sizeclass *c,
                                            size_t page, uintptr_t at)
{
    w->looked += c->size;
    if (c->kind == TZ_SCAN) {
        mark_words(w, v, at, at + c->size);
        return;
    }
    uint64_t bits = small_bits(&tz_mem.region[0].types[page], at, c->size);
    if (tz_likely(bits))
        mark_bits(w, v, at, bits);
    else
        trace_small(w, at, c->size);
}

TZ_NO_SANITIZE TZ_INLINE void scan_small(struct tz_gcwork *w, const struct view *v,
                                         uintptr_t at)
{
    size_t page = (at - v->base) >> TZ_PAGE_SHIFT;
    scan_small_as(w, v, &tz_sizeclass[v->cls[page] - 1], page, at);
}

// Whether pages are worth it is found out when each could have been looked at some
// times: a mark begins with few objects on each.
static void judge(struct tz_gcwork *w, const struct view *v, unsigned cls, uint32_t n)
{
    enum { PAGES_LOOKS = 8, WORTH = 4 };
    w->seen[cls] += n;
    if (++w->looks[cls] < PAGES_LOOKS * (v->limit >> TZ_PAGE_SHIFT))
        return;
    w->by_page[cls] = w->seen[cls] >= WORTH * w->looks[cls];
    w->looks[cls] = w->seen[cls] = 0;
}

// Of a page that was queued the objects that are marked and not yet scanned.
TZ_NO_SANITIZE static void scan_page(struct tz_gcwork *w, const struct view *v,
                                     uintptr_t base)
{
    const struct tz_region *r = &tz_mem.region[0];
    size_t page = (base - v->base) >> TZ_PAGE_SHIFT;
    unsigned cls = v->cls[page] - 1u;
    const struct tz_sizeclass *c = &tz_sizeclass[cls];
    uint32_t n = 0;
    tz_pageq_leave(r, page, w->alone);
    for (uint32_t i = 0; i * 64 < c->nelems; i++) {
        uint64_t todo = tz_pageq_take(r, page, i, w->alone);
        for (; todo; todo &= todo - 1, n++) {
            uintptr_t at = base + (i * 64 + tz_ctz64(todo)) * c->size;
            tz_gcobj_ask_for(at + TZ_AHEAD, c->size);
            scan_small_as(w, v, c, page, at);
        }
    }
    judge(w, v, cls, n);
}

// Takes pages from the queue; the one that was asked for first is looked at.
TZ_NO_SANITIZE TZ_INLINE bool next_page(struct tz_gcwork *w, const struct view *v)
{
    const struct tz_region *r = &tz_mem.region[0];
    uintptr_t base;
    if (!tz_work_unqueue(w, &base))
        return false;
    size_t page = (base - v->base) >> TZ_PAGE_SHIFT;
    __builtin_prefetch(&v->bits[page]);
    __builtin_prefetch(&r->scanned[page]);
    __builtin_prefetch(&r->types[page]);
    __builtin_prefetch((char *)&r->types[page] + TZ_CACHE_LINE);
    tz_gcobj_ask_for(base, TZ_PREFETCH);
    uintptr_t old = wait_for(w->page, &w->pages, TZ_PAGES, base);
    if (old)
        scan_page(w, v, old);
    return true;
}

// The words that wait for their bits. False: there are none.
TZ_NO_SANITIZE static bool words_that_wait(struct tz_gcwork *w, const struct view *v)
{
    bool some = false;
    for (uint32_t i = w->word_at, end = i + TZ_WORDS; i < end; i++) {
        uintptr_t word = w->word[i % TZ_WORDS];
        if (!word)
            continue;
        w->word[i % TZ_WORDS] = 0;
        mark_or_visit(w, v, word);
        some = true;
    }
    return some;
}

// Who has waited longest, when nothing else is left. False: nobody.
TZ_NO_SANITIZE static bool who_waits(struct tz_gcwork *w, const struct view *v)
{
    if (words_that_wait(w, v))
        return true;
    if (w->pieces.n)
        scan_small(w, v, waited_longest(w->piece, &w->pieces, TZ_PIECES));
    else if (w->pages.n)
        scan_page(w, v, waited_longest(w->page, &w->pages, TZ_PAGES));
    else
        return false;
    return true;
}

void tz_mark_put_back(struct tz_gcwork *w)
{
    for (uint32_t i = 0; i < TZ_WORDS; i++) {
        if (w->word[i])
            tz_work_push(w, w->word[i]);
        w->word[i] = 0;
    }
    while (w->pieces.n)
        tz_work_push(w, TZ_WORK_PIECE |
                            waited_longest(w->piece, &w->pieces, TZ_PIECES));
    while (w->pages.n)
        push_page(w, (waited_longest(w->page, &w->pages, TZ_PAGES) -
                      tz_mem.region[0].base) >> TZ_PAGE_SHIFT);
    tz_work_give(w);
}

TZ_INLINE void share_now_and_then(struct tz_gcwork *w)
{
    if (--w->countdown == 0) {
        w->countdown = 256;
        tz_work_share(w);
    }
}

// When to look around: words popped, and what w->marked and w->looked are then.
struct limit {
    uint64_t words, marked, looked;
};

TZ_INLINE bool is_within(const struct limit *most, const struct tz_gcwork *w,
                         uint64_t words)
{
    return words < most->words && w->marked < most->marked &&
           w->looked < most->looked;
}

// Visits what is popped, most of which are small objects. False: nothing is left.
TZ_NO_SANITIZE TZ_INLINE bool drain_by(struct tz_gcwork *w, const struct view *v,
                                       const struct limit *most)
{
    uintptr_t word;
    for (uint64_t n = 0; is_within(most, w, n); n++, share_now_and_then(w)) {
        if (!tz_work_pop(w, &word)) {
            if (next_page(w, v) || who_waits(w, v))
                continue;
            return false;
        }
        uintptr_t at = word - TZ_WORK_PIECE;
        if (!(word & TZ_WORK_PIECE) || at - v->base >= v->limit) {
            visit(w, word);
            continue;
        }
        size_t page = (at - v->base) >> TZ_PAGE_SHIFT;
        const struct tz_sizeclass *c = &tz_sizeclass[v->cls[page] - 1];
        if (c->npages != 1 || c->size > TZ_BITS_MAX) {
            scan_piece(w, at);
            continue;
        }
        if (v->how == SOON) {
            if (c->kind == TZ_TYPED)
                __builtin_prefetch((char *)&tz_mem.region[0].types[page] +
                                   (at & (TZ_PAGE_SIZE / 2) ? TZ_CACHE_LINE : 0));
            tz_gcobj_ask_for(at, c->size);
            at = wait_for(w->piece, &w->pieces, TZ_PIECES, at);
        }
        if (at)
            scan_small(w, v, at);
    }
    return true;
}

// What is usual by the hundred (gc/near.c), what is not one by one.
TZ_NO_SANITIZE static bool drain_near(struct tz_gcwork *w, const struct limit *most)
{
    enum { BATCH = 256 };
    struct view v = view_of(w);
    v.how = HERE;
    struct limit one = { 1, most->marked, most->looked };
    uint32_t done;
    for (uint64_t n = 0; is_within(most, w, n); tz_work_share(w)) {
        n += done = tz_near_scan(w, BATCH);
        if (done == BATCH)
            continue;
        if (!drain_by(w, &v, &one))
            return false;
        n++;
    }
    return true;
}

TZ_NO_SANITIZE static bool drain_far(struct tz_gcwork *w, const struct limit *most)
{
    struct view v = view_of(w);
    v.how = SOON;
    return drain_by(w, &v, most);
}

static bool drain_some(struct tz_gcwork *w, const struct limit *most)
{
    return (view_of(w).how == HERE ? drain_near : drain_far)(w, most);
}

// Until this worker has nothing left.
void tz_mark_own(struct tz_gcwork *w)
{
    static const struct limit none = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
    uintptr_t word;
    if (tz_likely(!w->again))
        (void)drain_some(w, &none);
    else
        while (tz_work_pop(w, &word))
            visit(w, word);
}

bool tz_mark_some(struct tz_gcwork *w, uint64_t bytes)
{
    struct limit most = { bytes / 32, w->marked + bytes, w->looked + 4 * bytes };
    return drain_some(w, &most);
}

void tz_mark_drain(struct tz_gcwork *w)
{
    do
        tz_mark_own(w);
    while (!tz_work_all_done());
}

// --- what is decided when all is marked

void tz_mark_rest(struct tz_gcwork *w, uint32_t njobs)
{
    tz_mark_own(w);
    if (tz_work_dropped())
        tz_mark_again(w, njobs);
}

bool tz_mark_watched(struct tz_gcwork *w, uint32_t njobs,
                     void (*fn)(struct tz_gcwork *w, uintptr_t base))
{
    uintptr_t word;
    struct tz_gcobj f;
    while (tz_work_pop(w, &word)) {
        if (word & TZ_WORK_PIECE) {
            scan_piece(w, word - TZ_WORK_PIECE);
        } else if (tz_gcobj_find(word, &f) && mark(w, &f)) {
            scan_object(w, &f);
            fn(w, f.base);
        }
    }
    if (!tz_work_dropped())
        return true;
    tz_mark_again(w, njobs);
    return false;
}

bool tz_mark_is(uintptr_t p)
{
    struct tz_gcobj f;
    TZ_CHECK(tz_heap_region(p) && tz_gcobj_find(p, &f) && f.base == p);
    return tz_load_rlx(&f.bits->word[f.index / 64].mark) >> (f.index % 64) & 1;
}

void tz_mark_set(struct tz_gcwork *w, uintptr_t p)
{
    struct tz_gcobj f;
    TZ_CHECK(tz_gcobj_find(p, &f) && mark(w, &f));
    scan_object(w, &f);
}

void tz_mark_unset(struct tz_gcwork *w, uintptr_t p)
{
    struct tz_gcobj f;
    TZ_CHECK(tz_gcobj_find(p, &f));
    uint64_t bit = UINT64_C(1) << (f.index % 64);
    f.bits->word[f.index / 64].mark &= ~bit;
    size_t page;
    struct tz_region *r = tz_gcobj_region(p, &page);
    if (f.index / 64 < TZ_SCANNED_WORDS)
        r->scanned[page].bits[f.index / 64] &= ~bit;
    w->marked -= f.size;
}
