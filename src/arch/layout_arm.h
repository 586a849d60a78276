// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_arm.h: numbers that ctx_arm.S and C share; ctx.c ties
// them to the structs.
#ifndef TZ_ARCH_LAYOUT_ARM_H
#define TZ_ARCH_LAYOUT_ARM_H

#define TZ_CTX_SP 0         // struct tz_ctx: sp
#define TZ_CTX_REGS 24      // struct tz_ctx_regs: r4..r11, d8..d15
#define TZ_CTX_REGS_SIZE 96

// A suspended frame, from sp upward: d8..d15, r4..r11, where to go on, FPSCR,
// a pad.
#define TZ_FRAME_D8 0
#define TZ_FRAME_R4 64
#define TZ_FRAME_R5 68
#define TZ_FRAME_PC 96
#define TZ_FRAME_CONTROL 100
#define TZ_FRAME_ABOVE 12 // bytes of it above where to go on, control included
#define TZ_FRAME_SIZE 112

// FPSCR without condition flags and the sticky flags.
#define TZ_FPSCR_CONTROL_LOW 0x9f00
#define TZ_FPSCR_CONTROL_HIGH 0x07ff

#define TZ_START_SKIP 4 // bytes of tz_ctx_start that do not run

#endif
