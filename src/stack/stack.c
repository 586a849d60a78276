// SPDX-License-Identifier: BSD-3-Clause
// stack/stack.c: handing out goroutine stacks.
//
// A stack is address space, committed by the kernel as it is touched. Its
// slot is reused last in, first out, first from a cache of the P's own, then
// from the pool, so that the pages a goroutine touches are warm; only then is
// a new one cut from a slab.
//
//     slab --carve--> in use <--get/put--> P's cache <--half--> pool
//
// Colour: stacks of a slab end at different cache lines (64 * (i mod 32) bytes
// from the top), else the tops of all would fall into the same few sets of the
// cache; that makes switching between many goroutines two times faster.
//
// Guards: a zone at the low end that faults. Kernel guard markers where they
// work, mprotect within a budget of mappings, else a canary word, looked at
// when the stack comes back.
//
// Where the process may map only so much (os/space.h), no stack of the default
// size is cut that takes more than 1/512 of what is left, or that the system
// refuses: a smaller class serves instead, down to 16 KiB. A size that was
// asked for, for one stack or by the user for all, is kept to.
//
// Go's stack.go copies stacks to grow them; C code has pointers into its stack,
// so ours are large from the start and never move.

#include "stack/stack.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/san.h"
#include "mem/persist.h"
#include "os/lock.h"
#include "os/space.h"
#include "os/vm.h"
#include "stack/slab.h"

enum { CACHE_SIZE = 64, CACHED_CLASSES = 5, STACKS_LEFT = 512 };

#define CANARY UINT64_C(0x74757a6163616e61)

// Owned by the P. Slots are named by their lowest address.
struct tz_stackcache {
    uint32_t n[CACHED_CLASSES];
    uintptr_t slot[CACHED_CLASSES][CACHE_SIZE];
    uint64_t got, put;          // bytes, since start; atomic for readers
    struct tz_stackcache *next; // of all caches; const after it is published
};

// A free slot in the pool is linked through its owner entry in the slab, with
// bit 0 set to tell it from an owner.
static struct {
    struct tz_lock lock;
    struct tz_slab *slabs[TZ_STACK_CLASSES]; // has more to carve; by lock
    uintptr_t free[TZ_STACK_CLASSES];  // first free slot, 0: none; by lock
    struct tz_stackcache *caches;      // atomic; push only
    uint64_t got, put;                 // without a cache; atomic
    uint64_t sys;                      // bytes of slabs; atomic
    uint32_t canaries;                 // atomic; 1: some stacks have one
    size_t default_size;               // const after init
    bool may_shrink;                   // default_size; const after init
    enum tz_stack_guard guard;         // const after init
} pool = {
    .lock = TZ_LOCK_INIT(TZ_RANK_STACKPOOL),
    .default_size = 256 * TZ_KIB,
    .may_shrink = true,
    .guard = TZ_GUARD_MARKER,
};

void tz_stack_init(size_t default_size, int guard)
{
    if (default_size)
        pool.default_size = default_size;
    pool.may_shrink = !default_size;
    if (guard)
        pool.guard = (enum tz_stack_guard)guard;
    if (pool.guard == TZ_GUARD_MARKER && !tz_vm_guard_works())
        pool.guard = TZ_GUARD_PROTECT;
}

size_t tz_stack_default(void) { return pool.default_size; }

struct tz_stackcache *tz_stackcache_make(void)
{
    struct tz_stackcache *c = tz_persist_alloc(sizeof *c, TZ_CACHE_LINE);
    if (!c)
        return NULL;
    do
        c->next = tz_load_acq(&pool.caches);
    while (!tz_cas_rel(&pool.caches, c->next, c));
    return c;
}

