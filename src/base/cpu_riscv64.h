// SPDX-License-Identifier: BSD-3-Clause
// base/cpu_riscv64.h: what has to be inline assembly on riscv64.
#ifndef TZ_BASE_CPU_RISCV64_H
#define TZ_BASE_CPU_RISCV64_H

#include "base/base.h"

// A hint in a spin loop: pause, as its code, for assemblers without Zihintpause.
TZ_INLINE void tz_cpu_relax(void)
{
    __asm__ volatile(".4byte 0x0100000f" ::: "memory");
}

// The address of this thread's tz_tls. Volatile, so that no compiler keeps it
// across a call after which the goroutine may be on another thread.
TZ_INLINE struct tz_tls *tz_tls_address(void)
{
    struct tz_tls *t;
    __asm__ volatile("la.tls.ie %0, tz_tls\n\t"
                     "add %0, %0, tp"
                     : "=r"(t));
    return t;
}

// The caller's stack pointer, near enough for a bounds check.
TZ_INLINE uintptr_t tz_sp(void)
{
    uintptr_t sp;
    __asm__ volatile("mv %0, sp" : "=r"(sp));
    return sp;
}

#endif
