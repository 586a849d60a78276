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
// last collection, all centrals together up to what may be allocated until the
// next one: they will be wanted again, and the way through the page heap costs
// a hundred times as much. When the page heap would have to grow they go to it
// after all.
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

#include <string.h>

#include "base/bits.h"
#include "mem/bury.h"
#include "os/env.h"
#include "os/thread.h"
#include "os/tlsroots.h"

enum { SPARE = 128 * TZ_PAGE_SIZE, SPARES = 7, BATCH = 8 };

struct central {
    struct tz_lock lock;
    struct tz_list partial; // swept, with free slots; guarded by lock
    struct tz_list full;    // swept, without; guarded by lock
    struct tz_list unswept; // guarded by lock
    struct tz_list empty;   // swept, without objects; guarded by lock
    uint32_t nempty;        // length of empty; atomic, written with the lock
    uint32_t given;         // spans given out since the flip; guarded by lock
    uint32_t keep;          // the same of the time before; guarded by lock
} TZ_ALIGNED(TZ_CACHE_LINE);

static struct central central[TZ_CENTRAL_COUNT];

static struct {
    uint32_t hint;     // places before it await no sweep; atomic, advisory
    uint32_t sweeping; // spans taken off to be swept; atomic
    uint32_t kept;     // pages on all `empty` lists, about; atomic
    uint32_t worth;    // pages that are worth keeping; atomic
    uint32_t cycle;    // flips so far; changes while the world is stopped
    uint32_t held;     // 1: nothing is taken off to be swept; atomic
} sweep;

