// SPDX-License-Identifier: BSD-3-Clause
// sched/syscall.c: declared calls that may block the thread.
//
// Entering publishes what the collector needs of the goroutine (stack pointer
// and callee-saved registers of the caller, which stay true until the exit),
// then gives the P the status SYSCALL: from that release store on, anybody may
// take the P with one CAS: stop-the-world, or sysmon for other goroutines
// after 20 us to 10 ms. TUZA_BLOCKING hands the P off at once.
//
//     enter:  save state; G SYSCALL; P RUNNING -> SYSCALL
//     exit:   CAS P SYSCALL -> RUNNING: go on (the usual case)
//             else an idle P: go on with that one
//             else queue the goroutine globally, park the thread
//
// No lock on the usual path. The saved state stays untouched until the
// goroutine runs again, so a collection that began meanwhile may be reading it
// [sched.I6]. Go's proc.go has reentersyscall and exitsyscall.

#include <errno.h>

#include "arch/port.h"
#include "base/event.h"
#include "os/env.h"
#include "sched/proc.h"
#include "tuza/syscall.h"

// A stop that began before our P had the status SYSCALL waits for it. With the
// lock, so that it is that stop, or a later one, which is still under way.
static void step_aside(struct tz_p *p)
{
    tz_lock_acquire(&tz_sched.lock);
    if (tz_load(&tz_sched.stopping) &&
        tz_cas(&p->status, TZ_P_SYSCALL, TZ_P_STOPPED))
        tz_stop_count(p);
    tz_lock_release(&tz_sched.lock);
}

void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                           int handoff_now)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = tz_need_g("TUZA_SYSCALL");
    t->locks++;
    if (tz_unlikely(t->taken))
        tz_port_take_back();
    if (!t->p)
        tz_fatal("a declared call inside of a declared call, in goroutine %llu",
                 (unsigned long long)g->id);
    if (sp != g->stack.hi && !tz_on_own_stack(g, sp))
        tz_fatal("entersyscall inconsistent: goroutine %llu calls with sp %p "
                 "outside its stack [%p, %p)",
                 (unsigned long long)g->id, (void *)sp, (void *)g->stack.lo,
                 (void *)g->stack.hi);
    struct tz_m *m = t->m;
    struct tz_p *p = t->p;
    tz_event(TZ_EV_CALL, g->id, (uint64_t)handoff_now);
    if (!TZ_DEFECT(TZ_D14)) {
        g->syscall_regs = *regs;
        g->syscall_sp = sp;
    }
    tz_store_rel(&g->status, TZ_G_SYSCALL);
    m->oldp = p;
    m->p = NULL;
    tz_store_rlx(&p->m, NULL);
    t->p = NULL;
    t->cache = NULL;
    // seq_cst: against a stop that sets `stopping` and then looks at statuses.
    tz_xchg(&p->status, TZ_P_SYSCALL); // publishes all the above
    if (tz_unlikely(tz_load(&tz_sched.stopping)))
        step_aside(p);
    else if (handoff_now && !tz_env.sim)
        tz_pass_on(p);
    if (TZ_DEFECT(TZ_D14)) {
        g->syscall_regs = *regs;
        g->syscall_sp = sp;
    }
    t->locks--; // no poll: we count as stopped
}

// On g0 now: somebody else, or we later, resumes g.
static bool commit_queue(struct tz_g *g, void *arg)
{
    (void)arg;
    tz_lock_acquire(&tz_sched.lock);
    tz_store_rel(&g->status, TZ_G_RUNNABLE);
    tz_globrunq_put(g);
    tz_lock_release(&tz_sched.lock);
    return true; // an idle P, if there is one, is found by this thread next
}

int tuza_syscall_exit(void)
{
    int saved_errno = errno;
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    if (!g || tz_load_rlx(&g->status) != TZ_G_SYSCALL)
        tz_fatal("tuza_syscall_exit without tuza_syscall_enter");
    t->locks++;
    g->saved_errno = saved_errno;
    struct tz_p *old = t->m->oldp;
    t->m->oldp = NULL;
    if (tz_regain_p(t, old))
        tz_store_rel(&g->status, TZ_G_RUNNING);
    else
        tz_leave(g, commit_queue, NULL, false);
    tz_event(TZ_EV_RETURN, g->id, 0);
    tz_crit_leave();
    tz_yield_point();
    return saved_errno;
}

int tuza_errno(void)
{
    struct tz_g *g = tz_getg();
    return g ? g->saved_errno : 0;
}