// A slot from the pool or a slab; 0 when memory is refused or, unless it must
// be this class, would be too dear. With the lock.
static uintptr_t pool_take(unsigned cls, bool must)
{
    uintptr_t slot = pool.free[cls];
    if (slot) {
        struct tz_slab *s = tz_slab_of(slot);
        uint32_t i = tz_slab_index(s, slot);
        pool.free[cls] = (uintptr_t)s->owner[i] & ~(uintptr_t)1;
        tz_store_rlx(&s->owner[i], NULL);
        return slot;
    }
    struct tz_slab *s = pool.slabs[cls];
    if (!s) {
        if (must || tz_stack_class_size(cls) <= tz_space_left() / STACKS_LEFT)
            s = tz_slab_make(cls);
        if (!s)
            return 0;
        tz_xadd_rlx(&pool.sys, s->stride * s->count);
        pool.slabs[cls] = s;
    }
    slot = tz_slab_carve(s, pool.guard);
    if (s->carved == s->count)
        pool.slabs[cls] = NULL;
    return slot;
}

static void pool_put(unsigned cls, uintptr_t slot)
{
    struct tz_slab *s = tz_slab_of(slot);
    tz_store_rlx(&s->owner[tz_slab_index(s, slot)],
                 (void *)(pool.free[cls] | 1));
    pool.free[cls] = slot;
}

// Fills half a cache; true when it holds something.
static bool cache_fill(struct tz_stackcache *c, unsigned cls, bool must)
{
    tz_lock_acquire(&pool.lock);
    // Warm slots only: new ones are cut one at a time.
    while (c->n[cls] < CACHE_SIZE / 2 && pool.free[cls])
        c->slot[cls][c->n[cls]++] = pool_take(cls, must);
    if (c->n[cls] == 0) {
        uintptr_t slot = pool_take(cls, must);
        if (slot)
            c->slot[cls][c->n[cls]++] = slot;
    }
    tz_lock_release(&pool.lock);
    return c->n[cls] > 0;
}

// Empties half a cache, the slots used longest ago.
static void cache_spill(struct tz_stackcache *c, unsigned cls)
{
    tz_lock_acquire(&pool.lock);
    for (uint32_t i = 0; i < CACHE_SIZE / 2; i++) {
        pool_put(cls, c->slot[cls][i]);
        c->slot[cls][i] = c->slot[cls][i + CACHE_SIZE / 2];
    }
    tz_lock_release(&pool.lock);
    c->n[cls] = CACHE_SIZE / 2;
}

static uintptr_t slot_get(struct tz_stackcache *c, unsigned cls, bool must)
{
    if (c && cls < CACHED_CLASSES) {
        if (c->n[cls] == 0 && !cache_fill(c, cls, must))
            return 0;
        return c->slot[cls][--c->n[cls]];
    }
    tz_lock_acquire(&pool.lock);
    uintptr_t slot = pool_take(cls, must);
    tz_lock_release(&pool.lock);
    return slot;
}

static void slot_put(struct tz_stackcache *c, unsigned cls, uintptr_t slot)
{
    if (c && cls < CACHED_CLASSES) {
        if (c->n[cls] == CACHE_SIZE)
            cache_spill(c, cls);
        c->slot[cls][c->n[cls]++] = slot;
        return;
    }
    tz_lock_acquire(&pool.lock);
    pool_put(cls, slot);
    tz_lock_release(&pool.lock);
}

// Bounds of the stack in slot i of the slab.
static struct tz_stack bounds(const struct tz_slab *s, uint32_t i)
{
    uintptr_t slot = s->base + i * s->stride;
    return (struct tz_stack){ slot + s->guard_size,
                              slot + s->stride - 64 * (i % 32) };
}

static void count(uint64_t *counter, uint64_t bytes, bool shared)
{
    if (shared)
        tz_xadd_rlx(counter, bytes);
    else // one writer: the P
        tz_store_rlx(counter, *counter + bytes);
}

