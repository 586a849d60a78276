// SPDX-License-Identifier: BSD-3-Clause
// diag/trace.h: the frames of a goroutine, for reports.
#ifndef TZ_DIAG_TRACE_H
#define TZ_DIAG_TRACE_H

#include "sched/g.h"

// Prints a line for each frame, the innermost and outermost of many: of the
// current goroutine, from where its fault was or from here; of another that is
// not running. Prints nothing when nothing is known.
void tz_trace_current(void);
void tz_trace_other(const struct tz_g *g);

#endif
