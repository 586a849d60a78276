// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_riscv64.S: switching stacks on riscv64 (the lp64d ABI).
//
// A switch ends in a jump through t1: jumps through ra and t0 (x1 and x5) are
// returns to the predictor, which belongs to the code that was left. It reads
// the new context before it writes anything, so that a bad one faults while
// all is as it was. There is no red zone: frames are written above the stack
// pointer. Of fcsr the rounding mode is control; the rest are sticky flags.

#include "arch/layout_riscv64.h"

        .text

        .macro  function name
        .globl  \name
        .type   \name, %function
        .p2align 2
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

        .macro  store_callee_saved base
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      s\i, \base+8*\i(sp)
        fsd     fs\i, \base+96+8*\i(sp)
        .endr
        .endm

        .macro  save_registers
        addi    sp, sp, -TZ_FRAME_SIZE
        .cfi_def_cfa_offset TZ_FRAME_SIZE
        sd      ra, TZ_FRAME_PC(sp)
        store_callee_saved TZ_FRAME_S0
        frame_rules
        .endm

        .macro  frame_rules
        .cfi_def_cfa sp, TZ_FRAME_SIZE
        .cfi_rel_offset ra, TZ_FRAME_PC
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_rel_offset s\i, TZ_FRAME_S0+8*\i
        .cfi_rel_offset fs\i, TZ_FRAME_FS0+8*\i
        .endr
        .endm

        .macro  load_registers
        ld      ra, TZ_FRAME_PC(sp)
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        ld      s\i, TZ_FRAME_S0+8*\i(sp)
        fld     fs\i, TZ_FRAME_FS0+8*\i(sp)
        .endr
        addi    sp, sp, TZ_FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore ra
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_restore s\i
        .cfi_restore fs\i
        .endr
        .endm

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// a0 from, a1 to; clobbers t1 to t4.
        internal tz_ctx_switch
        ld      t2, TZ_CTX_SP(a1)
        ld      t1, TZ_FRAME_PC(t2)
        save_registers
        frrm    t3
        sd      t3, TZ_FRAME_CONTROL(sp)
        sd      sp, TZ_CTX_SP(a0)
        mv      sp, t2
        ld      t4, TZ_FRAME_CONTROL(sp)
        beq     t3, t4, 1f
        fsrm    t4
1:      load_registers
        jr      t1
        ending  tz_ctx_switch

// void tz_ctx_jump(const struct tz_ctx *to)
        internal tz_ctx_jump
        ld      t2, TZ_CTX_SP(a0)
        ld      t1, TZ_FRAME_PC(t2)
        mv      sp, t2
        frame_rules
        ld      t4, TZ_FRAME_CONTROL(sp)
        fsrm    t4
        load_registers
        jr      t1
        ending  tz_ctx_jump

// Where a new context starts, but for the nop: unwinders look in front of a
// return address. s1 entry, s2 argument; sp is 16-aligned. The
// undefined return address ends every backtrace here.
        internal tz_ctx_start
        .cfi_undefined ra
        .4byte  0x13 // nop, not compressed
        mv      a0, s2
        li      s0, 0
        jalr    s1
        call    tz_port_entry_returned
        unimp
        ending  tz_ctx_start

// void tz_ctx_fp_reset(void)
// As a switch to a new context does with the rounding mode. Clobbers t1.
        internal tz_ctx_fp_reset
        frrm    t1
        beqz    t1, 1f
        fsrm    zero
1:      ret
        ending  tz_ctx_fp_reset

// void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg)
// a0 fn, a1 arg.
        internal tz_ctx_spill
        save_registers
        mv      t1, a0
        mv      a0, a1
        mv      a1, sp
        jalr    t1
        ld      ra, TZ_FRAME_PC(sp)
        addi    sp, sp, TZ_FRAME_SIZE
        .cfi_def_cfa_offset 0
        .cfi_restore ra
        ret
        ending  tz_ctx_spill

// void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg)
// a0 top, a1 fn, a2 arg. Unwinders come through by s0.
        internal tz_ctx_call_on
        addi    sp, sp, -16
        .cfi_def_cfa_offset 16
        sd      ra, 8(sp)
        sd      s0, 0(sp)
        .cfi_rel_offset ra, 8
        .cfi_rel_offset s0, 0
        addi    s0, sp, 16
        .cfi_def_cfa s0, 0
        mv      sp, a0
        mv      a0, a2
        jalr    a1
        addi    sp, s0, -16
        .cfi_def_cfa sp, 16
        ld      ra, 8(sp)
        ld      s0, 0(sp)
        addi    sp, sp, 16
        .cfi_def_cfa_offset 0
        .cfi_restore ra
        .cfi_restore s0
        ret
        ending  tz_ctx_call_on

// void tuza_syscall_enter(void), void tuza_blocking_enter(void)
// Hand the scheduler the caller's callee-saved registers and stack pointer;
// both stay true after the return, which is why this is not C.
        .macro  enter name, kind
        function \name
        addi    sp, sp, -(TZ_CTX_REGS_SIZE+16)
        .cfi_def_cfa_offset TZ_CTX_REGS_SIZE+16
        sd      ra, TZ_CTX_REGS_SIZE+8(sp)
        .cfi_rel_offset ra, TZ_CTX_REGS_SIZE+8
        store_callee_saved 0
        mv      a0, sp
        addi    a1, sp, TZ_CTX_REGS_SIZE+16
        li      a2, \kind
        call    tz_port_syscall_enter
        ld      ra, TZ_CTX_REGS_SIZE+8(sp)
        addi    sp, sp, TZ_CTX_REGS_SIZE+16
        .cfi_def_cfa_offset 0
        .cfi_restore ra
        ret
        ending  \name
        .endm

        .hidden tz_port_syscall_enter
        .hidden tz_port_entry_returned
        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", %progbits
