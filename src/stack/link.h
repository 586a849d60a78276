// SPDX-License-Identifier: BSD-3-Clause
// stack/link.h: the stacks that a goroutine has besides its first.
//
// A goroutine runs on one stack at a time, whose bounds are those of its G.
// When it goes on on another for a while (tuza_call_big, growth of a split
// stack), a link keeps the one it left, so that both are found: the collector
// scans [from_sp, from.hi) of each link, an unwinder goes on there.
//
//     G.stack ------> the newest stack, where the goroutine runs
//     G.links --> link --> link --> NULL
//                   from     from: the stack the goroutine began on
//
// The link lies at the top of the stack that was gone to, above anything called
// there. It is written, and then hung into the G, in a critical section, before
// the stack pointer changes: whoever finds the stack pointer outside of G.stack
// finds a switch under way, or a jump (longjmp) out of newer stacks, whose
// links stay in the chain until somebody drops them.
#ifndef TZ_STACK_LINK_H
#define TZ_STACK_LINK_H

#include "stack/stack.h"

struct tz_stack_link {
    struct tz_stack_link *older; // NULL: `from` is the first stack
    struct tz_stack from;        // the stack that was left
    uintptr_t from_sp;           // it is in use from here to from.hi
    struct tz_stack to;          // the stack that was gone to
};

TZ_INLINE bool tz_stack_holds(const struct tz_stack *st, uintptr_t addr)
{
    return addr - st->lo < st->hi - st->lo;
}

#endif
