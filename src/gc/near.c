// SPDX-License-Identifier: BSD-3-Clause
// gc/near.c: marking a heap whose bits fit the cache.
//
// Nothing waits for memory there, so what counts is instructions: top of the stack
// and counts are kept in registers for a batch of objects, and only what is usual is
// done, small objects on pages of their own, in the first region. Whatever else comes
// up ends the batch; gc/mark.c knows it all. A FIFO of four objects that were asked
// for first, as in large heaps, brought nothing (bintrees, gcbench).

#include "gc/near.h"

#include "base/bits.h"
#include "gc/gcobj.h"
#include "mem/types.h"

// What does not change meanwhile, of the first region.
struct near {
    uintptr_t base;
    size_t limit;
    const uint8_t *cls;
    struct tz_pagebits *bits;
    bool others; // there are more regions
};

// What does.
struct batch {
    uintptr_t *top; // of the stack; there is room
    uint64_t marked, looked;
    bool alone;
};

TZ_COLD static TZ_NOINLINE bool is_in_other_region(uintptr_t word)
{
    return tz_heap_region(word) != NULL;
}

TZ_NO_SANITIZE TZ_INLINE void mark_word(struct batch *b, const struct near *v,
                                        uintptr_t word)
{
    if (tz_unlikely(word - v->base >= v->limit)) {
        if (tz_unlikely(v->others) && is_in_other_region(word))
            *b->top++ = word & ~(uintptr_t)7;
        return;
    }
    size_t page = (word - v->base) >> TZ_PAGE_SHIFT;
    unsigned cls = tz_load_acq(&v->cls[page]);
    if (!tz_page_has_objects(cls))
        return;
    const struct tz_sizeclass *c = &tz_sizeclass[cls - 1];
    if (tz_unlikely(c->npages != 1)) {
        *b->top++ = word & ~(uintptr_t)7;
        return;
    }
    uint32_t off = word & (TZ_PAGE_SIZE - 1), size = c->size;
    uint32_t index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
    if (!tz_gcobj_mark(b->alone, &v->bits[page], index))
        return;
    b->marked += size;
    if (c->kind != TZ_NOSCAN) {
        uintptr_t at = (word & ~(uintptr_t)(TZ_PAGE_SIZE - 1)) + index * size;
        __builtin_prefetch((void *)at);
        *b->top++ = at | TZ_WORK_PIECE;
    }
}

// From the last word to the first, as gc/mark.c. False: its type is to be asked.
TZ_NO_SANITIZE TZ_INLINE bool scan(struct batch *b, const struct near *v,
                                   const struct tz_sizeclass *c, size_t page,
                                   uintptr_t at)
{
    const uintptr_t *first = (const uintptr_t *)at;
    uint32_t nwords = c->size / sizeof *first;
    if (tz_likely(c->kind == TZ_SCAN)) {
        for (const uintptr_t *p = first + nwords; p > first;)
            mark_word(b, v, tz_load_rlx(--p));
        return true;
    }
    uint32_t bit = (at & (TZ_PAGE_SIZE - 1)) / sizeof *first;
    uint64_t bits = tz_types_bits_at(&tz_mem.region[0].types[page], bit, nwords);
    if (tz_unlikely(!bits))
        return false;
    do {
        unsigned i = tz_log2(bits);
        bits &= ~(UINT64_C(1) << i);
        mark_word(b, v, tz_load_rlx(first + i));
    } while (bits);
    return true;
}

TZ_NO_SANITIZE TZ_INLINE uint32_t scan_batch(struct tz_gcwork *w, uint32_t most,
                                             bool alone)
{
    struct tz_wbuf *buf = w->buf;
    if (!buf)
        return 0;
    const struct tz_region *r = &tz_mem.region[0];
    const struct near v = { r->base, tz_load_rlx(&r->limit), r->cls, r->bits,
                            tz_mem.nregions > 1 };
    uintptr_t *bottom = buf->word, *end = bottom + TZ_WBUF_WORDS;
    struct batch b = { .top = bottom + buf->n, .alone = alone };
    uint32_t n = 0;
    for (; b.top > bottom && n < most; n++) {
        uintptr_t at = *--b.top - TZ_WORK_PIECE;
        if (tz_unlikely(at % sizeof at || at - v.base >= v.limit)) {
            b.top++;
            break;
        }
        size_t page = (at - v.base) >> TZ_PAGE_SHIFT;
        const struct tz_sizeclass *c = &tz_sizeclass[v.cls[page] - 1];
        ptrdiff_t room = (char *)end - (char *)b.top;
        if (tz_unlikely(c->npages != 1 || c->size > TZ_BITS_MAX ||
                        room < (ptrdiff_t)c->size || !scan(&b, &v, c, page, at))) {
            b.top++; // nothing was pushed
            break;
        }
        b.looked += c->size;
    }
    buf->n = (uint64_t)(b.top - bottom);
    w->marked += b.marked;
    w->looked += b.looked;
    return n;
}

// Two instances: registers are few. Objects without a type are what it is made for.
TZ_NO_SANITIZE uint32_t tz_near_scan(struct tz_gcwork *w, uint32_t most)
{
    return w->alone ? scan_batch(w, most, true) : scan_batch(w, most, false);
}
