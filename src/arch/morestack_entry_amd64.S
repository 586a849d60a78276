// SPDX-License-Identifier: BSD-3-Clause
// arch/morestack_entry_amd64.S: the calls of tuza that split code makes most, as
// split code. Part of libtuza_split.a, not of libtuza.
//
// libtuza is plain code, of which linkers believe that it needs 64 KiB. The
// operations here need a few hundred bytes down to the switch, so who waits in
// one can stay on a segment of 2 KiB. With TUZA_SPLIT defined, the headers name
// these instead of libtuza's (tuza/base.h).
//
// M is how many bytes there have to be down to the segment's low end; the guard
// is TZ_SEG_THIN above that. The worst path of each, as the compiler tells the
// frames (gcc -fcallgraph-info=su), is 128 bytes less. What needs more is done
// on the system stack. The jump is through a table, in data: linkers do not
// take it for a call of plain code.

#include "arch/morestack.h"

        .text
        .set    tz_split_index, 0

        .macro  compare m
        leaq    -(\m - TZ_SEG_THIN)(%rsp), %r11
        cmpq    %fs:TZ_SLOT, %r11
        .endm

        .macro  grow m
        movl    $(\m - TZ_SEG_THIN), %r10d
        xorl    %r11d, %r11d
        call    __morestack
        ret
        .endm

        .macro  begin name
        .globl  tuza__split_\name
        .hidden tuza__split_\name
        .type   tuza__split_\name, @function
        .p2align 4
tuza__split_\name:
        .cfi_startproc
        .endm

        .macro  finish name
        jmp     *(tuza_split_calls + 8 * tz_split_index)(%rip)
        .cfi_endproc
        .size   tuza__split_\name, . - tuza__split_\name
        .set    tz_split_index, tz_split_index + 1
        .endm

        .macro  entry name, m
        begin   \name
        compare \m
        jae     1f
        grow    \m
1:      finish  \name
        .endm

// In the order of tuza_split_calls.
        entry   chan_send, 832
        entry   chan_recv, 832
        entry   chan_try_send, 832
        entry   chan_try_recv, 832
        entry   chan_close, 832
        entry   mutex_lock, 960
        entry   mutex_trylock, 832
        entry   mutex_unlock, 832
        entry   waitgroup_add, 832
        entry   waitgroup_done, 832
        entry   waitgroup_wait, 960
        entry   sleep, 832
        entry   yield, 832
        entry   goexit, 832
        entry   now, 576
        entry   goid, 576

// By the number of its cases: it keeps them on the stack.
        begin   chan_select
        cmpq    $8, %rsi
        ja      2f
        compare 1280
        jae     3f
        grow    1280
        jmp     3f
2:      compare TZ_SPLIT_RESERVE
        jae     3f
        grow    TZ_SPLIT_RESERVE
3:      finish  chan_select

// Does nothing. A linker that converts callers of plain code has put `stc` in
// place of the comparison.
        .globl  tuza_split_probe
        .hidden tuza_split_probe
        .type   tuza_split_probe, @function
        .p2align 4
tuza_split_probe:
        .cfi_startproc
        cmpq    %fs:TZ_SLOT, %rsp
        jae     4f
        xorl    %r10d, %r10d
        xorl    %r11d, %r11d
        call    __morestack
        ret
4:      subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    tuza_split_plain
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   tuza_split_probe, . - tuza_split_probe

        .section .note.GNU-split-stack, "", @progbits
        .section .note.GNU-stack, "", @progbits
