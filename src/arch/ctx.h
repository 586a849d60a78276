// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx.h: saving and resuming a stack.
#ifndef TZ_ARCH_CTX_H
#define TZ_ARCH_CTX_H

#include "base/base.h"
#include "base/cpu.h"

#include TZ_CPU_HEADER(arch,layout_)

// A suspended stack: everything else lies on it, just above sp.
struct tz_ctx {
    uintptr_t sp;
};

struct tz_arch {
    // How a switch treats the floating-point control words, where a CPU has
    // several ways: TZ_CONTROL_… of its layout. Const after tz_ctx_setup.
    uint8_t control;
};
extern struct tz_arch tz_arch;

// Chooses what suits this CPU. shared: no context will ever change a control
// word, so that a switch need not look at them. Once, before contexts exist;
// without it switches are right, if not as fast as they can be.
void tz_ctx_setup(bool shared);

// Saves the caller in *from and goes on where *to was saved. Returns when
// somebody switches to *from, perhaps on another thread.
void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to);

// The same, without a call where the CPU predicts returns by counting calls. In
// functions that call others: it writes below the stack pointer.
#ifndef TZ_SWITCH_HERE
#define tz_ctx_switch_here tz_ctx_switch
#endif

// Goes on where *to was saved; what runs now is given up.
TZ_NORETURN void tz_ctx_jump(const struct tz_ctx *to);

// Whether code at pc is in one of the two: where a bad *to faults. Signal-safe.
bool tz_ctx_is_switch(uintptr_t pc);

// Makes *ctx such that switching to it calls entry(arg) on the stack that ends
// at top (16-byte aligned). entry never returns; backtraces end there.
void tz_ctx_init(struct tz_ctx *ctx, uintptr_t top, void (*entry)(void *),
                 void *arg);

// Gives the caller the floating-point control words of a new context.
void tz_ctx_fp_reset(void);

// Saves the callee-saved registers on this stack and calls fn(arg, sp), where
// sp is below them: for a scan of this stack by others while fn waits.
void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg);

// Calls fn(arg) on the stack that ends at top (16-byte aligned); returns on
// this one.
void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg);

// The callee-saved registers as the caller of a function has them.
struct tz_ctx_regs {
    uintptr_t reg[TZ_CTX_REGS];
};

#endif
