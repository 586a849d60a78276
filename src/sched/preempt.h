// SPDX-License-Identifier: BSD-3-Clause
// sched/preempt.h: the signal that stops a thread.
#ifndef TZ_SCHED_PREEMPT_H
#define TZ_SCHED_PREEMPT_H

#include <signal.h>

#include "os/sig.h"
#include "sched/sched.h"

// Ignored by default, not used by libc, passed over by debuggers.
#define TZ_SIG_STOP SIGURG

enum { TZ_RED_ZONE = 128 }; // below the stack pointer, a leaf function's own

// In a handler on the thread of t: what a scan reads of the goroutine that was
// interrupted, as long as it stands still; and no longer.
TZ_INLINE TZ_NO_SANITIZE void tz_publish(struct tz_tls *t,
                                         const struct tz_sigctx *c)
{
    struct tz_m *m = t->m;
    m->stop_regs = c->regs;
    m->stop_regs_size = c->regs_size;
    uintptr_t sp = c->sp - TZ_RED_ZONE;
    m->stop_sp = sp < t->g->stack.lo ? t->g->stack.lo : sp;
}

TZ_INLINE TZ_NO_SANITIZE void tz_withdraw(struct tz_m *m)
{
    m->stop_sp = 0;
    m->stop_regs = NULL;
    m->stop_regs_size = 0;
}

#endif
