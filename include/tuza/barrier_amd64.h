/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/barrier_amd64.h: for barrier.h, which includes it everywhere.
 *
 * The test. tuza__barrier is 0 or all ones, so the low half of a stack pointer, a
 * multiple of 4, is below it exactly while a collection marks. To compare with a
 * register takes one instruction, that the processor joins with the jump; to compare
 * with a number in the code takes two or three. The compiler is told (`inline`) to
 * count it as one, lest it leaves functions that store uninlined, and that *p is
 * written, so that an earlier read of it stays earlier.
 *
 * tuza__barrier_log_word, of which who stores need not know: it is jumped to, with the
 * word's address in r10 and where to go on in r11, and leaves the other registers but
 * those for floating point and vectors, and what lies below the stack pointer. So for
 * what hardly ever happens nothing is kept ready, neither registers nor a frame. (gold
 * and lld see a function's address in split code as they see a call of it: it gets the
 * room for plain code.) */
#ifndef TUZA_BARRIER_AMD64_H
#define TUZA_BARRIER_AMD64_H

#include "tuza/base.h"

#if !defined(__clang__) && __GNUC__ >= 11
#define TUZA__ASM __asm__ __inline__
#else
#define TUZA__ASM __asm__
#endif

#if !defined(__x86_64__) && !defined(__i386__)
#elif !defined(__clang__) && __GNUC__ >= 11
#define TUZA__TELL(p, n)                                                       \
    __extension__({                                                            \
        __label__ tuza__marks, tuza__told;                                     \
        TUZA__ASM goto("cmp{l %1, %%esp| esp, %1}\n\tjb %l[tuza__marks]"       \
                       : "+m"(*(p))                                            \
                       : "m"(tuza__barrier)                                    \
                       : "cc"                                                  \
                       : tuza__marks);                                         \
        goto tuza__told;                                                       \
    tuza__marks:                                                               \
        __attribute__((cold));                                                 \
        TUZA__LOG(p, n);                                                       \
    tuza__told:;                                                               \
    })
#elif defined(__GCC_ASM_FLAG_OUTPUTS__) /* clang warns of p where it is goto */
#define TUZA__TELL(p, n)                                                       \
    __extension__({                                                            \
        int tuza__marks;                                                       \
        __asm__ volatile("cmp{l %2, %%esp| esp, %2}"                           \
                         : "=@ccb"(tuza__marks), "+m"(*(p))                    \
                         : "m"(tuza__barrier));                                \
        if (__builtin_expect(tuza__marks, 0))                                  \
            TUZA__LOG(p, n);                                                   \
    })
#endif

#if defined(__x86_64__) && !defined(__ILP32__) && defined(__ELF__)
TUZA_BEGIN
TUZA_API void tuza__barrier_log_word(void); /* not for C to call */
TUZA_END

#ifdef __AVX512F__
#define TUZA__MORE_VECTORS                                                     \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",  \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",         \
        "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define TUZA__MORE_VECTORS
#endif
#define TUZA__LOG_WORD(p, at)                                                  \
    TUZA__ASM volatile(                                                        \
        "lea{q %0, %%r10| r10, %0}\n\tadd{q %1, %%r10| r10, %1}\n\t"           \
        "lea{q .Ltuza_on%=(%%rip), %%r11| r11, [rip + .Ltuza_on%=]}\n\t"       \
        "jmp {*tuza__barrier_log_word@GOTPCREL(%%rip)|"                        \
        "QWORD PTR [rip + tuza__barrier_log_word@GOTPCREL]}\n"                 \
        ".Ltuza_on%=:"                                                         \
        : "+m"(*(p))                                                           \
        : "i"(at)                                                              \
        : "r10", "r11", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)",        \
          "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",   \
          "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",   \
          "xmm13", "xmm14", "xmm15" TUZA__MORE_VECTORS)
#define TUZA__LOG(p, n)                                                        \
    do {                                                                       \
        if (sizeof *(p) == 8 || sizeof *(p) == 16)                             \
            TUZA__LOG_WORD(p, 0);                                              \
        else                                                                   \
            tuza__barrier_log((const void *)(p), n);                           \
        if (sizeof *(p) == 16)                                                 \
            TUZA__LOG_WORD(p, 8);                                              \
    } while (0)
#endif

#endif
