// SPDX-License-Identifier: BSD-3-Clause
// os/dirty.h: which pages were written since one looked last, by the kernel.
//
// A range that is watched is armed: from then on the kernel notes the first write
// to each of its pages, at about a microsecond for each, also when it writes
// itself (read(2)). A look tells which pages those are, and may arm them again.
#ifndef TZ_OS_DIRTY_H
#define TZ_OS_DIRTY_H

#include "base/base.h"

// Once. 0, or -errno, and in *why what is missing. Tries it out on a page.
int tz_dirty_open(const char **why);

// Page-aligned ranges. 0 or -errno. What is mapped in a watched range later is not
// watched.
int tz_dirty_watch(uintptr_t lo, uintptr_t hi);
int tz_dirty_arm(uintptr_t lo, uintptr_t hi); // watched as a whole
// No first write is noted any more, at a hundredth of what that would cost.
int tz_dirty_disarm(uintptr_t lo, uintptr_t hi);

// Calls fn for each range of written pages in [lo, hi), in ascending order; pages
// there that were never armed count as written once they are in memory. rearm: each
// is armed in the same step, so no write is lost in between; what fn reads then is no
// older than that. A range may be told twice. 0 or -errno.
int tz_dirty_look(uintptr_t lo, uintptr_t hi, bool rearm,
                  void (*fn)(void *arg, uintptr_t lo, uintptr_t hi), void *arg);

#endif
