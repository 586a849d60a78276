// SPDX-License-Identifier: BSD-3-Clause
// sched/preempt.c: signal handlers: stopping a thread, looking at a fault.
//
// SIGURG makes a thread that runs goroutine code wait right there until the
// world starts again. The collector scans the goroutine's stack and the registers
// in the signal frame, vector registers included (tz_publish).
//
// SIGSEGV may be an overflow, which is reported (overflow.c); any other goes to
// whoever handled it before. Handlers run on the thread's signal stack, take no
// lock, allocate nothing and keep errno.

#include "base/san.h"
#include "os/sig.h"
#include "os/sigpc.h"
#include "os/thread.h"
#include "sched/overflow.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "sched/split.h"

// Whether the interrupted code is a goroutine's own.
static TZ_NO_SANITIZE bool is_program(struct tz_tls *t,
                                      const struct tz_sigctx *c)
{
    if (t->locks || !t->g || t->g->is_g0)
        return false;
    if (tz_load_rlx(&t->g->status) != (t->p ? TZ_G_RUNNING : TZ_G_NO_P))
        return false;
    if (tz_load_rlx(&tz_sched.split) && tz_split_between(t->g, c->pc))
        return false;
    return tz_on_own_stack(t->g, c->sp);
}

static TZ_NO_SANITIZE bool may_wait(const struct tz_sigctx *c)
{
    // Who is stopped for ever must not hold a lock of libc, which the caller of
    // tuza_run goes on to use.
    bool last = tz_load_rlx(&tz_sched.last_stop);
    bool may = tz_sig_pc_may_wait(c->pc, last);
    if (last && !may)
        tz_xadd_rlx(&tz_sched.last_refused, 1);
    return may;
}

// With a P: stops with it.
static TZ_NO_SANITIZE void stop_with_p(struct tz_tls *t, struct tz_sigctx *c)
{
    t->locks++;
    tz_publish(t, c);
    tz_stop_in_place(t->p);
    tz_withdraw(t->m);
    t->locks--;
}

static TZ_NO_SANITIZE bool on_stop(struct tz_sigctx *c)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_m *m = t->m;
    if (!m)
        return false; // not our thread: not our signal
    uint32_t sent = tz_load_acq(&m->stop_sent);
    // A late one, too: it may have interrupted a call. Or somebody else's.
    bool ours = sent != m->stop_seen || c->code == TZ_THREAD_SIGNAL;
    m->stop_seen = sent;
    bool take = tz_load_rlx(&m->take) && tz_xchg(&m->take, 0) && t->p &&
                t->p->schedtick == tz_load_rlx(&m->take_tick);
    bool asked = !t->p && tz_load(&m->nop) == TZ_NOP_ASKED;
    if (!ours || !is_program(t, c)) {
        if (asked)
            tz_store_rlx(&t->stop, 1); // the section's end asks again
        return ours; // it polls soon, or is asked again
    }
    struct tz_call call;
    bool in_call = tz_call_interrupted(c, m->call.nr < 0 ? NULL : &m->call,
                                       &call);
    if (in_call && t->p) // whatever was asked: a call is not to fail for it
        tz_take_here(t, c, &call);
    else if (in_call)
        tz_take_call(t, c, &call);
    else if (asked && may_wait(c))
        tz_take_stop(t, c);
    else if (t->p && tz_load_rlx(&t->stop) && may_wait(c))
        stop_with_p(t, c);
    else if (take && tz_sig_pc_may_wait(c->pc, false)) // not amid TSan's own work
        tz_take_here(t, c, NULL);
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
