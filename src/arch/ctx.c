// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx.c: what contexts are on any CPU: the layouts that assembly and C
// share, and what the assembly calls where no scheduler is linked.

#include "arch/ctx.h"
#include "arch/port.h"

_Static_assert(offsetof(struct tz_ctx, sp) == TZ_CTX_SP, "layout");
_Static_assert(sizeof(struct tz_ctx_regs) == TZ_CTX_REGS_SIZE, "layout");
_Static_assert(TZ_FRAME_SIZE % 16 == 0, "a suspended stack is aligned");

extern char tz_ctx_start[] __attribute__((visibility("hidden")));

TZ_WEAK void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                                   int handoff)
{
    (void)regs, (void)sp, (void)handoff;
}

TZ_WEAK void tz_port_entry_returned(void) {}

// The two lie one behind the other, in front of tz_ctx_start.
bool tz_ctx_is_switch(uintptr_t pc)
{
    uintptr_t first = (uintptr_t)tz_ctx_switch;
    return pc - first < (uintptr_t)tz_ctx_start - first;
}
