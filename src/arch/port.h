// SPDX-License-Identifier: BSD-3-Clause
// arch/port.h: what the assembly calls in rooms to its right.
#ifndef TZ_ARCH_PORT_H
#define TZ_ARCH_PORT_H

#include "arch/ctx.h"

// The current goroutine begins a declared call: regs and sp are the caller's
// of tuza_syscall_enter. handoff: give the P away at once.
void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                           int handoff);

// The entry of a context has returned, which it may not. On its stack.
void tz_port_entry_returned(void);

#endif
