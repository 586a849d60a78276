// SPDX-License-Identifier: BSD-3-Clause
// gc/pageq.c: which pages are queued, and what of them was scanned.

#include "gc/pageq.h"

#include "base/atomic.h"
#include "base/san.h"

// Who is the first in a collection to queue a page clears what was scanned in an
// earlier one: nobody looks at it before the page was pushed.
TZ_NO_SANITIZE bool tz_pageq_enter(const struct tz_region *r, size_t page,
                                   uint64_t cycle, bool alone)
{
    if (tz_load(&r->queued[page])) // after the mark
        return false;
    if (alone)
        tz_store_rlx(&r->queued[page], 1);
    else if (tz_xchg(&r->queued[page], 1))
        return false;
    struct tz_scanned *s = &r->scanned[page];
    if (s->cycle != cycle) {
        for (uint32_t i = 0; i < TZ_SCANNED_WORDS; i++)
            tz_store_rlx(&s->bits[i], 0);
        s->cycle = cycle;
    }
    return true;
}

TZ_NO_SANITIZE void tz_pageq_leave(const struct tz_region *r, size_t page, bool alone)
{
    if (alone)
        tz_store_rlx(&r->queued[page], 0);
    else
        tz_xchg(&r->queued[page], 0); // before the look at the marks
}

TZ_NO_SANITIZE uint64_t tz_pageq_take(const struct tz_region *r, size_t page,
                                      uint32_t i, bool alone)
{
    uint64_t *scanned = &r->scanned[page].bits[i];
    uint64_t todo = tz_load(&r->bits[page].word[i].mark) & ~tz_load_rlx(scanned);
    if (todo == 0)
        return 0;
    if (!alone)
        return todo & ~tz_xor_bits_rlx(scanned, todo);
    tz_store_rlx(scanned, *scanned | todo);
    return todo;
}
