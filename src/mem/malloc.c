// SPDX-License-Identifier: BSD-3-Clause
// mem/malloc.c: allocating objects.
//
// The fast path takes the next object of a free run: a load of the cache, an
// addition and a compare, in a critical section that costs two stores: it is
// entered only from outside of any other, so that the count need not be read
// back (reading what was just written is what would take the time). When the
// run is used up, the next run of free slots in the span is found from its
// alloc bits, marked as allocated as a whole and zeroed at once; what is not
// used of it when the collector comes is taken back (tz_mcache_flush). So alloc
// bits are exact while the world is stopped, and a stale word cannot revive a
// free slot [mem.I4].
//
// Whatever is not collected is allocated from the same cache, in slots of its
// own. Large objects are spans of their own. Go's malloc.go works the same way
// with a bit search per object; runs cost less when spans are mostly free.

#include "mem/malloc.h"

#include <string.h>

#include "base/bits.h"
#include "base/rand.h"
#include "base/san.h"
#include "mem/limit.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "mem/port.h"
#include "mem/types.h"
#include "os/env.h"
#include "os/thread.h"
#include "tuza/mem.h"

TZ_WEAK void tz_port_gc_trigger(void)
{
}
TZ_WEAK void tz_port_gc_emergency(void)
{
}

struct tz_mcache *tz_mcache_make(void)
{
    struct tz_mcache *c = tz_persist_alloc(sizeof *c, TZ_CACHE_LINE);
    if (!c)
        return NULL;
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++)
        c->slot[i].size = tz_sizeclass[i % TZ_SPANCLASS_COUNT].size;
    tz_lock_init(&c->lock, TZ_RANK_FOREIGN);
    return c;
}

// Moves what the cache has taken into the heap's count of live bytes, when it
// is worth the way to memory that all Ps write.
static void publish_live(struct tz_mcache *c)
{
    enum { WORTH = 32 << 10 };
    if (c->live < WORTH)
        return;
    uint64_t live = tz_xadd_rlx(&tz_mem.live, c->live) + c->live;
    tz_store_rlx(&c->live, 0);
    if (live >= tz_load_rlx(&tz_mem.trigger))
        c->collect = true;
}

// The next free run of span s: objects [*first, return value); none: equal.
static uint32_t find_run(const struct tz_span *s, uint32_t *first)
{
    uint32_t i = s->next, n = s->nelems;
    const struct tz_pagebits *b = s->bits;
    while (i < n) {
        uint64_t free = ~b->word[i / 64].alloc >> (i % 64);
        if (free) {
            i += tz_ctz64(free);
            break;
        }
        i = (i | 63) + 1;
    }
    uint32_t end = i;
    while (end < n) {
        uint64_t used = b->word[end / 64].alloc >> (end % 64);
        if (used) {
            end += tz_ctz64(used);
            break;
        }
        end = (end | 63) + 1;
    }
    *first = (uint32_t)tz_min(i, n);
    return (uint32_t)tz_min(end, n);
}

static void change_alloc(struct tz_pagebits *b, uint32_t first, uint32_t end,
                         bool set)
{
    while (first < end) {
        uint32_t k = (uint32_t)tz_min(end - first, 64 - first % 64);
        uint64_t mask = tz_mask64(k) << (first % 64);
        if (set)
            b->word[first / 64].alloc |= mask;
        else
            b->word[first / 64].alloc &= ~mask;
        first += k;
    }
}

// While the collector marks: what is handed out counts as reached. Markers write to
// the same words.
static void mark_run(const struct tz_span *s, uint32_t first, uint32_t end,
                     bool set)
{
    while (first < end) {
        uint32_t k = (uint32_t)tz_min(end - first, 64 - first % 64);
        uint64_t mask = tz_mask64(k) << (first % 64);
        if (set)
            tz_xor_bits_rlx(&s->bits->word[first / 64].mark, mask);
        else
            tz_xand_bits(&s->bits->word[first / 64].mark, ~mask);
        first += k;
    }
}

// Tells the sanitizers that [p, p + n) starts a new life.
static void fresh(void *p, size_t n)
{
#if TZ_TSAN
    // It knows of one range of addresses.
    if ((uintptr_t)p - tz_mem.region[0].base < tz_mem.region[0].size)
        __tsan_java_alloc((unsigned long)p, n);
#endif
    (void)p, (void)n;
}

// Asks for the lines of the slots that will be handed out after this run: in a
// heap that is half full they are not in the cache.
static void prefetch_run(const struct tz_span *s, size_t size)
{
    uint32_t i = s->next;
    if (i >= s->nelems)
        return;
    uint64_t free = ~s->bits->word[i / 64].alloc >> (i % 64);
    const char *p = (char *)s->base + (i + tz_ctz64(free)) * size;
    for (size_t off = 0; off < size && off < 256; off += TZ_CACHE_LINE)
        __builtin_prefetch(p + off, 1);
}

