// SPDX-License-Identifier: BSD-3-Clause
// mem/span.h: a run of pages that holds objects of one size and kind.
#ifndef TZ_MEM_SPAN_H
#define TZ_MEM_SPAN_H

#include "base/list.h"
#include "mem/sizeclass.h"

// Size class and kind in one number: class * 2 + noscan. Class 0: large.
enum { TZ_SPANCLASS_COUNT = TZ_CLASS_COUNT * 2 };

TZ_INLINE unsigned tz_spanclass(unsigned cls, bool noscan)
{
    return cls * 2 + noscan;
}

// Header, in persistent memory; reused for other spans when free.
//
//   free --alloc--> owned by a cache --uncache--> on a central list
//    ^                     ^                          |   |
//    |                     +-------- cache -----------+   |
//    +------------------ sweep finds it empty ------------+
struct tz_span {
    struct tz_list node;  // central list or free list; guarded by its lock
    uintptr_t base;       // first byte
    uint32_t npages;
    uint32_t nelems;
    size_t elem_size;     // bytes of an object; of a large one, its pages'
    uint8_t spanclass;
    uint8_t needzero;     // some page was used before: not known to be zero
    uint16_t region;      // index of its region
    uint32_t nalloc;      // objects allocated; owned by whoever holds the span
    uint32_t next;        // where the cache's search for a free run goes on
    struct tz_pagebits *bits; // alloc and mark bits, of its first page
};

// One page's bits; those of a span's first page serve the whole span. A mark
// bit is only ever set where the alloc bit is [mem.I4].
struct tz_pagebits {
    uint64_t alloc[8]; // owned by whoever holds the span
    uint64_t mark[8];  // atomic while marking; owned by the sweeper after
};
_Static_assert(sizeof(struct tz_pagebits) == 128, "two cache lines");

TZ_INLINE bool tz_span_noscan(const struct tz_span *s)
{
    return s->spanclass & 1;
}

#endif
