// SPDX-License-Identifier: BSD-3-Clause
// stack/unwind.h: who called whom on a stack.
//
// Everything here is signal-safe: no lock, no allocation, and no memory is read
// but the stacks that the caller names and the unwind tables of loaded objects.
#ifndef TZ_STACK_UNWIND_H
#define TZ_STACK_UNWIND_H

#include "arch/ctx.h"
#include "os/peek.h"
#include "os/sig.h"
#include "stack/link.h"

enum { TZ_UNWIND_REGS = 17, TZ_UNWIND_FRAME = 64, TZ_UNWIND_WINDOW = 128 };

// What a CPU's registers are called in unwind tables. pc is a number of its own
// that the tables use for the return address.
struct tz_unwind_cpu {
    uint8_t fp, sp, pc;
    bool tables; // whether unwind tables are understood
};
extern const struct tz_unwind_cpu tz_unwind_cpu;

// Where somebody stands: the registers, by their numbers in unwind tables.
struct tz_machine {
    uintptr_t reg[TZ_UNWIND_REGS];
    bool exact; // pc is the next instruction, not where a call returns to
};

// From what the runtime keeps of a goroutine; false when that is not known on
// this CPU. frame: a copy of the TZ_UNWIND_FRAME bytes at the sp of a suspended
// context or one that tz_ctx_spill gave. regs, sp: of a declared call that
// returns to pc.
bool tz_machine_of_frame(const void *frame, uintptr_t sp,
                         struct tz_machine *out);
bool tz_machine_of_call(const struct tz_ctx_regs *regs, uintptr_t sp,
                        uintptr_t pc, struct tz_machine *out);
bool tz_machine_of_signal(const struct tz_sigctx *ctx, struct tz_machine *out);

// A walk. Only tz_unwind_* write it.
struct tz_unwind {
    struct tz_machine at;
    uintptr_t lo, hi; // the stack that sp lies in; may be read
    const struct tz_stack_link *chain; // stacks that may follow

    // The stack may vanish: it is read through copies of parts of it.
    bool fleeting;
    uintptr_t window; // where the copy is from; 0: none
    uintptr_t copy[TZ_UNWIND_WINDOW];
};

// Starts a walk at the machine state, whose sp lies in [lo, hi), or below it
// after an overflow; the stacks of the chain, newest first, may follow. The
// caller may then set `fleeting`, when somebody else uses the stack.
void tz_unwind_start(struct tz_unwind *u, const struct tz_machine *at,
                     uintptr_t lo, uintptr_t hi,
                     const struct tz_stack_link *chain);

// The place where the walk is, to be looked up: inside of the call instruction
// for all but the innermost and interrupted frames.
uintptr_t tz_unwind_place(const struct tz_unwind *u);

// Goes on to the caller; false at the end, or when nothing tells who called.
bool tz_unwind_step(struct tz_unwind *u);

// Fills pcs[] from the innermost outward; how many, n at most.
size_t tz_unwind(const struct tz_machine *at, uintptr_t lo, uintptr_t hi,
                 const struct tz_stack_link *chain, uintptr_t *pcs, size_t n);

// --- inside of the unwinder

// Reads a word of the stack; false outside of it.
bool tz_unwind_read(struct tz_unwind *u, uintptr_t addr, uintptr_t *out);

// By the tables of the object that pc lies in: the caller's registers. false:
// no tables, or not understood; *u is untouched then. *known is whether an
// object was found.
bool tz_unwind_by_tables(struct tz_unwind *u, bool *known);

// A position in tables; what would lie beyond the end reads as 0 and is bad.
struct tz_cursor {
    uintptr_t p, end;
    bool bad;
};
uint64_t tz_cursor_fixed(struct tz_cursor *c, unsigned bytes);
int64_t tz_cursor_signed(struct tz_cursor *c, unsigned bytes);
uint64_t tz_cursor_uleb(struct tz_cursor *c);
int64_t tz_cursor_sleb(struct tz_cursor *c);

// A DWARF expression [p, p + size) with the registers of u; `first` is pushed
// before. false when it is not understood or reads what may not be read.
bool tz_unwind_expr(struct tz_unwind *u, uintptr_t p, size_t size,
                    uintptr_t first, uintptr_t *out);

#endif
