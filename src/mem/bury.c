// SPDX-License-Identifier: BSD-3-Clause
// mem/bury.c: objects that are gone and whose memory is never used again.
//
// Two debug modes make each use after free visible. With neverfree=1 a span
// gives every slot once: the search for free ones goes on where it stopped
// before (mcentral.c), and what tuza_free is given waits for the next
// collection to lose its alloc bit (free.c). So whoever still uses it meets
// what it left there, or 0xdb with clobberfree=1, never another object. When
// all of a span is gone it is buried: on no list, its pages used for ever.
//
//     owned --its objects are gone, no slot is left--> buried
//
// With pageperobject=1 each object is a large one with pages of its own, which
// fault when it is gone: at once when it is freed by hand, else when it is
// swept. The report of the fault finds the span by the class byte of its page
// and says how the object went (sched/overflow.c).
//
// What is buried counts as in use. Go's sbrk=1 and efence=1 are of this kind.

#include "mem/bury.h"

#include <errno.h>
#include <string.h>

#include "base/print.h"
#include "base/san.h"
#include "mem/mheap.h"
#include "os/env.h"
#include "os/vm.h"

static uint32_t told; // atomic; 1: the line about a refusal was printed

// Markers need no mapping of their own; there are at most 65530 of those.
static int make_fault(void *p, size_t n)
{
    return tz_vm_guard(p, n) == 0 ? 0 : tz_vm_fault(p, n);
}

void tz_bury_object(struct tz_span *s, enum tz_gone how)
{
    size_t page = tz_vm_page(); // may be more than ours
    uintptr_t lo = tz_align_up(s->base, page);
    uintptr_t hi = tz_align_down(s->base + s->elem_size, page);
    tz_store_rel(&s->gone, (uint8_t)how); // before a fault can ask
    int err = hi > lo ? make_fault((void *)lo, hi - lo) : -EINVAL;
    if (!err)
        return;
    memset((void *)s->base, 0xdb, s->elem_size);
    if (!tz_xchg(&told, 1))
        tz_print("tuza: TUZADEBUG: pageperobject: memory cannot be made to "
                 "fault (%s): it is overwritten\n", tz_strerror(-err));
}

void tz_bury(struct tz_span *s)
{
    TZ_CHECK(s->nalloc == 0 && s->state == TZ_SPAN_OWNED);
    if (tz_env.page_per_object && tz_load_rlx(&s->gone) == TZ_GONE_NOT)
        tz_bury_object(s, TZ_GONE_SWEPT);
    s->state = TZ_SPAN_BURIED;
}

TZ_NO_SANITIZE bool tz_bury_find(uintptr_t p, struct tz_grave *out)
{
    struct tz_region *r = tz_heap_region(p);
    if (!r)
        return false;
    size_t page = (p - r->base) >> TZ_PAGE_SHIFT;
    if (!tz_page_has_objects(tz_load_acq(&r->cls[page])))
        return false;
    const struct tz_span *s = tz_load_rlx(&r->spans[page]);
    uint8_t how = s ? tz_load_acq(&s->gone) : TZ_GONE_NOT;
    if (how == TZ_GONE_NOT)
        return false;
    *out = (struct tz_grave){ s->base, s->asked, (enum tz_gone)how };
    return true;
}
