// SPDX-License-Identifier: BSD-3-Clause
// stack/slab.c: mappings of many stacks, and finding the stack of an address.
//
// A slab is up to 64 stacks of one size in a row, lazily committed. A table in
// two levels, indexed by address in steps of 1 MiB, leads from any address to
// its slab. A fault handler reads it at any time, without a lock [stack.I2]:
//
//     reader                              who unmaps the slab
//     s = entry; base = s->base           entries = NULL
//     count, owner, guard                 s->base = 0
//     is s->base still base? else none    munmap; s is kept for its class
//
// Slabs are cut from runs of addresses that are mapped ahead, half as large as
// what there is: a million stacks of 256 KiB need two dozen of them, where
// 16384 slabs with other mappings between would each be one. Each is asked for
// behind the last one, far below where the system puts what may go anywhere, so
// that the kernel makes one mapping of them all. Nothing is mapped ahead where
// the process may map only so much; there a slab takes no more than an eighth
// of what is left, if that is a stack at all: others need addresses too. Nor is
// it where mappings are in memory at once (mlockall).
//
// Layout of one stack, low to high: guard zone, then what may be used; the
// last bytes are left out by colour (stack.c).

#include "stack/slab.h"

#include "base/bits.h"
#include "base/san.h"
#include "mem/mheap.h"
#include "mem/persist.h"
#include "os/space.h"
#include "os/tlsroots.h"
#include "os/vm.h"

static const uint8_t class_shift[TZ_STACK_CLASSES] = {
    14, 16, 18, 20, 23, 24, 25, 26, 27, 28, 29, 30,
};

#define GRANULE ((size_t)1 << TZ_SLAB_GRANULE_SHIFT)

enum {
    LEAF_BITS = 13, // 8192 entries of 1 MiB
    ROOT_BITS = 14, // 47 bits of address
    AHEAD_SHIFT = sizeof(void *) == 8 ? 36 : 26, // most bytes of a run
    AWAY_SHIFT = sizeof(void *) == 8 ? 40 : 0 // from other mappings to the
                                              // first; 0: it goes anywhere
};

struct leaf {
    struct tz_slab *slab[1 << LEAF_BITS]; // atomic
};

// All but the table guarded by the pool's lock.
static struct {
    struct leaf *leaf[1 << ROOT_BITS]; // atomic; release on publication
    struct tz_list kept[TZ_STACK_CLASSES]; // records without addresses
    uintptr_t at, end;  // mapped ahead: the rest of a run
    uintptr_t next;     // where the next mapping should be; 0: anywhere
    uint64_t bytes;     // of slabs; atomic
    uint64_t ahead;     // end - at; atomic
} slabs;

void tz_slab_init(void)
{
    tz_roots_leave_out(slabs.leaf, sizeof slabs.leaf);
}

unsigned tz_stack_class_of(size_t size)
{
    // No class that is not a guard zone and three times as much on top.
    size_t least = tz_max(size, 4 * tz_vm_page());
    unsigned cls = 0;
    while (cls < TZ_STACK_CLASSES && tz_stack_class_size(cls) < least)
        cls++;
    return cls;
}

size_t tz_stack_class_size(unsigned cls)
{
    return (size_t)1 << class_shift[cls];
}

static uint32_t usual_count(unsigned cls)
{
    return cls < 4 ? TZ_SLAB_MAX : cls < TZ_STACK_LARGE ? 8 : 1;
}

static size_t size_of(const struct tz_slab *s)
{
    return (size_t)tz_load_rlx(&s->count) << s->shift;
}

// --- the table

static struct tz_slab *entry(uintptr_t addr)
{
    uintptr_t granule = addr >> TZ_SLAB_GRANULE_SHIFT;
    if (granule >> (LEAF_BITS + ROOT_BITS))
        return NULL;
    struct leaf *l = tz_load_acq(&slabs.leaf[granule >> LEAF_BITS]);
    return l ? tz_load_acq(&l->slab[granule & ((1 << LEAF_BITS) - 1)]) : NULL;
}

struct tz_slab *tz_slab_of(uintptr_t addr)
{
    struct tz_slab *s = entry(addr);
    return s && addr - tz_load_rlx(&s->base) < size_of(s) ? s : NULL;
}

