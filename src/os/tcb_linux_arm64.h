// SPDX-License-Identifier: BSD-3-Clause
// os/tcb_linux_arm64.h: the thread control block of arm64's TLS ABI.
//
// TPIDR_EL0 holds the address of the block, whose first word is that of the
// dtv, the vector of the thread's TLS blocks.
#ifndef TZ_OS_TCB_LINUX_ARM64_H
#define TZ_OS_TCB_LINUX_ARM64_H

#include "base/san.h"

// Volatile, so that no compiler keeps it across a change of threads.
TZ_INLINE uintptr_t tz_tcb_self(void)
{
    uintptr_t tp;
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(tp));
    return tp;
}

TZ_NO_SANITIZE static inline void *tz_tcb_dtv(uintptr_t tp)
{
    return ((void *const volatile *)tp)[0];
}

#endif
