// SPDX-License-Identifier: BSD-3-Clause
// mem/verify.h: whether the heap is what its invariants say.
#ifndef TZ_MEM_VERIFY_H
#define TZ_MEM_VERIFY_H

#include "os/env.h"

// Checks all that mem/README.md promises of a stopped world; a violation ends
// the process with a report: `when`, the span, the field, what it is and what
// it should be. unmarked: no mark bit may be set. With the world stopped, all
// caches and what was freed by hand flushed, no lock of CENTRAL or above held.
void tz_heap_verify(const char *when, bool unmarked);

// The same under TUZADEBUG=gcverify=1.
TZ_INLINE void tz_heap_verify_if_asked(const char *when, bool unmarked)
{
    if (tz_unlikely(tz_env.gc_verify))
        tz_heap_verify(when, unmarked);
}

// What a check has found.
struct tz_wrong {
    const char *field;
    uint64_t at; // of several: which
    uint64_t is, should;
};

// False, with *w set.
TZ_INLINE bool tz_wrong(struct tz_wrong *w, const char *field, uint64_t at,
                        uint64_t is, uint64_t should)
{
    *w = (struct tz_wrong){ field, at, is, should };
    return false;
}

#endif