bool tz_slab_look(uintptr_t addr, struct tz_slab_view *v)
{
    struct tz_slab *s = entry(addr);
    if (!s)
        return false;
    // Each load before the last one acquires: base is looked at again after
    // everything else, and who changes any of it stores 0 there first.
    uintptr_t base = tz_load_acq(&s->base);
    uint32_t count = tz_load_acq(&s->count);
    if (!base || addr - base >= (size_t)count << s->shift)
        return false;
    uint32_t i = (uint32_t)((addr - base) >> s->shift);
    *v = (struct tz_slab_view){ .slot = base + ((uintptr_t)i << s->shift),
                                .i = i,
                                .stride = tz_slab_stride(s),
                                .guard_size = s->guard_size,
                                .owner = tz_load_acq(&s->owner[i]) };
    return tz_load_rlx(&s->base) == base;
}

TZ_NO_SANITIZE void tz_slab_need_system_stack(const char *what)
{
    uintptr_t sp = tz_sp();
    struct tz_slab_view v;
    if (tz_unlikely(tz_slab_look(sp, &v) || tz_heap_manual_of(sp)))
        tz_throw("%s on a goroutine's stack (sp %p)", what, (void *)sp);
}

// Stores s, or NULL, for each granule of [base, base + size).
static void enter(uintptr_t base, size_t size, struct tz_slab *s)
{
    uintptr_t last = (base + size - 1) >> TZ_SLAB_GRANULE_SHIFT;
    for (uintptr_t i = base >> TZ_SLAB_GRANULE_SHIFT; i <= last; i++)
        tz_store_rel(&slabs.leaf[i >> LEAF_BITS]
                          ->slab[i & ((1 << LEAF_BITS) - 1)], s);
}

// Makes the table's parts for a range; false when memory is refused.
static bool leaves(uintptr_t base, size_t size)
{
    uintptr_t first = base >> TZ_SLAB_GRANULE_SHIFT;
    uintptr_t last = (base + size - 1) >> TZ_SLAB_GRANULE_SHIFT;
    if (last >> (LEAF_BITS + ROOT_BITS))
        return false;
    for (uintptr_t i = first >> LEAF_BITS; i <= last >> LEAF_BITS; i++) {
        if (slabs.leaf[i])
            continue;
        struct leaf *new = tz_persist_alloc(sizeof *new, 0);
        if (!new)
            return false;
        tz_store_rel(&slabs.leaf[i], new);
    }
    return true;
}

// --- addresses

static void set_ahead(uintptr_t at, uintptr_t end)
{
    slabs.at = at;
    slabs.end = end;
    tz_store_rlx(&slabs.ahead, end - at);
}

void tz_slab_unmap_ahead(size_t most)
{
    size_t n = slabs.end - slabs.at;
    if (n <= most)
        return;
    tz_vm_free((void *)slabs.at, n, TZ_VM_STACK, TZ_VM_READY);
    if (slabs.next == slabs.end)
        slabs.next = slabs.at;
    set_ahead(0, 0);
}

// Maps n bytes behind the last ones; the first ones far from `other`, near
// which the system puts what may go anywhere.
static char *map_behind(size_t n, const void *other)
{
    uintptr_t away = AWAY_SHIFT ? (uintptr_t)1 << AWAY_SHIFT : 0;
    if (!slabs.next && !TZ_SAN_OWNS_ADDRESSES && away &&
        (uintptr_t)other > 2 * away)
        slabs.next = tz_align_down((uintptr_t)other - away, GRANULE);
    char *p = tz_vm_alloc_stacks_at((void *)slabs.next, n, GRANULE);
    if (p && slabs.next)
        slabs.next = (uintptr_t)p + n;
    return p;
}

// Maps a run of a multiple of `size` bytes, as long as the system grants it.
static bool map_ahead(size_t size, const void *other)
{
    size_t want = tz_min(slabs.bytes / 2, (size_t)1 << AHEAD_SHIFT);
    for (want -= want % size; want >= 2 * size; want = want / 2 / size * size) {
        char *p = map_behind(want, other);
        if (!p)
            continue;
        tz_slab_unmap_ahead(0);
        set_ahead((uintptr_t)p, (uintptr_t)p + want);
        return true;
    }
    return false;
}

