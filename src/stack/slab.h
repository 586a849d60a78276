// SPDX-License-Identifier: BSD-3-Clause
// stack/slab.h: the mappings that stacks are cut from.
#ifndef TZ_STACK_SLAB_H
#define TZ_STACK_SLAB_H

#include "base/base.h"

enum {
    TZ_STACK_CLASSES = 7,
    TZ_SLAB_GRANULE_SHIFT = 20, // slabs begin at multiples of 1 MiB
};

enum tz_stack_guard { TZ_GUARD_MARKER = 1, TZ_GUARD_PROTECT, TZ_GUARD_CANARY };

// One mapping of `count` stacks, all of one class. In persistent memory, for
// ever; const after it is in the table but for the marked fields.
struct tz_slab {
    uintptr_t base;
    size_t stride;      // bytes from one stack to the next
    uint32_t count;
    uint32_t cls;
    uint32_t carved;    // stacks that have been cut; guarded by the pool's lock
    uint32_t guard_size; // bytes at a stack's low end that nobody may touch
    void **owner;       // by stack; atomic
    uint8_t *guard;     // by stack: enum tz_stack_guard; const once carved
};

// The slab that addr lies in, or NULL. Lock-free, signal-safe.
struct tz_slab *tz_slab_of(uintptr_t addr);

// Maps a slab of the class and enters it in the table: fewer stacks than usual
// where little can be mapped or the system refuses. NULL when it refuses even
// one. With the pool's lock.
struct tz_slab *tz_slab_make(unsigned cls);

// The next stack of the slab that was never used, guard in place: its lowest
// address. With the pool's lock; the slab has one.
uintptr_t tz_slab_carve(struct tz_slab *s, enum tz_stack_guard kind);

// The class for a stack of `size` bytes; TZ_STACK_CLASSES when there is none.
unsigned tz_stack_class_of(size_t size);
size_t tz_stack_class_size(unsigned cls);

TZ_INLINE uint32_t tz_slab_index(const struct tz_slab *s, uintptr_t addr)
{
    return (uint32_t)((addr - s->base) / s->stride);
}

#endif
