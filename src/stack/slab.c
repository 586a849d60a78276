// SPDX-License-Identifier: BSD-3-Clause
// stack/slab.c: mappings of many stacks, and finding the stack of an address.
//
// A slab is one mapping of up to 64 stacks of one size, lazily committed, so
// that a million stacks need few mappings. A table in two levels, indexed by
// address in steps of 1 MiB, leads from any address to its slab; entries are
// only ever added, so the fault handler may read it at any time [stack.I2].
//
// Where the process may map only so much, a slab takes no more than an eighth
// of what is left, if that is a stack at all: others need addresses too.
//
// Layout of one stack, low to high: guard zone, then what may be used; the
// last bytes are left out by colour (stack.c).

#include "stack/slab.h"

#include "base/atomic.h"
#include "mem/persist.h"
#include "os/space.h"
#include "os/vm.h"

static const size_t class_size[TZ_STACK_CLASSES] = {
    16 * TZ_KIB, 64 * TZ_KIB, 256 * TZ_KIB, TZ_MIB,
    8 * TZ_MIB,  64 * TZ_MIB, TZ_GIB,
};

enum {
    LEAF_BITS = 13,  // 8192 entries of 1 MiB
    ROOT_BITS = 14,  // 47 bits of address
    PROTECT_MAX = 8192 // mprotect guards cost two mappings each: a quarter of
                       // the usual limit of 65530
};

struct leaf {
    struct tz_slab *slab[1 << LEAF_BITS]; // atomic
};

static struct {
    struct leaf *leaf[1 << ROOT_BITS]; // atomic; release on publication
    uint32_t protected; // stacks guarded by mprotect; pool's lock
} table;

unsigned tz_stack_class_of(size_t size)
{
    unsigned cls = 0;
    while (cls < TZ_STACK_CLASSES && class_size[cls] < size)
        cls++;
    return cls;
}

size_t tz_stack_class_size(unsigned cls) { return class_size[cls]; }

struct tz_slab *tz_slab_of(uintptr_t addr)
{
    uintptr_t granule = addr >> TZ_SLAB_GRANULE_SHIFT;
    if (granule >> (LEAF_BITS + ROOT_BITS))
        return NULL;
    struct leaf *l = tz_load_acq(&table.leaf[granule >> LEAF_BITS]);
    if (!l)
        return NULL;
    struct tz_slab *s =
        tz_load_acq(&l->slab[granule & ((1 << LEAF_BITS) - 1)]);
    return s && addr - s->base < s->stride * s->count ? s : NULL;
}

// Enters the slab for every granule it covers; for none when memory for a
// part of the table is refused. With the pool's lock.
static bool publish(struct tz_slab *s)
{
    uintptr_t first = s->base >> TZ_SLAB_GRANULE_SHIFT;
    uintptr_t last =
        (s->base + s->stride * s->count - 1) >> TZ_SLAB_GRANULE_SHIFT;
    if (last >> (LEAF_BITS + ROOT_BITS))
        return false;
    for (uintptr_t i = first >> LEAF_BITS; i <= last >> LEAF_BITS; i++) {
        if (table.leaf[i])
            continue;
        struct leaf *new = tz_persist_alloc(sizeof *new, 0);
        if (!new)
            return false;
        tz_store_rel(&table.leaf[i], new);
    }
    for (uintptr_t i = first; i <= last; i++)
        tz_store_rel(&table.leaf[i >> LEAF_BITS]
                          ->slab[i & ((1 << LEAF_BITS) - 1)], s);
    return true;
}

// Guard zone: 16 pages where there is room, so that a frame of 64 KiB cannot
// step over it; less on small stacks.
static uint32_t guard_bytes(size_t stride)
{
    size_t page = tz_vm_page();
    size_t zone = stride >= 256 * TZ_KIB ? 64 * TZ_KIB : stride / 16;
    return (uint32_t)tz_max(tz_align_down(zone, page), page);
}

static uint32_t stacks_a_slab(size_t stride)
{
    uint32_t count = stride <= TZ_MIB ? 64 : stride <= 8 * TZ_MIB ? 8 : 1;
    uint64_t left = tz_space_left();
    while (count > 1 && stride * count > left / 8)
        count /= 2;
    return count;
}

struct tz_slab *tz_slab_make(unsigned cls)
{
    size_t stride = class_size[cls];
    uint32_t count = stacks_a_slab(stride);
    size_t align = (size_t)1 << TZ_SLAB_GRANULE_SHIFT;
    char *base;
    while (!(base = tz_vm_alloc_stacks(stride * count, align)))
        if ((count /= 2) == 0)
            return NULL;
    tz_vm_stack_alloc(base, stride * count);
    struct tz_slab *s = tz_persist_alloc(sizeof *s, 0);
    void **owner = tz_persist_alloc(count * sizeof *owner, 0);
    uint8_t *guard = tz_persist_alloc(count, 0);
    if (s && owner && guard) {
        *s = (struct tz_slab){ .base = (uintptr_t)base,
                               .stride = stride,
                               .count = count,
                               .cls = cls,
                               .guard_size = guard_bytes(stride),
                               .owner = owner,
                               .guard = guard };
        if (publish(s))
            return s;
    }
    tz_vm_free(base, stride * count, TZ_VM_STACK, true);
    return NULL;
}

uintptr_t tz_slab_carve(struct tz_slab *s, enum tz_stack_guard kind)
{
    TZ_CHECK(s->carved < s->count);
    uint32_t i = s->carved++;
    uintptr_t lo = s->base + i * s->stride;
    if (kind == TZ_GUARD_MARKER && tz_vm_guard((void *)lo, s->guard_size))
        kind = TZ_GUARD_PROTECT;
    if (kind == TZ_GUARD_PROTECT &&
        (table.protected >= PROTECT_MAX ||
         tz_vm_protect((void *)lo, s->guard_size)))
        kind = TZ_GUARD_CANARY;
    table.protected += kind == TZ_GUARD_PROTECT;
    s->guard[i] = (uint8_t)kind;
    return lo;
}
