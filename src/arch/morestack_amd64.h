// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_amd64.h: pieces of morestack_amd64.S, as macros.
#ifndef TZ_ARCH_MORESTACK_AMD64_H
#define TZ_ARCH_MORESTACK_AMD64_H

#include "arch/morestack.h"

#ifdef __ASSEMBLER__

// A stack of our own for C: the system stack of the thread, with the vector
// state at its low end. Clobbers rax, rcx, rdx.
        .macro  to_system_stack
        movq    tuza_split_record+TZ_REC_TLS_M(%rip), %rcx
        movq    %fs:(%rcx), %rcx
        movq    TZ_M_G0_SP(%rcx), %rsp
        subq    $256, %rsp
        .endm

        .macro  vectors_save
        subq    tuza_split_record+TZ_REC_XSAVE_SIZE(%rip), %rsp
        andq    $-64, %rsp
        movq    tuza_split_record+TZ_REC_XSAVE_MASK(%rip), %rax
        testq   %rax, %rax
        jz      7f
        xorl    %edx, %edx
        movq    %rdx, 512(%rsp)
        movq    %rdx, 520(%rsp)
        movq    %rdx, 528(%rsp)
        movq    %rdx, 536(%rsp)
        movq    %rdx, 544(%rsp)
        movq    %rdx, 552(%rsp)
        movq    %rdx, 560(%rsp)
        movq    %rdx, 568(%rsp)
        xsave64 (%rsp)
        jmp     8f
7:      fxsave64 (%rsp)
8:
        .endm

        .macro  vectors_restore
        movq    tuza_split_record+TZ_REC_XSAVE_MASK(%rip), %rax
        xorl    %edx, %edx
        testq   %rax, %rax
        jz      7f
        xrstor64 (%rsp)
        jmp     8f
7:      fxrstor64 (%rsp)
8:
        .endm

        .macro  args_push
        pushq   %rax
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        .endm

        .macro  args_pop
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rcx
        popq    %rdx
        popq    %rsi
        popq    %rdi
        popq    %rax
        .endm

// Segment rbx becomes the current one of the goroutine r12, rsp its top. The
// slot is 0 until all of that is so.
        .macro  enter_segment
        movq    %rbx, TZ_G_SEG(%r12)
        leaq    TZ_SEG_LINK(%rbx), %r10
        movq    %r10, TZ_G_LINKS(%r12)
        movq    TZ_SEG_LO(%rbx), %r10
        movq    %r10, TZ_G_STACK_LO(%r12)
        movq    TZ_SEG_HI(%rbx), %r10
        movq    %r10, TZ_G_STACK_HI(%r12)
        movq    %rsp, TZ_SEG_SP(%rbx)
        movq    %r11, TZ_SEG_ARGSIZE(%rbx)
        leaq    24(%rbp), %r10
        movq    %r10, TZ_SEG_ARGP(%rbx)
        movq    TZ_SEG_TOP(%rbx), %rsp
        movq    TZ_SEG_GUARD(%rbx), %r10
        movq    %r10, %fs:TZ_SLOT
        .endm

// Copies the stack arguments below rsp, which is 16-aligned; clobbers r10, r11.
        .macro  args_copy
        leaq    15(%r11), %r10
        andq    $-16, %r10
        subq    %r10, %rsp
7:      movq    16(%rbp,%r11), %r10
        movq    %r10, -8(%rsp,%r11)
        subq    $8, %r11
        jnz     7b
        .endm

#endif

#endif
