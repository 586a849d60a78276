// SPDX-License-Identifier: BSD-3-Clause
// gc/gcobj.h: the object that a word leads to, and its mark bit.
#ifndef TZ_GC_GCOBJ_H
#define TZ_GC_GCOBJ_H

#include "base/san.h"
#include "gc/work.h"
#include "mem/mheap.h"

enum {
    TZ_PREFETCH = 256,
    TZ_AHEAD = 512 // bytes, where objects are scanned one after the other
};

// Asks for the first lines of a small object, the hardware finds the rest.
TZ_INLINE void tz_gcobj_ask_for(uintptr_t at, size_t size)
{
    uintptr_t end = at + tz_min(size, TZ_PREFETCH);
    for (uintptr_t p = at; p < end; p += TZ_CACHE_LINE)
        __builtin_prefetch((void *)p);
}

// The region of a word that lies in the heap, and its page.
TZ_INLINE struct tz_region *tz_gcobj_region(uintptr_t word, size_t *page)
{
    struct tz_region *r = tz_heap_region(word);
    *page = (word - r->base) >> TZ_PAGE_SHIFT;
    return r;
}

// A found object's first bytes, size and bits.
struct tz_gcobj {
    uintptr_t base;
    size_t size;
    struct tz_pagebits *bits;
    union tz_typerec *types; // of the page that bits are of
    uint32_t index;
    uint32_t kind;
};

TZ_NO_SANITIZE TZ_INLINE struct tz_gcobj tz_gcobj_of_span(const struct tz_span *s,
                                                         uint32_t i)
{
    return (struct tz_gcobj){ .base = s->base + i * s->elem_size,
                              .size = s->elem_size,
                              .bits = s->bits,
                              .types = s->types,
                              .index = i,
                              .kind = tz_sizeclass[s->spanclass].kind };
}

// False: no span there.
TZ_NO_SANITIZE static inline bool tz_gcobj_find(uintptr_t word, struct tz_gcobj *f)
{
    size_t page;
    struct tz_region *r = tz_gcobj_region(word, &page);
    if (page >= (size_t)r->pages.nchunks * TZ_CHUNK_PAGES)
        return false;
    // Acquire: a span may be made at this moment (mem/mheap.c: span_take).
    unsigned cls = tz_load_acq(&r->cls[page]);
    if (!tz_page_has_objects(cls))
        return false;
    const struct tz_sizeclass *c = &tz_sizeclass[cls - 1];
    f->kind = c->kind;
    if (c->npages == 1) {
        // The usual case needs no span: it is one page.
        uint32_t off = word & (TZ_PAGE_SIZE - 1);
        f->index = (uint32_t)(((uint64_t)off * c->magic) >> 32);
        f->size = c->size;
        f->base = (word - off) + f->index * c->size;
        f->bits = &r->bits[page];
        f->types = &r->types[page];
        return true;
    }
    const struct tz_span *s = r->spans[page];
    f->index = tz_sizeclass_index(cls - 1u, word - s->base);
    f->size = s->elem_size;
    f->base = s->base + f->index * f->size;
    f->bits = s->bits;
    f->types = s->types;
    return true;
}

// Sets a mark bit; false when there is no object or it was marked. Sequentially
// consistent: a look at whether the page is queued follows (gc/mark.c).
TZ_NO_SANITIZE TZ_INLINE bool tz_gcobj_mark(bool alone, struct tz_pagebits *bits,
                                            uint32_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint32_t i = index / 64;
    if (!(tz_load_rlx(&bits->word[i].alloc) & bit) ||
        (tz_load_rlx(&bits->word[i].mark) & bit))
        return false;
    if (alone) { // an atomic operation is half of what a small mark costs
        bits->word[i].mark |= bit;
        return true;
    }
    // The bit is all that workers race for, with each other and with who
    // allocates; what an object holds is looked at again if it was written.
    return !(tz_xor_bits(&bits->word[i].mark, bit) & bit);
}

#endif
