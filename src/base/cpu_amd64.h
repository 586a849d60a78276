// SPDX-License-Identifier: BSD-3-Clause
// base/cpu_amd64.h: what has to be inline assembly on amd64.
#ifndef TZ_BASE_CPU_AMD64_H
#define TZ_BASE_CPU_AMD64_H

#include "base/base.h"

// A hint in a spin loop.
TZ_INLINE void tz_cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }

// The address of this thread's tz_tls. Volatile, so that no compiler keeps it
// across a call after which the goroutine may be on another thread.
TZ_INLINE struct tz_tls *tz_tls_address(void)
{
    struct tz_tls *t;
    __asm__ volatile("movq %%fs:0, %0\n\t"
                     "addq tz_tls@gottpoff(%%rip), %0"
                     : "=r"(t)
                     :
                     : "cc");
    return t;
}

// The caller's stack pointer, near enough for a bounds check.
TZ_INLINE uintptr_t tz_sp(void)
{
    uintptr_t sp;
    __asm__ volatile("movq %%rsp, %0" : "=r"(sp));
    return sp;
}

#endif
