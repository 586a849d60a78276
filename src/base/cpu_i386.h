// SPDX-License-Identifier: BSD-3-Clause
// base/cpu_i386.h: what has to be inline assembly on i386.
#ifndef TZ_BASE_CPU_I386_H
#define TZ_BASE_CPU_I386_H

#include "base/base.h"

// A hint in a spin loop.
TZ_INLINE void tz_cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }

// The address of this thread's tz_tls: a function of another file, so that no
// compiler keeps it across a call after which the goroutine may be on another
// thread.
struct tz_tls *tz_tls_address(void);

// The caller's stack pointer, near enough for a bounds check.
TZ_INLINE uintptr_t tz_sp(void)
{
    uintptr_t sp;
    __asm__ volatile("movl %%esp, %0" : "=r"(sp));
    return sp;
}

#endif
