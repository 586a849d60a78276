/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/barrier_amd64.h: for barrier.h, which includes it everywhere.
 *
 * TUZA__MARKS: tuza__barrier is 0 or all ones, so the low half of a stack pointer,
 * a multiple of 4, is below it exactly while a collection marks. To compare with a
 * register takes one instruction, that the processor joins with the jump; to compare
 * with a number in the code takes two or three.
 *
 * tuza__barrier_log, of which who stores need not know: it is jumped to, with where
 * to go on in r11, and leaves the other registers but those for floating point and
 * vectors, and what lies below the stack pointer. So for what hardly ever happens
 * nothing is kept ready, neither registers nor a frame. (gold and lld see a function's
 * address in split code as they see a call of it: it gets the room for plain code.) */
#ifndef TUZA_BARRIER_AMD64_H
#define TUZA_BARRIER_AMD64_H

#include "tuza/base.h"

#if (defined(__x86_64__) || defined(__i386__)) &&                              \
    defined(__GCC_ASM_FLAG_OUTPUTS__)
static inline int tuza__marks(const uint32_t *flag)
{
    int marks;
    __asm__ volatile("cmp{l %1, %%esp| esp, %1}" : "=@ccb"(marks) : "m"(*flag));
    return marks;
}
#define TUZA__MARKS() tuza__marks(&tuza__barrier)
#endif

#if defined(__x86_64__) && !defined(__ILP32__) && defined(__ELF__)
TUZA_BEGIN
TUZA_API void tuza__barrier_log_kept(void); /* not for C to call */
TUZA_END

#ifdef __AVX512F__
#define TUZA__MORE_VECTORS                                                     \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",  \
        "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",         \
        "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define TUZA__MORE_VECTORS
#endif
#define TUZA__LOG(p, n)                                                        \
    __asm__ volatile(                                                          \
        "lea{q .Ltuza_on%=(%%rip), %%r11| r11, .Ltuza_on%=[rip]}\n\t"          \
        "jmp {*tuza__barrier_log_kept@GOTPCREL(%%rip)|"                        \
        "[QWORD PTR tuza__barrier_log_kept@GOTPCREL[rip]]}\n"                  \
        ".Ltuza_on%=:"                                                         \
        :                                                                      \
        : "D"(p), "S"(n)                                                       \
        : "r11", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)",     \
          "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",   \
          "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",   \
          "xmm13", "xmm14", "xmm15" TUZA__MORE_VECTORS)
#endif

#endif
