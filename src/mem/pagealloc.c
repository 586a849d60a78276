// SPDX-License-Identifier: BSD-3-Clause
// mem/pagealloc.c: free pages, lowest address first.
//
// A bitmap says which pages are in use; three levels of summaries above it
// (chunk 4 MiB, group 256 MiB, top 16 GiB) hold, for their stretch, the free
// run at its start, the longest and the one at its end. A search walks a level
// from left to right, carrying the free run that reaches the current place; it
// ends where that run is long enough, or descends where the longest run inside
// is. Lowest address first keeps the heap dense and its tail returnable.
//
// Cost: a search touches at most 64 entries a level (plus all tops: 64 for a
// TiB); a change redoes one entry of each level, 128 merges. Go's radix tree
// (mpagealloc.go) has five levels and packs summaries in 8 bytes; three plain
// ones are enough for one region of at most a TiB.

#include "mem/pagealloc.h"

#include "base/bits.h"
#include "mem/verify.h"

static struct tz_runs merge(struct tz_runs a, uint32_t alen, struct tz_runs b,
                            uint32_t blen)
{
    struct tz_runs r;
    r.start = a.start == alen ? alen + b.start : a.start;
    r.end = b.end == blen ? blen + a.end : b.end;
    r.max = a.max > b.max ? a.max : b.max;
    if (a.end + b.start > r.max)
        r.max = a.end + b.start;
    return r;
}

static struct tz_runs runs_of_word(uint64_t used)
{
    uint64_t free = ~used;
    if (free == 0)
        return (struct tz_runs){0, 0, 0};
    struct tz_runs r = {tz_ctz64(used), 0, tz_clz64(used)};
    while (free) { // each step shortens every run by one
        free &= free << 1;
        r.max++;
    }
    return r;
}

static struct tz_runs runs_of_chunk(const uint64_t *word)
{
    struct tz_runs r = runs_of_word(word[0]);
    for (uint32_t i = 1; i < TZ_CHUNK_PAGES / 64; i++)
        r = merge(r, i * 64, runs_of_word(word[i]), 64);
    return r;
}

// n entries that each cover `len` pages, as one.
static struct tz_runs runs_of(const struct tz_runs *e, uint32_t n, uint32_t len)
{
    struct tz_runs r = e[0];
    for (uint32_t i = 1; i < n; i++)
        r = merge(r, i * len, e[i], len);
    return r;
}

// Redoes the summaries over chunks [first, last].
static void update(struct tz_pagealloc *a, uint32_t first, uint32_t last)
{
    for (uint32_t c = first; c <= last; c++)
        a->chunk[c] = runs_of_chunk(a->bitmap + c * 8);
    for (uint32_t g = first / 64; g <= last / 64; g++)
        a->group[g] = runs_of(a->chunk + g * 64, 64, TZ_CHUNK_PAGES);
    for (uint32_t t = first / 4096; t <= last / 4096; t++)
        a->top[t] = runs_of(a->group + t * 64, 64, TZ_GROUP_PAGES);
}

static void set_range(struct tz_pagealloc *a, uint32_t page, uint32_t n,
                      bool used)
{
    while (n) {
        uint32_t bit = page % 64;
        uint32_t k = (uint32_t)tz_min(n, 64 - bit);
        uint64_t mask = tz_mask64(k) << bit;
        uint64_t *w = &a->bitmap[page / 64];
        TZ_CHECK(used ? (*w & mask) == 0 : (*w & mask) == mask);
        *w ^= mask;
        page += k;
        n -= k;
    }
}

// Pages of the last chunk that are not grown yet look used.
void tz_pagealloc_grow(struct tz_pagealloc *a, uint32_t npages)
{
    uint32_t page = a->npages, first = page / TZ_CHUNK_PAGES;
    TZ_DCHECK(npages > 0);
    a->npages += npages;
    uint32_t nchunks = (a->npages + TZ_CHUNK_PAGES - 1) / TZ_CHUNK_PAGES;
    for (uint32_t i = a->nchunks * 8; i < nchunks * 8; i++)
        a->bitmap[i] = ~UINT64_C(0);
    set_range(a, page, npages, false);
    a->ngroups = (nchunks + 63) / 64;
    a->ntops = (a->ngroups + 63) / 64;
    update(a, first, nchunks - 1);
    a->nchunks = nchunks;
    a->nfree += npages;
    if (first < a->first)
        a->first = first;
}

uint32_t tz_pagealloc_tail(const struct tz_pagealloc *a, uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t p = a->npages; p > 0 && n < most; n++) {
        p--;
        if (a->bitmap[p / 64] >> (p % 64) & 1)
            break;
    }
    return n;
}

// A search's state: where we are and how many free pages lead up to there.
struct walk {
    uint32_t need;
    uint32_t run;
};

// Walks entries [i, n) of a level; true when it stops at entry *at, either
// because the run ends there (*found is the first page) or to descend.
static bool walk_level(struct walk *w, const struct tz_runs *e, uint32_t i,
                       uint32_t n, uint32_t len, uint32_t *at, uint32_t *found)
{
    for (; i < n; i++) {
        if (w->run + e[i].start >= w->need) {
            *found = i * len - w->run;
            return true;
        }
        if (e[i].max >= w->need) {
            *at = i;
            *found = TZ_NO_PAGE;
            return true;
        }
        w->run = e[i].start == len ? w->run + len : e[i].end;
    }
    return false;
}

