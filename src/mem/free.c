// SPDX-License-Identifier: BSD-3-Clause
// mem/free.c: objects freed by hand.
//
// Nobody has to free; who does spares the collector the work. Three ways, the
// cheapest first:
//
//   1. The span is the one that the cache allocates from: the alloc bit is
//      cleared, and the next run found in the span may hold the slot.
//   2. Else the object's freed bit is set, by which a second free is found out,
//      and it goes into the cache's magazine for its class, to be handed out
//      again by this cache. Its alloc bit stays, so nobody else can have it.
//   3. A full magazine is emptied into the spans (tz_central_free). Where
//      another cache owns the span that cannot be; such an object stays, and
//      when there are too many of them it is forgotten, its freed bit set.
//
// While the collector marks beside the program no alloc bit is cleared, which it may
// be looking at, and no span goes: there is only the second way, and what a full
// magazine does not take is forgotten.
//
// While the world is stopped no magazine holds anything: tz_free_flush clears
// the alloc bit of each object with a freed bit, magazines' and forgotten ones
// alike. So the marking knows nothing of freed bits.
//
// Go has no such call (its arenas and runtime.freegc are its experiments).

#include <string.h>

#include "base/bits.h"
#include "mem/bury.h"
#include "mem/malloc.h"
#include "mem/persist.h"
#include "mem/port.h"
#include "os/env.h"
#include "tuza/mem.h"

TZ_WEAK void tz_port_object_freed(void *p)
{
    (void)p;
}

TZ_WEAK void tz_port_overwritten(const void *p, size_t n)
{
    (void)p, (void)n;
}

// Spans with freed bits; pushed by CAS, taken all at once.
static struct tz_span *some_freed;

static void remember(struct tz_span *s)
{
    if (tz_load_rlx(&s->some_freed) || tz_xchg(&s->some_freed, true))
        return;
    do {
        s->freed_link = tz_load_rlx(&some_freed);
    } while (!tz_cas(&some_freed, s->freed_link, s));
}

uint64_t tz_free_flush(void)
{
    uint64_t unmarked = tz_xchg(&tz_mem.revived, 0);
    tz_store_rlx(&tz_mem.unusable, 0);
    struct tz_span *next, *s = tz_xchg(&some_freed, NULL);
    for (; s; s = next) {
        next = s->freed_link;
        tz_store_rlx(&s->some_freed, false);
        if (s->state == TZ_SPAN_FREE)
            continue;
        for (uint32_t i = 0; i < (s->nelems + 63) / 64; i++) {
            uint64_t freed = s->freed[i] & s->bits->word[i].alloc;
            s->bits->word[i].alloc &= ~freed;
            unmarked += tz_popcount64(freed & ~s->bits->word[i].mark) * s->elem_size;
            s->bits->word[i].mark &= ~freed;
            s->freed[i] = 0;
            s->nalloc -= tz_popcount64(freed);
            s->needzero |= freed != 0;
            if (freed && !tz_env.never_free) // [mem.I6]
                s->next = tz_min(s->next, i * 64 + (uint32_t)tz_ctz64(freed));
        }
    }
    return unmarked;
}

TZ_NORETURN TZ_COLD static void no_object(const void *p)
{
    struct tz_object o;
    if (tz_heap_find((uintptr_t)p, &o) && o.base != (uintptr_t)p)
        tz_fatal("tuza_free: %p is %zu bytes inside an object of %zu at %p", p,
                 (size_t)((uintptr_t)p - o.base), o.size, (void *)o.base);
    if (tz_heap_region((uintptr_t)p))
        tz_fatal("tuza_free: %p was freed before, or never allocated", p);
    tz_fatal("tuza_free: %p is not in the heap", p);
}

// The class and kind, in the numbering of caches.
static unsigned which_of(const struct tz_span *s)
{
    return tz_central_of(s->spanclass, s->uncollectable);
}

static uint32_t index_of(const struct tz_span *s, const void *p)
{
    return tz_sizeclass_index(s->spanclass, (uintptr_t)p - s->base);
}

// Empties m into the spans of its objects; what cannot go stays in it.
static void magazine_drain(struct tz_mcache *c, struct tz_magazine *m)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < m->n; k++) {
        void *p = m->object[k];
        struct tz_span *s = tz_heap_span_of(p);
        uint32_t i = index_of(s, p);
        if (c->slot[which_of(s)].span == s)
            tz_span_clear(s, i);
        else if (!tz_central_free(s, i))
            m->object[kept++] = p;
    }
    // Forgotten until the next collection: the older half.
    uint32_t drop = kept > TZ_MAGAZINE / 2 ? kept - TZ_MAGAZINE / 2 : 0;
    memmove(m->object, m->object + drop, (kept - drop) * sizeof m->object[0]);
    m->n = kept - drop;
}

