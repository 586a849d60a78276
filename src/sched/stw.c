// SPDX-License-Identifier: BSD-3-Clause
// sched/stw.c: stopping the world.
//
// The world is stopped when no P runs a goroutine. Idle Ps and those whose
// thread is in a declared call are taken at once, by status. A thread that
// runs a goroutine stops right where it is, keeping its P, in one of three
// ways: it polls tls->stop at the end of a critical section; its scheduler
// loop sees `stopping`; or, after 5 us, a signal makes it wait in the handler
// (preempt.c), unless it is in a critical section, whose end it will poll.
//
//     stopper                            a thread that runs P
//     stopping = 1
//     every tls->stop = 1                RUNNING -> STOPPED, stopwait--
//     idle and syscall Ps -> STOPPED     sleeps on epoch
//     waits for stopwait == 0
//        … the world is stopped …
//     stopping = 0, stop flags = 0
//     P with a thread: RUNNING           sees its P RUNNING, goes on
//     P without one: idle
//     epoch++, wakes all
//
// The next stop comes no sooner than 100 us after a start that not everybody has
// seen: a thread that wakes late would find the world stopped again, each time, and
// never run.
//
// Because a thread keeps its P, starting again moves nothing around. A return
// from a declared call finds its P gone and waits for an idle one, of which
// there is none while the world is stopped [sched.I5]. Go stops the same way
// but parks the threads that stop (proc.c: gcstopm).

#include "base/san.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"
#include "sched/port.h"
#include "sched/preempt.h"
#include "sched/proc.h"

enum { POLL_NS = 5 * 1000, RESUME_NS = 100 * 1000, RESIGNAL_NS = 1000 * 1000,
       RESIGNAL_LAST_NS = 20 * 1000 };

TZ_NO_SANITIZE void tz_stop_ring(void)
{
    tz_xadd(&tz_sched.stopbell, 1);
    tz_futex_wake(&tz_sched.stopbell, 1);
}

TZ_WEAK void tz_port_stw_latency(int64_t stopping_ns, int64_t total_ns)
{
    (void)stopping_ns, (void)total_ns;
}

TZ_NO_SANITIZE void tz_stop_count_down(void)
{
    if (tz_xadd(&tz_sched.stopwait, -1u) == 1)
        tz_stop_ring();
}

TZ_NO_SANITIZE void tz_stop_count(struct tz_p *p)
{
    tz_store(&p->status, TZ_P_STOPPED);
    tz_stop_count_down();
}

// Runs in the signal handler too: touches no lock and no malloc. Does not look
// whether the next stop has begun: the caller first goes on to its next poll.
TZ_NO_SANITIZE void tz_stop_in_place(struct tz_p *p)
{
    uint32_t epoch = tz_load_acq(&tz_sched.epoch);
    if (!tz_load(&tz_sched.stopping))
        return;
    // We hold it RUNNING, so the stop that we see cannot have ended, and nobody
    // else changes the status.
    tz_san_release(&tz_sched.epoch);
    tz_stop_count(p);
    while (tz_load_acq(&p->status) == TZ_P_STOPPED) // with start's release
        tz_futex_sleep(&tz_sched.epoch, epoch, -1);
    tz_xadd(&tz_sched.resuming, -1u);
    tz_san_acquire(&tz_sched.epoch);
}

static void stop_here(void *arg, uintptr_t sp)
{
    struct tz_tls *t = arg;
    t->m->stop_sp = sp;
    tz_stop_in_place(t->p);
    t->m->stop_sp = 0;
}

// The flag is left over from a stop that was over before it was seen.
static bool nothing_stops(struct tz_tls *t)
{
    if (tz_load(&tz_sched.stopping))
        return false;
    tz_store(&t->stop, 0);
    if (!tz_load(&tz_sched.stopping))
        return true;
    tz_store(&t->stop, 1); // it may have been for this one
    return false;
}

// At the end of a critical section of a goroutine.
void tz_port_stop_here(void)
{
    struct tz_tls *t = tz_tls_get();
    if (!t->m || !t->g || t->g->is_g0 || nothing_stops(t))
        return;
    if (!t->p) { // the signal came inside the section (gc/barrier.c)
        if (tz_load(&t->m->nop) == TZ_NOP_ASKED)
            tz_stop_signal(t->m);
        return;
    }
    if (!tz_on_own_stack(t->g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)t->g->id);
    t->locks++; // the handler must leave us alone
    tz_ctx_spill(stop_here, t);
    t->locks--;
}

