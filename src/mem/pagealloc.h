// SPDX-License-Identifier: BSD-3-Clause
// mem/pagealloc.h: which pages of a region are free.
#ifndef TZ_MEM_PAGEALLOC_H
#define TZ_MEM_PAGEALLOC_H

#include "base/base.h"

enum {
    TZ_CHUNK_PAGES = 512,                 // 4 MiB, one bitmap of 8 words
    TZ_GROUP_PAGES = TZ_CHUNK_PAGES * 64, // 256 MiB
    TZ_TOP_PAGES = TZ_GROUP_PAGES * 64    // 16 GiB
};

// Free runs of a stretch of pages: at its start, longest, at its end.
struct tz_runs {
    uint32_t start, max, end;
};

// All guarded by the heap's lock.
struct tz_pagealloc {
    uint64_t *bitmap;       // 1: in use, or not grown yet
    struct tz_runs *chunk;  // summaries, by chunk,
    struct tz_runs *group;  // by 64 chunks,
    struct tz_runs *top;    // and by 64 groups
    uint32_t npages;        // grown so far
    uint32_t nchunks;       // covering npages
    uint32_t ngroups, ntops; // covering nchunks
    uint32_t first;         // no free page lies in a chunk below this one
    uint32_t nfree;         // free pages
};

#define TZ_NO_PAGE UINT32_MAX

// Adds n free pages behind those there are; the arrays are large enough.
void tz_pagealloc_grow(struct tz_pagealloc *a, uint32_t npages);

// How many of the last pages are free, in a row; at most `most`.
uint32_t tz_pagealloc_tail(const struct tz_pagealloc *a, uint32_t most);

// The lowest n free pages in a row, now in use; TZ_NO_PAGE if there are none.
uint32_t tz_pagealloc_take(struct tz_pagealloc *a, uint32_t npages);

// Takes every free page among the 64 around the lowest free page: a bit mask,
// 0 when nothing is free, and the first of the 64 in *first.
uint64_t tz_pagealloc_take_64(struct tz_pagealloc *a, uint32_t *first);

// Takes these pages, all of which must be free.
void tz_pagealloc_take_at(struct tz_pagealloc *a, uint32_t page,
                          uint32_t npages);

// Makes pages free again; all must be in use.
void tz_pagealloc_put(struct tz_pagealloc *a, uint32_t page, uint32_t npages);

// Whether counts and summaries are what the bitmap says [mem.I7]; else what is
// wrong is in *w.
struct tz_wrong;
bool tz_pagealloc_check(const struct tz_pagealloc *a, struct tz_wrong *w);

#endif
