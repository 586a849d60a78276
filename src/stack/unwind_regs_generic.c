// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind_regs_generic.c: CPUs whose tables are not read: a walk goes by
// the frame pointer, from where a signal came; suspended goroutines are opaque.

#include "stack/unwind.h"

enum { FP, SP, PC };
const struct tz_unwind_cpu tz_unwind_cpu = { FP, SP, PC, .tables = false };

bool tz_machine_of_frame(const void *frame, uintptr_t sp,
                         struct tz_machine *out)
{
    (void)frame, (void)sp, (void)out;
    return false;
}

bool tz_machine_of_call(const struct tz_ctx_regs *regs, uintptr_t sp,
                        uintptr_t pc, struct tz_machine *out)
{
    (void)regs, (void)sp, (void)pc, (void)out;
    return false;
}

bool tz_machine_of_signal(const struct tz_sigctx *ctx, struct tz_machine *out)
{
    *out = (struct tz_machine){ .exact = true };
    out->reg[FP] = ctx->fp;
    out->reg[SP] = ctx->sp;
    out->reg[PC] = ctx->pc;
    return true;
}
