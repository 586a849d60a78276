// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_amd64.h: numbers that ctx_amd64.S and C share, which ctx.c ties to
// the structs; for C also the switch that is begun without a call.
#ifndef TZ_ARCH_LAYOUT_AMD64_H
#define TZ_ARCH_LAYOUT_AMD64_H

#define TZ_CTX_SP 0         // struct tz_ctx: sp
#define TZ_CTX_REGS 6       // struct tz_ctx_regs: rbx rbp r12 r13 r14 r15
#define TZ_CTX_REGS_SIZE 48

// A suspended frame, from sp upward: control words, r15, r14, r13, r12, rbx,
// rbp, return address.
#define TZ_FRAME_CONTROL 0
#define TZ_FRAME_R15 8
#define TZ_FRAME_R14 16
#define TZ_FRAME_R13 24
#define TZ_FRAME_R12 32
#define TZ_FRAME_RBX 40
#define TZ_FRAME_RBP 48
#define TZ_FRAME_PC 56
#define TZ_FRAME_SIZE 64

// How a switch treats the control words.
#define TZ_CONTROL_SHARED 0  // leaves them alone
#define TZ_CONTROL_LOAD 1    // loads the new context's MXCSR
#define TZ_CONTROL_COMPARE 2 // loads it if it differs

#define TZ_MXCSR_DEFAULT 0x1f80
#define TZ_MXCSR_CONTROL 0xffc0 // all but the sticky exception flags
#define TZ_FPUCW_DEFAULT 0x037f

#define TZ_START_SKIP 1 // bytes of tz_ctx_start that do not run

#ifndef __ASSEMBLER__
#include "base/base.h"

#define TZ_SWITCH_HERE // tz_ctx_switch without a call; see ctx.h
#ifdef __AVX512F__
#define TZ_CLOBBERS_512                                                       \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",   \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",          \
        "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define TZ_CLOBBERS_512
#endif

struct tz_ctx;
TZ_INLINE void tz_ctx_switch_here(struct tz_ctx *from, const struct tz_ctx *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, -8(%%rsp)\n\t"
                     "jmp tz_ctx_switch_jump\n"
                     "1:"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "xmm0",
                       "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                       "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)",
                       "st(4)", "st(5)", "st(6)", "st(7)", "cc",
                       "memory" TZ_CLOBBERS_512);
}
#endif

#endif
