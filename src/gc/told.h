// SPDX-License-Identifier: BSD-3-Clause
// gc/told.h: marking what could be reached when the mark began.
#ifndef TZ_GC_TOLD_H
#define TZ_GC_TOLD_H

#include "gc/work.h"
#include "sched/g.h"

// Whether all stores are told by now; else *why, if the program seems to want it,
// until the next call. May wait for the dynamic linker's lock.
bool tz_told_all(const char **why);

// With the world stopped, roots listed, nothing marked: from here on stores are
// logged. Pushes what roots hold, but for objects that are not collected, records, and
// goroutines that no thread holds: their jobs are left, from the one that is returned.
uint32_t tz_told_begin(struct tz_gcwork *w);
// Beside the program: one of those. All of them done, no goroutine need be scanned
// before it runs (tz_markroot_all_scanned).
void tz_told_left(struct tz_gcwork *w, uint32_t job);
// By who is about to run g, unless another has begun with it. (gc/markroot.h)
void tz_told_stack(struct tz_gcwork *w, struct tz_g *g);

// At any time: pushes what was overwritten since.
void tz_told_round(struct tz_gcwork *w);

// With the world stopped: pushes the rest, and nothing is logged any more. False:
// something is missing.
bool tz_told_end(struct tz_gcwork *w);

#endif
