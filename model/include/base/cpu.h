// SPDX-License-Identifier: BSD-3-Clause
// model/include/base/cpu.h: a thread-local object per model thread, a pause
// that lets the others go first; the rest is the CPU's own.
#ifndef MODEL_BASE_CPU_H
#define MODEL_BASE_CPU_H

#define tz_cpu_relax tz_cpu_relax_for_real
#define tz_tls_address tz_tls_address_for_real
#include_next "base/cpu.h"
#undef tz_cpu_relax
#undef tz_tls_address

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

#endif
