// SPDX-License-Identifier: BSD-3-Clause
// mem/malloc.h: objects.
#ifndef TZ_MEM_MALLOC_H
#define TZ_MEM_MALLOC_H

#include "mem/mheap.h"
#include "mem/persist.h"

// What a P allocates one span class from: objects [cur, end) of one free run
// of a span that it owns.
struct tz_cacheslot {
    char *cur, *end;
    size_t size;          // bytes of an object
    struct tz_span *span; // NULL: none yet
};

// Owned by the P; by the collector while the world is stopped.
struct tz_mcache {
    struct tz_cacheslot slot[TZ_SPANCLASS_COUNT];
    struct tz_pagecache pages;
    struct tz_persist_local persist;
    uint64_t live;      // bytes taken since they were added to tz_mem.live
    uint64_t bytes;     // allocated since start, runs in slots included
    uint64_t objects;   // likewise
    bool collect;       // the heap has reached its trigger: collect soon
};

// In persistent memory. NULL when memory is refused.
struct tz_mcache *tz_mcache_make(void);

// Gives every span, and what is left of their runs, back. With the world
// stopped, or by the owner.
void tz_mcache_flush(struct tz_mcache *c);

// An object of at least `size` bytes: zeroed and scanned as possible pointers,
// or with noscan neither. May collect first, and so stop the thread, unless
// inside a critical section. NULL when memory is refused. Needs a P.
void *tz_malloc(size_t size, bool noscan);

#endif
