// SPDX-License-Identifier: BSD-3-Clause
// mem/mheap.h: the page heap: where spans come from, and finding the span of
// an address.
#ifndef TZ_MEM_MHEAP_H
#define TZ_MEM_MHEAP_H

#include "mem/region.h"
#include "os/lock.h"
#include "os/vm.h"

// What a page's class byte says: TZ_PAGE_FRESH, TZ_PAGE_FREE, TZ_PAGE_MANUAL,
// or the span class of its span plus one.
enum {
    TZ_PAGE_FRESH = 0,
    TZ_PAGE_MANUAL = 254,
    TZ_PAGE_FREE = 255,
    TZ_MAX_REGIONS = 256
};
_Static_assert((int)TZ_SPANCLASS_COUNT < (int)TZ_PAGE_MANUAL,
               "no class looks manual");

// Whether a page with this class byte is of a span that holds objects.
TZ_INLINE bool tz_page_has_objects(unsigned cls)
{
    return cls - 1 < (unsigned)TZ_SPANCLASS_COUNT;
}

struct tz_pageblock {
    struct tz_region *region;
    uint32_t first; // page number of bit 0
    uint64_t free;  // bit set: free
};

// Up to 64 pages for objects with pointers, and 64 for those without, which one P
// hands out without the lock. Owned by the P. Two, for what is armed together should
// lie together (gc/track.c).
struct tz_pagecache {
    struct tz_pageblock block[2]; // [1]: without
    uint32_t epoch;  // tz_mem.cache_epoch when it was last looked at
    struct tz_span *spans; // free headers, linked through node.next
};

struct tz_heap {
    struct tz_region region[TZ_MAX_REGIONS]; // [0, nregions) are published
    uint32_t nregions; // atomic; release after a region is complete
    struct tz_lock lock;
    struct tz_list free_spans;  // headers; guarded by lock
    uint64_t live;      // atomic; bytes in objects, see gc
    uint64_t trigger;   // atomic; collect when live reaches it
    uint64_t goal;      // atomic; and have done so by then
    uint64_t unusable;  // atomic; bytes freed by hand since the mark began that wait
                        // for its end
    uint64_t revived;   // atomic; bytes that were, and are handed out again
                        // that no marker had marked
    uint64_t inuse;     // atomic; bytes of spans
    uint64_t peak;      // atomic; most of inuse
    uint64_t sys;       // atomic; bytes grown, less those of manual spans
    uint64_t manual;    // atomic; bytes of manual spans
    uint64_t meta;      // atomic; bytes of side tables mapped
    uint64_t released;  // atomic; bytes of sys given back to the system
    uint64_t untouched; // atomic; bytes of sys in units never used
    uint32_t releasing; // free pages out of the bitmap; guarded by lock
    uint32_t marking;   // atomic; the collector marks while the program runs:
                        // what is allocated is marked, no span is given back
    uint32_t specials;  // atomic; 1: rooms above know something of an object
    uint64_t sample_rate; // atomic; bytes a sample of the heap profile, 0: none;
                          // written while the world is stopped
    uint32_t cache_epoch; // atomic; when it changes, caches are given back
};
extern struct tz_heap tz_mem;

// What is taken of the heap until the mark ends.
TZ_INLINE uint64_t tz_mem_taken(void)
{
    return tz_load_rlx(&tz_mem.live) + tz_load_rlx(&tz_mem.unusable);
}

// Bytes of the heap at one moment: sys is the sum of the five that follow.
// Manual spans are in none of them.
struct tz_heap_stats {
    uint64_t sys;       // mapped
    uint64_t inuse;     // in spans
    uint64_t cached;    // in page caches
    uint64_t idle;      // free, and in memory as far as they were used
    uint64_t untouched; // free, in units of which nothing was ever used
    uint64_t released;  // free, given back to the system
    uint64_t meta;      // side tables; not in sys
};
void tz_heap_stats_read(struct tz_heap_stats *out);

// Reserves the address space; once. 0, or -ENOMEM.
int tz_heap_init(void);

// A span of npages pages for objects of `cls`; registered, all alloc and mark
// bits clear. NULL when memory is refused. pc may be NULL.
struct tz_span *tz_heap_span_alloc(struct tz_pagecache *pc, uint32_t npages,
                                   unsigned spanclass);

// Gives a span's pages and header back; nothing may point into it any more.
void tz_heap_span_free(struct tz_span *s);

// A manual span of npages pages: the caller's, for no objects. No scan takes a
// word for a pointer into it, and its bytes are charged to `use` instead of the
// heap. What it holds is anything. NULL when memory is refused.
struct tz_span *tz_heap_manual_alloc(uint32_t npages, enum tz_vm_use use);

// Gives it back. zero: all of its bytes are; else who gets the pages next
// clears them.
void tz_heap_manual_free(struct tz_span *s, enum tz_vm_use use, bool zero);

// The manual span that p lies in, or NULL. Lock-free, signal-safe; what comes
// is certain as long as the span is not given back meanwhile.
struct tz_span *tz_heap_manual_of(uintptr_t p);

// Gives what a cache holds back to the heap.
void tz_heap_pagecache_flush(struct tz_pagecache *pc);

// The region in a grown chunk of which p lies, so that the page has a class
// byte and a span; NULL for none. Lock-free, signal-safe.
TZ_INLINE struct tz_region *tz_heap_region(uintptr_t p)
{
    struct tz_region *r = &tz_mem.region[0];
    if (tz_likely(p - r->base < tz_load_rlx(&r->limit)))
        return r;
    uint32_t n = tz_load_acq(&tz_mem.nregions);
    for (uint32_t i = 1; i < n; i++)
        if (p - tz_mem.region[i].base < tz_load_rlx(&tz_mem.region[i].limit))
            return &tz_mem.region[i];
    return NULL;
}

// The span of a live object.
TZ_INLINE struct tz_span *tz_heap_span_of(const void *p)
{
    struct tz_region *r = tz_heap_region((uintptr_t)p);
    return tz_load_rlx(&r->spans[((uintptr_t)p - r->base) >> TZ_PAGE_SHIFT]);
}

// An object of the heap, found from an address inside it.
struct tz_object {
    uintptr_t base;
    size_t size;
    bool noscan;
    struct tz_span *span;
    struct tz_pagebits *bits; // of its span
    uint32_t index;           // in its span
};

// The allocated object that p points into. False for free slots, for objects
// that were freed by hand, for the bytes behind the last object of a span and
// for addresses outside the heap.
bool tz_heap_find(uintptr_t p, struct tz_object *out);

#endif