// Ps whose threads are in calls, or have just lost them in a handler.
static void take_syscalls(void)
{
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_p *p = tz_sched.allp[i];
        if (tz_load(&p->status) == TZ_P_SYSCALL &&
            tz_cas(&p->status, TZ_P_SYSCALL, TZ_P_STOPPED)) {
            tz_store_rlx(&p->syscalltick, p->syscalltick + 1);
            tz_stop_count_down();
        }
    }
}

// Takes the Ps that nobody runs; with the sched lock.
static void take_ps(struct tz_p *mine)
{
    tz_stop_count(mine);
    take_syscalls();
    while (tz_sched.pidle) {
        struct tz_p *p = tz_sched.pidle;
        tz_sched.pidle = p->link;
        tz_store(&tz_sched.npidle, tz_sched.npidle - 1);
        tz_stop_count(p);
    }
    // Of threads that are still being made, which may take long [sched.I7].
    for (struct tz_m *m = tz_sched.starting; m; m = m->link) {
        struct tz_p *p = m->nextp;
        m->nextp = NULL;
        if (p)
            tz_stop_count(p);
    }
}

void tz_stop_signal(struct tz_m *m)
{
    tz_xadd(&m->stop_sent, 1);
    tz_thread_signal(tz_load_rlx(&m->tid), TZ_SIG_STOP);
}

// Sets the flags of those that run with a P. With the lock: an M with a thread
// keeps its thread-local object until it has had the lock.
static void ask_to_poll(bool signal)
{
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_p *p = tz_sched.allp[i];
        struct tz_m *m = tz_load_rlx(&p->m);
        if (!m || tz_load_acq(&p->status) != TZ_P_RUNNING)
            continue;
        if (m->tls)
            tz_store(&m->tls->stop, 1);
        if (signal)
            tz_stop_signal(m);
    }
}

static void signal_stragglers(void)
{
    tz_lock_acquire(&tz_sched.lock);
    ask_to_poll(true);
    tz_takers_signal();
    tz_lock_release(&tz_sched.lock);
}

// The stop that is for ever waits for goroutines to leave libc; one that computes
// there for long is let off, with the locks that it holds. By the clock, and by how
// often they were seen there: on a busy machine a second is a few turns for each.
static bool last_is_over(int64_t ns)
{
    enum { ENOUGH = 2000 };
    return ns > TZ_NSEC_PER_SEC && (ns > 10 * TZ_NSEC_PER_SEC ||
                                tz_load_rlx(&tz_sched.last_refused) > ENOUGH);
}

static void wait_for_all(void)
{
    int64_t start = tz_clock_now();
    bool signalled = false;
    for (;;) {
        uint32_t bell = tz_load_acq(&tz_sched.stopbell); // before the looks
        take_syscalls();
        uint32_t left = tz_load_acq(&tz_sched.stopwait);
        // Only now is it sure that nobody is on his way out of a P.
        if (left == 0 && tz_takers_ask() == 0)
            return;
        if (!signalled && tz_clock_now() - start < POLL_NS) {
            // Not a yield: beside loops that is a turn of milliseconds.
            tz_cpu_relax();
            continue;
        }
        signal_stragglers(); // again each time: it may have been too early
        signalled = true;
        bool last = tz_load_rlx(&tz_sched.last_stop);
        if (last && last_is_over(tz_clock_now() - start))
            tz_store(&tz_sched.last_stop, 0);
        if (left)
            tz_futex_sleep(&tz_sched.stopbell, bell,
                           last ? RESIGNAL_LAST_NS : RESIGNAL_NS);
    }
}

// Those who were stopped last are on their way: lets them get there, if that was
// just now.
static void let_resume(void)
{
    int64_t start = tz_load_rlx(&tz_sched.restarted);
    while (tz_load(&tz_sched.resuming) && tz_clock_now() - start < RESUME_NS)
        tz_thread_yield();
}

// With the lock, under which they become DEAD.
static uint32_t living_ps(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < tz_nallp(); i++)
        n += tz_load(&tz_sched.allp[i]->status) != TZ_P_DEAD;
    return n;
}

