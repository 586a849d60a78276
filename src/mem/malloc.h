// SPDX-License-Identifier: BSD-3-Clause
// mem/malloc.h: objects.
#ifndef TZ_MEM_MALLOC_H
#define TZ_MEM_MALLOC_H

#include "mem/mcentral.h"
#include "mem/persist.h"
#include "mem/sample.h"
#include "tuza/mem.h"

// A kind (enum tz_kind), or one of these: not collected, freed by hand only,
// and what they point to is alive. Any thread may have them made.
enum { TZ_UNCOLLECTABLE = TZ_KINDS, TZ_ALLKINDS = 2 * TZ_KINDS };

// What a cache allocates one class and kind from: objects [cur, end) of one
// free run of a span that it owns.
struct tz_cacheslot {
    char *cur, *end;
    size_t size;          // bytes of an object
    struct tz_span *span; // NULL: none yet
};

// Of a slot for typed objects with bits: what all of its run are described as, and
// what was asked for last, as which the next run will be. NULL: nothing. The types are
// only compared: they may be gone, or others be there.
struct tz_runtype {
    const struct tuza_type *now, *last;
    uint64_t now_bits, last_bits; // of theirs
};

// Objects freed by hand that the cache hands out again: their alloc and freed
// bits are set. In persistent memory.
enum { TZ_MAGAZINE = 62 };
struct tz_magazine {
    uint32_t n;
    void *object[TZ_MAGAZINE];
};

// Owned by a P, and by the collector while the world is stopped; or by a thread
// that is none of the runtime's, under the cache's lock.
struct tz_mcache {
    struct tz_cacheslot slot[TZ_CENTRAL_COUNT];
    struct tz_runtype typed[TZ_CLASS_COUNT]; // of slots of the kind TYPED
    struct tz_spans more[TZ_CENTRAL_COUNT];
    struct tz_magazine *magazine[TZ_CENTRAL_COUNT]; // NULL: nothing freed yet
    struct tz_pagecache pages;
    struct tz_persist_local persist; // only of a P's
    uint64_t live;    // bytes taken, less freed, since they were added to
                      // tz_mem.live; may be below zero, modulo 2^64
    uint64_t bytes;   // allocated since start, runs in slots included
    uint64_t objects; // likewise
    struct tz_sampler sample;
    bool collect;     // the heap has reached its trigger: collect soon
    // Of a cache of a thread that is none of the runtime's (mem/foreign.c):
    struct tz_lock lock;
    struct tz_mcache *link; // next of those; const
    bool taken;             // a thread has it; atomic
};

// Adds to one of the three counts: who owns the cache writes, others read.
TZ_INLINE void tz_count(uint64_t *count, uint64_t more)
{
    tz_store_rlx(count, *count + more);
}

// In persistent memory. NULL when memory is refused.
struct tz_mcache *tz_mcache_make(void);

// Gives every span, and what is left of their runs, back. With the world
// stopped, or by the owner.
void tz_mcache_flush(struct tz_mcache *c);

// An object of at least `size` bytes: zeroed unless its kind is noscan. May
// collect first, and so stop the thread, unless inside a critical section. NULL
// when memory is refused. Needs a P, but for what is not collected.
void *tz_malloc(size_t size, unsigned kind);

// Somebody waits for this thread to stop: it has p at least that long.
__attribute__((returns_nonnull)) void *tz_malloc_stop(void *p);

TZ_INLINE bool tz_runtype_is(const struct tz_runtype *x, const tuza_type *t)
{
    return x->now == t && x->now_bits == t->bits && !t->mask;
}

// The next object of a free run; of type `like`, if that is not NULL. NULL: there is
// none in the cache; also of size 0 and of medium sizes.
TZ_INLINE void *tz_malloc_next(size_t size, unsigned kind,
                               const struct tuza_type *like)
{
    struct tz_tls *t = tz_tls_get();
    if (tz_likely(size - 1 < TZ_ONE_PAGE_MAX && t->locks == 0)) {
        unsigned cls = tz_class_of_16[(size + 15) >> 4];
        t->locks = 1; // from here on the P, and so the cache, are ours
        tz_compiler_barrier();
        struct tz_mcache *cache = t->cache;
        if (tz_likely(cache)) {
            struct tz_cacheslot *slot = &cache->slot[tz_spanclass(cls, kind)];
            char *p = slot->cur;
            if (tz_likely(p != slot->end && (!like || tz_runtype_is(&cache->typed[cls], like)))) {
                slot->cur = p + slot->size;
                tz_compiler_barrier();
                t->locks = 0;
                if (tz_unlikely(tz_load_rlx(&t->stop)))
                    return tz_malloc_stop(p);
                return p;
            }
        }
        t->locks = 0;
    }
    return NULL;
}

// The same from a given cache, without a collection. By its owner.
void *tz_mcache_alloc(struct tz_mcache *c, size_t size, unsigned kind);

// With the world stopped and all caches flushed: every slot whose object was
// freed by hand is free. The bytes of those that were not marked, and of those that
// had not been when they were handed out again.
uint64_t tz_free_flush(void);

// tuza_free with the cache of this thread, by its owner.
void tz_mcache_free(struct tz_mcache *c, void *p);

// Hands out an object from the magazine; NULL when there is none.
void *tz_magazine_take(struct tz_mcache *c, unsigned which);

// Calls fn(cache, arg) with the cache of a thread that runs no goroutine.
// False when memory for one is refused.
bool tz_foreign_with(void (*fn)(struct tz_mcache *c, void *arg), void *arg);

// With the world stopped, around mark and flip: no other thread allocates or
// frees; their caches are flushed.
void tz_foreign_stop(void);
void tz_foreign_start(void);

// Calls fn for the cache of each such thread, to read its counts.
void tz_foreign_each(void (*fn)(void *arg, const struct tz_mcache *c),
                     void *arg);

#endif
