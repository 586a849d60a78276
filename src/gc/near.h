// SPDX-License-Identifier: BSD-3-Clause
// gc/near.h: marking a heap whose bits fit the cache.
#ifndef TZ_GC_NEAR_H
#define TZ_GC_NEAR_H

#include "gc/work.h"

// Scans small objects of the first region, up to `most`, as they are popped from the
// worker's top buffer, and pushes what they lead to. How many: fewer when the buffer
// is empty, or when something else is next, which is left there.
uint32_t tz_near_scan(struct tz_gcwork *w, uint32_t most);

#endif
