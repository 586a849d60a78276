// SPDX-License-Identifier: BSD-3-Clause
// stack/slabpool.h: the stacks of slabs that no P's cache holds.
#ifndef TZ_STACK_SLABPOOL_H
#define TZ_STACK_SLABPOOL_H

#include "stack/slab.h"

struct tz_stackcache;

// A free stack of the class, named by its lowest address: of those that were
// put last, of those that were trimmed, or one that was never used, which is
// guarded now. 0 when memory is refused or, unless it must be this class, would
// be too dear. On the system stack.
uintptr_t tz_slabpool_take(unsigned cls, bool must);

// The same into c, up to half of what it can hold, as long as stacks are warm.
// False: it is still empty.
bool tz_slabpool_fill(struct tz_stackcache *c, unsigned cls, bool must);

// Puts a stack back; empties c down to `left`, those used longest ago first.
void tz_slabpool_put(uintptr_t slot);
void tz_slabpool_spill(struct tz_stackcache *c, unsigned cls, uint32_t left);

void tz_slabpool_gc_begin(void);
void tz_slabpool_gc_end(void);

// Bytes of address space of free stacks.
struct tz_slabpool_stats {
    uint64_t hot;     // as they were left
    uint64_t cold;    // trimmed
    uint64_t uncut;   // never used so far
    uint64_t slabs;   // mapped
    uint64_t ahead;   // mapped, of no slab yet
    uint64_t trimmed; // hot stacks that became cold, since start
    uint64_t unmapped; // bytes of slabs given back, since start
};
void tz_slabpool_stats(struct tz_slabpool_stats *out);

// Checks what must hold of the first `most` slabs on each list; fatal otherwise.
void tz_slabpool_check(uint32_t most);

// --- stack/slabreclaim.c

// One step of giving back: trims one slab, or unmaps one. `all`: also what was
// in use a moment ago. False: there is nothing to do, or the collector marks.
bool tz_slabpool_trim(bool all);
bool tz_slabpool_unmap(bool all);

// Time passes for what is free: a tenth of a second, about.
void tz_slabpool_step(void);

// For it: slabs that it may work on, NULL for none; taken off the lists, their
// free stacks busy. done gives them back. Between the two the collector does
// not begin to mark.
struct tz_slab *tz_slabpool_begin_trim(bool all);
void tz_slabpool_end_trim(struct tz_slab *s);

#endif
