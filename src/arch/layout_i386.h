// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_i386.h: numbers that ctx_i386.S and C share; ctx.c ties
// them to the structs.
#ifndef TZ_ARCH_LAYOUT_I386_H
#define TZ_ARCH_LAYOUT_I386_H

#define TZ_CTX_SP 0         // struct tz_ctx: sp
#define TZ_CTX_REGS 4       // struct tz_ctx_regs: ebx esi edi ebp
#define TZ_CTX_REGS_SIZE 16

// A suspended frame, from sp upward: MXCSR, x87 word, edi, esi, ebx, ebp, a
// pad, return address.
#define TZ_FRAME_CONTROL 0
#define TZ_FRAME_EDI 8
#define TZ_FRAME_ESI 12
#define TZ_FRAME_EBX 16
#define TZ_FRAME_EBP 20
#define TZ_FRAME_PC 28
#define TZ_FRAME_SIZE 32

#define TZ_MXCSR_DEFAULT 0x1f80
#define TZ_MXCSR_CONTROL 0xffc0 // all but the sticky exception flags
#define TZ_FPUCW_DEFAULT 0x037f

#define TZ_START_SKIP 1 // bytes of tz_ctx_start that do not run

#endif
