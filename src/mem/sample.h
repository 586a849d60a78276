// SPDX-License-Identifier: BSD-3-Clause
// mem/sample.h: which of the objects that are allocated the heap profile keeps.
#ifndef TZ_MEM_SAMPLE_H
#define TZ_MEM_SAMPLE_H

#include "mem/span.h"

// Of a cache; owned as it is.
struct tz_sampler {
    uint64_t until; // bytes to be taken before the next sampled byte
    uint64_t hit;   // the object taken last is sampled, at this rate; else 0
    uint64_t rate;  // tz_mem.sample_rate when `until` was drawn; 0: none
    uint64_t rand;  // its own, so that others' numbers stay what they are
    bool drawn;     // `until` was drawn since the cache was flushed
};

// What is beyond the inline fast paths below.
void tz_sample_hit(struct tz_sampler *p, uint64_t bytes);
uint32_t tz_sample_cut(struct tz_sampler *p, struct tz_span *s, uint32_t n);

// One object of so many bytes is allocated.
TZ_INLINE void tz_sample_one(struct tz_sampler *p, uint64_t bytes)
{
    if (tz_likely(bytes <= p->until))
        p->until -= bytes;
    else
        tz_sample_hit(p, bytes);
}

// n free slots in a row are found in s, whose owner is about to hand them out:
// how many it may take before it comes here again, 1 to n. A sampled object is
// one that was taken alone.
TZ_INLINE uint32_t tz_sample_run(struct tz_sampler *p, struct tz_span *s,
                                 uint32_t n)
{
    uint64_t bytes = (uint64_t)n * s->elem_size;
    if (tz_unlikely(bytes > p->until || s->sample_next))
        return tz_sample_cut(p, s, n);
    p->until -= bytes;
    return n;
}

// The cache is flushed: what was drawn for it is forgotten. `until` becomes 0,
// which leads to a new draw.
TZ_INLINE void tz_sample_flush(struct tz_sampler *p)
{
    p->until = 0;
    p->drawn = false;
}

#endif
