// SPDX-License-Identifier: BSD-3-Clause
// sched/preempt.h: the signal that stops a thread.
#ifndef TZ_SCHED_PREEMPT_H
#define TZ_SCHED_PREEMPT_H

#include <signal.h>

// Ignored by default, not used by libc, passed over by debuggers.
#define TZ_SIG_STOP SIGURG

#endif
