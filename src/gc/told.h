// SPDX-License-Identifier: BSD-3-Clause
// gc/told.h: marking what could be reached when the mark began.
#ifndef TZ_GC_TOLD_H
#define TZ_GC_TOLD_H

#include "gc/work.h"

// Whether all stores are told by now; else *why, if the program seems to want it,
// until the next call. May wait for the dynamic linker's lock.
bool tz_told_all(const char **why);

// With the world stopped, njobs of roots listed, nothing marked: from here on stores
// are logged. Pushes what all roots hold.
void tz_told_begin(struct tz_gcwork *w, uint32_t njobs);

// At any time: pushes what was overwritten since.
void tz_told_round(struct tz_gcwork *w);

// With the world stopped: pushes the rest, and nothing is logged any more. False:
// something is missing.
bool tz_told_end(struct tz_gcwork *w);

#endif
