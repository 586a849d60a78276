// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_amd64.S: switching stacks on amd64 (System V ABI).
//
// A switch ends in a jmp, not a ret: the return-stack predictor belongs to the
// code that was left, and a mispredicted ret costs five times the switch. The
// floating-point control words belong to the context, but loading them is
// slow, so they are loaded only when they differ; MXCSR's sticky exception
// flags (bits 0 to 5) do not count, or every computation would make them
// differ. No shadow-stack support: these objects are not marked for it, so the
// loader leaves it off.

#include "arch/layout_amd64.h"

        .text

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// rdi from, rsi to; clobbers rax, rcx, rdx.
        .globl  tz_ctx_switch
        .hidden tz_ctx_switch
        .type   tz_ctx_switch, @function
        .p2align 4
tz_ctx_switch:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr TZ_FRAME_CONTROL(%rsp)
        fnstcw  TZ_FRAME_CONTROL+4(%rsp)
        movl    TZ_FRAME_CONTROL(%rsp), %eax
        movzwl  TZ_FRAME_CONTROL+4(%rsp), %edx
        movq    %rsp, TZ_CTX_SP(%rdi)
        movq    TZ_CTX_SP(%rsi), %rsp
        xorl    TZ_FRAME_CONTROL(%rsp), %eax
        andl    $0xffc0, %eax
        jnz     1f
        cmpw    TZ_FRAME_CONTROL+4(%rsp), %dx
        jne     1f
2:      addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmp     *%rcx
        .cfi_endproc
// Out of line: load both control words of the new context.
1:      .cfi_startproc
        .cfi_adjust_cfa_offset 56
        ldmxcsr TZ_FRAME_CONTROL(%rsp)
        fldcw   TZ_FRAME_CONTROL+4(%rsp)
        jmp     2b
        .cfi_endproc
        .size   tz_ctx_switch, .-tz_ctx_switch

// void tz_ctx_jump(const struct tz_ctx *to)
// rdi to.
        .globl  tz_ctx_jump
        .hidden tz_ctx_jump
        .type   tz_ctx_jump, @function
        .p2align 4
tz_ctx_jump:
        .cfi_startproc
        .cfi_undefined rip
        movq    TZ_CTX_SP(%rdi), %rsp
        ldmxcsr TZ_FRAME_CONTROL(%rsp)
        fldcw   TZ_FRAME_CONTROL+4(%rsp)
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        popq    %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   tz_ctx_jump, .-tz_ctx_jump

// Where a new context starts: rbx entry, r12 argument; rsp is 16-aligned.
// The undefined return address ends every backtrace here.
        .globl  tz_ctx_start
        .hidden tz_ctx_start
        .type   tz_ctx_start, @function
        .p2align 4
tz_ctx_start:
        .cfi_startproc
        .cfi_undefined rip
        movq    %r12, %rdi
        xorl    %ebp, %ebp
        call    *%rbx
        ud2
        .cfi_endproc
        .size   tz_ctx_start, .-tz_ctx_start

// void tz_ctx_fp_reset(void)
// Loads them only when they differ, as a switch does. Clobbers rax, flags.
        .globl  tz_ctx_fp_reset
        .hidden tz_ctx_fp_reset
        .type   tz_ctx_fp_reset, @function
        .p2align 4
tz_ctx_fp_reset:
        .cfi_startproc
        stmxcsr -8(%rsp)
        fnstcw  -4(%rsp)
        movl    -8(%rsp), %eax
        xorl    $TZ_MXCSR_DEFAULT, %eax
        andl    $0xffc0, %eax
        jnz     1f
        cmpw    $TZ_FPUCW_DEFAULT, -4(%rsp)
        jne     1f
        ret
1:      movl    $TZ_MXCSR_DEFAULT, -8(%rsp)
        movw    $TZ_FPUCW_DEFAULT, -4(%rsp)
        ldmxcsr -8(%rsp)
        fldcw   -4(%rsp)
        ret
        .cfi_endproc
        .size   tz_ctx_fp_reset, .-tz_ctx_fp_reset

// void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg)
// rdi fn, rsi arg.
        .globl  tz_ctx_spill
        .hidden tz_ctx_spill
        .type   tz_ctx_spill, @function
        .p2align 4
tz_ctx_spill:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rsp, %rsi
        call    *%rax
        addq    $56, %rsp
        .cfi_adjust_cfa_offset -56
        ret
        .cfi_endproc
        .size   tz_ctx_spill, .-tz_ctx_spill

// void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg)
// rdi top, rsi fn, rdx arg. Unwinders come through by rbp.
        .globl  tz_ctx_call_on
        .hidden tz_ctx_call_on
        .type   tz_ctx_call_on, @function
        .p2align 4
tz_ctx_call_on:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        call    *%rsi
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   tz_ctx_call_on, .-tz_ctx_call_on

// void tuza_syscall_enter(void), void tuza_blocking_enter(void)
// Hand the scheduler the caller's callee-saved registers and stack pointer;
// both stay true after the return, which is why this is not C.
        .macro  enter name, kind
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        subq    $TZ_CTX_REGS_SIZE+8, %rsp
        .cfi_adjust_cfa_offset TZ_CTX_REGS_SIZE+8
        movq    %rbx, 0(%rsp)
        movq    %rbp, 8(%rsp)
        movq    %r12, 16(%rsp)
        movq    %r13, 24(%rsp)
        movq    %r14, 32(%rsp)
        movq    %r15, 40(%rsp)
        movq    %rsp, %rdi
        leaq    TZ_CTX_REGS_SIZE+16(%rsp), %rsi
        movl    $\kind, %edx
        call    tz_port_syscall_enter
        addq    $TZ_CTX_REGS_SIZE+8, %rsp
        .cfi_adjust_cfa_offset -TZ_CTX_REGS_SIZE-8
        ret
        .cfi_endproc
        .size   \name, .-\name
        .endm

        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", @progbits
