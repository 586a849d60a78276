// SPDX-License-Identifier: BSD-3-Clause
// stack/stack.c: handing out goroutine stacks.
//
// A stack is address space, committed by the kernel as it is touched. Its
// slot is reused last in, first out, first from a cache of the P's own, then
// from the pool, so that the pages a goroutine touches are warm; only then is
// a new one cut from a slab.
//
//     slab --cut--> in use <--get/put--> P's cache <--half--> pool
//
// What the cache cannot do is done on the system stack: it makes system calls,
// and a stack that grows there would come back here.
//
// Colour: stacks of a slab end at different cache lines (64 * (i mod 32) bytes
// from the top), else the tops of all would fall into the same few sets of the
// cache; that makes switching between many goroutines two times faster.
//
// Where the process may map only so much (os/space.h), no stack of the default
// size is cut that takes more than 1/1024 of what is left, or that the system
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
#include "os/port.h"
#include "stack/slabpool.h"
#include "stack/stackcache.h"

static struct {
    struct tz_stackcache *caches; // atomic; push only
    uint64_t got, put;            // bytes, without a cache; atomic
    size_t default_size;          // const after init
    bool may_shrink;              // default_size; const after init
} stacks = {
    .default_size = 256 * TZ_KIB,
    .may_shrink = true,
};

void tz_stack_init(size_t default_size, int guard)
{
    if (default_size)
        stacks.default_size = default_size;
    stacks.may_shrink = !default_size;
    tz_guard_init(guard);
    tz_slab_init();
}

size_t tz_stack_default(void) { return stacks.default_size; }

struct tz_stackcache *tz_stackcache_make(void)
{
    struct tz_stackcache *c = tz_persist_alloc(sizeof *c, TZ_CACHE_LINE);
    if (!c)
        return NULL;
    do
        c->next = tz_load_acq(&stacks.caches);
    while (!tz_cas_rel(&stacks.caches, c->next, c));
    return c;
}

// --- what the cache cannot do, on the system stack

struct op {
    struct tz_stackcache *c; // NULL: past it
    unsigned cls;
    bool may_shrink;
    uintptr_t slot; // 0: none was to be had
};

static uintptr_t take(struct tz_stackcache *c, unsigned cls, bool must)
{
    if (!c || cls >= TZ_STACKCACHE_CLASSES)
        return tz_slabpool_take(cls, must);
    if (c->n[cls] == 0 && !tz_slabpool_fill(c, cls, must))
        return 0;
    return c->slot[cls][--c->n[cls]];
}

// The class, or smaller ones if that is allowed and it is dear or refused.
static void get_slow(void *arg)
{
    struct op *o = arg;
    tz_slab_need_system_stack("a stack is taken");
    unsigned least = o->may_shrink ? tz_stack_class_of(1) : o->cls;
    o->slot = take(o->c, o->cls, o->cls <= least);
    while (!o->slot && o->cls > least) {
        o->cls--;
        o->slot = take(o->c, o->cls, o->cls == least);
    }
}

static void put_slow(void *arg)
{
    const struct op *o = arg;
    tz_slab_need_system_stack("a stack is put back");
    if (o->c && o->cls < TZ_STACKCACHE_CLASSES)
        tz_slabpool_spill(o->c, o->cls, TZ_STACKCACHE_SLOTS / 2);
    else
        tz_slabpool_put(o->slot);
}

// ---

static TZ_NOINLINE uintptr_t get_there(struct tz_stackcache *c, unsigned cls,
                                       bool may_shrink)
{
    struct op o = { .c = c, .cls = cls, .may_shrink = may_shrink };
    tz_port_system_stack(get_slow, &o);
    return o.slot;
}

static TZ_NOINLINE void put_there(struct tz_stackcache *c, unsigned cls,
                                  uintptr_t slot)
{
    struct op o = { .c = c, .cls = cls, .slot = slot };
    tz_port_system_stack(put_slow, &o);
}

// Bounds of stack i of a slab, which begins at `slot`.
TZ_INLINE struct tz_stack bounds(uintptr_t slot, uint32_t i, size_t stride,
                                 uint32_t guard_size)
{
    uintptr_t colour = TZ_CACHE_LINE * (i % TZ_STACK_COLOURS);
    return (struct tz_stack){ slot + guard_size, slot + stride - colour };
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
    unsigned cls = tz_stack_class_of(size ? size : stacks.default_size);
    if (tz_unlikely(cls == TZ_STACK_CLASSES))
        return -ENOMEM;
    uintptr_t slot;
    if (tz_likely(c && cls < TZ_STACKCACHE_CLASSES && c->n[cls]))
        slot = c->slot[cls][--c->n[cls]];
    else if (!(slot = get_there(c, cls, size == 0 && stacks.may_shrink)))
        return -ENOMEM;
    struct tz_slab *s = tz_slab_of(slot);
    uint32_t i = tz_slab_index(s, slot);
    size_t stride = tz_slab_stride(s);
    tz_store_rel(&s->owner[i], owner); // with tz_slab_look
    *out = bounds(slot, i, stride, s->guard_size);
    if (tz_unlikely(tz_load_rlx(&s->guard[i]) == TZ_GUARD_CANARY))
        *(uint64_t *)out->lo = TZ_STACK_CANARY;
    count(c ? &c->got : &stacks.got, stride, !c);
    return 0;
}

