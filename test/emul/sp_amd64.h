// SPDX-License-Identifier: BSD-3-Clause
// emul/sp_amd64.h: system calls and traps with the stack pointer anywhere, on
// amd64. Nothing is stored below it, so that it may be where nothing is mapped.
#ifndef EMUL_SP_AMD64_H
#define EMUL_SP_AMD64_H

#include <stdint.h>
#include <sys/syscall.h>

// getppid with this stack pointer.
static inline void sp_call(uint64_t sp)
{
    register uint64_t at __asm__("rbx") = sp;
    long result = SYS_getppid;
    __asm__ volatile("xchgq %%rsp, %%rbx\n\t"
                     "syscall\n\t"
                     "xchgq %%rsp, %%rbx"
                     : "+a"(result), "+r"(at)
                     :
                     : "rcx", "r11", "memory");
}

// SIGTRAP with this stack pointer, and on.
static inline void sp_trap(uint64_t sp)
{
    register uint64_t at __asm__("rbx") = sp;
    __asm__ volatile("xchgq %%rsp, %%rbx\n\t"
                     "int3\n\t"
                     "xchgq %%rsp, %%rbx"
                     : "+r"(at)
                     :
                     : "memory");
}

#endif
