// SPDX-License-Identifier: BSD-3-Clause
// gc/pageq.h: pages whose objects are scanned together.
//
// Each marked object of such a page is taken by one who scans it, once in a
// collection:
//
//     who marks                          who scans
//     sets the mark bit                  leaves: the page counts as not queued
//     enters: is the page queued? no:    takes: marked and not yet scanned, word by
//       counts as queued, and is pushed    word
//
// So a mark that found the page queued is seen by who leaves it after; no object is
// forgotten [gc.I13]. Between two collections no page is queued.
#ifndef TZ_GC_PAGEQ_H
#define TZ_GC_PAGEQ_H

#include "mem/region.h"
#include "mem/span.h"

// After a mark bit of the page was set. True: it counts as queued from now on, and
// whoever asked has to push it, or to leave it. alone: no other worker marks.
bool tz_pageq_enter(const struct tz_region *r, size_t page, uint64_t cycle,
                    bool alone);

void tz_pageq_leave(const struct tz_region *r, size_t page, bool alone);

// The objects of word i of the page's bits that are to be scanned: by who asks.
uint64_t tz_pageq_take(const struct tz_region *r, size_t page, uint32_t i,
                       bool alone);

#endif