static struct tz_magazine *magazine_of(struct tz_mcache *c, unsigned which)
{
    struct tz_magazine **m = &c->magazine[which];
    if (!*m)
        *m = tz_persist_alloc(sizeof **m, TZ_CACHE_LINE);
    return *m;
}

// As all that is handed out while the collector marks.
static void mark_revived(struct tz_span *s, uint32_t i)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    if (!(tz_xor_bits_rlx(&s->bits->word[i / 64].mark, bit) & bit))
        tz_xadd_rlx(&tz_mem.revived, s->elem_size);
}

void *tz_magazine_take(struct tz_mcache *c, unsigned which)
{
    struct tz_magazine *m = c->magazine[which];
    if (!m || m->n == 0)
        return NULL;
    void *p = m->object[--m->n];
    struct tz_span *s = tz_heap_span_of(p);
    uint32_t i = index_of(s, p);
    tz_xand_bits(&s->freed[i / 64], ~(UINT64_C(1) << (i % 64)));
    if (tz_unlikely(tz_load_rlx(&tz_mem.marking)))
        mark_revived(s, i);
    tz_count(&c->live, s->elem_size);
    tz_count(&c->bytes, s->elem_size);
    tz_count(&c->objects, 1);
    tz_sample_one(&c->sample, s->elem_size);
    if (!tz_span_noscan(s))
        memset(p, 0, s->elem_size);
    return p;
}

// Its freed bit alone is set: the collector clears its alloc bit.
static void free_later(struct tz_span *s, uint32_t i, void *p)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    if (tz_xor_bits(&s->freed[i / 64], bit) & bit)
        no_object(p);
    remember(s);
}

// Ways 2 and 3.
static void free_elsewhere(struct tz_mcache *c, struct tz_span *s, uint32_t i,
                           void *p)
{
    free_later(s, i, p);
    struct tz_magazine *m = magazine_of(c, which_of(s));
    if (!m) {
        tz_central_free(s, i); // or the next collection has it
        return;
    }
    if (m->n == TZ_MAGAZINE)
        magazine_drain(c, m);
    m->object[m->n++] = p;
}

// TUZADEBUG=clobberfree=1 and neverfree=1, pageperobject=1. True: that is all.
static TZ_COLD bool free_watched(const struct tz_object *o)
{
    void *p = (void *)o->base;
    if (tz_env.never_free)
        free_later(o->span, o->index, p); // the next collection clears its bits
    if (tz_env.page_per_object)
        tz_bury_object(o->span, TZ_GONE_FREED);
    else if (tz_env.clobber_free)
        memset(p, 0xdb, o->size);
    return tz_env.never_free;
}

// Beside the mark: into the magazine, or it is not used again before the end, and
// who allocates is to know.
static void free_meanwhile(struct tz_mcache *c, struct tz_span *s, uint32_t i,
                           void *p)
{
    free_later(s, i, p);
    struct tz_magazine *m = tz_span_large(s) ? NULL : magazine_of(c, which_of(s));
    if (m && m->n < TZ_MAGAZINE) {
        m->object[m->n++] = p;
        return;
    }
    tz_xadd_rlx(&tz_mem.unusable, s->elem_size);
    if (tz_mem_taken() >= tz_load_rlx(&tz_mem.goal))
        c->collect = true;
}

void tz_mcache_free(struct tz_mcache *c, void *p)
{
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)p, &o) || o.base != (uintptr_t)p)
        no_object(p);
    struct tz_span *s = o.span;
    struct tz_cacheslot *slot = &c->slot[which_of(s)];
    if (slot->cur <= (char *)p && (char *)p < slot->end)
        no_object(p); // of the run that is still to be handed out
    tz_count(&c->live, -(uint64_t)o.size);
    bool marking = tz_load_rlx(&tz_mem.marking);
    if (tz_unlikely(marking) && !tz_span_noscan(s))
        tz_port_overwritten(p, o.size);
    if (tz_unlikely(tz_load_rlx(&s->nsampled)))
        tz_port_sampled_freed(p);
    if (tz_unlikely(tz_env.clobber_free | tz_env.never_free) &&
        free_watched(&o))
        return;
    if (tz_unlikely(marking))
        free_meanwhile(c, s, o.index, p);
    else if (tz_span_large(s))
        tz_central_free_large(s);
    else if (slot->span == s)
        tz_span_clear(s, o.index);
    else
        free_elsewhere(c, s, o.index, p);
}

static void foreign_free(struct tz_mcache *c, void *p)
{
    tz_mcache_free(c, p);
}

void tuza_free(void *p)
{
    if (!p)
        return;
    if (tz_unlikely(tz_load_rlx(&tz_mem.specials)))
        tz_port_object_freed(p);
    tz_crit_enter();
    struct tz_mcache *c = tz_tls_get()->cache;
    if (c)
        tz_mcache_free(c, p);
    tz_crit_leave();
    if (!c)
        tz_foreign_with(foreign_free, p);
}
