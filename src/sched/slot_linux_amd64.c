// SPDX-License-Identifier: BSD-3-Clause
// sched/slot_linux_amd64.c: the word that split prologues compare with.
//
// It belongs to the thread control block of glibc (tcbhead_t.__private_ss),
// which keeps it for this; the compiler has its offset built in.

#include "base/atomic.h"
#include "base/san.h"
#include "sched/split.h"

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

TZ_NO_SANITIZE void tz_slot_poison(uintptr_t tp)
{
    tz_store_rlx((uintptr_t *)(tp + TZ_SLOT), UINTPTR_MAX);
}