void tz_central_init(void)
{
    tz_roots_leave_out(central, sizeof central);
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

// TUZADEBUG=clobberfree=1: whoever still uses it sees 0xdb.
static void clobber(const struct tz_span *s, uint32_t i, uint64_t dead)
{
    for (; dead; dead &= dead - 1) {
        uintptr_t p = s->base + (i * 64 + tz_ctz64(dead)) * s->elem_size;
        memset((void *)p, 0xdb, s->elem_size);
    }
}

// Alloc bits become mark bits. An object that was freed by hand since the mark
// still belongs to who will reuse it.
static void sweep_span(struct tz_span *s)
{
    struct tz_pagebits *b = s->bits;
    uint32_t left = 0;
    for (uint32_t i = 0; i < (s->nelems + 63) / 64; i++) {
        uint64_t live = b->word[i].mark;
        TZ_DCHECK((live & ~b->word[i].alloc) == 0); // [mem.I4]
        if (tz_unlikely(tz_load_rlx(&s->some_freed)))
            live |= b->word[i].alloc & tz_load_rlx(&s->freed[i]);
        if (tz_unlikely(tz_env.clobber_free))
            clobber(s, i, b->word[i].alloc & ~live);
        b->word[i].alloc = live;
        b->word[i].mark = 0;
        left += tz_popcount64(live);
    }
    if (left < s->nalloc)
        s->needzero = 1;
    s->nalloc = left;
    if (tz_likely(!tz_env.never_free))
        s->next = 0;
}

// Whether it has nothing to give. neverfree=1: what is before `next` was given
// once.
static bool used_up(const struct tz_span *s)
{
    return s->nalloc == s->nelems ||
           (tz_unlikely(tz_env.never_free) &&
            (s->next >= s->nelems || tz_span_large(s)));
}

// Of an empty span; its pages that are free now.
static size_t give_back(struct tz_span *s)
{
    size_t npages = s->npages;
    if (tz_unlikely(tz_env.never_free)) {
        tz_bury(s);
        return 0;
    }
    tz_heap_span_free(s);
    return npages;
}

static struct tz_span *pop(struct tz_list *l)
{
    struct tz_list *n = tz_list_pop_front(l);
    return n ? tz_list_entry(n, struct tz_span, node) : NULL;
}

// Of each of its spans; 0: large ones.
static uint32_t npages_of(const struct central *c)
{
    return tz_sizeclass[(c - central) % TZ_SPANCLASS_COUNT].npages;
}

// Whether so many pages more than are kept are worth it.
static bool may_keep(uint32_t npages)
{
    return tz_load_rlx(&sweep.kept) + npages <= tz_load_rlx(&sweep.worth);
}

// With the lock.
static struct tz_span *pop_empty(struct central *c)
{
    struct tz_span *s = pop(&c->empty);
    if (s) {
        tz_store_rlx(&c->nempty, c->nempty - 1);
        s->state = TZ_SPAN_OWNED;
    }
    return s;
}

// With the lock.
static void put(struct central *c, struct tz_span *s)
{
    s->state = TZ_SPAN_LISTED;
    s->swept_in = tz_load_rlx(&sweep.cycle);
    tz_list_push_front(used_up(s) ? &c->full : &c->partial, &s->node);
}

// Takes back what x is done with. With the lock.
static void put_done(struct central *c, struct tz_spans *x)
{
    while (x->done) {
        struct tz_span *s = x->done;
        x->done = (struct tz_span *)(void *)s->node.next;
        put(c, s);
    }
}

// A few more where a class is in demand: empty spans, for the caller to use
// without coming back. With the lock.
static void give_spares(struct central *c, struct tz_spans *x)
{
    uint32_t n = 1; // the first was given
    struct tz_span *s;
    for (; n <= SPARES && (s = pop_empty(c)) != NULL; n++) {
        c->given++;
        s->node.next = (struct tz_list *)(void *)x->spare;
        x->spare = s;
    }
    tz_xadd_rlx(&sweep.kept, -n * npages_of(c));
}

// Spans under way: of one central, by one thread.
struct batch {
    struct tz_span *span[BATCH];
    uint32_t n;
};

// How many spans a cache may have of a central at once: 64 KiB, or two.
static uint32_t a_few(const struct central *c)
{
    return npages_of(c) == 1 ? BATCH : 2;
}

// Up to `most` spans that await their sweep, which count as being swept. With
// the lock.
static void take_unswept(struct central *c, struct batch *b, uint32_t most)
{
    struct tz_span *s;
    for (b->n = 0; b->n < most && (s = pop(&c->unswept)) != NULL;) {
        s->state = TZ_SPAN_OWNED;
        b->span[b->n++] = s;
    }
    if (b->n)
        tz_xadd(&sweep.sweeping, b->n);
}

// A swept partial span; else some that await their sweep, in *b; else an empty
// one.
static struct tz_span *take(struct central *c, struct batch *b,
                            struct tz_spans *x)
{
    b->n = 0;
    tz_lock_acquire(&c->lock);
    put_done(c, x);
    struct tz_span *s = pop(&c->partial);
    if (!s)
        take_unswept(c, b, a_few(c));
    if (!s && b->n == 0 && (s = pop_empty(c)) != NULL)
        give_spares(c, x);
    if (s)
        s->state = TZ_SPAN_OWNED;
    c->given += b->n ? b->n : 1;
    tz_lock_release(&c->lock);
    return s;
}

// Sweeps what take has taken: one to allocate from, the others go with *x. NULL
// if all are full.
static struct tz_span *sweep_taken(struct batch *b, struct tz_spans *x)
{
    struct tz_span *first = NULL;
    for (uint32_t k = 0; k < b->n; k++) {
        struct tz_span *s = b->span[k];
        struct tz_span **list = &x->spare;
        sweep_span(s);
        if (used_up(s)) {
            list = &x->done;
        } else if (!first) {
            first = s;
            continue;
        }
        s->node.next = (struct tz_list *)(void *)*list;
        *list = s;
    }
    tz_xadd(&sweep.sweeping, -b->n);
    return first;
}

void tz_central_trim(void)
{
    if (tz_load_rlx(&tz_mem.marking))
        return; // a marker may look at their headers
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        struct central *c = &central[i];
        while (tz_load_rlx(&c->nempty) != 0) {
            tz_lock_acquire(&c->lock);
            struct tz_span *s = pop_empty(c);
            tz_lock_release(&c->lock);
            if (!s)
                break;
            tz_xadd_rlx(&sweep.kept, -npages_of(c));
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
    if (tz_load_rlx(&sweep.kept) == 0)
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

struct tz_span *tz_central_get(unsigned which, struct tz_pagecache *pc,
                               struct tz_spans *x)
{
    // As in Go: an allocation does not sweep thousands of spans in which all lives.
    enum { MOST = 96 };
    struct central *c = &central[which];
    for (uint32_t swept = 0; swept < MOST;) {
        struct batch b;
        struct tz_span *s = take(c, &b, x);
        if (!s && b.n)
            s = sweep_taken(&b, x);
        if (s)
            return s;
        if (b.n == 0)
            break;
        swept += b.n;
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

// The pages that may be allocated before the next collection.
static uint32_t pages_until_next(void)
{
    uint64_t live = tz_load_rlx(&tz_mem.live);
    uint64_t trigger = tz_load_rlx(&tz_mem.trigger);
    uint64_t bytes = trigger > live ? trigger - live : 0;
    return (uint32_t)tz_min(bytes >> TZ_PAGE_SHIFT, UINT32_MAX / 2);
}

void tz_central_flip(void)
{
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        struct central *c = &central[i];
        tz_lock_acquire(&c->lock); // the background sweeper may look at it
        TZ_CHECK(tz_list_empty(&c->unswept));
        splice(&c->unswept, &c->partial);
        splice(&c->unswept, &c->full);
        c->keep = npages_of(c) ? c->given : 0; // no large ones
        if (tz_unlikely(tz_env.never_free))
            c->keep = 0;
        c->given = 0;
        tz_lock_release(&c->lock);
    }
    // The background sweeper may be putting back what was empty.
    tz_store_rlx(&sweep.cycle, sweep.cycle + 1);
    tz_store_rlx(&sweep.worth, pages_until_next());
    tz_store(&sweep.hint, 0);
}

// Takes spans that await their sweep, or else empty ones that are kept no
// longer, of the i-th central. They count as being swept.
static void batch_take(struct batch *b, uint32_t i)
{
    struct central *c = sweep_order(i);
    // Of large ones, one may be enough for who waits.
    uint32_t most = i < 2 * TZ_KINDS ? 1 : BATCH;
    uint32_t empty = 0;
    tz_lock_acquire(&c->lock);
    // Acquire: with the end of a hold, whose holder has read the lists unlocked.
    if (tz_unlikely(tz_load_acq(&sweep.held))) {
        tz_lock_release(&c->lock);
        b->n = 0;
        return;
    }
    take_unswept(c, b, most);
    while (b->n < most && c->nempty > (may_keep(0) ? c->keep : 0)) {
        b->span[b->n++] = pop_empty(c);
        empty++;
    }
    if (empty) {
        tz_xadd(&sweep.sweeping, empty);
        tz_xadd_rlx(&sweep.kept, -empty * npages_of(c));
    }
    if (b->n == 0)
        tz_cas(&sweep.hint, i, i + 1); // with the lock: not after a flip
    tz_lock_release(&c->lock);
}

static void keep_empty(struct central *c, struct tz_span *s)
{
    s->state = TZ_SPAN_LISTED;
    s->swept_in = tz_load_rlx(&sweep.cycle);
    tz_list_push_front(&c->empty, &s->node);
    tz_store_rlx(&c->nempty, c->nempty + 1);
}

// Puts what is swept where it belongs; empty spans that are not kept go to the
// page heap. Their pages.
static size_t batch_put(struct batch *b)
{
    struct central *c = home(b->span[0]);
    size_t freed = 0;
    uint32_t rest = 0, kept = 0;
    tz_lock_acquire(&c->lock);
    for (uint32_t k = 0; k < b->n; k++) {
        struct tz_span *s = b->span[k];
        if (s->nalloc || (tz_env.never_free && !used_up(s)))
            put(c, s);
        else if (c->nempty < c->keep && may_keep((kept + 1) * s->npages))
            keep_empty(c, s), kept++;
        else
            b->span[rest++] = s;
    }
    if (kept)
        tz_xadd_rlx(&sweep.kept, kept * npages_of(c));
    tz_lock_release(&c->lock);
    for (uint32_t k = 0; k < rest; k++)
        freed += give_back(b->span[k]);
    return freed;
}

// Sweeps a few spans; false when none awaits it. *freed: pages that are free
// now.
static bool sweep_next(size_t *freed)
{
    *freed = 0;
    for (uint32_t i = tz_load(&sweep.hint); i < TZ_CENTRAL_COUNT; i++) {
        struct batch b;
        batch_take(&b, i);
        if (b.n == 0)
            continue;
        for (uint32_t k = 0; k < b.n; k++)
            sweep_span(b.span[k]);
        *freed = batch_put(&b);
        tz_xadd(&sweep.sweeping, -b.n);
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

void tz_central_view(unsigned which, struct tz_centralview *out)
{
    const struct central *c = &central[which];
    *out = (struct tz_centralview){
        .list = { [TZ_LIST_PARTIAL] = &c->partial,
                  [TZ_LIST_FULL] = &c->full,
                  [TZ_LIST_UNSWEPT] = &c->unswept,
                  [TZ_LIST_EMPTY] = &c->empty },
        .nempty = c->nempty,
        .cycle = sweep.cycle,
        .kept = tz_load_rlx(&sweep.kept),
    };
}

void tz_central_hold(bool on)
{
    tz_store(&sweep.held, on);
    // Who has looked before that has counted what it took when its lock is free.
    for (unsigned i = 0; on && i < TZ_CENTRAL_COUNT; i++) {
        tz_lock_acquire(&central[i].lock);
        tz_lock_release(&central[i].lock);
    }
    while (on && tz_load(&sweep.sweeping) != 0)
        tz_thread_yield();
}
