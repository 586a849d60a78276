// SPDX-License-Identifier: BSD-3-Clause
// gc/mark.h: marking what can be reached.
#ifndef TZ_GC_MARK_H
#define TZ_GC_MARK_H

#include "gc/work.h"
#include "mem/span.h"

// Before a worker's first use in a collection, of which this is the number, above 0;
// again it does nothing.
void tz_mark_begin(struct tz_gcwork *w, uint64_t cycle);

// Treats every word of [lo, hi) as a possible pointer. A range that is
// negative, unaligned or outside the address space is a broken invariant.
void tz_mark_range(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi);

// Marks the objects of a span that are not collected, and what they hold.
void tz_mark_uncollectable(struct tz_gcwork *w, struct tz_span *s);

// Marks everything reachable from what has been pushed, until no worker has
// anything left.
void tz_mark_drain(struct tz_gcwork *w);

// Marks and scans at once what each word of [lo, hi) points to, marked or not.
void tz_mark_look(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi);

// Of an object, which is not TZ_NOSCAN, what its part [lo, hi) holds.
struct tz_gcobj;
void tz_mark_part(struct tz_gcwork *w, const struct tz_gcobj *f, uintptr_t lo,
                  uintptr_t hi);

// Until this worker has nothing left.
void tz_mark_own(struct tz_gcwork *w);
// Marks about so many bytes of objects; or less, where much that is looked at is marked
// already or leads to nothing. False: nothing is left here.
bool tz_mark_some(struct tz_gcwork *w, uint64_t bytes);
void tz_mark_put_back(struct tz_gcwork *w);

// When every worker is done, by one of them alone. Marks everything reachable
// from what has been pushed, dropped words included (njobs of roots).
void tz_mark_rest(struct tz_gcwork *w, uint32_t njobs);
// The same; fn(w, base) is told of every object that is marked meanwhile, but
// for those that tz_mark_again marks: then the result is false. w->later has
// been set before anything was pushed.
bool tz_mark_watched(struct tz_gcwork *w, uint32_t njobs,
                     void (*fn)(struct tz_gcwork *w, uintptr_t base));
// Whether the object that begins at p is marked.
bool tz_mark_is(uintptr_t p);
// Marks the object that begins at p, which is not, and pushes what it holds;
// takes the mark off again.
void tz_mark_set(struct tz_gcwork *w, uintptr_t p);
void tz_mark_unset(struct tz_gcwork *w, uintptr_t p);

// After words were dropped: scans all roots and every marked object again, as
// often as it takes, and marks what they lead to. By one worker alone.
void tz_mark_again(struct tz_gcwork *w, uint32_t njobs);

// TUZADEBUG=gccheckmark=1, when all is decided: the same scan must find nothing
// that is not marked, or the process ends with a report. By one worker alone.
void tz_mark_check(struct tz_gcwork *w, uint32_t njobs);
// The same of what marked objects hold, and not of roots, which may have words by now
// that nobody uses and that led nowhere when the mark began. The report is for who
// tells the collector of stores.
void tz_mark_check_heap(struct tz_gcwork *w);

// Until it is told otherwise (NULL), tz_markroot and tz_mark_scan mark nothing, but
// call fn for each word, read at w->at (0: it is an object that is not collected).
void tz_mark_visit(struct tz_gcwork *w,
                   void (*fn)(struct tz_gcwork *w, uintptr_t word));
// What the object that begins at base holds.
void tz_mark_scan(struct tz_gcwork *w, uintptr_t base);

#endif
