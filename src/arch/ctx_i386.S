// SPDX-License-Identifier: BSD-3-Clause
// arch/ctx_i386.S: switching stacks on i386 (System V ABI, SSE).
//
// As ctx_amd64.S does it, but for the red zone, which is not there: frames are
// written above the stack pointer; and there is one way to treat the control
// words: both are compared, MXCSR without its sticky flags, and loaded on a
// difference. The ABI's stack is 16-byte aligned at a call, its arguments just
// above the return address.

#include "arch/layout_i386.h"

        .text

        .macro  function name
        .globl  \name
        .type   \name, @function
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

        .macro  frame_rules
        .cfi_def_cfa esp, TZ_FRAME_SIZE
        .cfi_rel_offset eip, TZ_FRAME_PC
        .cfi_rel_offset ebp, TZ_FRAME_EBP
        .cfi_rel_offset ebx, TZ_FRAME_EBX
        .cfi_rel_offset esi, TZ_FRAME_ESI
        .cfi_rel_offset edi, TZ_FRAME_EDI
        .endm

        .macro  load_registers // and jump to where ecx says
        movl    TZ_FRAME_EBP(%esp), %ebp
        movl    TZ_FRAME_EBX(%esp), %ebx
        movl    TZ_FRAME_ESI(%esp), %esi
        movl    TZ_FRAME_EDI(%esp), %edi
        addl    $TZ_FRAME_SIZE, %esp
        .cfi_def_cfa_offset 0
        .cfi_restore ebp
        .cfi_restore ebx
        .cfi_restore esi
        .cfi_restore edi
        .cfi_register eip, ecx
        jmp     *%ecx
        .endm

// void tz_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
// Clobbers eax, ecx, edx.
        internal tz_ctx_switch
        movl    8(%esp), %edx
        movl    4(%esp), %eax
        movl    TZ_CTX_SP(%edx), %edx
        movl    TZ_FRAME_PC(%edx), %ecx
        subl    $TZ_FRAME_PC, %esp
        .cfi_adjust_cfa_offset TZ_FRAME_PC
        stmxcsr TZ_FRAME_CONTROL(%esp)
        fnstcw  TZ_FRAME_CONTROL+4(%esp)
        movl    %ebp, TZ_FRAME_EBP(%esp)
        movl    %ebx, TZ_FRAME_EBX(%esp)
        movl    %esi, TZ_FRAME_ESI(%esp)
        movl    %edi, TZ_FRAME_EDI(%esp)
        frame_rules
        movl    %esp, TZ_CTX_SP(%eax)
        movl    TZ_FRAME_CONTROL(%esp), %eax
        xorl    TZ_FRAME_CONTROL(%edx), %eax
        testl   $TZ_MXCSR_CONTROL, %eax
        jnz     1f
        movzwl  TZ_FRAME_CONTROL+4(%esp), %eax
        cmpw    TZ_FRAME_CONTROL+4(%edx), %ax
        je      2f
1:      ldmxcsr TZ_FRAME_CONTROL(%edx)
        fldcw   TZ_FRAME_CONTROL+4(%edx)
2:      movl    %edx, %esp
        load_registers
        ending  tz_ctx_switch

// void tz_ctx_jump(const struct tz_ctx *to)
        internal tz_ctx_jump
        movl    4(%esp), %edx
        movl    TZ_CTX_SP(%edx), %edx
        movl    TZ_FRAME_PC(%edx), %ecx
        ldmxcsr TZ_FRAME_CONTROL(%edx)
        fldcw   TZ_FRAME_CONTROL+4(%edx)
        movl    %edx, %esp
        frame_rules
        load_registers
        ending  tz_ctx_jump

// Where a new context starts, but for the nop: unwinders look in front of a
// return address. ebx entry, esi argument; esp is 16-aligned. The
// undefined return address ends every backtrace here.
        internal tz_ctx_start
        .cfi_undefined eip
        nop
        xorl    %ebp, %ebp
        subl    $12, %esp
        pushl   %esi
        call    *%ebx
        call    tz_port_entry_returned
        ud2
        ending  tz_ctx_start

// void tz_ctx_fp_reset(void)
// As a switch to a new context does with the control words. Clobbers eax.
        internal tz_ctx_fp_reset
        subl    $12, %esp
        .cfi_adjust_cfa_offset 12
        stmxcsr 0(%esp)
        fnstcw  4(%esp)
        movl    0(%esp), %eax
        xorl    $TZ_MXCSR_DEFAULT, %eax
        testl   $TZ_MXCSR_CONTROL, %eax
        jnz     1f
        movzwl  4(%esp), %eax
        cmpl    $TZ_FPUCW_DEFAULT, %eax
        je      2f
1:      movl    $TZ_MXCSR_DEFAULT, 0(%esp)
        movw    $TZ_FPUCW_DEFAULT, 4(%esp)
        ldmxcsr 0(%esp)
        fldcw   4(%esp)
2:      addl    $12, %esp
        .cfi_adjust_cfa_offset -12
        ret
        ending  tz_ctx_fp_reset

// void tz_ctx_spill(void (*fn)(void *arg, uintptr_t sp), void *arg)
        internal tz_ctx_spill
        movl    4(%esp), %eax
        movl    8(%esp), %ecx
        subl    $44, %esp
        .cfi_adjust_cfa_offset 44
        movl    %ebp, 28(%esp)
        .cfi_rel_offset ebp, 28
        movl    %edi, 24(%esp)
        movl    %esi, 20(%esp)
        movl    %ebx, 16(%esp)
        movl    %ecx, 0(%esp)
        movl    %esp, 4(%esp)
        call    *%eax
        addl    $44, %esp
        .cfi_adjust_cfa_offset -44
        ret
        ending  tz_ctx_spill

// void tz_ctx_call_on(uintptr_t top, void (*fn)(void *), void *arg)
// Unwinders come through by ebp.
        internal tz_ctx_call_on
        pushl   %ebp
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset ebp, 0
        movl    %esp, %ebp
        .cfi_def_cfa_register ebp
        movl    8(%ebp), %eax
        movl    16(%ebp), %ecx
        leal    -16(%eax), %esp
        movl    %ecx, 0(%esp)
        call    *12(%ebp)
        leave
        .cfi_def_cfa esp, 4
        .cfi_restore ebp
        ret
        ending  tz_ctx_call_on

// void tuza_syscall_enter(void), void tuza_blocking_enter(void)
// Hand the scheduler the caller's callee-saved registers and stack pointer;
// both stay true after the return, which is why this is not C.
        .macro  enter name, kind
        function \name
        subl    $44, %esp
        .cfi_adjust_cfa_offset 44
        movl    %ebx, 16(%esp)
        movl    %esi, 20(%esp)
        movl    %edi, 24(%esp)
        movl    %ebp, 28(%esp)
        leal    16(%esp), %eax
        movl    %eax, 0(%esp)
        leal    48(%esp), %eax
        movl    %eax, 4(%esp)
        movl    $\kind, 8(%esp)
        call    tz_port_syscall_enter
        addl    $44, %esp
        .cfi_adjust_cfa_offset -44
        ret
        ending  \name
        .endm

        .hidden tz_port_syscall_enter
        .hidden tz_port_entry_returned
        enter   tuza_syscall_enter, 0
        enter   tuza_blocking_enter, 1

        .section .note.GNU-stack, "", @progbits