// find_run and change_bits in one for what is usual in a fragmented heap: the
// next free run lies inside one word of bits. False: look at it the other way.
static inline bool take_run_of_word(const struct tz_span *s, uint32_t *first,
                                    uint32_t *end)
{
    uint32_t i = s->next;
    if (i >= s->nelems)
        return false;
    uint64_t *word = &s->bits->word[i / 64].alloc;
    uint64_t free = ~*word >> (i % 64);
    if (free == 0)
        return false;
    unsigned skip = (unsigned)__builtin_ctzll(free);
    unsigned len = tz_ctz64(~(free >> skip));
    unsigned bit = i % 64 + skip;
    if (bit + len >= 64 || i + skip + len > s->nelems)
        return false;
    *word |= ((UINT64_C(1) << len) - 1) << bit;
    *first = i + skip;
    *end = i + skip + len;
    return true;
}

// Writes to each page of free slots that nobody has written to. The barrier reads
// what a store overwrites, and the system gives who reads such a page another one
// when he writes: two faults, and processors that are interrupted for it.
static void touch_run(char *from, const char *end)
{
    enum { SMALLEST_PAGE = 4096 };
    while (from < end) {
        tz_store_rlx((uint64_t *)from, 0);
        from = (char *)tz_align_up((uintptr_t)from + 1, SMALLEST_PAGE);
    }
}

// Of typed objects the type most likely is that of the last one.
static void describe_run(struct tz_mcache *c, const struct tz_span *s,
                         uint32_t first, uint32_t end)
{
    struct tz_runtype *x = &c->typed[s->spanclass % TZ_CLASS_COUNT];
    x->now = x->last;
    x->now_bits = x->last_bits;
    if (x->now)
        tz_types_describe(s, first, end, x->now_bits);
}

// Takes the next free run of the slot's span. False: the span is full.
static bool next_run(struct tz_mcache *c, struct tz_cacheslot *slot)
{
    struct tz_span *s = slot->span;
    uint32_t first, end, all;
    bool marking = tz_load_rlx(&tz_mem.marking);
    if (tz_unlikely(tz_env.stress_gc || marking) ||
        !take_run_of_word(s, &first, &all)) {
        end = find_run(s, &first);
        if (first == end)
            return false;
        if (tz_env.stress_gc)
            end = first + 1; // the next allocation comes here again
        end = first + tz_sample_run(&c->sample, s, end - first);
        if (marking) // first: an object that is not marked would be scanned
            mark_run(s, first, end, true);
        change_alloc(s->bits, first, end, true);
    } else {
        end = first + tz_sample_run(&c->sample, s, all - first);
        if (tz_unlikely(end < all))
            change_alloc(s->bits, end, all, false);
    }
    s->nalloc += end - first;
    s->next = end;
    slot->cur = (char *)s->base + (size_t)first * slot->size;
    slot->end = (char *)s->base + (size_t)end * slot->size;
    size_t n = (size_t)(slot->end - slot->cur);
    fresh(slot->cur, n);
    if (s->needzero && !tz_span_noscan(s))
        memset(slot->cur, 0, n);
    else if (!s->needzero && tz_unlikely(marking))
        touch_run(slot->cur, slot->end);
    if (tz_sizeclass[s->spanclass].kind == TZ_TYPED)
        describe_run(c, s, first, end);
    tz_count(&c->live, n);
    tz_count(&c->bytes, n);
    tz_count(&c->objects, end - first);
    prefetch_run(s, slot->size);
    return true;
}

// Puts the slot's span back with what is left of its run.
static void release_slot(struct tz_mcache *c, struct tz_cacheslot *slot)
{
    struct tz_span *s = slot->span;
    if (!s)
        return;
    size_t rest = (size_t)(slot->end - slot->cur);
    if (rest) {
        uint32_t end =
            (uint32_t)((size_t)(slot->end - (char *)s->base) / slot->size);
        uint32_t n = (uint32_t)(rest / slot->size);
        change_alloc(s->bits, end - n, end, false);
        if (tz_load_rlx(&tz_mem.marking))
            mark_run(s, end - n, end, false);
        // Else who takes the span next finds it full; freed by hand may have
        // been what lies before.
        s->next = (uint32_t)tz_min(s->next, end - n);
        s->nalloc -= n;
        s->needzero = 1;
        tz_count(&c->live, -(uint64_t)rest);
        tz_count(&c->bytes, -(uint64_t)rest);
        tz_count(&c->objects, -(uint64_t)n);
    }
    s->sample_next = false;
    slot->span = NULL;
    slot->cur = slot->end = NULL;
    tz_central_put(s);
}

static void put_all(struct tz_span *s)
{
    while (s) {
        struct tz_span *next = (struct tz_span *)(void *)s->node.next;
        tz_central_put(s);
        s = next;
    }
}

