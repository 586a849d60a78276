// SPDX-License-Identifier: BSD-3-Clause
// mem/mcentral.c: spans that no cache owns, and sweeping.
//
// For each span class, and apart for objects that are not collected, there are
// two lists of swept spans (with free slots, and full) and one of spans that
// await their sweep. After a collection has marked, every span awaits it; a P
// that needs a span sweeps one, a background thread sweeps the others, and the
// next collection first finishes the rest.
//
// An empty span is kept by its central, up to as many as it gave out since the
// last collection: they will be wanted again, and the way through the page heap
// costs a hundred times as much. When the page heap would have to grow they go
// to it after all.
//
// A span is on one list or owned by one thread, so sweeping needs no more than
// taking it off: alloc bits become the mark bits, an empty span's pages go
// back to the heap untouched. Nothing is written into the objects. What was
// freed by hand goes the same way, one object at a time: its span is taken off
// its list under the lock, swept if it awaited that, and put where it belongs.
//
// Go's mcentral.go has two parities of lock-free span sets; ours are lists
// under a lock per class, which one refill in a few hundred allocations takes.

#include "mem/mcentral.h"

#include "base/bits.h"
#include "os/thread.h"

enum { SPARE = 128 * TZ_PAGE_SIZE };

struct central {
    struct tz_lock lock;
    struct tz_list partial; // swept, with free slots; guarded by lock
    struct tz_list full;    // swept, without; guarded by lock
    struct tz_list unswept; // guarded by lock
    struct tz_list empty;   // swept, without objects; guarded by lock
    uint32_t nempty;        // length of empty; guarded by lock
    uint32_t given;         // spans given out since the flip; guarded by lock
    uint32_t keep;          // the same of the time before; guarded by lock
} TZ_ALIGNED(TZ_CACHE_LINE);

static struct central central[TZ_CENTRAL_COUNT];

static struct {
    uint32_t hint;     // places before it await no sweep; atomic, advisory
    uint32_t sweeping; // spans taken off to be swept; atomic
    uint32_t kept;     // pages of empty spans in all centrals; atomic
    uint32_t cycle;    // flips so far; changes while the world is stopped
} sweep;

void tz_central_init(void)
{
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        tz_lock_init(&central[i].lock, TZ_RANK_CENTRAL);
        tz_list_init(&central[i].partial);
        tz_list_init(&central[i].full);
        tz_list_init(&central[i].unswept);
        tz_list_init(&central[i].empty);
    }
    sweep.hint = TZ_CENTRAL_COUNT;
}

static struct central *home(const struct tz_span *s)
{
    return &central[tz_central_of(s->spanclass, s->uncollectable)];
}

// The i-th central to be swept: those of large objects come first, for whoever
// needs many pages waits for them.
static struct central *sweep_order(uint32_t i)
{
    enum { LARGE = 2 * TZ_KINDS, SMALL = TZ_CLASS_COUNT - 1 };
    if (i < LARGE)
        return &central[i * TZ_CLASS_COUNT];
    i -= LARGE;
    return &central[i / SMALL * TZ_CLASS_COUNT + 1 + i % SMALL];
}

// Alloc bits become mark bits; returns how many objects are left. An object
// that was freed by hand since the mark still belongs to who will reuse it.
static uint32_t sweep_span(struct tz_span *s)
{
    struct tz_pagebits *b = s->bits;
    uint32_t left = 0;
    for (uint32_t i = 0; i < (s->nelems + 63) / 64; i++) {
        uint64_t live = b->mark[i];
        TZ_DCHECK((live & ~b->alloc[i]) == 0); // [mem.I4]
        if (tz_unlikely(tz_load_rlx(&s->some_freed)))
            live |= b->alloc[i] & tz_load_rlx(&s->freed[i]);
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

// With the lock.
static struct tz_span *pop_empty(struct central *c)
{
    struct tz_span *s = pop(&c->empty);
    if (s) {
        c->nempty--;
        tz_xadd_rlx(&sweep.kept, -s->npages);
    }
    return s;
}

// A swept partial span, else an unswept one (*unswept true).
static struct tz_span *take(struct central *c, bool *unswept)
{
    tz_lock_acquire(&c->lock);
    c->given++;
    struct tz_span *s = pop(&c->partial);
    *unswept = false;
    if (!s && (s = pop(&c->unswept)) != NULL) {
        *unswept = true;
        tz_xadd(&sweep.sweeping, 1);
    }
    if (!s)
        s = pop_empty(c);
    if (s)
        s->state = TZ_SPAN_OWNED;
    tz_lock_release(&c->lock);
    return s;
}

// With the lock.
static void put(struct central *c, struct tz_span *s)
{
    s->state = TZ_SPAN_LISTED;
    s->swept_in = sweep.cycle;
    tz_list_push_front(s->nalloc == s->nelems ? &c->full : &c->partial,
                       &s->node);
}

// What becomes of a swept span without objects: kept, or false.
static bool keep_empty(struct tz_span *s)
{
    struct central *c = home(s);
    if (tz_span_large(s))
        return false;
    tz_lock_acquire(&c->lock);
    bool keep = c->nempty < c->keep;
    if (keep) {
        s->state = TZ_SPAN_LISTED;
        s->swept_in = sweep.cycle;
        tz_list_push_front(&c->empty, &s->node);
        c->nempty++;
        tz_xadd_rlx(&sweep.kept, s->npages);
    }
    tz_lock_release(&c->lock);
    return keep;
}

void tz_central_trim(void)
{
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        struct central *c = &central[i];
        while (tz_load_rlx(&sweep.kept) != 0) {
            tz_lock_acquire(&c->lock);
            struct tz_span *s = pop_empty(c);
            if (s)
                s->state = TZ_SPAN_OWNED;
            tz_lock_release(&c->lock);
            if (!s)
                break;
            tz_heap_span_free(s);
        }
    }
}

void tz_central_put(struct tz_span *s)
{
    struct central *c = home(s);
    tz_lock_acquire(&c->lock);
    put(c, s);
    tz_lock_release(&c->lock);
}

// Before the page heap takes more memory than it has. Only an estimate: what is
// idle may lie in other threads' caches, or not in one piece.
static void trim_unless_spare(size_t bytes)
{
    if (tz_likely(tz_load_rlx(&sweep.kept) == 0))
        return;
    uint64_t used = tz_load_rlx(&tz_mem.inuse) + tz_load_rlx(&tz_mem.released) +
                    tz_load_rlx(&tz_mem.untouched);
    if (used + bytes > tz_load_rlx(&tz_mem.sys))
        tz_central_trim();
}

// A new span for a central.
static struct tz_span *grow(unsigned which, struct tz_pagecache *pc)
{
    unsigned sc = which % TZ_SPANCLASS_COUNT;
    trim_unless_spare(SPARE);
    struct tz_span *s = tz_heap_span_alloc(pc, tz_sizeclass[sc].npages, sc);
    if (s)
        s->uncollectable = which >= TZ_SPANCLASS_COUNT;
    return s;
}

struct tz_span *tz_central_get(unsigned which, struct tz_pagecache *pc)
{
    struct central *c = &central[which];
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
    return grow(which, pc);
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
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        struct central *c = &central[i];
        tz_lock_acquire(&c->lock); // the background sweeper may look at it
        TZ_CHECK(tz_list_empty(&c->unswept));
        splice(&c->unswept, &c->partial);
        splice(&c->unswept, &c->full);
        c->keep = c->given;
        c->given = 0;
        tz_lock_release(&c->lock);
    }
    sweep.cycle++;
    tz_store(&sweep.hint, 0);
}

