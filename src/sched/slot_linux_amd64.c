// SPDX-License-Identifier: BSD-3-Clause
// sched/slot_linux_amd64.c: the word that split prologues compare with.
//
// It belongs to the thread control block of glibc (tcbhead_t.__private_ss),
// which keeps it for this; the compiler has its offset built in.

#include <link.h>
#include <stdlib.h>

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
