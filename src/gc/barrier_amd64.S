// SPDX-License-Identifier: BSD-3-Clause
// gc/barrier_amd64.S: tuza__barrier_log for the macros of tuza/barrier.h.
//
// It is jumped to, with the address of a word in r10 and that to go on at in r11.
// Registers are kept but those for floating point and vectors, r10 and r11; so are
// the 128 bytes below the stack pointer, which may be the caller's red zone.

        .text
        .globl  tuza__barrier_log_word
        .type   tuza__barrier_log_word, @function
        .p2align 4
tuza__barrier_log_word:
        .cfi_startproc
        .cfi_def_cfa rsp, 0
        .cfi_register rip, r11
        testb   $7, %r10b
        jnz     1f
        cmpq    $0, (%r10)              // it points nowhere: a new object's
        jne     1f
        jmp     *%r11
1:      leaq    -128(%rsp), %rsp
        .cfi_def_cfa_offset 128
        pushq   %r11
        .cfi_def_cfa_offset 136
        .cfi_offset rip, -136
        pushq   %rbp
        .cfi_def_cfa_offset 144
        .cfi_offset rbp, -144
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        andq    $-16, %rsp
        movq    %r10, %rdi
        movl    $8, %esi
        call    tz_barrier_log
        leaq    -56(%rbp), %rsp
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        popq    %rbp
        .cfi_def_cfa rsp, 136
        .cfi_restore rbp
        popq    %r11
        .cfi_def_cfa_offset 128
        .cfi_register rip, r11
        leaq    128(%rsp), %rsp
        .cfi_def_cfa_offset 0
        jmp     *%r11
        .cfi_endproc
        .size   tuza__barrier_log_word, .-tuza__barrier_log_word

        .section .note.GNU-stack, "", @progbits