static bool stop_world(bool last)
{
    struct tz_tls *t = tz_tls_get();
    TZ_CHECK(t->p && t->locks > 0);
    if (tz_sched.forked)
        tz_fatal("a collection in the child of a fork: call exec there");
    if (!tz_lock_try(&tz_sched.world))
        return false;
    if (last)
        tz_store(&tz_sched.last_stop, 1);
    let_resume();
    tz_lock_acquire(&tz_sched.lock);
    tz_store(&tz_sched.stopwait, living_ps());
    tz_store(&tz_sched.stopping, 1);
    tz_xadd(&tz_sched.by_g0, TZ_BY_G0_STOP);
    ask_to_poll(false);
    tz_takers_ask();
    take_ps(t->p);
    tz_lock_release(&tz_sched.lock);
    wait_for_all();
    tz_san_acquire(&tz_sched.epoch);
    return true;
}

// Ps that have a thread go on; returns the others that have work, linked.
static struct tz_p *restart_ps(const struct tz_p *mine)
{
    struct tz_p *work = NULL;
    for (uint32_t i = tz_nallp(); i-- > 0;) {
        struct tz_p *p = tz_sched.allp[i];
        if (tz_load_rlx(&p->status) == TZ_P_DEAD)
            continue;
        TZ_CHECK(tz_load_rlx(&p->status) == TZ_P_STOPPED);
        struct tz_m *m = tz_load_rlx(&p->m); // in a call soon, it lets go of p
        if (m) {
            if (p != mine)
                tz_xadd(&tz_sched.resuming, 1);
            tz_store(&m->tls->stop, 0);
            tz_store_rel(&p->status, TZ_P_RUNNING); // with tz_stop_in_place
            continue;
        }
        tz_store_rel(&p->status, TZ_P_IDLE);
        if (tz_runq_empty(p)) {
            tz_pidle_put(p);
        } else {
            p->link = work;
            work = p;
        }
    }
    return work;
}

static void start_world(void)
{
    tz_san_release(&tz_sched.epoch);
    tz_lock_acquire(&tz_sched.lock);
    tz_store(&tz_sched.stopping, 0);
    tz_xadd(&tz_sched.by_g0, -(uint32_t)TZ_BY_G0_STOP);
    tz_takers_restart();
    struct tz_p *work = restart_ps(tz_tls_get()->p);
    tz_store_rlx(&tz_sched.restarted, tz_clock_now());
    tz_xadd(&tz_sched.epoch, 1);
    tz_lock_release(&tz_sched.lock);
    tz_futex_wake(&tz_sched.epoch, UINT32_MAX >> 1);
    while (work) {
        struct tz_p *p = work;
        work = p->link;
        tz_startm(p, false);
    }
    // Not tz_wakep: a thread that counts as looking may have seen the stop only.
    tz_xadd(&tz_sched.nmspinning, 1);
    tz_startm(NULL, true);
    tz_sysmon_wake();
    tz_lock_release(&tz_sched.world);
}

struct world_call {
    void (*fn)(void *);
    void *arg;
    bool last;
};

// On the system stack.
static void world_call_there(void *arg)
{
    struct world_call *c = arg;
    int64_t start = tz_clock_now();
    while (!stop_world(c->last)) {
        tz_stop_in_place(tz_tls_get()->p);
        tz_thread_yield();
        start = tz_clock_now(); // that was another's stop
    }
    int64_t stopped = tz_clock_now();
    c->fn(c->arg);
    start_world();
    tz_port_stw_latency(stopped - start, tz_clock_now() - start);
}

static void world_call_spilled(void *arg, uintptr_t sp)
{
    struct tz_m *m = tz_getm();
    m->stop_sp = sp;
    tz_system_stack(world_call_there, arg);
    m->stop_sp = 0;
}

static void world_call(struct world_call c)
{
    struct tz_g *g = tz_need_g("stopping the world");
    if (!tz_on_own_stack(g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)g->id);
    tz_crit_enter();
    tz_ctx_spill(world_call_spilled, &c);
    tz_crit_leave();
}

void tz_world_call(void (*fn)(void *), void *arg)
{
    world_call((struct world_call){ fn, arg, false });
}

void tz_world_end(void (*fn)(void *))
{
    world_call((struct world_call){ fn, NULL, true });
    tz_throw("the stopped world has started again");
}