int tz_stack_get(struct tz_stackcache *c, size_t size, void *owner,
                 struct tz_stack *out)
{
    unsigned cls = tz_stack_class_of(size ? size : pool.default_size);
    if (cls == TZ_STACK_CLASSES)
        return -ENOMEM;
    unsigned least = size == 0 && pool.may_shrink ? 0 : cls;
    uintptr_t slot = slot_get(c, cls, cls == least);
    while (!slot && cls > least) {
        cls--;
        slot = slot_get(c, cls, cls == least);
    }
    if (!slot)
        return -ENOMEM;
    struct tz_slab *s = tz_slab_of(slot);
    uint32_t i = tz_slab_index(s, slot);
    tz_store_rlx(&s->owner[i], owner);
    *out = bounds(s, i);
    if (s->guard[i] == TZ_GUARD_CANARY) {
        *(uint64_t *)out->lo = CANARY;
        tz_store_rlx(&pool.canaries, 1);
    }
    count(c ? &c->got : &pool.got, s->stride, !c);
    return 0;
}

// Somebody has done with the stack.
static void check_canary(const struct tz_slab *s, uint32_t i,
                         const struct tz_stack *st)
{
    if (s->guard[i] == TZ_GUARD_CANARY && *(uint64_t *)st->lo != CANARY)
        tz_fatal("a goroutine has overflowed its stack [%p, %p): the canary "
                 "at its low end is gone",
                 (void *)st->lo, (void *)st->hi);
}

void tz_stack_pass(const struct tz_stack *st, void *owner)
{
    struct tz_slab *s = tz_slab_of(st->lo);
    TZ_CHECK(s);
    uint32_t i = tz_slab_index(s, st->lo);
    check_canary(s, i, st);
    tz_store_rlx(&s->owner[i], owner);
}

void tz_stack_put(struct tz_stackcache *c, struct tz_stack *st)
{
    struct tz_slab *s = tz_slab_of(st->lo);
    TZ_CHECK(s);
    uint32_t i = tz_slab_index(s, st->lo);
    // Frames that were left without a return keep their red zones poisoned.
    tz_san_unpoison((void *)st->lo, st->hi - st->lo);
    check_canary(s, i, st);
    tz_store_rlx(&s->owner[i], NULL);
    *st = (struct tz_stack){ 0, 0 };
    count(c ? &c->put : &pool.put, s->stride, !c);
    slot_put(c, s->cls, s->base + i * s->stride);
}

bool tz_stack_unguarded(const struct tz_stack *st)
{
    struct tz_slab *s;
    return tz_load_rlx(&pool.canaries) && (s = tz_slab_of(st->lo)) != NULL &&
           s->guard[tz_slab_index(s, st->lo)] == TZ_GUARD_CANARY;
}

bool tz_stack_intact(const struct tz_stack *st)
{
    return !tz_stack_unguarded(st) || *(uint64_t *)st->lo == CANARY;
}

static const char *const guard_name[] = { "", "marker", "mprotect", "canary" };

void tz_stack_about(const struct tz_stack *st, struct tz_stack_about *out)
{
    struct tz_slab *s = tz_slab_of(st->lo);
    *out = (struct tz_stack_about){ st->hi - st->lo, 0, "nothing" };
    if (!s)
        return;
    unsigned kind = s->guard[tz_slab_index(s, st->lo)];
    out->size = s->stride;
    out->zone = kind == TZ_GUARD_CANARY ? 0 : s->guard_size;
    out->guard = guard_name[kind];
}

enum tz_stack_where tz_stack_find(uintptr_t addr, struct tz_stack *out,
                                  void **owner)
{
    struct tz_slab *s = tz_slab_of(addr);
    if (!s)
        return TZ_STACK_NONE;
    uint32_t i = tz_slab_index(s, addr);
    *out = bounds(s, i);
    void *o = tz_load_rlx(&s->owner[i]);
    *owner = (uintptr_t)o & 1 ? NULL : o;
    return addr < out->lo ? TZ_STACK_GUARD : TZ_STACK_IN;
}

void tz_stack_stats(uint64_t *inuse, uint64_t *sys)
{
    uint64_t n = tz_load_rlx(&pool.got) - tz_load_rlx(&pool.put);
    for (struct tz_stackcache *c = tz_load_acq(&pool.caches); c; c = c->next)
        n += tz_load_rlx(&c->got) - tz_load_rlx(&c->put);
    *inuse = n;
    *sys = tz_load_rlx(&pool.sys);
}

const char *tz_stack_guard_name(void)
{
    return guard_name[pool.guard];
}
