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

// The rest of an enter: a stop gets the P, or others do.
static TZ_NOINLINE void part(struct tz_tls *t, struct tz_p *p, int handoff)
{
    if (tz_load(&tz_sched.stopping))
        step_aside(p);
    else if (handoff && !tz_env.sim)
        tz_pass_on(p);
    t->locks--;
}

// Word by word, as they have just been stored: two at once would wait for that.
TZ_INLINE void copy_regs(struct tz_ctx_regs *to, const struct tz_ctx_regs *from)
{
    uintptr_t *out = (uintptr_t *)to;
    const uintptr_t *in = (const uintptr_t *)from;
#ifndef __clang__ // does it anyway
#pragma GCC unroll 24
#endif
    for (size_t i = 0; i < sizeof *to / sizeof *out; i++)
        tz_store_rlx(&out[i], in[i]);
}

// In a critical section, which it ends.
TZ_INLINE void enter(struct tz_tls *t, struct tz_g *g,
                     const struct tz_ctx_regs *regs, uintptr_t sp, int handoff)
{
    struct tz_m *m = t->m;
    struct tz_p *p = t->p;
    if (!TZ_DEFECT(TZ_D14)) {
        copy_regs(&g->syscall_regs, regs);
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
    if (tz_unlikely(handoff || tz_load(&tz_sched.stopping)))
        part(t, p, handoff);
    else
        t->locks--; // no poll: we count as stopped
    if (TZ_DEFECT(TZ_D14)) {
        copy_regs(&g->syscall_regs, regs);
        g->syscall_sp = sp;
    }
}

// The unusual: to be mended, or told.
static TZ_NOINLINE void enter_slowly(const struct tz_ctx_regs *regs, uintptr_t sp,
                                     int handoff)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = tz_need_g("TUZA_SYSCALL");
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
    tz_event(TZ_EV_CALL, g->id, (uint64_t)handoff);
    enter(t, g, regs, sp, handoff);
}

// Calls others only as its last act, so that it has no registers to save.
void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                           int handoff)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    t->locks++;
    tz_compiler_barrier();
    if (tz_unlikely(!g || g->is_g0 || t->taken || !t->p ||
                    sp - 1 - g->stack.lo >= g->stack.hi - g->stack.lo ||
                    tz_event_wanted(TZ_EV_CALL)))
        enter_slowly(regs, sp, handoff);
    else
        enter(t, g, regs, sp, handoff);
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

static TZ_NOINLINE int returned(struct tz_g *g, int saved_errno)
{
    tz_event(TZ_EV_RETURN, g->id, 0);
    tz_crit_leave();
    tz_yield_point();
    return saved_errno;
}

static TZ_NOINLINE int exit_slowly(struct tz_g *g, int saved_errno)
{
    if (tz_get_idle_p())
        tz_store_rel(&g->status, TZ_G_RUNNING);
    else
        tz_leave(g, commit_queue, NULL, false);
    return returned(g, saved_errno);
}

// Of the critical section that has ended: what its end would have looked at.
static TZ_NOINLINE int polled(int saved_errno)
{
    tz_crit_enter();
    tz_crit_leave();
    tz_yield_point();
    return saved_errno;
}

int tuza_syscall_exit(void)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    if (tz_unlikely(!g || tz_load_rlx(&g->status) != TZ_G_SYSCALL))
        tz_fatal("tuza_syscall_exit without tuza_syscall_enter");
    struct tz_m *m = t->m;
    struct tz_p *p = m->oldp;
    int saved_errno = *m->errno_at;
    t->locks++;
    tz_compiler_barrier();
    g->saved_errno = saved_errno;
    m->oldp = NULL;
    if (tz_unlikely(!tz_regain_p(t, p)))
        return exit_slowly(g, saved_errno);
    tz_store_rel(&g->status, TZ_G_RUNNING);
    if (tz_unlikely(tz_event_wanted(TZ_EV_RETURN)))
        return returned(g, saved_errno);
    tz_compiler_barrier();
    t->locks--;
    if (tz_unlikely(tz_load_rlx(&t->stop) || tz_load_rlx(&p->look)))
        return polled(saved_errno);
    return saved_errno;
}

int tuza_errno(void)
{
    struct tz_g *g = tz_getg();
    return g ? g->saved_errno : 0;
}
