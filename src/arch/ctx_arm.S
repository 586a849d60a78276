// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_arm.S: switching stacks on arm (AAPCS with VFP, ARMv7).
//
// A switch ends in a bx through r3, not lr: the return predictor belongs to the
// code that was left. It reads the new context before it writes anything, so
// that a bad one faults while all is as it was. There is no red zone: frames
// are written above the stack pointer. FPSCR is compared without its sticky
// flags and condition flags, and loaded only on a difference.
//
// Unwinding tables are written twice: .cfi_* for debuggers, which holds at each
// instruction, and .save and its like for the C library's backtrace, which
// holds where something is called.

#include "arch/layout_arm.h"

        .syntax unified
        .arch   armv7-a
        .fpu    vfpv3-d16
        .cfi_sections .debug_frame
        .text
        .arm

        .macro  function name
        .globl  \name
        .type   \name, %function
        .p2align 2
\name:
        .fnstart
        .cfi_startproc
        .endm

        .macro  internal name
        .hidden \name
        function \name
        .endm

        .macro  ending name
        .cfi_endproc
        .fnend
        .size   \name, .-\name
        .endm

        .macro  save_registers
        .pad    #TZ_FRAME_ABOVE
        sub     sp, sp, #TZ_FRAME_ABOVE
        .cfi_def_cfa_offset TZ_FRAME_ABOVE
        .save   {r4-r11, lr}
        push    {r4-r11, lr}
        .cfi_def_cfa_offset TZ_FRAME_SIZE-TZ_FRAME_R4
        .irp    i, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_rel_offset r\i, 4*(\i-4)
        .endr
        .cfi_rel_offset lr, TZ_FRAME_PC-TZ_FRAME_R4
        .vsave  {d8-d15}
        vpush   {d8-d15}
        .cfi_def_cfa_offset TZ_FRAME_SIZE
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_rel_offset d\i, TZ_FRAME_D8+8*(\i-8)
        .endr
        .endm

        .macro  load_registers
        vpop    {d8-d15}
        .cfi_def_cfa_offset TZ_FRAME_SIZE-TZ_FRAME_R4
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_restore d\i
        .endr
        pop     {r4-r11, lr}
        .cfi_def_cfa_offset TZ_FRAME_ABOVE
        .irp    i, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_restore r\i
        .endr
        .cfi_restore lr
        add     sp, sp, #TZ_FRAME_ABOVE
        .cfi_def_cfa_offset 0
        .endm

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// r0 from, r1 to; clobbers r2, r3, r12.
        internal tz_ctx_switch
        ldr     r2, [r1, #TZ_CTX_SP]
        ldr     r3, [r2, #TZ_FRAME_PC]
        save_registers
        vmrs    r12, fpscr
        str     r12, [sp, #TZ_FRAME_CONTROL]
        str     sp, [r0, #TZ_CTX_SP]
        mov     sp, r2
        ldr     r2, [sp, #TZ_FRAME_CONTROL]
        eor     r12, r12, r2
        movw    r1, #TZ_FPSCR_CONTROL_LOW
        movt    r1, #TZ_FPSCR_CONTROL_HIGH
        tst     r12, r1
        beq     1f
        vmsr    fpscr, r2
1:      load_registers
        bx      r3
        ending  tz_ctx_switch

// void tz_ctx_jump(const struct tz_ctx *to)
        internal tz_ctx_jump
        ldr     r2, [r0, #TZ_CTX_SP]
        ldr     r3, [r2, #TZ_FRAME_PC]
        mov     sp, r2
        .cfi_def_cfa_offset TZ_FRAME_SIZE
        .irp    i, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_rel_offset r\i, TZ_FRAME_R4+4*(\i-4)
        .endr
        .cfi_rel_offset lr, TZ_FRAME_PC
        .irp    i, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_rel_offset d\i, TZ_FRAME_D8+8*(\i-8)
        .endr
        ldr     r2, [sp, #TZ_FRAME_CONTROL]
        vmsr    fpscr, r2
        load_registers
        bx      r3
        .cantunwind
        ending  tz_ctx_jump

// Where a new context starts, but for the nop: unwinders look in front of a
// return address. r4 entry, r5 argument; sp is 16-aligned. Two
// zero words lie there, which to backtraces are the caller's fp and lr: the
// end. (.cantunwind would hide this function too.)
        internal tz_ctx_start
        .cfi_undefined lr
        nop
        .save   {r11, lr}
        mov     r0, r5
        mov     r11, #0
        blx     r4
        bl      tz_port_entry_returned
        udf     #0
        ending  tz_ctx_start

// void tz_ctx_fp_reset(void)
// As a switch to a new context does with FPSCR. Clobbers r0, r1.
        internal tz_ctx_fp_reset
        vmrs    r0, fpscr
        movw    r1, #TZ_FPSCR_CONTROL_LOW
        movt    r1, #TZ_FPSCR_CONTROL_HIGH
        ands    r0, r0, r1
        bxeq    lr
        mov     r0, #0
        vmsr    fpscr, r0
        bx      lr
        ending  tz_ctx_fp_reset

// void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg)
// r0 fn, r1 arg.
        internal tz_ctx_spill
        save_registers
        mov     r2, r0
        mov     r0, r1
        mov     r1, sp
        blx     r2
        ldr     lr, [sp, #TZ_FRAME_PC]
        .cfi_restore lr
        add     sp, sp, #TZ_FRAME_SIZE
        .cfi_def_cfa_offset 0
        bx      lr
        ending  tz_ctx_spill

// void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg)
// r0 top, r1 fn, r2 arg. Unwinders come through by r11.
        internal tz_ctx_call_on
        .save   {r11, lr}
        push    {r11, lr}
        .cfi_def_cfa_offset 8
        .cfi_rel_offset r11, 0
        .cfi_rel_offset lr, 4
        .setfp  r11, sp
        mov     r11, sp
        .cfi_def_cfa_register r11
        mov     sp, r0
        mov     r0, r2
        blx     r1
        mov     sp, r11
        .cfi_def_cfa_register sp
        pop     {r11, pc}
        ending  tz_ctx_call_on

// void tuza_syscall_enter(void), void tuza_blocking_enter(void)
// Hand the scheduler the caller's callee-saved registers and stack pointer;
// both stay true after the return, which is why this is not C.
        .macro  enter name, kind
        function \name
        .save   {r3, lr}
        push    {r3, lr}
        .cfi_def_cfa_offset 8
        .cfi_rel_offset lr, 4
        .pad    #TZ_CTX_REGS_SIZE
        sub     sp, sp, #TZ_CTX_REGS_SIZE
        .cfi_def_cfa_offset TZ_CTX_REGS_SIZE+8
        stm     sp, {r4-r11}
        add     r0, sp, #32
        vstm    r0, {d8-d15}
        mov     r0, sp
        add     r1, sp, #TZ_CTX_REGS_SIZE+8
        mov     r2, #\kind
        bl      tz_port_syscall_enter
        add     sp, sp, #TZ_CTX_REGS_SIZE
        .cfi_def_cfa_offset 8
        pop     {r3, pc}
        ending  \name
        .endm

        .hidden tz_port_syscall_enter
        .hidden tz_port_entry_returned
        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", %progbits