void tz_mcache_flush(struct tz_mcache *c)
{
    for (unsigned i = 0; i < TZ_CENTRAL_COUNT; i++) {
        release_slot(c, &c->slot[i]);
        put_all(c->more[i].spare);
        put_all(c->more[i].done);
        c->more[i] = (struct tz_spans){NULL, NULL};
        if (c->magazine[i])
            c->magazine[i]->n = 0; // tz_free_flush clears their bits
    }
    tz_xadd_rlx(&tz_mem.live, c->live);
    tz_store_rlx(&c->live, 0);
    c->collect = false;
    tz_sample_flush(&c->sample);
    if (tz_unlikely(tz_env.gc_verify))
        tz_heap_pagecache_flush(&c->pages); // each page has one place to be in
}

// Simulations collect at random times as well, unless collections are off.
static TZ_COLD void sim_trigger(struct tz_mcache *c)
{
    enum { ONE_IN = 64 };
    if (tz_load_rlx(&tz_mem.trigger) != UINT64_MAX && tz_rand_n(ONE_IN) == 0)
        c->collect = true;
}

// The slot's run is used up: another run, another span. False: no memory.
static TZ_NOINLINE bool refill(struct tz_mcache *c, unsigned which)
{
    struct tz_cacheslot *slot = &c->slot[which];
    struct tz_spans *x = &c->more[which];
    if (slot->span) {
        if (next_run(c, slot))
            return true;
        slot->span->node.next = (struct tz_list *)(void *)x->done;
        x->done = slot->span;
        slot->span = NULL;
        slot->cur = slot->end = NULL;
    }
    if (x->spare) {
        slot->span = x->spare;
        x->spare = (struct tz_span *)(void *)x->spare->node.next;
    } else {
        publish_live(c);
        if (tz_unlikely(tz_env.sim))
            sim_trigger(c);
        slot->span = tz_central_get(which, &c->pages, x);
    }
    return slot->span && next_run(c, slot);
}

static struct tz_span *large_span(struct tz_mcache *c, size_t size,
                                  unsigned which)
{
    if (size > PTRDIFF_MAX / 2)
        return NULL;
    size_t npages = (size + TZ_PAGE_SIZE - 1) >> TZ_PAGE_SHIFT;
    if (npages >= TZ_NO_PAGE / 2)
        return NULL;
    tz_central_reclaim(npages);
    struct tz_span *s = tz_heap_span_alloc(&c->pages, (uint32_t)npages,
                                           which % TZ_SPANCLASS_COUNT);
    if (!s)
        return NULL;
    s->uncollectable = which >= TZ_SPANCLASS_COUNT;
    s->asked = size;
    s->nalloc = 1;
    if (tz_load_rlx(&tz_mem.marking))
        mark_run(s, 0, 1, true);
    s->bits->word[0].alloc = 1;
    tz_count(&c->live, s->elem_size);
    tz_count(&c->bytes, s->elem_size);
    tz_count(&c->objects, 1);
    publish_live(c);
    tz_sample_one(&c->sample, s->elem_size);
    fresh((void *)s->base, s->elem_size);
    tz_central_put(s);
    return s;
}

static void *small_alloc(struct tz_mcache *c, unsigned which)
{
    struct tz_cacheslot *slot = &c->slot[which];
    if (slot->cur == slot->end) {
        void *p = tz_magazine_take(c, which);
        if (p)
            return p;
        if (!refill(c, which))
            return NULL;
    }
    void *p = slot->cur;
    slot->cur += slot->size;
    return p;
}

// pageperobject=1: all are large, so that the slots stay empty and the fast
// path finds nothing.
static bool is_small(size_t size)
{
    return size <= TZ_SMALL_MAX && tz_likely(!tz_env.page_per_object);
}

static bool kind_zeroed(unsigned kind)
{
    return kind % TZ_KINDS != TZ_NOSCAN;
}

void *tz_mcache_alloc(struct tz_mcache *c, size_t size, unsigned kind)
{
    if (is_small(size))
        return small_alloc(c, tz_spanclass(tz_sizeclass_of(size), kind));
    struct tz_span *s = large_span(c, size, tz_spanclass(0, kind));
    if (s && s->needzero && kind_zeroed(kind))
        memset((void *)s->base, 0, s->elem_size); // all of it is scanned
    return s ? (void *)s->base : NULL;
}

// The rate at which the heap profile keeps what was allocated last; 0: not.
static uint64_t take_hit(struct tz_mcache *c)
{
    uint64_t rate = c->sample.hit;
    if (tz_unlikely(rate))
        c->sample.hit = 0;
    return rate;
}

