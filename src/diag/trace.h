// SPDX-License-Identifier: BSD-3-Clause
// diag/trace.h: the frames of a goroutine, for reports.
#ifndef TZ_DIAG_TRACE_H
#define TZ_DIAG_TRACE_H

#include "diag/out.h"
#include "diag/symbol.h"
#include "sched/g.h"
#include "stack/unwind.h"

// Prints two lines for each frame, the innermost and outermost of many; false,
// and nothing, when nothing is known. *entry is whether the function that the
// goroutine was started with is among them.
//
// Of the current goroutine, from `at`; NULL: from where its fault was, or here.
bool tz_trace_current(struct tz_out *o, const struct tz_machine *at,
                      bool *entry);
// Of another that is parked, stopped or in a declared call.
bool tz_trace_other(struct tz_out *o, const struct tz_g *g, bool *entry);

// Prints one frame: where it is, and what is looked up for it (tz_unwind_place).
// Each line begins with `indent`. What the code is called; no start: not known.
struct tz_symbol tz_trace_place(struct tz_out *o, const char *indent,
                                uintptr_t pc, uintptr_t place, size_t times);

#endif
