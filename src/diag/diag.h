// SPDX-License-Identifier: BSD-3-Clause
// diag/diag.h: starting the room.
#ifndef TZ_DIAG_DIAG_H
#define TZ_DIAG_DIAG_H

#include "base/base.h"

// Once, when the settings are known and no other thread of the runtime is there
// yet. 0, or -errno.
int tz_diag_init(void);

// Its parts: the handler of SIGQUIT; the lines of TUZADEBUG=schedtrace; the
// histograms.
int tz_dump_init(void);
void tz_schedtrace_init(void);
void tz_metrics_init(void);

#endif
