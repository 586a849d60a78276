// SPDX-License-Identifier: BSD-3-Clause
// arch/layout_riscv64.h: numbers that ctx_riscv64.S and C share;
// ctx_init_riscv64.c ties them to the structs.
#ifndef TZ_ARCH_LAYOUT_RISCV64_H
#define TZ_ARCH_LAYOUT_RISCV64_H

#define TZ_CTX_SP 0          // struct tz_ctx: sp
#define TZ_CTX_REGS 24       // struct tz_ctx_regs: s0..s11, fs0..fs11
#define TZ_CTX_REGS_SIZE 192

// A suspended frame, from sp upward: where to go on, s0..s11, fs0..fs11, the
// rounding mode.
#define TZ_FRAME_PC 0
#define TZ_FRAME_S0 8
#define TZ_FRAME_S1 16
#define TZ_FRAME_S2 24
#define TZ_FRAME_FS0 104
#define TZ_FRAME_CONTROL 200
#define TZ_FRAME_SIZE 208

#define TZ_START_SKIP 4 // bytes of tz_ctx_start that do not run

#endif
