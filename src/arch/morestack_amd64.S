// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_amd64.S: where functions compiled with -fsplit-stack go when
// their frame does not fit. Part of libtuza_split.a, not of libtuza.
//
// A split prologue compares rsp, less its frame if that is large, with the
// guard in %fs:0x70 and calls __morestack when it is below, with
//
//     r10  bytes of frame         rax  static chain, or number of vectors
//     r11  bytes of stack args    (rsp) address of a `ret`; the body follows
//
// and everything else as the function's caller left it. __morestack takes the
// goroutine's next segment, copies the stack arguments there and calls the
// body, which returns here; then it goes back to the old segment and returns
// to the `ret`. A variadic body finds its stack arguments at 24(%rbp), so rbp
// is our frame on the old segment. By a real call and a real ret the
// predictor of returns stays in step.
//
// Hot path: the next segment is there from last time. Slow path: C on the
// thread's system stack, vector registers saved there, the slot 0 meanwhile:
// signal handlers that are split run on as they are.
//
// While stack pointer, current segment and slot do not belong together the slot
// is 0: a handler that interrupts us then runs on where it is, and the thread
// is not stopped inside of it. Nor is it while its pc is in here.

#include "arch/morestack_amd64.h"

        .text
        .globl  tuza_split_text_begin
        .hidden tuza_split_text_begin
tuza_split_text_begin:

// The same with room for what non-split code may use.
        .globl  __morestack_non_split
        .hidden __morestack_non_split
        .type   __morestack_non_split, @function
        .p2align 4
__morestack_non_split:
        .cfi_startproc
        .cfi_personality 0x1b, tuza_split_personality
        .cfi_def_cfa_offset 16
        pushq   %rbp
        .cfi_def_cfa_offset 24
        .cfi_offset rbp, -24
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        pushq   %rbx
        .cfi_offset rbx, -32
        pushq   %r12
        .cfi_offset r12, -40
        cmpq    $0, %fs:TZ_SLOT
        je      .Lin_place
        movq    tuza_split_record+TZ_REC_TLS_G(%rip), %rbx
        testq   %rbx, %rbx
        jz      .Lin_place
        movq    %fs:(%rbx), %rbx
        movq    TZ_G_SEG(%rbx), %rbx
        testq   %rbx, %rbx
        jz      .Lin_place
        movq    %rsp, %r12
        subq    %r10, %r12
        cmpq    TZ_SEG_NONSPLIT(%rbx), %r12
        jae     .Lin_place
        addq    $TZ_SPLIT_RESERVE, %r10
        jmp     .Lframed
        .cfi_endproc
        .size   __morestack_non_split, .-__morestack_non_split

// rbp, rbx, r12 are our frame; unwinders come through by rbp, from every stack,
// and go on in the function's caller: the place that called us is in no table
// of the function's own exception handlers.
        .globl  __morestack
        .hidden __morestack
        .type   __morestack, @function
        .p2align 4
__morestack:
        .cfi_startproc
        .cfi_personality 0x1b, tuza_split_personality
        .cfi_def_cfa_offset 16
        pushq   %rbp
        .cfi_def_cfa_offset 24
        .cfi_offset rbp, -24
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        pushq   %rbx
        .cfi_offset rbx, -32
        pushq   %r12
        .cfi_offset r12, -40
.Lframed: cmpq    $-1, %fs:TZ_SLOT
        je      .Lslow
        movq    tuza_split_record+TZ_REC_TLS_G(%rip), %rbx
        testq   %rbx, %rbx
        jz      .Lin_place
        movq    %fs:(%rbx), %r12
        movq    TZ_G_SEG(%r12), %rbx
        testq   %rbx, %rbx
        jz      .Lin_place
        movq    $0, %fs:TZ_SLOT
        movq    TZ_SEG_NEXT(%rbx), %rbx
        testq   %rbx, %rbx
        jz      .Lslow
        testb   $7, %r11b
        jnz     .Lslow
        addq    %r11, %r10
        cmpq    TZ_SEG_ROOM(%rbx), %r10
        ja      .Lslow_undo
.Lenter:  enter_segment
        testl   %r11d, %r11d
        jnz     2f
1:      movq    8(%rbp), %r10
        incq    %r10
        movq    %r10, TZ_SEG_PC(%rbx)
        call    *%r10
        cmpq    $0, TZ_SEG_HEAVY(%rbx)
        jne     .Lleave_slow
