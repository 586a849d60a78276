// SPDX-License-Identifier: BSD-3-Clause
// sched/overflow.h: telling that a stack has overflowed.
#ifndef TZ_SCHED_OVERFLOW_H
#define TZ_SCHED_OVERFLOW_H

#include "os/sig.h"
#include "sched/g.h"

// Fatal: "stack overflow in goroutine N …", with the bounds and the guard of
// st, a stack of g's, and a trace of the current goroutine. how is a sentence
// on what came to pass, NULL: a call went too deep. at is what a fault
// interrupted, NULL without one. Signal-safe.
TZ_NORETURN TZ_COLD void tz_stack_overflow_report(const struct tz_g *g,
                                                  const struct tz_stack *st,
                                                  const char *how,
                                                  const struct tz_sigctx *at);

// In the handler of SIGSEGV: reports what is an overflow of a goroutine's stack
// or of the signal stack, or a bad pointer into a guard zone, and does not
// return. Returns when it is neither.
void tz_overflow_fault(const struct tz_sigctx *c);

#endif
