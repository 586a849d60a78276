// SPDX-License-Identifier: BSD-3-Clause
// os/tcb_linux_i386.h: the thread control block of i386's TLS ABI.
//
// %gs:0 holds the address of the block itself, the word after it that of the
// dtv, the vector of the thread's TLS blocks.
#ifndef TZ_OS_TCB_LINUX_I386_H
#define TZ_OS_TCB_LINUX_I386_H

#include "base/san.h"

// Volatile, so that no compiler keeps it across a change of threads.
TZ_INLINE uintptr_t tz_tcb_self(void)
{
    uintptr_t tp;
    __asm__ volatile("movl %%gs:0, %0" : "=r"(tp));
    return tp;
}

TZ_NO_SANITIZE static inline void *tz_tcb_dtv(uintptr_t tp)
{
    return ((void *const volatile *)tp)[1];
}

#endif