.Lleave:  movq    TZ_SEG_PREV(%rbx), %r10
        movq    TZ_SEG_G(%rbx), %r11
        movq    TZ_SEG_HI(%r10), %rcx
        movq    TZ_SEG_LO(%r10), %rsi
        movq    TZ_SEG_GUARD(%r10), %rdi
        movq    TZ_SEG_LINK(%rbx), %r8
        movq    $-1, %r9
        cmpq    %r9, %fs:TZ_SLOT
        cmoveq  %r9, %rdi // a wish to preempt outlives the segment
        movq    $0, %fs:TZ_SLOT
        leaq    -16(%rbp), %rsp
        movq    %r8, TZ_G_LINKS(%r11)
        movq    %rcx, TZ_G_STACK_HI(%r11)
        movq    %rsi, TZ_G_STACK_LO(%r11)
        movq    %r10, TZ_G_SEG(%r11)
        movq    %rdi, %fs:TZ_SLOT
        popq    %r12
        popq    %rbx
        popq    %rbp
        .cfi_remember_state
        .cfi_def_cfa rsp, 16
        .cfi_restore rbp
        .cfi_restore rbx
        .cfi_restore r12
        ret
        .cfi_restore_state

2:      args_copy
        jmp     1b

// Frees what lies beyond rbx; the results are in rax, rdx, xmm, x87.
.Lleave_slow:
        pushq   %rax
        pushq   %rdx
        movq    %rsp, %r12
        movq    $0, %fs:TZ_SLOT
        to_system_stack
        vectors_save
        movq    %rbx, %rdi
        call    *tuza_split_record+TZ_REC_LEAVE(%rip)
        vectors_restore
        movq    %r12, %rsp
        popq    %rdx
        popq    %rax
        jmp     .Lleave

.Lslow_undo:
        subq    %r11, %r10
.Lslow:   args_push
        movq    tuza_split_record+TZ_REC_TLS_G(%rip), %rbx
        testq   %rbx, %rbx
        jz      4f
        movq    %fs:(%rbx), %r12
        testq   %r12, %r12
        jz      4f
        movq    TZ_G_SEG(%r12), %rbx
        testq   %rbx, %rbx
        jz      4f
        // On this goroutine's stack? An overflow of up to a page is for C.
        movq    TZ_G_STACK_LO(%r12), %rcx
        subq    $4096, %rcx
        movq    %rsp, %rax
        subq    %rcx, %rax
        subq    TZ_G_STACK_HI(%r12), %rcx
        negq    %rcx
        cmpq    %rcx, %rax
        jae     3f
        movq    %rsp, %rdi
        movq    %fs:TZ_SLOT, %rsi
        movq    $0, %fs:TZ_SLOT
        to_system_stack
        vectors_save
        call    *tuza_split_record+TZ_REC_MORE(%rip)
        movq    %rax, %rbx
        vectors_restore
        leaq    -88(%rbp), %rsp
        args_pop
        testq   %rbx, %rbx
        jz      5f
        btrq    $0, %rbx
        jnc     .Lenter
        enter_segment
        args_push
        subq    $8, %rsp
        movq    %rsp, %r12
        vectors_save
        call    *tuza_split_record+TZ_REC_YIELD(%rip)
        vectors_restore
        leaq    8(%r12), %rsp
        args_pop
        testl   %r11d, %r11d
        jnz     2b
        jmp     1b
3:      cmpq    $0, %fs:TZ_SLOT
        jne     4f
        movq    TZ_SEG_GUARD(%rbx), %rcx
        movq    %rcx, %fs:TZ_SLOT
4:      args_pop
        jmp     .Lin_place
5:      movq    TZ_G_SEG(%r12), %rbx
        movq    TZ_SEG_GUARD(%rbx), %rbx
        movq    %rbx, %fs:TZ_SLOT

// The body on the stack that we are on. rbx 0 tells the personality.
.Lin_place:
        xorl    %ebx, %ebx
        subq    $8, %rsp
        testl   %r11d, %r11d
        jz      6f
        args_copy
6:      movq    8(%rbp), %r10
        incq    %r10
        call    *%r10
        leaq    -16(%rbp), %rsp
        popq    %r12
        popq    %rbx
        popq    %rbp
        .cfi_def_cfa rsp, 16
        .cfi_restore rbp
        .cfi_restore rbx
        .cfi_restore r12
        ret
        .cfi_endproc
        .size   __morestack, .-__morestack

        .globl  tuza_split_text_end
        .hidden tuza_split_text_end
tuza_split_text_end:

        .section .note.GNU-split-stack, "", @progbits
        .section .note.GNU-stack, "", @progbits
