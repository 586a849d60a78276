// SPDX-License-Identifier: BSD-3-Clause
// os/sigctx_linux_i386.h: the signal frame that Linux builds on i386.
//
// The general registers are in the ucontext. uc_mcontext.fpregs points to what
// FSAVE would have written, 112 bytes, and behind that lies the xsave area;
// words of its software bytes tell the size of all
// (arch/x86/include/uapi/asm/sigcontext.h). One range covers both.
#ifndef TZ_OS_SIGCTX_LINUX_I386_H
#define TZ_OS_SIGCTX_LINUX_I386_H

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
_Static_assert(offsetof(struct tz_kernel_sigaction, mask) == 12, "no gap");

enum {
    TZ_FSAVE_BYTES = 112,
    TZ_FXSAVE_MAGIC_AT = TZ_FSAVE_BYTES + 464,    // sw_reserved.magic1
    TZ_FXSAVE_EXTENDED_AT = TZ_FSAVE_BYTES + 468, // sw_reserved.extended_size
    TZ_FXSAVE_MAGIC = 0x46505853,                 // FP_XSTATE_MAGIC1
    TZ_SIGFRAME_MAX = 1 << 20,                    // more than any CPU's state
};

TZ_NO_SANITIZE static inline uint32_t tz_sigctx_word(const char *p)
{
    return *(const volatile uint32_t *)p;
}

TZ_NO_SANITIZE static inline void tz_sigctx_fill(struct tz_sigctx *ctx,
                                                 const ucontext_t *uc)
{
    const greg_t *gregs = uc->uc_mcontext.gregs;
    ctx->sp = (uintptr_t)gregs[REG_ESP];
    ctx->pc = (uintptr_t)gregs[REG_EIP];
    ctx->fp = (uintptr_t)gregs[REG_EBP];
    ctx->regs = uc;
    // The kernel's ucontext ends with the signal mask, libc's goes on.
    ctx->regs_size = offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t);
    const char *fp = (const char *)uc->uc_mcontext.fpregs;
    if (!fp)
        return;
    size_t size = TZ_FSAVE_BYTES + 512;
    if (tz_sigctx_word(fp + TZ_FXSAVE_MAGIC_AT) == TZ_FXSAVE_MAGIC)
        size = tz_sigctx_word(fp + TZ_FXSAVE_EXTENDED_AT);
    size_t whole = (size_t)(fp + size - (const char *)uc);
    if (fp > (const char *)uc && whole <= TZ_SIGFRAME_MAX)
        ctx->regs_size = whole;
}

#endif
