// SPDX-License-Identifier: BSD-3-Clause
// gc/mark.c: marking.
//
// Every word that lies in the heap's range is pushed as it is; when it is
// popped, the lines of its bits and its object are prefetched, and sixteen
// pops later it is resolved: page, class, index, alloc bit. An object whose
// mark bit we are the first to set is scanned. So a cache miss on one object
// is spent on fifteen others; depth first keeps the stack short (Cher,
// Hosking, Vitek: Software prefetching for mark-sweep garbage collection).
//
// An interior pointer counts, one past the end does not. Objects above 128 KiB
// are scanned in pieces, so that several workers share them: a pushed word
// with bit 0 set is the address of such a piece.

#include "gc/mark.h"

#include "base/san.h"
#include "mem/mheap.h"

enum { OBLET = 128 * 1024, PIECE = 1 };

TZ_NO_SANITIZE void tz_mark_range(struct tz_gcwork *w, uintptr_t lo,
                                  uintptr_t hi)
{
    if (tz_unlikely(hi < lo || (lo | hi) % sizeof(uintptr_t) ||
                    hi >> 47 != 0))
        tz_throw("scan of %zd bytes at %p: not a range of words",
                 (ssize_t)(hi - lo), (void *)lo);
    uintptr_t base = tz_mem.region[0].base;
    size_t size = (size_t)tz_mem.region[0].pages.nchunks * TZ_CHUNK_PAGES *
                  TZ_PAGE_SIZE;
    bool others = tz_mem.nregions > 1;
    for (const uintptr_t *p = (const uintptr_t *)lo; p < (uintptr_t *)hi; p++) {
        uintptr_t word = *p;
        if (word - base < size || (others && tz_heap_region(word)))
            tz_work_push(w, word & ~(uintptr_t)7);
    }
}

// The region of a word that tz_mark_range has let through, and its page.
static inline struct tz_region *region_of(uintptr_t word, size_t *page)
{
    struct tz_region *r = tz_heap_region(word);
    *page = (word - r->base) >> TZ_PAGE_SHIFT;
    return r;
}

TZ_NO_SANITIZE static void prefetch(uintptr_t word)
{
    size_t page;
    struct tz_region *r = region_of(word, &page);
    __builtin_prefetch(&r->bits[page]);
    __builtin_prefetch(&r->bits[page].mark);
    __builtin_prefetch((void *)word);
}

// A found object's first bytes, size and bits.
struct found {
    uintptr_t base;
    size_t size;
    struct tz_pagebits *bits;
    uint32_t index;
    bool noscan;
};

// False: no span there.
TZ_NO_SANITIZE static bool resolve(uintptr_t word, struct found *f)
{
    size_t page;
    struct tz_region *r = region_of(word, &page);
    if (page >= (size_t)r->pages.nchunks * TZ_CHUNK_PAGES)
        return false;
    unsigned cls = r->cls[page];
    if (cls == TZ_PAGE_FRESH || cls == TZ_PAGE_FREE)
        return false;
    unsigned sc = cls - 1;
    f->noscan = sc & 1;
    const struct tz_sizeclass *c = &tz_sizeclass[sc / 2];
    if (sc >= 2 && c->npages == 1) {
        // The usual case needs no span: it is one page.
        uint32_t off = word & (TZ_PAGE_SIZE - 1);
        f->index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
        f->size = c->size;
        f->base = (word - off) + f->index * c->size;
        f->bits = &r->bits[page];
        return true;
    }
    const struct tz_span *s = r->spans[page];
    f->index = sc < 2 ? 0 : tz_sizeclass_index(sc / 2,
                                               (uint32_t)(word - s->base));
    f->size = s->elem_size;
    f->base = s->base + f->index * f->size;
    f->bits = s->bits;
    return true;
}

// Sets the object's mark bit; false when it is no object or was marked.
TZ_NO_SANITIZE static bool mark(const struct found *f)
{
    uint64_t bit = UINT64_C(1) << (f->index % 64);
    uint32_t i = f->index / 64;
    if (!(f->bits->alloc[i] & bit) || (tz_load_rlx(&f->bits->mark[i]) & bit))
        return false;
    // Relaxed: the world is stopped, the bit is all that workers race for.
    return !(tz_xor_bits_rlx(&f->bits->mark[i], bit) & bit);
}

static void scan_piece(struct tz_gcwork *w, uintptr_t at)
{
    struct found f;
    TZ_CHECK(resolve(at, &f));
    tz_mark_range(w, at, tz_min(at + OBLET, f.base + f.size));
}

static void visit(struct tz_gcwork *w, uintptr_t word)
{
    struct found f;
    if (tz_unlikely(word & PIECE)) {
        scan_piece(w, word - PIECE);
        return;
    }
    if (!resolve(word, &f) || !mark(&f))
        return;
    w->marked += f.size;
    if (f.noscan)
        return;
    if (tz_unlikely(f.size > OBLET)) {
        for (size_t off = OBLET; off < f.size; off += OBLET)
            tz_work_push(w, (f.base + off) | PIECE);
        f.size = OBLET;
    }
    tz_mark_range(w, f.base, f.base + f.size);
}

// Takes the oldest word of the prefetch queue.
static uintptr_t fifo_take(struct tz_gcwork *w)
{
    uintptr_t word = w->fifo[w->fifo_at];
    w->fifo_at = (w->fifo_at + 1) % TZ_FIFO;
    w->fifo_n--;
    return word;
}

void tz_mark_drain(struct tz_gcwork *w)
{
    uintptr_t word;
    do {
        for (;;) {
            if (w->fifo_n < TZ_FIFO && tz_work_pop(w, &word)) {
                prefetch(word & ~(uintptr_t)PIECE);
                w->fifo[(w->fifo_at + w->fifo_n++) % TZ_FIFO] = word;
                if (w->fifo_n < TZ_FIFO)
                    continue;
            }
            if (w->fifo_n == 0)
                break;
            visit(w, fifo_take(w));
            if (--w->countdown == 0) {
                w->countdown = 256;
                tz_work_share(w);
            }
        }
    } while (!tz_work_all_done());
}
