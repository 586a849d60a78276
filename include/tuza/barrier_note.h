/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/barrier_note.h: what the flags of `tuza-cflags --barrier` include before
 * each source: a note (ELF, type 1, owner "tuza", one word: 1) in the program or
 * library that says that its stores are told to the collector. The runtime looks
 * for it in all that is loaded. And, for gcc on amd64, the test that spares most of
 * the calls before stores. Not for including by hand. */
#ifndef TUZA_BARRIER_NOTE_H
#define TUZA_BARRIER_NOTE_H

#ifndef __ASSEMBLER__
/* In a group of its own, of which the linker keeps one. */
__asm__(".pushsection .note.tuza,\"aG\",%note,tuza.barrier.note,comdat\n"
        ".balign 4\n"
        ".long 5, 4, 1\n"
        ".asciz \"tuza\"\n"
        ".balign 4\n"
        ".long 1\n"
        ".popsection\n");

#include "tuza/barrier_note_amd64.h"
#endif

#endif
