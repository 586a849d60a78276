// SPDX-License-Identifier: BSD-3-Clause
// sched/preempt.c: signal handlers: stopping a thread, looking at a fault.
//
// SIGURG makes a thread that runs goroutine code wait right there until the
// world starts again. The collector scans the goroutine's stack from 128 bytes
// below the interrupted stack pointer (the red zone of leaf functions) and the
// registers in the signal frame, vector registers included.
//
// SIGSEGV may be an overflow, which is reported (overflow.c); any other goes to
// whoever handled it before. Handlers run on the thread's signal stack, take no
// lock, allocate nothing and keep errno.

#include "base/san.h"
#include "os/sig.h"
#include "os/sigpc.h"
#include "sched/overflow.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "sched/split.h"

enum { RED_ZONE = 128 };

// Whether the interrupted code is a goroutine's own, which may wait.
static TZ_NO_SANITIZE bool may_stop_here(struct tz_tls *t,
                                         const struct tz_sigctx *c)
{
    if (t->locks || !t->p || !t->g || t->g->is_g0)
        return false;
    if (tz_load_rlx(&t->g->status) != TZ_G_RUNNING)
        return false;
    if (tz_load_rlx(&tz_sched.split) && tz_split_between(t->g, c->pc))
        return false;
    if (!tz_on_own_stack(t->g, c->sp))
        return false;
    // Who is stopped for ever must not hold a lock of libc, which the caller of
    // tuza_run goes on to use.
    return tz_sig_pc_may_wait(c->pc, tz_load_rlx(&tz_sched.last_stop));
}

static TZ_NO_SANITIZE bool on_stop(struct tz_sigctx *c)
{
    struct tz_tls *t = tz_tls_get();
    if (!t->m)
        return false; // not our thread: not our signal
    uint32_t sent = tz_load_acq(&t->m->stop_sent);
    bool ours = sent != t->m->stop_seen;
    t->m->stop_seen = sent;
    if (!tz_load_rlx(&t->stop))
        return ours; // a late one, or somebody else's SIGURG
    if (!may_stop_here(t, c))
        return true; // it polls soon, or is asked again
    struct tz_m *m = t->m;
    t->locks++;
    m->stop_regs = c->regs;
    m->stop_regs_size = c->regs_size;
    uintptr_t sp = c->sp - RED_ZONE;
    m->stop_sp = sp < t->g->stack.lo ? t->g->stack.lo : sp;
    tz_stop_in_place(t->p);
    m->stop_sp = 0;
    m->stop_regs = NULL;
    m->stop_regs_size = 0;
    t->locks--;
    return true;
}

static TZ_NO_SANITIZE bool on_fault(struct tz_sigctx *c)
{
    tz_overflow_fault(c);
    if (tz_ctx_is_switch(c->pc))
        tz_throw("a switch to a context that is none: pc %p, address %p",
                 (void *)c->pc, (void *)c->fault_addr);
    return false;
}

int tz_preempt_init(void)
{
    int err = tz_sig_install(TZ_SIG_STOP, on_stop);
    return err ? err : tz_sig_install(SIGSEGV, on_fault);
}
