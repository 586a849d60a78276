// SPDX-License-Identifier: BSD-3-Clause
// mem/mcentral.h: the spans of each class that no P owns.
#ifndef TZ_MEM_MCENTRAL_H
#define TZ_MEM_MCENTRAL_H

#include "mem/mheap.h"

void tz_central_init(void);

// A swept span of the class with a free slot, now the caller's: partly free,
// or swept just now, or new. NULL when memory is refused.
struct tz_span *tz_central_get(unsigned spanclass, struct tz_pagecache *pc);

// Puts a span back, swept in this cycle.
void tz_central_put(struct tz_span *s);

// With the world stopped, after marking: every span awaits its sweep. All
// caches are flushed [mem.I5].
void tz_central_flip(void);

// Sweeps one span that awaits it; false when none does. Any thread.
bool tz_central_sweep_one(void);

// Sweeps until npages pages have become free or nothing awaits a sweep: before
// a large allocation, so that garbage is used rather than new memory.
void tz_central_reclaim(size_t npages);

// Whether nothing awaits a sweep and none is under way.
bool tz_central_swept(void);

#endif