// Addresses for a slab; 0 when refused.
static uintptr_t addresses(size_t size, bool ample, const void *other)
{
    bool there = slabs.end - slabs.at >= size;
    if (size % GRANULE || !(there || (ample && map_ahead(size, other))))
        return ample ? (uintptr_t)map_behind(size, other)
                     : (uintptr_t)tz_vm_alloc_stacks(size, GRANULE);
    uintptr_t base = slabs.at;
    set_ahead(base + size, slabs.end);
    return base;
}

// --- making and giving back

// How little can be mapped at this moment.
struct room {
    uint64_t left;  // bytes; UINT64_MAX: there is no limit
    bool populates; // what is mapped is in memory
};

static struct room look_around(void)
{
    return (struct room){ tz_space_left(), tz_vm_populates() };
}

static uint32_t stacks_a_slab(unsigned cls, const struct room *r)
{
    enum { POPULATED_MAX = 1 << 20 };
    uint32_t count = usual_count(cls);
    uint64_t most = r->left / 8;
    if (r->populates)
        most = tz_min(most, POPULATED_MAX);
    while (count > 1 && (uint64_t)count << class_shift[cls] > most)
        count /= 2;
    return count;
}

bool tz_slab_cheap(unsigned cls)
{
    enum { STACKS_LEFT = 1024, POPULATED_MAX = 64 * 1024 };
    struct room r = look_around();
    size_t size = tz_stack_class_size(cls);
    return size <= r.left / STACKS_LEFT &&
           (!r.populates || size <= POPULATED_MAX);
}

static struct tz_slab *record(unsigned cls)
{
    struct tz_list *l = &slabs.kept[cls];
    if (!l->next)
        tz_list_init(l);
    struct tz_list *n = tz_list_pop_front(l);
    if (n)
        return tz_list_entry(n, struct tz_slab, node);
    struct tz_slab *s = tz_persist_alloc(
        sizeof *s + usual_count(cls) * sizeof s->owner[0], TZ_CACHE_LINE);
    if (!s)
        return NULL;
    s->cls = (uint8_t)cls;
    s->shift = class_shift[cls];
    s->guard_size = (uint32_t)tz_guard_bytes(tz_stack_class_size(cls));
    tz_list_init(&s->node);
    return s;
}

struct tz_slab *tz_slab_make(unsigned cls)
{
    struct tz_slab *s = record(cls);
    if (!s)
        return NULL;
    struct room room = look_around();
    bool ahead = room.left == UINT64_MAX && !room.populates;
    uint32_t count = stacks_a_slab(cls, &room);
    uintptr_t base;
    while (!(base = addresses((size_t)count << s->shift, ahead, s)))
        if ((count /= 2) == 0)
            break;
    size_t size = (size_t)count << s->shift;
    if (!base || !leaves(base, size)) {
        if (base)
            tz_vm_free((void *)base, size, TZ_VM_STACK, TZ_VM_READY);
        tz_slab_keep(s);
        return NULL;
    }
    tz_vm_stack_alloc((void *)base, size);
    tz_store_rlx(&s->count, count);
    tz_store_rel(&s->base, base); // with tz_slab_look, as the entries
    enter(base, size, s);
    tz_store_rlx(&slabs.bytes, slabs.bytes + size);
    return s;
}

void tz_slab_hide(struct tz_slab *s, uintptr_t *base, size_t *size)
{
    *base = s->base;
    *size = size_of(s);
    enter(*base, *size, NULL);
    // Before anything else of s changes: a reader sees the 0 if it sees that.
    tz_xchg(&s->base, 0);
    tz_store_rlx(&slabs.bytes, slabs.bytes - *size);
}

void tz_slab_unmap(uintptr_t base, size_t size)
{
    tz_vm_free_stacks((void *)base, size);
}

void tz_slab_keep(struct tz_slab *s)
{
    for (uint32_t i = 0; i < usual_count(s->cls); i++)
        tz_store_rlx(&s->guard[i], TZ_GUARD_NONE);
    s->carved = 0;
    s->hot = s->cold = s->busy = 0;
    tz_list_push_front(&slabs.kept[s->cls], &s->node);
}

void tz_slab_stats(uint64_t *bytes, uint64_t *ahead)
{
    *bytes = tz_load_rlx(&slabs.bytes);
    *ahead = tz_load_rlx(&slabs.ahead);
}
