// SPDX-License-Identifier: BSD-3-Clause
// gc/site.h: where sampled objects were allocated, and how many of them live.
#ifndef TZ_GC_SITE_H
#define TZ_GC_SITE_H

#include "base/base.h"

enum { TZ_SITE_FRAMES = 64 };

// A stack, a size and a rate. In persistent memory, for ever; const but for what
// is guarded by gc/special's lock.
struct tz_site {
    struct tz_site *next;  // in its bucket
    struct tz_site *older; // made before it
    uint64_t hash; // of the stack alone
    uint64_t rate; // tz_mem.sample_rate, when they were sampled
    size_t size;   // bytes of an object
    uint64_t allocs, frees;           // so far; guarded
    uint64_t old_allocs, old_frees;   // at the end of mark `mark`, if that is
    uint64_t mark;                    // the last one; guarded
    uint32_t n;
    uintptr_t place[]; // innermost first: within call instructions
};

// At the end of a mark, with gc/special's lock: counts what is not marked as
// freed, and lets readers see the figures as they are now.
void tz_site_marked(void);

// How many sites there are.
size_t tz_site_count(void);

// What readers see of one.
struct tz_sitecount {
    const struct tz_site *site;
    uint64_t allocs, frees;
};

// Up to `most` sites with their samples as of the end of the last mark, or as of
// now if there was none; how many. *marks: how many marks there were.
size_t tz_site_read(struct tz_sitecount *out, size_t most, uint64_t *marks);

#endif