// Somebody has done with the stack.
static void check_canary(const struct tz_slab *s, uint32_t i,
                         const struct tz_stack *st)
{
    if (tz_load_rlx(&s->guard[i]) == TZ_GUARD_CANARY &&
        *(uint64_t *)st->lo != TZ_STACK_CANARY)
        tz_fatal("a goroutine has overflowed its stack [%p, %p): the canary "
                 "at its low end is gone",
                 (void *)st->lo, (void *)st->hi);
}

void **tz_stack_owner(const struct tz_stack *st)
{
    struct tz_slab *s = tz_slab_of(st->lo);
    TZ_CHECK(s);
    return &s->owner[tz_slab_index(s, st->lo)];
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
    unsigned cls = s->cls;
    uintptr_t slot = tz_slab_slot(s, i);
    count(c ? &c->put : &stacks.put, tz_slab_stride(s), !c);
    if (!c || cls >= TZ_STACKCACHE_CLASSES) {
        put_there(c, cls, slot);
        return;
    }
    if (tz_unlikely(c->n[cls] == TZ_STACKCACHE_SLOTS))
        put_there(c, cls, 0);
    c->slot[cls][c->n[cls]++] = slot;
}

bool tz_stack_unguarded(const struct tz_stack *st)
{
    struct tz_slab *s;
    return tz_guard_has_canaries() && (s = tz_slab_of(st->lo)) != NULL &&
           tz_load_rlx(&s->guard[tz_slab_index(s, st->lo)]) == TZ_GUARD_CANARY;
}

bool tz_stack_intact(const struct tz_stack *st)
{
    return !tz_stack_unguarded(st) || *(uint64_t *)st->lo == TZ_STACK_CANARY;
}

static const char *const guard_name[] = { "", "marker", "mprotect", "canary" };

void tz_stack_about(const struct tz_stack *st, struct tz_stack_about *out)
{
    struct tz_slab *s = tz_slab_of(st->lo);
    *out = (struct tz_stack_about){ st->hi - st->lo, 0, "nothing" };
    if (!s)
        return;
    unsigned kind = tz_load_rlx(&s->guard[tz_slab_index(s, st->lo)]);
    out->size = tz_slab_stride(s);
    out->zone = kind == TZ_GUARD_CANARY ? 0 : s->guard_size;
    out->guard = guard_name[kind];
}

enum tz_stack_where tz_stack_find(uintptr_t addr, struct tz_stack *out,
                                  void **owner)
{
    struct tz_slab_view v;
    if (!tz_slab_look(addr, &v))
        return TZ_STACK_NONE;
    *out = bounds(v.slot, v.i, v.stride, v.guard_size);
    *owner = v.owner;
    return addr < out->lo ? TZ_STACK_GUARD : TZ_STACK_IN;
}

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// Counters of Ps are read one after another: a stack that moves meanwhile may
// count twice, or take another's away. What is computed from them is bounded.
void tz_stack_stats_read(struct tz_stack_stats *out)
{
    struct tz_stackpool_stats fixed;
    struct tz_slabpool_stats pool;
    uint64_t inuse = tz_load_rlx(&stacks.got) - tz_load_rlx(&stacks.put);
    tz_stackpool_stats(&fixed);
    tz_slabpool_stats(&pool);
    for (struct tz_stackcache *c = tz_load_acq(&stacks.caches); c;
         c = c->next) {
        inuse += tz_load_rlx(&c->got) - tz_load_rlx(&c->put);
        fixed.inuse += tz_load_rlx(&c->order_got) - tz_load_rlx(&c->order_put);
    }
    uint64_t cut = pool.slabs - pool.uncut - pool.hot - pool.cold;
    inuse = (int64_t)inuse < 0 ? 0 : tz_min(inuse, cut);
    fixed.inuse = (int64_t)fixed.inuse < 0 ? 0 : tz_min(fixed.inuse, fixed.sys);
    *out = (struct tz_stack_stats){
        .inuse = inuse + fixed.inuse,
        .fixed = fixed.inuse,
        .cached = less(cut, inuse) + fixed.sys - fixed.inuse,
        .hot = pool.hot,
        .cold = pool.cold,
        .unused = pool.uncut + pool.ahead,
        .sys = pool.slabs + pool.ahead + fixed.sys,
        .trimmed = pool.trimmed,
        .unmapped = pool.unmapped,
    };
    tz_guard_stats(out->guards, &out->why);
}

void tz_stack_gc_begin(void)
{
    tz_stackpool_gc_begin();
    tz_slabpool_gc_begin();
}

void tz_stack_gc_end(void)
{
    for (struct tz_stackcache *c = tz_load_acq(&stacks.caches); c;
         c = c->next) {
        tz_stackpool_flush(c);
        for (unsigned cls = 0; cls < TZ_STACKCACHE_CLASSES; cls++)
            if (c->n[cls])
                tz_slabpool_spill(c, cls, 0);
    }
    tz_stackpool_gc_end();
    tz_slabpool_gc_end();
}

const char *tz_stack_guard_name(void)
{
    return guard_name[tz_guard_kind()];
}
