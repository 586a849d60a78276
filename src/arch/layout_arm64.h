// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_arm64.h: numbers that ctx_arm64.S and C share; ctx.c ties
// them to the structs.
#ifndef TZ_ARCH_LAYOUT_ARM64_H
#define TZ_ARCH_LAYOUT_ARM64_H

#define TZ_CTX_SP 0          // struct tz_ctx: sp
#define TZ_CTX_REGS 20       // struct tz_ctx_regs: x19..x29, 0, d8..d15
#define TZ_CTX_REGS_SIZE 160

// A suspended frame, from sp upward: x29, where to go on, x19..x28, d8..d15,
// FPCR, a pad.
#define TZ_FRAME_X29 0
#define TZ_FRAME_PC 8
#define TZ_FRAME_X19 16
#define TZ_FRAME_X20 24
#define TZ_FRAME_D8 96
#define TZ_FRAME_CONTROL 160
#define TZ_FRAME_SIZE 176

#define TZ_START_SKIP 4 // bytes of tz_ctx_start that do not run

#endif
