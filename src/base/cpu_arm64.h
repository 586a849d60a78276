// SPDX-License-Identifier: BSD-3-Clause
// base/cpu_arm64.h: what has to be inline assembly on arm64.
#ifndef TZ_BASE_CPU_ARM64_H
#define TZ_BASE_CPU_ARM64_H

#include "base/base.h"

// A hint in a spin loop.
TZ_INLINE void tz_cpu_relax(void) { __asm__ volatile("yield" ::: "memory"); }

// The address of this thread's tz_tls. Volatile, so that no compiler keeps it
// across a call after which the goroutine may be on another thread.
TZ_INLINE struct tz_tls *tz_tls_address(void)
{
    struct tz_tls *t;
    uintptr_t offset;
    __asm__ volatile("mrs %0, tpidr_el0\n\t"
                     "adrp %1, :gottprel:tz_tls\n\t"
                     "ldr %1, [%1, #:gottprel_lo12:tz_tls]\n\t"
                     "add %0, %0, %1"
                     : "=&r"(t), "=&r"(offset));
    return t;
}

// The caller's stack pointer, near enough for a bounds check.
TZ_INLINE uintptr_t tz_sp(void)
{
    uintptr_t sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

#endif
