// SPDX-License-Identifier: BSD-3-Clause
// model/include/base/cpu.h: a thread-local object per model thread, and a
// pause that lets the others go first.
#ifndef TZ_BASE_CPU_H
#define TZ_BASE_CPU_H

#include "base/base.h"

struct tz_tls *model_tls(void);
void model_yield(void);

TZ_INLINE void tz_cpu_relax(void)
{
    model_yield();
}

TZ_INLINE struct tz_tls *tz_tls_address(void)
{
    return model_tls();
}

TZ_INLINE uintptr_t tz_sp(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

#endif
