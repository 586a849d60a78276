/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/sys_linux.h: a system call in line, for tuza/syscall.h. */
#ifndef TUZA_SYS_LINUX_H
#define TUZA_SYS_LINUX_H

#include "tuza/base.h"

#if defined(__linux__) && defined(__x86_64__) && defined(__LP64__)

#define TUZA__SYS_HAS_ERRNO 0 /* the value is the kernel's */
static inline __attribute__((always_inline)) long
tuza__sys(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(nr)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "cc", "memory");
    return nr;
}

#elif defined(__linux__) && defined(__aarch64__) && defined(__LP64__)

#define TUZA__SYS_HAS_ERRNO 0
static inline __attribute__((always_inline)) long
tuza__sys(long nr, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "cc", "memory");
    return x0;
}

#else

#ifdef __cplusplus
#include <unistd.h>
#else
long syscall(long nr, ...); /* unistd.h has it for _GNU_SOURCE only */
#endif

#define TUZA__SYS_HAS_ERRNO 1 /* -1, and errno */
static inline __attribute__((always_inline)) long
tuza__sys(long nr, long a, long b, long c, long d, long e, long f)
{
    return syscall(nr, a, b, c, d, e, f);
}

#endif

#endif
