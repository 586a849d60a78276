// SPDX-License-Identifier: BSD-3-Clause
// mem/scavenge.h: free pages go back to the system.
#ifndef TZ_MEM_SCAVENGE_H
#define TZ_MEM_SCAVENGE_H

#include "base/base.h"

struct tz_region;

// Memory goes back in units of 64 KiB, 64 to a chunk.
enum { TZ_UNIT_PAGES = 8, TZ_UNIT_BYTES = 64 * 1024 };

// One word a chunk, one bit a unit; `maybe` has one bit a chunk.
struct tz_scavbits {
    uint64_t *released;  // given back, and no page of it taken since
    uint64_t *untouched; // no page of it taken since it was mapped
    uint64_t *maybe;     // clear: no unit of the chunk can be given back
};

// Gives at least `bytes` of free memory back if there is so much, from the
// highest address down; returns how much it was. Any thread; takes the heap
// lock, and holds it only while it looks for the next piece.
size_t tz_scavenge(size_t bytes);

// Gives all of it back, empty spans that centrals keep included, and asks every
// P for the pages in its cache, which go back to the heap when it next refills.
// Holds none of mem's locks meanwhile.
size_t tz_scavenge_all(void);

// From now on, a tenth more may stay in memory than the heap will have at the end of a
// cycle: the goal, or in proportion what is in use at the end of this one, of the goal
// `last`. Nothing goes back before this was called. Called by the collector, then.
void tz_scavenge_pace(uint64_t goal, uint64_t last);

// Gives some back if more is kept than that, such that it costs 1 % of a
// processor's time. `now` is the clock's. One thread, often; returns the bytes.
size_t tz_scavenge_tick(int64_t now);

// Bytes that taking these pages would bring into memory. With the heap lock.
size_t tz_scav_lacking(const struct tz_region *r, uint32_t page,
                       uint32_t npages);

// What becomes of pages; with the heap lock. Grown: whole units.
void tz_scav_grown(struct tz_region *r, uint32_t page, uint32_t npages);
void tz_scav_taken(struct tz_region *r, uint32_t page, uint32_t npages);
void tz_scav_freed(struct tz_region *r, uint32_t page, uint32_t npages);

// Whether a region's units are what its pages say [mem.I2, mem.I7]; else what
// is wrong is in *w. Adds the bytes of both kinds. With the heap lock.
struct tz_wrong;
bool tz_scav_check(const struct tz_region *r, uint64_t *released,
                   uint64_t *untouched, struct tz_wrong *w);

#endif
