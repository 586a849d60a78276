/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/barrier_note_amd64.h: for barrier_note.h, which includes it everywhere: what
 * gcc writes tests before it calls a hook of a store.
 *
 * gcc has no flag for a test in place of a call, but writes text for an assembler,
 * and there `call` can be a macro: before the call of a hook of a store (those of
 * src/gc/compiled_hooks.c) it makes the test of TUZA__MARKS (barrier_amd64.h); each
 * other call it leaves as it was. In bytes, for either syntax, as -masm has it:
 * programs compare with the word itself, code for shared libraries by its address
 * from the GOT, in %rax, which the call may change. What is called in another way,
 * with -fno-plt, is called, and does the same. */
#ifndef TUZA_BARRIER_NOTE_AMD64_H
#define TUZA_BARRIER_NOTE_AMD64_H

#if defined(__x86_64__) && !defined(__ILP32__) && !defined(__clang__)
#if defined(__PIC__) && !defined(__PIE__)
#define TUZA__COMPARE                                                          \
    ".byte 0x48, 0x8b, 0x05\n" /* mov tuza__barrier@GOTPCREL(%rip), %rax */    \
    ".reloc ., R_X86_64_REX_GOTPCRELX, tuza__barrier - 4\n"                    \
    ".long 0\n"                                                                \
    ".byte 0x3b, 0x20\n" /* cmp (%rax), %esp */
#else
#define TUZA__COMPARE                                                          \
    ".byte 0x3b, 0x25\n" /* cmp tuza__barrier(%rip), %esp */                   \
    ".reloc ., R_X86_64_PC32, tuza__barrier - 4\n"                             \
    ".long 0\n"
#endif
__asm__(".ifndef .Ltuza_hook\n" /* with -flto several sources are one text */
        ".set .Ltuza_hook, 0\n"
        ".macro call to:vararg\n"
        ".set .Ltuza_hook, 0\n"
        ".irp hook,__asan_store1_noabort,__asan_store2_noabort,"
        "__asan_store4_noabort,__asan_store8_noabort,__asan_store16_noabort,"
        "__asan_storeN_noabort\n"
        ".ifc \\to,\\hook\n"
        ".set .Ltuza_hook, 1\n"
        ".endif\n"
        ".ifc \\to,\\hook@PLT\n"
        ".set .Ltuza_hook, 1\n"
        ".endif\n"
        ".endr\n"
        ".if .Ltuza_hook\n"
        TUZA__COMPARE
        "jae .Ltuza_told\\@\n"
        ".endif\n"
        "{disp32} call \\to\n" /* not the macro again */
        ".if .Ltuza_hook\n"
        ".Ltuza_told\\@:\n"
        ".endif\n"
        ".endm\n"
        ".endif\n");
#else
struct tuza__none; /* a file must declare something */
#endif

#endif
