// SPDX-License-Identifier: BSD-3-Clause
// sched/slot_linux_amd64.c: the word that split prologues compare with.
//
// It belongs to the thread control block of glibc (tcbhead_t.__private_ss),
// which keeps it for this; the compiler has its offset built in.

#include <link.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/san.h"
#include "sched/m.h"
#include "sched/split.h"

// What the assembly of the split library knows by number.
_Static_assert(offsetof(struct tz_segment, guard) == TZ_SEG_GUARD, "layout");
_Static_assert(offsetof(struct tz_segment, lo) == TZ_SEG_LO, "layout");
_Static_assert(offsetof(struct tz_segment, hi) == TZ_SEG_HI, "layout");
_Static_assert(offsetof(struct tz_segment, top) == TZ_SEG_TOP, "layout");
_Static_assert(offsetof(struct tz_segment, room) == TZ_SEG_ROOM, "layout");
_Static_assert(offsetof(struct tz_segment, prev) == TZ_SEG_PREV, "layout");
_Static_assert(offsetof(struct tz_segment, next) == TZ_SEG_NEXT, "layout");
_Static_assert(offsetof(struct tz_segment, g) == TZ_SEG_G, "layout");
_Static_assert(offsetof(struct tz_segment, heavy) == TZ_SEG_HEAVY, "layout");
_Static_assert(offsetof(struct tz_segment, link.from_sp) == TZ_SEG_SP, "layout");
_Static_assert(offsetof(struct tz_segment, link) == TZ_SEG_LINK, "layout");
_Static_assert(offsetof(struct tz_segment, link.older) == TZ_SEG_LINK, "layout");
_Static_assert(offsetof(struct tz_segment, pc) == TZ_SEG_PC, "layout");
_Static_assert(offsetof(struct tz_segment, argsize) == TZ_SEG_ARGSIZE, "layout");
_Static_assert(offsetof(struct tz_segment, argp) == TZ_SEG_ARGP, "layout");
_Static_assert(offsetof(struct tz_segment, nonsplit) == TZ_SEG_NONSPLIT,
               "layout");
_Static_assert(offsetof(struct tz_g, stack.lo) == TZ_G_STACK_LO, "layout");
_Static_assert(offsetof(struct tz_g, stack.hi) == TZ_G_STACK_HI, "layout");
_Static_assert(offsetof(struct tz_g, links) == TZ_G_LINKS, "layout");
_Static_assert(offsetof(struct tz_g, seg) == TZ_G_SEG, "layout");
_Static_assert(offsetof(struct tz_m, g0.ctx.sp) == TZ_M_G0_SP, "layout");

#define REC(field) offsetof(struct tz_split_record, field)
_Static_assert(REC(tls_m) == TZ_REC_TLS_M, "layout");
_Static_assert(REC(tls_g) == TZ_REC_TLS_G, "layout");
_Static_assert(REC(more) == TZ_REC_MORE, "layout");
_Static_assert(REC(leave) == TZ_REC_LEAVE, "layout");
_Static_assert(REC(yield) == TZ_REC_YIELD, "layout");
_Static_assert(REC(spill) == TZ_REC_SPILL, "layout");
_Static_assert(REC(unwound) == TZ_REC_UNWOUND, "layout");
_Static_assert(REC(xsave_size) == TZ_REC_XSAVE_SIZE, "layout");
_Static_assert(REC(xsave_mask) == TZ_REC_XSAVE_MASK, "layout");

uintptr_t tz_slot_get(void)
{
    uintptr_t guard;
    __asm__ volatile("movq %%fs:%c1, %0" : "=r"(guard) : "i"(TZ_SLOT));
    return guard;
}

void tz_slot_set(uintptr_t guard)
{
    __asm__ volatile("movq %0, %%fs:%c1" : : "r"(guard), "i"(TZ_SLOT));
}

// Of the executable or library that this is in; none: bound by the linker.
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

bool tz_slot_calls_bound(void)
{
    const char *now = getenv("LD_BIND_NOW");
    bool lazy = false;
    for (const ElfW(Dyn) *d = _DYNAMIC; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_BIND_NOW ||
            (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_BIND_NOW)) ||
            (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NOW)))
            return true;
        lazy |= d->d_tag == DT_JMPREL;
    }
    return !lazy || (now && *now);
}

TZ_NO_SANITIZE void tz_slot_poison(uintptr_t tp)
{
    tz_store_rlx((uintptr_t *)(tp + TZ_SLOT), UINTPTR_MAX);
}
