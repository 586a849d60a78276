// SPDX-License-Identifier: BSD-3-Clause
// os/sigpc.h: whether code interrupted at pc may be made to wait.
//
// In ordinary builds always. ThreadSanitizer's own run time holds locks that
// the stopping thread needs: there, code inside it or libc may not wait.
#ifndef TZ_OS_SIGPC_H
#define TZ_OS_SIGPC_H

#include "base/base.h"

// Finds out where that code lies; before the first handler is installed.
void tz_sig_pc_init(void);

// Signal-safe.
bool tz_sig_pc_may_wait(uintptr_t pc);

#endif