// The first page of a long enough run inside chunk c, which has one.
static uint32_t find_in_chunk(const struct tz_pagealloc *a, uint32_t c,
                              struct walk *w)
{
    uint32_t run = w->run;
    for (uint32_t p = c * TZ_CHUNK_PAGES; p < (c + 1) * TZ_CHUNK_PAGES; p++) {
        uint64_t word = a->bitmap[p / 64];
        if (p % 64 == 0 && word == ~UINT64_C(0)) {
            run = 0;
            p += 63;
        } else if (word >> (p % 64) & 1) {
            run = 0;
        } else if (++run >= w->need) {
            return p + 1 - run;
        }
    }
    tz_throw("page summaries promise %u free pages in chunk %u", w->need, c);
}

static uint32_t find(struct tz_pagealloc *a, uint32_t npages)
{
    struct walk w = {npages, 0};
    uint32_t t = 0, g = 0, c = 0, found;
    if (!walk_level(&w, a->top, a->first / 4096, a->ntops, TZ_TOP_PAGES, &t,
                    &found))
        return TZ_NO_PAGE;
    if (found != TZ_NO_PAGE)
        return found;
    TZ_CHECK(walk_level(&w, a->group, t * 64, t * 64 + 64, TZ_GROUP_PAGES, &g,
                        &found));
    if (found != TZ_NO_PAGE)
        return found;
    TZ_CHECK(walk_level(&w, a->chunk, g * 64, g * 64 + 64, TZ_CHUNK_PAGES, &c,
                        &found));
    if (found != TZ_NO_PAGE)
        return found;
    return find_in_chunk(a, c, &w);
}

uint32_t tz_pagealloc_take(struct tz_pagealloc *a, uint32_t npages)
{
    TZ_DCHECK(npages > 0);
    uint32_t page = find(a, npages);
    if (page == TZ_NO_PAGE)
        return TZ_NO_PAGE;
    tz_pagealloc_take_at(a, page, npages);
    if (npages == 1)
        a->first = page / TZ_CHUNK_PAGES; // it was the lowest free page
    return page;
}

void tz_pagealloc_take_at(struct tz_pagealloc *a, uint32_t page,
                          uint32_t npages)
{
    set_range(a, page, npages, true);
    update(a, page / TZ_CHUNK_PAGES, (page + npages - 1) / TZ_CHUNK_PAGES);
    a->nfree -= npages;
}

uint64_t tz_pagealloc_take_64(struct tz_pagealloc *a, uint32_t *first)
{
    uint32_t page = find(a, 1);
    if (page == TZ_NO_PAGE)
        return 0;
    uint64_t *word = &a->bitmap[page / 64];
    uint64_t taken = ~*word;
    *word = ~UINT64_C(0);
    *first = page & ~63u;
    a->first = page / TZ_CHUNK_PAGES;
    update(a, a->first, a->first);
    a->nfree -= tz_popcount64(taken);
    return taken;
}

void tz_pagealloc_put(struct tz_pagealloc *a, uint32_t page, uint32_t npages)
{
    set_range(a, page, npages, false);
    uint32_t first = page / TZ_CHUNK_PAGES;
    update(a, first, (page + npages - 1) / TZ_CHUNK_PAGES);
    a->nfree += npages;
    if (first < a->first)
        a->first = first;
}

// --- verifying

static bool same(struct tz_runs is, struct tz_runs should, const char *field,
                 uint64_t at, struct tz_wrong *w)
{
    if (is.start != should.start)
        return tz_wrong(w, field, at, is.start, should.start);
    if (is.max != should.max)
        return tz_wrong(w, field, at, is.max, should.max);
    return is.end == should.end || tz_wrong(w, field, at, is.end, should.end);
}

static bool check_chunks(const struct tz_pagealloc *a, struct tz_wrong *w)
{
    uint32_t nfree = 0;
    for (uint32_t c = 0; c < a->nchunks; c++) {
        const uint64_t *word = a->bitmap + c * 8;
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t page = c * TZ_CHUNK_PAGES + i * 64;
            uint32_t grown = a->npages > page ? a->npages - page : 0;
            uint64_t ours = tz_mask64((uint32_t)tz_min(grown, 64));
            if (~word[i] & ~ours)
                return tz_wrong(w, "the bitmap of pages not grown", page,
                                word[i], word[i] | ~ours);
            nfree += tz_popcount64(~word[i]);
        }
        struct tz_runs r = runs_of_chunk(word);
        if (!same(a->chunk[c], r, "the summary of chunk", c, w))
            return false;
        if (c < a->first && r.max)
            return tz_wrong(w, "the first chunk with free pages", c, a->first,
                            c);
    }
    return a->nfree == nfree ||
           tz_wrong(w, "the number of free pages", 0, a->nfree, nfree);
}

bool tz_pagealloc_check(const struct tz_pagealloc *a, struct tz_wrong *w)
{
    uint32_t n = (a->npages + TZ_CHUNK_PAGES - 1) / TZ_CHUNK_PAGES;
    if (a->nchunks != n)
        return tz_wrong(w, "the number of chunks", 0, a->nchunks, n);
    if (a->ngroups != (n + 63) / 64)
        return tz_wrong(w, "the number of groups", 0, a->ngroups,
                        (n + 63) / 64);
    if (a->ntops != (a->ngroups + 63) / 64)
        return tz_wrong(w, "the number of tops", 0, a->ntops,
                        (a->ngroups + 63) / 64);
    if (!check_chunks(a, w))
        return false;
    for (uint32_t g = 0; g < a->ngroups; g++)
        if (!same(a->group[g], runs_of(a->chunk + g * 64, 64, TZ_CHUNK_PAGES),
                  "the summary of group", g, w))
            return false;
    for (uint32_t t = 0; t < a->ntops; t++)
        if (!same(a->top[t], runs_of(a->group + t * 64, 64, TZ_GROUP_PAGES),
                  "the summary of top", t, w))
            return false;
    return true;
}
