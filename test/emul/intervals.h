// SPDX-License-Identifier: BSD-3-Clause
// emul/intervals.h: a set of addresses, as half-open intervals in order that
// neither meet nor overlap.
#ifndef EMUL_INTERVALS_H
#define EMUL_INTERVALS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct interval {
    uint64_t lo, hi;
};

struct intervals {
    struct interval *at;
    size_t n, room;
};

// The first interval that ends above addr; n if none does.
static inline size_t intervals_find(const struct intervals *s, uint64_t addr)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->at[mid].hi > addr)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static inline bool intervals_has(const struct intervals *s, uint64_t addr)
{
    size_t i = intervals_find(s, addr);
    return i < s->n && s->at[i].lo <= addr;
}

// Whether all of [lo, hi), which is not empty, is in the set.
static inline bool intervals_cover(const struct intervals *s, uint64_t lo,
                                   uint64_t hi)
{
    size_t i = intervals_find(s, lo);
    return i < s->n && s->at[i].lo <= lo && hi <= s->at[i].hi;
}

// Puts `n` intervals in the place of those from i to before j.
static inline void intervals_splice(struct intervals *s, size_t i, size_t j,
                                    const struct interval *put, size_t n)
{
    if (s->n - (j - i) + n > s->room) {
        s->room = 2 * s->room + 16;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at)
            abort();
    }
    memmove(s->at + i + n, s->at + j, (s->n - j) * sizeof *s->at);
    memcpy(s->at + i, put, n * sizeof *put);
    s->n = s->n - (j - i) + n;
}

static inline void intervals_add(struct intervals *s, uint64_t lo, uint64_t hi)
{
    if (lo >= hi)
        return;
    size_t i = intervals_find(s, lo ? lo - 1 : 0), j = i; // one that meets, too
    struct interval one = {lo, hi};
    for (; j < s->n && s->at[j].lo <= hi; j++) {
        one.lo = s->at[j].lo < one.lo ? s->at[j].lo : one.lo;
        one.hi = s->at[j].hi > one.hi ? s->at[j].hi : one.hi;
    }
    intervals_splice(s, i, j, &one, 1);
}

// Takes [lo, hi) out; what was in the set of it goes to *gone, if not NULL.
static inline void intervals_remove(struct intervals *s, uint64_t lo,
                                    uint64_t hi, struct intervals *gone)
{
    size_t i = intervals_find(s, lo), j = i, n = 0;
    struct interval left[2];
    if (lo >= hi)
        return;
    for (; j < s->n && s->at[j].lo < hi; j++) {
        struct interval *p = &s->at[j];
        if (p->lo < lo)
            left[n++] = (struct interval){p->lo, lo};
        if (gone)
            intervals_add(gone, p->lo > lo ? p->lo : lo,
                          p->hi < hi ? p->hi : hi);
        if (p->hi > hi)
            left[n++] = (struct interval){hi, p->hi};
    }
    if (j > i)
        intervals_splice(s, i, j, left, n);
}

static inline void intervals_add_all(struct intervals *s,
                                     const struct intervals *more)
{
    for (size_t i = 0; i < more->n; i++)
        intervals_add(s, more->at[i].lo, more->at[i].hi);
}

static inline void intervals_clear(struct intervals *s)
{
    free(s->at);
    *s = (struct intervals){NULL, 0, 0};
}

#endif
