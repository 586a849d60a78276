// SPDX-License-Identifier: BSD-3-Clause
// gc/mark.h: marking what can be reached.
#ifndef TZ_GC_MARK_H
#define TZ_GC_MARK_H

#include "gc/work.h"

// Treats every word of [lo, hi) as a possible pointer. A range that is
// negative, unaligned or outside the address space is a broken invariant.
void tz_mark_range(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi);

// Marks everything reachable from what has been pushed, until no worker has
// anything left.
void tz_mark_drain(struct tz_gcwork *w);

#endif
