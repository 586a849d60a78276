// SPDX-License-Identifier: BSD-3-Clause
// mem/region.h: a stretch of addresses for the heap, and its side tables.
#ifndef TZ_MEM_REGION_H
#define TZ_MEM_REGION_H

#include "mem/pagealloc.h"
#include "mem/scavenge.h"
#include "mem/span.h"

// The side tables; region.c says how large each is.
enum tz_table {
    TZ_TABLE_CLS,
    TZ_TABLE_SPANS,
    TZ_TABLE_BITS,
    TZ_TABLE_FREED,
    TZ_TABLE_TYPES,
    TZ_TABLE_FRESH,
    TZ_TABLE_QUEUED,
    TZ_TABLE_SCANNED,
    TZ_TABLE_BITMAP,
    TZ_TABLE_RELEASED,
    TZ_TABLE_UNTOUCHED,
    TZ_TABLE_MAYBE,
    TZ_TABLE_CHUNKS,
    TZ_TABLE_GROUPS,
    TZ_TABLE_TOPS,
    TZ_TABLES
};

// Tables are indexed by page number.
struct tz_region {
    uintptr_t base;          // const after it is published
    size_t limit;            // bytes of the chunks that are grown; atomic
    size_t size;             // bytes of address space; const likewise
    uint8_t *cls;            // class bytes; by whoever owns the pages
    struct tz_span **spans;  // likewise
    struct tz_pagebits *bits;
    uint64_t *freed;         // TZ_FREED_WORDS a page; see mem/free.c
    union tz_typerec *types; // see mem/types.c
    uint64_t *fresh;         // bit set: of a span to scan that was made while the
                             // collector marks; atomic
    uint8_t *queued;         // gc/mark.c: the page is in a queue; atomic
    struct tz_scanned *scanned; // likewise: which of its objects were scanned
    struct tz_pagealloc pages; // guarded by the heap lock
    struct tz_scavbits scav;   // guarded by the heap lock
    uint32_t id;
    bool held;               // both ranges are reserved; const
    bool closed;             // others map here; guarded by the heap lock
    char *heap;              // held: the reservation with its guards; const
    size_t heap_size;
    char *tables;            // the range of all tables; const
    size_t tables_size;
    size_t mapped[TZ_TABLES]; // bytes of each, from its start; by the lock
};

enum { TZ_CHUNK_BYTES = TZ_CHUNK_PAGES * TZ_PAGE_SIZE };

// Bytes at both ends of a held region, and of each of its tables, that nobody
// can access.
enum { TZ_GUARD_BYTES = 64 * 1024 };

// Finds addresses for a region of at least min bytes, a multiple of a chunk,
// with no page mapped yet. first: it is the heap's first. 0, or -ENOMEM with
// nothing changed. With the heap lock.
int tz_region_make(struct tz_region *r, size_t min, bool first);

// Maps pages so that r's last npages or more are free; more than that when the
// heap is large. 0; -ENOMEM when memory is refused; -ENOSPC when r has no such
// addresses (any more). *mapped: bytes of heap. With the heap lock.
int tz_region_grow(struct tz_region *r, uint32_t npages, size_t *mapped);
// Bytes of side tables that this maps at least.
size_t tz_region_growth(const struct tz_region *r, uint32_t npages);

// Bytes of side tables mapped.
size_t tz_region_meta(const struct tz_region *r);

// Where table t may be mapped, for those who check guards.
void *tz_region_table(const struct tz_region *r, enum tz_table t, size_t *size);

// Sets or clears the fresh bits of npages pages.
void tz_region_fresh(struct tz_region *r, size_t page, size_t npages, bool set);

TZ_INLINE uint32_t tz_region_npages(const struct tz_region *r)
{
    return (uint32_t)(r->size >> TZ_PAGE_SHIFT);
}

#endif
