// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_jump_amd64.S: the rest of what split code calls: alloca that
// does not fit, and longjmp. Part of libtuza_split.a.
//
// A longjmp may leave segments, and the guard must follow it. So all four
// names of it stand here instead of libc's: they find the segment that the
// target's stack pointer lies in. The layout of jmp_buf, and how libc disguises
// rbp, rsp and the pc in it (rotated left by 17, then xor with %fs:0x30), are
// glibc's binary interface.

#include "arch/morestack.h"

#define JB_RBX 0
#define JB_RBP 8
#define JB_R12 16
#define JB_R13 24
#define JB_R14 32
#define JB_R15 40
#define JB_RSP 48
#define JB_PC 56
#define JB_MASK_SAVED 64
#define JB_MASK 72
#define POINTER_GUARD 0x30
#define SYS_RT_SIGPROCMASK 14
#define SIG_SETMASK 2

        .text
        .globl  tuza_split_jump_begin
        .hidden tuza_split_jump_begin
tuza_split_jump_begin:

// void *__morestack_allocate_stack_space(size_t bytes)
// rdi bytes. The caller has a frame pointer, as every function with alloca.
// What fits, or is none of ours to find room for, is taken from the caller's
// stack by returning with a lower rsp, as alloca does.
        .globl  __morestack_allocate_stack_space
        .hidden __morestack_allocate_stack_space
        .type   __morestack_allocate_stack_space, @function
        .p2align 4
__morestack_allocate_stack_space:
        .cfi_startproc
        movq    tuza_split_record+TZ_REC_TLS_G(%rip), %rdx
        testq   %rdx, %rdx
        jz      1f
        movq    %fs:(%rdx), %rcx
        testq   %rcx, %rcx
        jz      1f
        movq    TZ_G_SEG(%rcx), %rsi
        testq   %rsi, %rsi
        jz      1f
        movq    %rsp, %rax
        subq    TZ_G_STACK_LO(%rcx), %rax
        movq    TZ_G_STACK_HI(%rcx), %rdx
        subq    TZ_G_STACK_LO(%rcx), %rdx
        cmpq    %rdx, %rax
        jae     1f
        movq    %rsp, %rax
        subq    %rdi, %rax
        jb      2f
        cmpq    TZ_SEG_GUARD(%rsi), %rax
        jae     1f
2:      pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        leaq    16(%rbp), %rsi
        movq    (%rbp), %rdx
        movq    $0, %fs:TZ_SLOT
        movq    tuza_split_record+TZ_REC_TLS_M(%rip), %rcx
        movq    %fs:(%rcx), %rcx
        movq    TZ_M_G0_SP(%rcx), %rsp
        subq    $256, %rsp
        andq    $-64, %rsp
        call    *tuza_split_record+TZ_REC_SPILL(%rip)
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa rsp, 8
        .cfi_restore rbp
        movq    %rdx, %fs:TZ_SLOT
        ret
1:      popq    %rdx
        .cfi_def_cfa_offset 0
        .cfi_register rip, rdx
        addq    $15, %rdi
        andq    $-16, %rdi
        subq    %rdi, %rsp
        .cfi_def_cfa rbp, 16 // the caller's frame, as it is from here on
        movq    %rsp, %rax
        jmp     *%rdx
        .cfi_endproc
        .size   __morestack_allocate_stack_space, .-__morestack_allocate_stack_space

// void longjmp(jmp_buf env, int value)
// rdi env, esi value.
        .globl  longjmp, _longjmp, siglongjmp, __longjmp_chk
        .type   longjmp, @function
        .type   _longjmp, @function
        .type   siglongjmp, @function
        .type   __longjmp_chk, @function
        .p2align 4
longjmp:
_longjmp:
siglongjmp:
__longjmp_chk:
        .cfi_startproc
        movq    %rdi, %r9
        movl    %esi, %r10d
        cmpl    $0, JB_MASK_SAVED(%r9)
        je      1f
        movl    $SIG_SETMASK, %edi
        leaq    JB_MASK(%r9), %rsi
        xorl    %edx, %edx
        movq    %r10, %r12
        movl    $8, %r10d
        movl    $SYS_RT_SIGPROCMASK, %eax
        syscall
        movq    %r12, %r10
1:      movq    JB_RSP(%r9), %r8
        rorq    $17, %r8
        xorq    %fs:POINTER_GUARD, %r8
        movq    tuza_split_record+TZ_REC_TLS_G(%rip), %rdx
        testq   %rdx, %rdx
        jz      4f
        movq    %fs:(%rdx), %rcx
        testq   %rcx, %rcx
        jz      4f
        movq    TZ_G_SEG(%rcx), %rdx
// From the current segment outward; none: the target is not on this goroutine.
2:      testq   %rdx, %rdx
        jz      4f
        movq    %r8, %rax
        subq    TZ_SEG_LO(%rdx), %rax
        movq    TZ_SEG_HI(%rdx), %rsi
        subq    TZ_SEG_LO(%rdx), %rsi
        cmpq    %rsi, %rax
        jbe     3f
        movq    TZ_SEG_PREV(%rdx), %rdx
        jmp     2b
3:      movq    TZ_SEG_HI(%rdx), %rax
        movq    %rax, TZ_G_STACK_HI(%rcx)
        movq    TZ_SEG_LO(%rdx), %rax
        movq    %rax, TZ_G_STACK_LO(%rcx)
        movq    TZ_SEG_GUARD(%rdx), %rax
        movq    %rax, %fs:TZ_SLOT
        xorl    %eax, %eax
        leaq    TZ_SEG_LINK(%rdx), %rsi
        cmpq    $0, TZ_SEG_PREV(%rdx)
        cmovneq %rsi, %rax
        movq    %rax, TZ_G_LINKS(%rcx)
        movq    %rdx, TZ_G_SEG(%rcx)
4:      movl    $1, %eax
        testl   %r10d, %r10d
        cmovnzl %r10d, %eax
        movq    JB_RBX(%r9), %rbx
        movq    JB_RBP(%r9), %rbp
        rorq    $17, %rbp
        xorq    %fs:POINTER_GUARD, %rbp
        movq    JB_R12(%r9), %r12
        movq    JB_R13(%r9), %r13
        movq    JB_R14(%r9), %r14
        movq    JB_R15(%r9), %r15
        movq    JB_PC(%r9), %rdx
        rorq    $17, %rdx
        xorq    %fs:POINTER_GUARD, %rdx
        movq    %r8, %rsp
        .cfi_undefined rip
        jmp     *%rdx
        .cfi_endproc
        .size   longjmp, .-longjmp

        .globl  tuza_split_jump_end
        .hidden tuza_split_jump_end
tuza_split_jump_end:

        .section .note.GNU-split-stack, "", @progbits
        .section .note.GNU-stack, "", @progbits
