// SPDX-License-Identifier: BSD-3-Clause
// stack/stack.h: goroutine stacks.
#ifndef TZ_STACK_STACK_H
#define TZ_STACK_STACK_H

#include "base/base.h"
#include "stack/guard.h"

struct tz_stackcache;

// One stack: [lo, hi) may be used; below lo lies the guard zone.
struct tz_stack {
    uintptr_t lo, hi; // both 0: no stack
};

// Where the tops of stacks lie, in cache lines from the slot's end: stack.c.
enum { TZ_STACK_COLOURS = 32 };

// At most so much of a class's bytes is not for use: guard zone and colour.
enum { TZ_STACK_LOST = TZ_GUARD_ZONE_MAX + TZ_STACK_COLOURS * TZ_CACHE_LINE };

// Sets the guard kind and the default size (0: 256 KiB, less where little can
// be mapped); once, before the others.
void tz_stack_init(size_t default_size, int guard);

// Bytes of address space of the default stack.
size_t tz_stack_default(void);

// A per-P cache of stacks; the P's owner uses it. NULL when memory is refused.
struct tz_stackcache *tz_stackcache_make(void);

// Takes a stack of at least `size` bytes of address space (0: the default),
// from the cache (NULL: none) or the pool; the default may become a smaller
// class, see stack.c. owner is what tz_stack_find gives.
// 0, or -ENOMEM. The stack's memory is committed as it is touched.
int tz_stack_get(struct tz_stackcache *c, size_t size, void *owner,
                 struct tz_stack *out);

// Puts a stack back that nobody runs on. Checks its canary: a changed one is
// fatal.
void tz_stack_put(struct tz_stackcache *c, struct tz_stack *st);

// Where the owner of a stack is kept for as long as the stack is in use; atomic.
// For whoever hands it on.
void **tz_stack_owner(const struct tz_stack *st);

// Whether the stack, which is in use, has a canary for a guard; and whether what
// guards it is as it was: always true of other guards.
bool tz_stack_unguarded(const struct tz_stack *st);
bool tz_stack_intact(const struct tz_stack *st);

// Of a stack in use: its class in bytes, its guard zone, which kind.
struct tz_stack_about {
    size_t size;
    size_t zone; // bytes below lo that fault; 0: none do
    const char *guard;
};
void tz_stack_about(const struct tz_stack *st, struct tz_stack_about *out);

// What addr belongs to: in a stack, or in a stack's guard zone. Lock-free and
// signal-safe.
enum tz_stack_where { TZ_STACK_NONE, TZ_STACK_IN, TZ_STACK_GUARD };
enum tz_stack_where tz_stack_find(uintptr_t addr, struct tz_stack *out,
                                  void **owner);

// The collector begins and ends its marking; both with the world stopped. In
// between no stack memory becomes heap or goes back to the system. The end
// empties the caches and gives back what is wholly free.
void tz_stack_gc_begin(void);
void tz_stack_gc_end(void);

// A little of what free stacks hold goes back to the system, such that it costs
// 1 % of a processor's time. `now` is the clock's. One thread, often.
void tz_stack_tick(int64_t now);

// Gives the addresses of all stacks back that were free for long enough; after
// a collection was asked for. On the system stack, or a goroutine's.
void tz_stack_give_back(void);

// Bytes of address space; sys is the sum of inuse and the four that follow
// fixed.
struct tz_stack_stats {
    uint64_t inuse;  // handed out
    uint64_t fixed;  // of these, of fixed stacks (stack/stackpool.h)
    uint64_t cached; // in the caches of Ps, and in spans of fixed stacks
    uint64_t hot;    // free, in memory as they were left
    uint64_t cold;   // free, trimmed to the pages where goroutines begin
    uint64_t unused; // never used so far
    uint64_t sys;    // mapped
    uint64_t trimmed;  // hot stacks that became cold, since start
    uint64_t unmapped; // bytes given back, since start
    uint64_t guards[TZ_GUARDS]; // stacks by kind of guard
    enum tz_guard_why why;      // no better guard was taken, last time
};
void tz_stack_stats_read(struct tz_stack_stats *out);

// Which guard protects stacks, for reports: "marker", "mprotect", "canary".
const char *tz_stack_guard_name(void);

#endif
