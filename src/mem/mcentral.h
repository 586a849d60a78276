// SPDX-License-Identifier: BSD-3-Clause
// mem/mcentral.h: the spans of each class that no cache owns.
#ifndef TZ_MEM_MCENTRAL_H
#define TZ_MEM_MCENTRAL_H

#include "mem/mheap.h"

// One for each span class, and again for those whose objects are not collected.
enum { TZ_CENTRAL_COUNT = 2 * TZ_SPANCLASS_COUNT };

TZ_INLINE unsigned tz_central_of(unsigned spanclass, bool uncollectable)
{
    return spanclass + (uncollectable ? (unsigned)TZ_SPANCLASS_COUNT : 0);
}

void tz_central_init(void);

// What a cache has of one central besides the span it allocates from; linked
// through node.next. So it need not come for every span.
struct tz_spans {
    struct tz_span *spare; // empty ones, to be used next
    struct tz_span *done;  // used up, to be put back
};

// A swept span of the central with a free slot, now the caller's: partly free,
// or swept just now, or new; perhaps some spares as well. Takes back what *x is
// done with. NULL when memory is refused.
struct tz_span *tz_central_get(unsigned which, struct tz_pagecache *pc,
                               struct tz_spans *x);

// Puts a span back, swept in this cycle.
void tz_central_put(struct tz_span *s);

// With the world stopped, after marking: every span awaits its sweep. All
// caches are flushed [mem.I5].
void tz_central_flip(void);

// Sweeps a few spans that await it; false when none does. Any thread.
bool tz_central_sweep_one(void);

// Gives the page heap the empty spans that centrals keep for themselves.
void tz_central_trim(void);

// Sweeps until npages pages have become free or nothing awaits a sweep: before
// a large allocation, so that garbage is used rather than new memory.
void tz_central_reclaim(size_t npages);

// Whether nothing awaits a sweep and none is under way.
bool tz_central_swept(void);

// Takes object i of span s, which the caller has made unfindable (its freed bit
// is set), out of use: the slot may be handed out again, an empty span goes
// back to the heap. False when another thread has the span at the moment, and
// nothing was changed.
bool tz_central_free(struct tz_span *s, uint32_t i);

// The same for the one object of a large span, which goes back to the heap.
void tz_central_free_large(struct tz_span *s);

// Calls fn for each span of a class whose objects are not collected. With the
// world stopped, all caches flushed and nothing awaiting a sweep.
void tz_central_each_uncollectable(unsigned spanclass,
                                   void (*fn)(void *arg, struct tz_span *s),
                                   void *arg);

// --- for who verifies the heap

enum tz_centrallist {
    TZ_LIST_PARTIAL,
    TZ_LIST_FULL,
    TZ_LIST_UNSWEPT,
    TZ_LIST_EMPTY,
    TZ_CENTRALLISTS
};

// A central's lists, how many spans its fourth says it has, the present cycle
// and what the pages of all empty spans should sum up to.
struct tz_centralview {
    const struct tz_list *list[TZ_CENTRALLISTS];
    uint32_t nempty, cycle, kept;
};
void tz_central_view(unsigned which, struct tz_centralview *out);

// With the world stopped: nothing is swept until it is told otherwise, and the
// lists stay as they are. Who sweeps in the background gives up until the next
// collection.
void tz_central_hold(bool on);

#endif
