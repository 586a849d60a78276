// SPDX-License-Identifier: BSD-3-Clause
// stack/slab.h: the mappings that stacks are cut from.
#ifndef TZ_STACK_SLAB_H
#define TZ_STACK_SLAB_H

#include "base/atomic.h"
#include "base/list.h"
#include "stack/guard.h"

enum {
    TZ_STACK_CLASSES = 12,
    TZ_STACK_LARGE = 5,         // this class and those above it: powers of two
    TZ_SLAB_GRANULE_SHIFT = 20, // slabs begin at multiples of 1 MiB
    TZ_SLAB_MAX = 64            // stacks
};

// Some stacks of one class in a row. In persistent memory; when its addresses
// go back to the system it waits for the next slab of its class, so what is
// const by class stays right for whoever still has a pointer to it [stack.I2].
struct tz_slab {
    uintptr_t base;     // 0 while it has no addresses; atomic
    uint32_t count;     // changes only while base is 0; atomic
    uint8_t cls;        // const, as the next two
    uint8_t shift;      // 1 << shift bytes from one stack to the next
    uint32_t guard_size; // bytes at a stack's low end that nobody may touch
    // The rest is the pool's (stack/slabpool.c), guarded by its lock.
    uint8_t on;         // which of its lists the slab is on
    uint32_t carved;    // stacks that were ever used
    uint64_t hot;       // bit i: stack i is free, in memory as it was left
    uint64_t cold;      // bit i: free, trimmed
    uint64_t busy;      // bit i: free, being trimmed
    uint32_t cycle;     // of the pool, when a stack was last taken or put
    uint32_t step;      // likewise
    struct tz_list node;
    uint8_t guard[TZ_SLAB_MAX]; // enum tz_stack_guard by stack; atomic
    void *owner[];              // by stack, NULL when free; atomic
};

// Once, before the first stack.
void tz_slab_init(void);

// The slab that addr lies in, or NULL. Lock-free, signal-safe. It stays for as
// long as a stack of it is in use, or the pool's lock is held.
struct tz_slab *tz_slab_of(uintptr_t addr);

// What of a stack a fault handler wants to know, whatever becomes of the slab
// meanwhile. False: addr is in no slab. Lock-free, signal-safe.
struct tz_slab_view {
    uintptr_t slot;      // the lowest address of the stack, guard included
    uint32_t i;          // its number in its slab
    size_t stride;
    uint32_t guard_size;
    void *owner;
};
bool tz_slab_look(uintptr_t addr, struct tz_slab_view *v);

// A throw if this runs on a stack of a goroutine: growing it here would come
// back here.
void tz_slab_need_system_stack(const char *what);

// Takes a slab of the class from what is mapped ahead, or maps it, and enters
// it in the table: fewer stacks than usual where little can be mapped or the
// system refuses. NULL when it refuses even one. With the pool's lock.
struct tz_slab *tz_slab_make(unsigned cls);

// Whether so large stacks are cheap here: at least 1024 of them can be mapped,
// and none is in memory as a whole before it is used.
bool tz_slab_cheap(unsigned cls);

// Takes a slab whose stacks are all free out of the table; then, without the
// lock, gives its addresses back; then keeps the record for the next one.
void tz_slab_hide(struct tz_slab *s, uintptr_t *base, size_t *size);
void tz_slab_unmap(uintptr_t base, size_t size);
void tz_slab_keep(struct tz_slab *s); // with the lock, as hide

// Gives back what is mapped ahead, if that is more than `most` bytes. With the
// pool's lock.
void tz_slab_unmap_ahead(size_t most);

// Bytes of slabs, and mapped ahead of them. Atomic.
void tz_slab_stats(uint64_t *slabs, uint64_t *ahead);

// The class for a stack of `size` bytes; TZ_STACK_CLASSES when there is none.
unsigned tz_stack_class_of(size_t size);
size_t tz_stack_class_size(unsigned cls);

TZ_INLINE size_t tz_slab_stride(const struct tz_slab *s)
{
    return (size_t)1 << s->shift;
}

TZ_INLINE uint32_t tz_slab_index(const struct tz_slab *s, uintptr_t addr)
{
    return (uint32_t)((addr - tz_load_rlx(&s->base)) >> s->shift);
}

TZ_INLINE uintptr_t tz_slab_slot(const struct tz_slab *s, uint32_t i)
{
    return tz_load_rlx(&s->base) + ((uintptr_t)i << s->shift);
}

#endif
