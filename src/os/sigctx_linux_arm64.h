// SPDX-License-Identifier: BSD-3-Clause
// os/sigctx_linux_arm64.h: the signal frame that Linux builds on arm64.
//
// The general registers are in the ucontext, and behind them in its reserved
// 4 KiB the record of v0 to v31. What SVE's registers hold beyond their low 16
// bytes is not looked at.
#ifndef TZ_OS_SIGCTX_LINUX_ARM64_H
#define TZ_OS_SIGCTX_LINUX_ARM64_H

#include <ucontext.h>

#include "base/san.h"
#include "os/sig.h"

// What rt_sigaction takes.
struct tz_kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

TZ_NO_SANITIZE static inline void tz_sigctx_fill(struct tz_sigctx *ctx,
                                                 const ucontext_t *uc)
{
    ctx->sp = (uintptr_t)uc->uc_mcontext.sp;
    ctx->pc = (uintptr_t)uc->uc_mcontext.pc;
    ctx->fp = (uintptr_t)uc->uc_mcontext.regs[29];
    ctx->regs = uc;
    ctx->regs_size = sizeof *uc;
}

#endif
