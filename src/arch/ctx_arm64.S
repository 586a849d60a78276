// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_arm64.S: switching stacks on arm64 (AAPCS64).
//
// A switch ends in br, not ret: the return predictor belongs to the code that
// was left. It reads the new context before it writes anything, so that a bad
// one faults while all is as it was. There is no red zone: frames are written
// above the stack pointer. Of d8 to d15 the ABI keeps the low halves. FPCR has
// no sticky flags (those are in FPSR); it is compared, because writing it may
// empty the pipeline. The objects do not claim branch-target identification,
// so the linker leaves that off.

#include "arch/layout_arm64.h"

        .text

        .macro  function name
        .globl  \name
        .type   \name, %function
        .p2align 4
\name:
        .cfi_startproc
        .endm

        .macro  internal name
        .hidden \name
        function \name
        .endm

        .macro  ending name
        .cfi_endproc
        .size   \name, .-\name
        .endm

        .macro  save_registers
        sub     sp, sp, TZ_FRAME_SIZE
        .cfi_def_cfa_offset TZ_FRAME_SIZE
        stp     x29, x30, [sp, TZ_FRAME_X29]
        stp     x19, x20, [sp, TZ_FRAME_X19]
        stp     x21, x22, [sp, TZ_FRAME_X19+16]
        stp     x23, x24, [sp, TZ_FRAME_X19+32]
        stp     x25, x26, [sp, TZ_FRAME_X19+48]
        stp     x27, x28, [sp, TZ_FRAME_X19+64]
        stp     d8, d9, [sp, TZ_FRAME_D8]
        stp     d10, d11, [sp, TZ_FRAME_D8+16]
        stp     d12, d13, [sp, TZ_FRAME_D8+32]
        stp     d14, d15, [sp, TZ_FRAME_D8+48]
        frame_rules
        .endm

        .macro  frame_rules
        .cfi_def_cfa sp, TZ_FRAME_SIZE
        .cfi_rel_offset x29, TZ_FRAME_X29
        .cfi_rel_offset x30, TZ_FRAME_PC
        .irp    i, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        .cfi_rel_offset x\i, TZ_FRAME_X19+8*(\i-19)
        .endr
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_rel_offset d\i, TZ_FRAME_D8+8*(\i-8)
        .endr
        .endm

        .macro  load_registers
        ldp     x29, x30, [sp, TZ_FRAME_X29]
        ldp     x19, x20, [sp, TZ_FRAME_X19]
        ldp     x21, x22, [sp, TZ_FRAME_X19+16]
        ldp     x23, x24, [sp, TZ_FRAME_X19+32]
        ldp     x25, x26, [sp, TZ_FRAME_X19+48]
        ldp     x27, x28, [sp, TZ_FRAME_X19+64]
        ldp     d8, d9, [sp, TZ_FRAME_D8]
        ldp     d10, d11, [sp, TZ_FRAME_D8+16]
        ldp     d12, d13, [sp, TZ_FRAME_D8+32]
        ldp     d14, d15, [sp, TZ_FRAME_D8+48]
        add     sp, sp, TZ_FRAME_SIZE
        .cfi_def_cfa_offset 0
        .irp    i, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
        .cfi_restore x\i
        .endr
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_restore d\i
        .endr
        .endm

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// x0 from, x1 to; clobbers x9 to x13.
        internal tz_ctx_switch
        ldr     x9, [x1, TZ_CTX_SP]
        ldr     x10, [x9, TZ_FRAME_PC]
        save_registers
        mrs     x11, fpcr
        str     x11, [sp, TZ_FRAME_CONTROL]
        mov     x12, sp
        str     x12, [x0, TZ_CTX_SP]
        mov     sp, x9
        ldr     x13, [sp, TZ_FRAME_CONTROL]
        cmp     x11, x13
        b.eq    1f
        msr     fpcr, x13
1:      load_registers
        br      x10
        ending  tz_ctx_switch

// void tz_ctx_jump(const struct tz_ctx *to)
        internal tz_ctx_jump
        ldr     x9, [x0, TZ_CTX_SP]
        ldr     x10, [x9, TZ_FRAME_PC]
        mov     sp, x9
        frame_rules
        ldr     x13, [sp, TZ_FRAME_CONTROL]
        msr     fpcr, x13
        load_registers
        br      x10
        ending  tz_ctx_jump

// Where a new context starts, but for the nop: unwinders look in front of a
// return address. x19 entry, x20 argument; sp is 16-aligned. The
// undefined return address ends every backtrace here.
        internal tz_ctx_start
        .cfi_undefined x30
        nop
        mov     x0, x20
        mov     x29, 0
        blr     x19
        bl      tz_port_entry_returned
        brk     1
        ending  tz_ctx_start

// void tz_ctx_fp_reset(void)
// As a switch to a new context does with FPCR. Clobbers x9.
        internal tz_ctx_fp_reset
        mrs     x9, fpcr
        cbz     x9, 1f
        msr     fpcr, xzr
1:      ret
        ending  tz_ctx_fp_reset

// void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg)
// x0 fn, x1 arg.
        internal tz_ctx_spill
        save_registers
        mov     x9, x0
        mov     x0, x1
        mov     x1, sp
        blr     x9
        ldp     x29, x30, [sp, TZ_FRAME_X29]
        add     sp, sp, TZ_FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        ending  tz_ctx_spill

// void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg)
// x0 top, x1 fn, x2 arg. Unwinders come through by x29.
        internal tz_ctx_call_on
        stp     x29, x30, [sp, -16]!
        .cfi_def_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        .cfi_def_cfa_register x29
        mov     sp, x0
        mov     x0, x2
        blr     x1
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], 16
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        ending  tz_ctx_call_on

// void tuza_syscall_enter(void), void tuza_blocking_enter(void)
// Hand the scheduler the caller's callee-saved registers and stack pointer;
// both stay true after the return, which is why this is not C.
        .macro  enter name, kind
        function \name
        stp     x29, x30, [sp, -(TZ_CTX_REGS_SIZE+16)]!
        .cfi_def_cfa_offset TZ_CTX_REGS_SIZE+16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, 16]
        stp     x21, x22, [sp, 32]
        stp     x23, x24, [sp, 48]
        stp     x25, x26, [sp, 64]
        stp     x27, x28, [sp, 80]
        stp     x29, xzr, [sp, 96]
        stp     d8, d9, [sp, 112]
        stp     d10, d11, [sp, 128]
        stp     d12, d13, [sp, 144]
        stp     d14, d15, [sp, 160]
        add     x0, sp, 16
        add     x1, sp, TZ_CTX_REGS_SIZE+16
        mov     w2, \kind
        bl      tz_port_syscall_enter
        ldp     x29, x30, [sp], TZ_CTX_REGS_SIZE+16
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        ending  \name
        .endm

        .hidden tz_port_syscall_enter
        .hidden tz_port_entry_returned
        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", %progbits
