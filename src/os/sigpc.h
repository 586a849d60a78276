// SPDX-License-Identifier: BSD-3-Clause
// os/sigpc.h: whether code interrupted at pc may be made to wait.
//
// In ordinary builds always, unless the wait is for ever: not inside libc or the
// dynamic linker, then, which may hold locks. ThreadSanitizer's own run time holds
// locks that the stopping thread needs: with it, never inside it or libc.
#ifndef TZ_OS_SIGPC_H
#define TZ_OS_SIGPC_H

#include "base/base.h"

// Finds out where that code lies; before the first handler is installed.
void tz_sig_pc_init(void);

// Signal-safe.
bool tz_sig_pc_may_wait(uintptr_t pc, bool for_ever);

#endif
