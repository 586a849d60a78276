// SPDX-License-Identifier: BSD-3-Clause
// gc/beside.h: marking beside the running program.
#ifndef TZ_GC_BESIDE_H
#define TZ_GC_BESIDE_H

#include "gc/work.h"

// Whether a collection of a heap of so many bytes marks beside the program. Looks
// once what the machine offers. urgent: memory was refused.
bool tz_beside_wanted(uint64_t live, bool urgent);

// Why the program has to stand still for the mark: a reason, or NULL.
const char *tz_beside_missing(void);

// The order of a collection, by who collects. Without a P: from now on it is known
// what is written, which has to be so before the first object counts as reached.
void tz_beside_arm(void);
// With the world stopped, njobs of roots listed and all caches flushed:
void tz_beside_begin(struct tz_gcwork *w, uint32_t njobs, uint64_t expected);
// Then without a P: marks, with n - 1 workers to help.
void tz_beside_mark(struct tz_gcwork *w, uint32_t n);
// With the world stopped: finds roots that could not be looked at.
void tz_beside_stop(struct tz_gcwork *w);
// Without a P: marks what these have brought, and what was written meanwhile.
void tz_beside_more(struct tz_gcwork *w);
// With a P again: the little that was written since.
void tz_beside_last(struct tz_gcwork *w);
// With the world stopped and caches flushed: false: all must be looked at again.
bool tz_beside_end(struct tz_gcwork *w);

// Bytes that the program's goroutines have marked since the beginning, and the
// nanoseconds that took them.
uint64_t tz_beside_assisted(int64_t *ns);

// The current goroutine has allocated so many bytes: marks what it owes for that, 0.2
// ms at most. Does nothing unless the collector marks beside.
void tz_beside_assist(uint64_t allocated);

#endif
