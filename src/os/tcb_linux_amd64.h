// SPDX-License-Identifier: BSD-3-Clause
// os/tcb_linux_amd64.h: the thread control block of amd64's TLS ABI.
//
// %fs:0 holds the address of the block itself, the word after it that of the
// dtv, the vector of the thread's TLS blocks. (glibc and musl agree on these.)
#ifndef TZ_OS_TCB_LINUX_AMD64_H
#define TZ_OS_TCB_LINUX_AMD64_H

#include "base/san.h"

// Volatile, so that no compiler keeps it across a change of threads.
TZ_INLINE uintptr_t tz_tcb_self(void)
{
    uintptr_t tp;
    __asm__ volatile("movq %%fs:0, %0" : "=r"(tp));
    return tp;
}

TZ_NO_SANITIZE static inline void *tz_tcb_dtv(uintptr_t tp)
{
    return ((void *const volatile *)tp)[1];
}

#endif
