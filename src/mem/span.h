// SPDX-License-Identifier: BSD-3-Clause
// mem/span.h: a run of pages that holds objects of one size and kind.
#ifndef TZ_MEM_SPAN_H
#define TZ_MEM_SPAN_H

#include "base/atomic.h"
#include "base/list.h"
#include "mem/sizeclass.h"

// Where a span is. Changed under its central's lock, but by the owner where it
// goes to the page heap or comes from there.
enum tz_spanstate {
    TZ_SPAN_FREE,   // a spare header
    TZ_SPAN_OWNED,  // by a cache, a sweeper, or who took it from the page heap
    TZ_SPAN_LISTED, // by its central; swept if swept_in is the present cycle
    TZ_SPAN_MANUAL, // holds no objects: by who asked for its pages
    TZ_SPAN_BURIED, // neverfree=1: all its objects are gone, and so is it
};

// pageperobject=1: how an object went.
enum tz_gone { TZ_GONE_NOT, TZ_GONE_SWEPT, TZ_GONE_FREED };

// Header, in persistent memory; reused for other spans when free.
//
//   free --alloc--> owned by a cache --uncache--> on a central list
//    ^                     ^                          |   |
//    |                     +-------- cache -----------+   |
//    +------- sweep or tuza_free finds it empty ----------+
//
// A manual span has pages and no objects: the runtime's own use of them, of
// which the collector knows nothing. Who asked for it may use node, nelems,
// elem_size, nalloc and cut as it likes; cut is 0 at first, and in the end.
struct tz_span {
    struct tz_list node; // central list or free list; guarded by its lock
    uintptr_t base;      // first byte
    uint32_t npages;
    uint32_t nelems;
    size_t elem_size; // bytes of an object; of a large one, its pages'
    uint8_t spanclass;
    uint8_t needzero;   // some page was used before: not known to be zero
    uint16_t region;    // index of its region
    uint8_t state;      // enum tz_spanstate; gc/track.c looks at any time
    bool sample_next;   // the object that is taken next is sampled; by its owner
    uint32_t swept_in;  // the cycle in which it was swept or made; as state
    bool uncollectable; // its objects are roots, freed by hand only
    bool some_freed;    // on the list of spans with freed bits; atomic
    uint16_t nsampled;  // objects with a record of where they were allocated;
                        // atomic, written with gc/special's lock
    uint32_t nalloc;    // objects allocated; owned by whoever holds the span
    uint32_t next;      // where the cache's search for a free run goes on
    struct tz_pagebits *bits;   // alloc and mark bits, of its first page
    uint64_t *freed;            // freed bits, of its first page; atomic
    union tz_typerec *types;    // of its first page
    struct tz_span *freed_link; // next of those with some_freed
    uintptr_t cut;              // manual: the first of the free pieces, 0: none
    size_t asked;               // of a large object: the bytes asked for
    uint8_t gone;               // enum tz_gone, of a large object; atomic
};

// One page's bits; those of a span's first page serve the whole span. A mark
// bit is only ever set where the alloc bit is [mem.I4].
// Side by side: who marks looks at both, of objects of 32 bytes and more in one line.
struct tz_pagebits {
    struct {
        uint64_t alloc; // owned by whoever holds the span
        uint64_t mark;  // atomic while marking; owned by the sweeper after
    } word[8];
};
_Static_assert(sizeof(struct tz_pagebits) == 128, "two cache lines");

// Which objects of a page were scanned in a cycle, where pages are queued
// (gc/mark.c). Atomic while marking.
enum { TZ_SCANNED_WORDS = 4 };
struct tz_scanned {
    uint64_t bits[TZ_SCANNED_WORDS];
    uint64_t cycle; // the bits are of
};

enum { TZ_FREED_WORDS = 8 }; // of freed bits, a page

struct tuza_type;

// What a page knows of the types of its objects: a bit for each word that may
// hold a pointer where objects have up to TZ_BITS_MAX bytes, the type of each
// object where they have more. Records of a span's pages follow each other.
union tz_typerec {
    uint64_t pointers[16];
    const struct tuza_type *type[16];
};
_Static_assert(sizeof(union tz_typerec) == 128, "a bit for each word");
enum { TZ_BITS_MAX = 512 };

TZ_INLINE bool tz_span_noscan(const struct tz_span *s)
{
    return tz_sizeclass[s->spanclass].kind == TZ_NOSCAN;
}

// Takes object i out of use. By who owns the span.
TZ_INLINE void tz_span_clear(struct tz_span *s, uint32_t i)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    s->bits->word[i / 64].alloc &= ~bit;
    if (tz_load_rlx(&s->freed[i / 64]) & bit)
        tz_xand_bits(&s->freed[i / 64], ~bit);
    s->nalloc--;
    s->needzero = 1;
    if (i < s->next)
        s->next = i; // [mem.I6]
}

TZ_INLINE bool tz_span_large(const struct tz_span *s)
{
    return tz_sizeclass[s->spanclass].size == 0;
}

#endif