// With a P. *rate: as take_hit.
static void *alloc_once(struct tz_tls *t, size_t size, unsigned kind,
                        uint64_t *rate)
{
    if (is_small(size)) {
        tz_crit_enter();
        void *p = tz_mcache_alloc(t->cache, size, kind);
        *rate = take_hit(t->cache);
        tz_crit_leave();
        return p;
    }
    tz_crit_enter();
    struct tz_span *s = large_span(t->cache, size, tz_spanclass(0, kind));
    *rate = take_hit(t->cache);
    void *p = s ? (void *)s->base : NULL;
    size_t zero = s && s->needzero && kind_zeroed(kind) ? s->elem_size : 0;
    tz_crit_leave();
    // Outside, for it may be long. Nobody else knows the object; the collector
    // may find old words in it, which is harmless.
    if (zero)
        memset(p, 0, zero);
    return p;
}

struct request {
    size_t size;
    unsigned kind;
    void *p;
    uint64_t rate; // as take_hit
};

static void foreign_alloc(struct tz_mcache *c, void *arg)
{
    struct request *r = arg;
    r->p = tz_mcache_alloc(c, r->size, r->kind);
    r->rate = take_hit(c);
}

static void *malloc_without_p(size_t size, unsigned kind, uint64_t *rate)
{
    if (kind < TZ_UNCOLLECTABLE)
        tz_fatal("allocation of %zu bytes outside of a goroutine", size);
    // Such a thread cannot help with a mark; it lets it get on, but not for ever.
    for (int i = 0; i < 100 && tz_load_rlx(&tz_mem.marking) &&
                    tz_mem_taken() / 2 > tz_load_rlx(&tz_mem.goal); i++)
        tz_thread_yield();
    struct request r = {size, kind, NULL, 0};
    tz_foreign_with(foreign_alloc, &r);
    *rate = r.rate;
    return r.p;
}

// Under stress: whether this allocation is one that collects.
static bool stressed(void)
{
    static uint32_t n; // atomic; allocations so far
    return tz_env.stress_gc && (tz_env.gc_every == 0 ||
                                tz_xadd_rlx(&n, 1) % tz_env.gc_every == 0);
}

// Collects first when it is time to, and once more when memory is refused.
TZ_INLINE void *malloc_somehow(size_t size, unsigned kind, uint64_t *rate)
{
    struct tz_tls *t = tz_tls_get();
    size += size == 0; // every object has an address of its own
    struct tz_mcache *cache = tz_load_rlx(&t->cache); // it may be taken any time
    if (tz_unlikely(!cache && !t->taken))
        return malloc_without_p(size, kind, rate);
    bool may_collect = t->locks == 0;
    if (may_collect && (stressed() || (cache && cache->collect))) {
        tz_port_gc_trigger();
        t = tz_tls_get();
    }
    void *p = alloc_once(t, size, kind, rate);
    if (!p && may_collect && size <= PTRDIFF_MAX / 2) {
        tz_port_gc_emergency();
        p = alloc_once(tz_tls_get(), size, kind, rate);
        for (int i = 0; !p && i < TUZA_MEMORY_TRIES; i++) {
            if (!tz_limit_ask_user(size))
                break;
            tz_port_gc_emergency();
            p = alloc_once(tz_tls_get(), size, kind, rate);
        }
    }
    return p;
}

// Whatever is not the fast path. What the heap profile keeps is recorded outside
// of critical sections; until it is, p on this stack keeps the object.
static TZ_NOINLINE void *malloc_slow(size_t size, unsigned kind)
{
    uint64_t rate = 0;
    void *p = malloc_somehow(size, kind, &rate);
    if (tz_unlikely(rate))
        tz_port_alloc_sampled(p, rate, __builtin_return_address(0));
    return p;
}

// Somebody waits for this thread to stop. Apart, as malloc_slow is, so that the
// fast path is a leaf.
TZ_NOINLINE void *tz_malloc_stop(void *p)
{
    tz_port_stop_here();
    return p;
}

TZ_INLINE void *malloc_kind(size_t size, unsigned kind)
{
    void *p = tz_malloc_next(size, kind, NULL);
    return tz_likely(p) ? p : malloc_slow(size, kind);
}

void *tz_malloc(size_t size, unsigned kind)
{
    return malloc_kind(size, kind);
}

void *tuza_alloc(size_t size)
{
    return malloc_kind(size, TZ_SCAN);
}

void *tuza_alloc_bytes(size_t size)
{
    return malloc_kind(size, TZ_NOSCAN);
}

void *tuza_alloc_array(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return tz_malloc(bytes, TZ_SCAN);
}

void *tuza_alloc_uncollectable(size_t size)
{
    return tz_malloc(size, TZ_UNCOLLECTABLE + TZ_SCAN);
}

size_t tuza_object_of(const void *p, void **base)
{
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)p, &o))
        return 0;
    if (base)
        *base = (void *)o.base;
    return o.size;
}
