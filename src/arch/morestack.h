// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack.h: what morestack_amd64.S shares with C: offsets into a
// segment's header, a G and the record by which the split library and libtuza
// know each other. sched/slot_linux_amd64.c ties them to the structs.
#ifndef TZ_ARCH_MORESTACK_H
#define TZ_ARCH_MORESTACK_H

// Where a split prologue finds its guard: this word of the thread control
// block, by the compiler's ABI. 0: no limit; all ones: go to __morestack.
#define TZ_SLOT 0x70

// struct tz_segment
#define TZ_SEG_GUARD 0
#define TZ_SEG_LO 8
#define TZ_SEG_HI 16
#define TZ_SEG_TOP 24
#define TZ_SEG_ROOM 32
#define TZ_SEG_PREV 40
#define TZ_SEG_NEXT 48
#define TZ_SEG_G 56
#define TZ_SEG_HEAVY 64
#define TZ_SEG_LINK 72 // its first word: the older link
#define TZ_SEG_SP 96
#define TZ_SEG_PC 120
#define TZ_SEG_ARGSIZE 128
#define TZ_SEG_ARGP 136
#define TZ_SEG_NONSPLIT 144

// struct tz_g, and tz_m's saved stack pointer of g0
#define TZ_G_STACK_LO 112
#define TZ_G_STACK_HI 120
#define TZ_G_LINKS 136
#define TZ_G_SEG 144
#define TZ_M_G0_SP 128

// struct tz_split_record
#define TZ_REC_TLS_M 8
#define TZ_REC_TLS_G 16
#define TZ_REC_MORE 24
#define TZ_REC_LEAVE 32
#define TZ_REC_YIELD 40
#define TZ_REC_SPILL 48
#define TZ_REC_UNWOUND 56
#define TZ_REC_XSAVE_SIZE 64
#define TZ_REC_XSAVE_MASK 72

#define TZ_SPLIT_VERSION 2

// Bytes that code without checks may need below its caller: what a converted
// prologue asks for, and what lies under the guard of a fat segment.
#define TZ_SPLIT_RESERVE 0x10000

// Bytes below the guard of a thin segment: what checked code uses unchecked.
#define TZ_SEG_THIN 512

#ifndef __ASSEMBLER__
#include <stdint.h>

// What __morestack saves before it calls C, lowest address first. Above it lie
// r12, rbx, rbp, the address after the call, the function's return address and
// its stack arguments.
struct tz_split_call {
    uint64_t args_bytes;  // r11
    uint64_t frame_bytes; // r10
    uint64_t saved[7];    // r9 r8 rcx rdx rsi rdi rax
    uint64_t frame[3];    // r12 rbx rbp
    uint64_t resume;      // the `ret` after the call; the body is one byte on
    uint64_t entry[];     // here was rsp when the function was called
};

struct tz_spilled {
    void *p;
    uint64_t slot; // what the slot is to hold from now on
};

// One for each executable or library with split code: a copy of the split
// library has filled in the first and the last five, libtuza the others.
struct tz_split_record {
    uint64_t version;
    int64_t tls_m, tls_g; // offsets of the words from %fs; 0: not attached
    void *(*more)(struct tz_split_call *call, uint64_t slot);
    void (*leave)(void *segment);
    void (*yield)(void);
    struct tz_spilled (*spill)(uint64_t bytes, uint64_t sp, uint64_t fp);
    void (*unwound)(void *segment);
    uint64_t xsave_size, xsave_mask; // mask 0: FXSAVE
    struct {
        uintptr_t lo, hi;
    } text[2]; // the assembly, where nobody may be stopped
    uint64_t converted; // whether the linker makes callers of plain code grow
};
#endif

#endif
