// SPDX-License-Identifier: BSD-3-Clause
// mem/mcentral.c: spans that no P owns, and sweeping.
//
// For each span class there are two lists of swept spans (with free slots, and
// full) and one of spans that await their sweep. After a collection has
// marked, every span awaits it; a P that needs a span sweeps one, a background
// thread sweeps the others, and the next collection first finishes the rest.
//
// A span is on one list or owned by one thread, so sweeping needs no more than
// taking it off: alloc bits become the mark bits, an empty span's pages go
// back to the heap untouched. Nothing is written into the objects.
//
// Go's mcentral.go has two parities of lock-free span sets; ours are lists
// under a lock per class, which one refill in a few hundred allocations takes.

#include "mem/mcentral.h"

#include "base/bits.h"

struct central {
    struct tz_lock lock;
    struct tz_list partial; // swept, with free slots; guarded by lock
    struct tz_list full;    // swept, without; guarded by lock
    struct tz_list unswept; // guarded by lock
} TZ_ALIGNED(TZ_CACHE_LINE);

static struct central central[TZ_SPANCLASS_COUNT];

static struct {
    uint32_t hint;     // classes below await no sweep; atomic, advisory
    uint32_t sweeping; // spans taken off to be swept; atomic
} sweep;

void tz_central_init(void)
{
    for (unsigned i = 0; i < TZ_SPANCLASS_COUNT; i++) {
        tz_lock_init(&central[i].lock, TZ_RANK_CENTRAL);
        tz_list_init(&central[i].partial);
        tz_list_init(&central[i].full);
        tz_list_init(&central[i].unswept);
    }
    sweep.hint = TZ_SPANCLASS_COUNT;
}

// Alloc bits become mark bits; returns how many objects are left.
static uint32_t sweep_span(struct tz_span *s)
{
    struct tz_pagebits *b = s->bits;
    uint32_t left = 0;
    for (uint32_t i = 0; i < (s->nelems + 63) / 64; i++) {
        uint64_t live = b->mark[i];
        TZ_DCHECK((live & ~b->alloc[i]) == 0); // [mem.I4]
        b->alloc[i] = live;
        b->mark[i] = 0;
        left += tz_popcount64(live);
    }
    if (left < s->nalloc)
        s->needzero = 1;
    s->nalloc = left;
    s->next = 0;
    return left;
}

static struct tz_span *pop(struct tz_list *l)
{
    struct tz_list *n = tz_list_pop_front(l);
    return n ? tz_list_entry(n, struct tz_span, node) : NULL;
}

// A swept partial span, else an unswept one (*unswept true).
static struct tz_span *take(struct central *c, bool *unswept)
{
    tz_lock_acquire(&c->lock);
    struct tz_span *s = pop(&c->partial);
    *unswept = false;
    if (!s && (s = pop(&c->unswept))) {
        *unswept = true;
        tz_xadd(&sweep.sweeping, 1);
    }
    tz_lock_release(&c->lock);
    return s;
}

void tz_central_put(struct tz_span *s)
{
    struct central *c = &central[s->spanclass];
    tz_lock_acquire(&c->lock);
    tz_list_push_front(s->nalloc == s->nelems ? &c->full : &c->partial,
                       &s->node);
    tz_lock_release(&c->lock);
}

struct tz_span *tz_central_get(unsigned spanclass, struct tz_pagecache *pc)
{
    struct central *c = &central[spanclass];
    bool unswept;
    struct tz_span *s;
    while ((s = take(c, &unswept)) != NULL) {
        if (!unswept)
            return s;
        uint32_t left = sweep_span(s);
        if (left == s->nelems)
            tz_central_put(s);
        tz_xadd(&sweep.sweeping, -1u);
        if (left < s->nelems)
            return s;
    }
    return tz_heap_span_alloc(pc, tz_sizeclass[spanclass / 2].npages,
                              spanclass);
}

// Moves all nodes of `from` to the front of `to`.
static void splice(struct tz_list *to, struct tz_list *from)
{
    if (tz_list_empty(from))
        return;
    from->prev->next = to->next;
    to->next->prev = from->prev;
    to->next = from->next;
    from->next->prev = to;
    tz_list_init(from);
}

void tz_central_flip(void)
{
    for (unsigned i = 0; i < TZ_SPANCLASS_COUNT; i++) {
        struct central *c = &central[i];
        tz_lock_acquire(&c->lock); // the background sweeper may look at it
        TZ_CHECK(tz_list_empty(&c->unswept));
        splice(&c->unswept, &c->partial);
        splice(&c->unswept, &c->full);
        tz_lock_release(&c->lock);
    }
    tz_store(&sweep.hint, 0);
}

// Sweeps one span; false when none awaits it. *freed: pages that are free now.
static bool sweep_next(size_t *freed)
{
    *freed = 0;
    for (uint32_t i = tz_load(&sweep.hint); i < TZ_SPANCLASS_COUNT; i++) {
        struct central *c = &central[i];
        tz_lock_acquire(&c->lock);
        struct tz_span *s = pop(&c->unswept);
        if (s)
            tz_xadd(&sweep.sweeping, 1);
        else
            tz_cas(&sweep.hint, i, i + 1);
        tz_lock_release(&c->lock);
        if (!s)
            continue;
        if (sweep_span(s) == 0) {
            *freed = s->npages;
            tz_heap_span_free(s);
        } else {
            tz_central_put(s);
        }
        tz_xadd(&sweep.sweeping, -1u);
        return true;
    }
    return false;
}

bool tz_central_sweep_one(void)
{
    size_t freed;
    return sweep_next(&freed);
}

void tz_central_reclaim(size_t npages)
{
    // Large spans come first: the hint begins with their class.
    for (size_t sum = 0, freed; sum < npages && sweep_next(&freed);)
        sum += freed;
}

bool tz_central_swept(void)
{
    return tz_load(&sweep.hint) == TZ_SPANCLASS_COUNT &&
           tz_load(&sweep.sweeping) == 0;
}
