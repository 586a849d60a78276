// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_thread_amd64.S: pthread_create for split code. Part of
// libtuza_split.a, and in a file that is not marked as split code: linkers
// that convert callers of other code then do so with callers of this.

        .text
// int __wrap_pthread_create(...): gcc -fsplit-stack makes the linker put this
// in place of pthread_create. A new thread's slot is 0: nothing to prepare.
// Weak: without that flag at the link nobody calls it.
        .weak   __real_pthread_create
        .globl  __wrap_pthread_create
        .hidden __wrap_pthread_create
        .type   __wrap_pthread_create, @function
        .p2align 4
__wrap_pthread_create:
        .cfi_startproc
        jmp     *__real_pthread_create@GOTPCREL(%rip)
        .cfi_endproc
        .size   __wrap_pthread_create, .-__wrap_pthread_create

        .section .note.GNU-stack, "", @progbits
