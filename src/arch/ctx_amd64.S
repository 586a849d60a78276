// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_amd64.S: switching stacks on amd64 (System V ABI).
//
// A switch ends in a jmp, not a ret: the return-stack predictor belongs to the
// code that was left, and a mispredicted ret costs three times the switch. For the
// same reason the scheduler begins one with a jmp (tz_ctx_switch_here): after a call
// the returns that follow would all be predicted one too early. It reads the new
// context before it writes anything, so that a bad one faults while all is as it
// was. Frames are written with mov below the stack pointer, into the red zone,
// which signals leave alone: pushes and pops would make each other wait.
//
// The floating-point control words belong to the context. What storing and
// loading them costs differs by CPU, so tz_ctx_setup chooses (docs/adr/008):
// load MXCSR always, or compare it and load it when it differs. In a
// comparison its sticky exception flags (bits 0 to 5) do not count, or every
// computation would make a difference. The x87 word is always compared. Or the
// program has promised to leave the words alone: then so does the switch.
//
// No shadow-stack support: these objects are not marked for it, so the loader
// leaves it off.

#include "arch/layout_amd64.h"

        .text

// rdx: the frame of the context that is left.
        .macro  save_registers
        movq    %rbp, TZ_FRAME_RBP(%rdx)
        movq    %rbx, TZ_FRAME_RBX(%rdx)
        movq    %r12, TZ_FRAME_R12(%rdx)
        movq    %r13, TZ_FRAME_R13(%rdx)
        movq    %r14, TZ_FRAME_R14(%rdx)
        movq    %r15, TZ_FRAME_R15(%rdx)
        .endm

// rax: the frame of the new context. It stays in the red zone, so to unwinders
// its caller has its registers there from the first of these to the jmp.
        .macro  load_registers
        leaq    TZ_FRAME_SIZE(%rax), %rsp
        .cfi_def_cfa rsp, 0
        .cfi_offset rip, TZ_FRAME_PC - TZ_FRAME_SIZE
        .cfi_offset rbp, TZ_FRAME_RBP - TZ_FRAME_SIZE
        .cfi_offset rbx, TZ_FRAME_RBX - TZ_FRAME_SIZE
        .cfi_offset r12, TZ_FRAME_R12 - TZ_FRAME_SIZE
        .cfi_offset r13, TZ_FRAME_R13 - TZ_FRAME_SIZE
        .cfi_offset r14, TZ_FRAME_R14 - TZ_FRAME_SIZE
        .cfi_offset r15, TZ_FRAME_R15 - TZ_FRAME_SIZE
        movq    TZ_FRAME_RBP(%rax), %rbp
        movq    TZ_FRAME_RBX(%rax), %rbx
        movq    TZ_FRAME_R12(%rax), %r12
        movq    TZ_FRAME_R13(%rax), %r13
        movq    TZ_FRAME_R14(%rax), %r14
        movq    TZ_FRAME_R15(%rax), %r15
        .endm

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// rdi from, rsi to; clobbers rax, rcx, rdx, r8.
// tz_ctx_switch_jump: jumped to with the address to go on at below the stack
// pointer, where a return leaves it.
        .globl  tz_ctx_switch
        .hidden tz_ctx_switch
        .type   tz_ctx_switch, @function
        .p2align 6
tz_ctx_switch:
        .cfi_startproc
        leaq    8(%rsp), %rsp
        .cfi_def_cfa_offset 0
        .globl  tz_ctx_switch_jump
        .hidden tz_ctx_switch_jump
tz_ctx_switch_jump:
        movq    TZ_CTX_SP(%rsi), %rax
        leaq    -TZ_FRAME_SIZE(%rsp), %rdx
        movq    TZ_FRAME_PC(%rax), %rcx
        cmpb    $TZ_CONTROL_LOAD, tz_arch(%rip) // the flags last until jne 2f
        jb      4f
        .cfi_remember_state
        stmxcsr TZ_FRAME_CONTROL(%rdx)
        fnstcw  TZ_FRAME_CONTROL+4(%rdx)
        movq    %rdx, TZ_CTX_SP(%rdi)
        save_registers
        load_registers
        jne     2f
        ldmxcsr TZ_FRAME_CONTROL(%rax)
1:      movzwl  TZ_FRAME_CONTROL+4(%rdx), %edx
        cmpw    TZ_FRAME_CONTROL+4(%rax), %dx
        jne     3f
        jmp     *%rcx
2:      movl    TZ_FRAME_CONTROL(%rdx), %r8d
        xorl    TZ_FRAME_CONTROL(%rax), %r8d
        testl   $TZ_MXCSR_CONTROL, %r8d
        jz      1b
3:      ldmxcsr TZ_FRAME_CONTROL(%rax)
        fldcw   TZ_FRAME_CONTROL+4(%rax)
        jmp     *%rcx
        .p2align 6
        .cfi_restore_state
4:      movq    %rdx, TZ_CTX_SP(%rdi)
        save_registers
        load_registers
        jmp     *%rcx
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
        movq    TZ_CTX_SP(%rdi), %rax
        movq    TZ_FRAME_PC(%rax), %rcx
        load_registers
        cmpb    $TZ_CONTROL_SHARED, tz_arch(%rip)
        je      1f
        ldmxcsr TZ_FRAME_CONTROL(%rax)
        fldcw   TZ_FRAME_CONTROL+4(%rax)
1:      jmp     *%rcx
        .cfi_endproc
        .size   tz_ctx_jump, .-tz_ctx_jump

// Where a new context starts, but for the nop: unwinders look in front of a
// return address. rbx entry, r12 argument; rsp is 16-aligned.
// The undefined return address ends every backtrace here.
        .globl  tz_ctx_start
        .hidden tz_ctx_start
        .type   tz_ctx_start, @function
        .p2align 4
tz_ctx_start:
        .cfi_startproc
        .cfi_undefined rip
        nop
        movq    %r12, %rdi
        xorl    %ebp, %ebp
        call    *%rbx
        call    tz_port_entry_returned
        ud2
        .cfi_endproc
        .size   tz_ctx_start, .-tz_ctx_start

// void tz_ctx_fp_reset(void)
// As a switch to a new context does with them. Clobbers rax.
        .globl  tz_ctx_fp_reset
        .hidden tz_ctx_fp_reset
        .type   tz_ctx_fp_reset, @function
        .p2align 4
tz_ctx_fp_reset:
        .cfi_startproc
        cmpb    $TZ_CONTROL_LOAD, tz_arch(%rip)
        jb      2f
        ja      3f
        ldmxcsr defaults(%rip)
1:      fnstcw  -4(%rsp)
        movzwl  -4(%rsp), %eax
        cmpl    $TZ_FPUCW_DEFAULT, %eax
        jne     4f
2:      ret
3:      stmxcsr -8(%rsp)
        movl    -8(%rsp), %eax
        xorl    $TZ_MXCSR_DEFAULT, %eax
        testl   $TZ_MXCSR_CONTROL, %eax
        jz      1b
        ldmxcsr defaults(%rip)
        jmp     1b
4:      fldcw   defaults+4(%rip)
        ret
        .cfi_endproc
        .size   tz_ctx_fp_reset, .-tz_ctx_fp_reset
        .section .rodata
        .p2align 3
defaults:
        .long   TZ_MXCSR_DEFAULT
        .short  TZ_FPUCW_DEFAULT
        .text

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

        .hidden tz_arch
        .hidden tz_port_syscall_enter
        .hidden tz_port_entry_returned
        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", @progbits
