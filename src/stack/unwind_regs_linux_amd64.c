// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind_regs_linux_amd64.c: where the registers of a goroutine are kept
// on amd64, and their numbers in unwind tables (System V ABI, figure 3.36).

#include <ucontext.h>

#include "arch/layout_amd64.h"
#include "base/san.h"
#include "stack/unwind.h"

enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, R13, R14, R15, RIP };
_Static_assert(TZ_FRAME_SIZE == (int)TZ_UNWIND_FRAME, "layout");
_Static_assert((int)RIP < (int)TZ_UNWIND_REGS, "all have room");

const struct tz_unwind_cpu tz_unwind_cpu = { RBP, RSP, RIP, .tables = true };

TZ_NO_SANITIZE bool tz_machine_of_frame(const void *frame, uintptr_t sp,
                                        struct tz_machine *out)
{
    static const uint8_t reg[] = { R15, R14, R13, R12, RBX, RBP, RIP };
    *out = (struct tz_machine){ .exact = false };
    const uintptr_t *word =
        (const uintptr_t *)frame + TZ_FRAME_R12 / 8 - 3;
    for (size_t i = 0; i < tz_countof(reg); i++)
        out->reg[reg[i]] = word[i];
    out->reg[RSP] = sp + TZ_FRAME_SIZE;
    return true;
}

TZ_NO_SANITIZE bool tz_machine_of_call(const struct tz_ctx_regs *regs,
                                       uintptr_t sp, uintptr_t pc,
                                       struct tz_machine *out)
{
    static const uint8_t reg[] = { RBX, RBP, R12, R13, R14, R15 };
    _Static_assert(sizeof *regs == sizeof(uintptr_t) * 6, "layout");
    *out = (struct tz_machine){ .exact = false };
    for (size_t i = 0; i < tz_countof(reg); i++)
        out->reg[reg[i]] = regs->reg[i];
    out->reg[RIP] = pc;
    out->reg[RSP] = sp;
    return true;
}

TZ_NO_SANITIZE bool tz_machine_of_signal(const struct tz_sigctx *ctx,
                                         struct tz_machine *out)
{
    static const uint8_t greg[TZ_UNWIND_REGS] = {
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
        REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
        REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP
    };
    const ucontext_t *uc = ctx->uc;
    for (size_t i = 0; i < tz_countof(greg); i++)
        out->reg[i] = (uintptr_t)uc->uc_mcontext.gregs[greg[i]];
    out->exact = true;
    return true;
}