// A span that awaits its sweep, of the i-th central; or an empty one that is
// kept no longer. Who has it says when it is done with (sweep.sweeping).
static struct tz_span *next_unswept(uint32_t i, bool *empty)
{
    struct central *c = sweep_order(i);
    tz_lock_acquire(&c->lock);
    struct tz_span *s = pop(&c->unswept);
    *empty = !s && c->nempty > c->keep;
    if (*empty)
        s = pop_empty(c);
    if (s) {
        s->state = TZ_SPAN_OWNED;
        tz_xadd(&sweep.sweeping, 1);
    } else {
        tz_cas(&sweep.hint, i, i + 1); // with the lock: not after a flip
    }
    tz_lock_release(&c->lock);
    return s;
}

// Sweeps one span; false when none awaits it. *freed: pages that are free now.
static bool sweep_next(size_t *freed)
{
    *freed = 0;
    for (uint32_t i = tz_load(&sweep.hint); i < TZ_CENTRAL_COUNT; i++) {
        bool empty;
        struct tz_span *s = next_unswept(i, &empty);
        if (!s)
            continue;
        empty = empty || sweep_span(s) == 0;
        if (!empty) {
            tz_central_put(s);
        } else if (!keep_empty(s)) {
            *freed = s->npages;
            tz_heap_span_free(s);
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
    for (size_t sum = 0, freed; sum < npages && sweep_next(&freed);)
        sum += freed;
    trim_unless_spare(npages * TZ_PAGE_SIZE);
}

bool tz_central_swept(void)
{
    return tz_load(&sweep.hint) == TZ_CENTRAL_COUNT &&
           tz_load(&sweep.sweeping) == 0;
}

// Takes s off its list; a span that awaits its sweep is swept. False when a
// thread has it. With the lock.
static bool take_off(struct tz_span *s)
{
    if (s->state != TZ_SPAN_LISTED)
        return false;
    tz_list_remove(&s->node); // it has an object: not of `empty`
    if (s->swept_in != sweep.cycle)
        sweep_span(s);
    s->state = TZ_SPAN_OWNED;
    return true;
}

bool tz_central_free(struct tz_span *s, uint32_t i)
{
    struct central *c = home(s);
    tz_lock_acquire(&c->lock);
    if (!take_off(s)) {
        tz_lock_release(&c->lock);
        return false;
    }
    tz_span_clear(s, i);
    bool empty = s->nalloc == 0;
    if (!empty)
        put(c, s);
    tz_lock_release(&c->lock);
    if (empty)
        tz_heap_span_free(s);
    return true;
}

void tz_central_free_large(struct tz_span *s)
{
    struct central *c = home(s);
    for (;;) {
        tz_lock_acquire(&c->lock);
        bool ours = take_off(s);
        tz_lock_release(&c->lock);
        if (ours)
            break;
        tz_thread_yield(); // it is being swept, or listed after its making
    }
    tz_span_clear(s, 0);
    tz_heap_span_free(s);
}

void tz_central_each_uncollectable(unsigned spanclass,
                                   void (*fn)(void *arg, struct tz_span *s),
                                   void *arg)
{
    struct central *c = &central[tz_central_of(spanclass, true)];
    struct tz_list *n;
    for (n = c->partial.next; n != &c->partial; n = n->next)
        fn(arg, tz_list_entry(n, struct tz_span, node));
    for (n = c->full.next; n != &c->full; n = n->next)
        fn(arg, tz_list_entry(n, struct tz_span, node));
}
