// SPDX-License-Identifier: BSD-3-Clause
// sched/split.h: goroutines whose stacks grow; nothing unless the process has
// split code (docs/split.md).
#ifndef TZ_SCHED_SPLIT_H
#define TZ_SCHED_SPLIT_H

#include "sched/p.h"
#include "stack/segment.h"

// Bytes of stack to ask for where `size` is the plain wish, 0 the default.
size_t tz_split_stack_size(size_t size);

// g has just got its first stack: makes its first segment, if there is split
// code. Returns where the stack's frames may begin.
uintptr_t tz_split_first(struct tz_g *g);

// thin.c: thin segments. Takes the process's wish for the size of stacks; gives
// the size for those that are not thin, 0 the default. Once, at the start. Says
// so where they were asked for and cannot be.
size_t tz_thin_init(size_t size);

// Whether g, which has not run, is to begin on one.
bool tz_thin_wanted(const struct tz_g *g);

// A thin segment for g, which has not run. Returns where its frames may begin,
// 0 when memory is refused.
uintptr_t tz_thin_first(struct tz_stackcache *c, struct tz_g *g);

// g, whose first segment is thin and the current one, has ended, and nobody
// runs on it.
void tz_thin_put(struct tz_stackcache *c, struct tz_g *g);

// There is an object whose linker does not convert callers of plain code.
void tz_thin_refuse(void);

// g, which has segments, has ended and nobody runs on its stack: gives back all
// but the first, which g->stack is again, unless it was thin: then all.
void tz_split_last(struct tz_stackcache *c, struct tz_g *g);

// g, which has segments, has ended; `to` gets the first, on which both are.
void tz_split_pass(struct tz_stackcache *c, struct tz_g *g, struct tz_g *to);

// sp is outside of g->stack, and g runs on this thread: the segment that it lies
// in is the current one after all (an exception has left newer ones in a way
// that nobody told us of). False: in none.
bool tz_split_find(struct tz_g *g, uintptr_t sp);

// Calls fn(arg) on the segment g->seg->next. g is current, in a critical section.
void tz_split_call(struct tz_g *g, void (*fn)(void *), void *arg);

// The slot of this thread holds what g needs from now on. g0: no limit.
void tz_split_switch(const struct tz_g *g);

// Around a call on the system stack.
uintptr_t tz_split_pause(void);
void tz_split_resume(uintptr_t slot);

// The goroutine that m runs goes to __morestack at its next prologue, and there
// yields if its P is to look around. From any thread. A wish may get lost: ask
// again.
void tz_split_poison(struct tz_m *m);

// Whether stack pointer, current segment and slot of g, which this thread runs,
// may not belong together: pc lies in the assembly of a split library, or in a
// handler that has interrupted that. Signal-safe.
bool tz_split_between(const struct tz_g *g, uintptr_t pc);

// The world is stopped, and g at sp, not in a declared call: gives back what
// g keeps for later.
void tz_split_collect(struct tz_g *g, uintptr_t sp);

// The segment of g that sp lies in; NULL where g has none. An sp in none of
// them, or a broken chain, is fatal. With the world stopped, or by g's thread.
struct tz_segment *tz_split_segment(const struct tz_g *g, uintptr_t sp);

// __morestack's question, apart from the thread: a function of g, entered with
// stack pointer sp, needs `frame` bytes and has `args` bytes of stack
// arguments. The segment to go on in, NULL: this one, unless it is to be
// elsewhere. On the system stack.
struct tz_segment *tz_split_newstack(struct tz_stackcache *c, struct tz_g *g,
                                     uintptr_t sp, size_t frame, size_t args,
                                     bool elsewhere);

// sched/slot*.c: whether the calls of libtuza itself are bound to what they call
// before the program begins: binding takes 3 KiB of the caller's stack.
bool tz_slot_calls_bound(void);

// The slot of this thread, and poisoning that of the thread whose
// control block is at tp.
uintptr_t tz_slot_get(void);
void tz_slot_set(uintptr_t guard);
void tz_slot_poison(uintptr_t tp);

#endif
