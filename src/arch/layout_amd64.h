// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_amd64.h: numbers that ctx_amd64.S and C share; ctx.c ties them
// to the structs.
#ifndef TZ_ARCH_LAYOUT_AMD64_H
#define TZ_ARCH_LAYOUT_AMD64_H

#define TZ_CTX_SP 0         // struct tz_ctx: sp
#define TZ_CTX_REGS_SIZE 48 // struct tz_ctx_regs: rbx rbp r12 r13 r14 r15

// A suspended frame, from sp upward: control words, r15, r14, r13, r12, rbx,
// rbp, return address.
#define TZ_FRAME_CONTROL 0
#define TZ_FRAME_R12 32
#define TZ_FRAME_RBX 40
#define TZ_FRAME_RBP 48
#define TZ_FRAME_PC 56
#define TZ_FRAME_SIZE 64

#define TZ_MXCSR_DEFAULT 0x1f80
#define TZ_FPUCW_DEFAULT 0x037f

#endif
