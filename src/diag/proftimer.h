// SPDX-License-Identifier: BSD-3-Clause
// diag/proftimer.h: timers that run while a thread uses a processor.
#ifndef TZ_DIAG_PROFTIMER_H
#define TZ_DIAG_PROFTIMER_H

#include "base/base.h"

// Sends SIGPROF to thread tid of this process after each period_ns of its own
// processor time, the first time after first_ns. 0 and *timer, or -errno:
// -ENOSYS where the system has no such timers. Keeps errno, like the others.
int tz_proftimer_start(int tid, int64_t first_ns, int64_t period_ns,
                       int *timer);
// Signal-safe. A signal that is on its way still comes.
void tz_proftimer_stop(int timer);

// Nanoseconds of processor time of thread tid; -1: there is none. Signal-safe.
int64_t tz_proftimer_now(int tid);

#endif
