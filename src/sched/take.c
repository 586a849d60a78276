// SPDX-License-Identifier: BSD-3-Clause
// sched/take.c: goroutines whose P is taken while they run code of the program.
//
// A goroutine may block in the kernel without having said so, or compute for
// long. When others wait, sysmon asks for its P by the signal. The handler does
// what the enter of a declared call does (publishes the goroutine's state, gives
// the P the status SYSCALL, so that anybody may take it), and then either makes
// the interrupted system call in its place (os/call.h) or just returns: the code
// goes on without a P, at the kernel's mercy. At the beginning of the next
// critical section (base/tls.h) the thread waits for a P; the goroutine does not
// change its thread for that, since the code may hold a lock of pthread's or the
// address of errno.
//
//     sysmon                   handler on the thread         later, there
//     m->take = 1, signal      G NO_P; nop RUN or REST
//                              P RUNNING -> SYSCALL
//     P SYSCALL -> IDLE        … makes the call …            crit_enter:
//     hands it off             nop RUN, unless stopping      nop REST
//                              returns                       P; G RUNNING; NONE
//
// A thread in RUN has to be stopped with the world; one in REST stands for itself:
// it passes the gate before it runs again. Neither takes a lock in the handler.
// Who stops the world looks at all of them once every P has stopped: one that
// was in between is in RUN by then, for it is so before its P is let go.
//
// Go has a signal for its asynchronous preemption (preempt.go), which switches to
// another goroutine on the thread; it hands off only calls that it is told of.

#include "base/san.h"
#include "os/call.h"
#include "os/futex.h"
#include "os/sig.h"
#include "sched/preempt.h"
#include "sched/proc.h"

// From RUN or ASKED to `to`, in which a scan may read what is published.
static TZ_NO_SANITIZE void rest(struct tz_m *m, enum tz_nop to)
{
    tz_san_release(&tz_sched.epoch);
    if (tz_xchg(&m->nop, to) == TZ_NOP_ASKED)
        tz_stop_count_down();
}

// To RUN, not while the world is stopped. In the state that a scan may read.
static TZ_NO_SANITIZE void pass_gate(struct tz_m *m)
{
    for (;;) {
        uint32_t epoch = tz_load_acq(&tz_sched.epoch);
        tz_xchg(&m->nop, TZ_NOP_RUN); // before the look: a stop looks afterwards
        if (!tz_load(&tz_sched.stopping)) {
            tz_san_acquire(&tz_sched.epoch);
            return;
        }
        rest(m, TZ_NOP_REST);
        while (tz_load(&tz_sched.stopping) &&
               tz_load_acq(&tz_sched.epoch) == epoch)
            tz_futex_sleep(&tz_sched.epoch, epoch, -1);
    }
}

// Ms without a P are found by two lists, since a walk over all Ms takes long where
// many are in calls: one that handlers push to, all of which a stop takes over into
// its own. An M stays in a list until a stop sees that it has a P again.
static TZ_NO_SANITIZE void push(struct tz_m *m)
{
    if (tz_xchg(&m->taker, 1))
        return;
    do
        m->takerlink = tz_load_acq(&tz_sched.newtakers);
    while (!tz_cas(&tz_sched.newtakers, m->takerlink, m));
}

static TZ_NO_SANITIZE void give_up(struct tz_tls *t, enum tz_nop nop)
{
    struct tz_m *m = t->m;
    struct tz_p *p = t->p;
    tz_xadd(&tz_sched.nops, 1);
    tz_store_rel(&t->g->status, TZ_G_NO_P);
    m->oldp = p;
    m->p = NULL;
    tz_store_rlx(&p->m, NULL);
    t->p = NULL;
    t->cache = NULL;
    t->taken = 1;
    tz_san_release(&tz_sched.epoch);
    tz_san_release(&p->status);
    tz_store(&m->nop, nop);
    push(m);
    tz_xchg(&p->status, TZ_P_SYSCALL); // publishes all the above
    if (tz_load(&tz_sched.stopping)) // it has to take this P, and maybe waits
        tz_stop_ring();
}

// Comes to rest with what is published; makes the call, if there is one.
static TZ_NO_SANITIZE void go_on(struct tz_m *m, struct tz_sigctx *c,
                                 const struct tz_call *call)
{
    if (call)
        tz_call_finish(c, call, TZ_SIG_STOP);
    pass_gate(m);
    tz_withdraw(m);
}

TZ_NO_SANITIZE void tz_take_here(struct tz_tls *t, struct tz_sigctx *c,
                                 const struct tz_call *call)
{
    t->locks++;
    tz_publish(t, c);
    give_up(t, TZ_NOP_REST);
    tz_xadd_rlx(call ? &tz_sched.taken_blocked : &tz_sched.taken_busy, 1);
    tz_xadd(&tz_sched.busy_takers, 1);
    go_on(t->m, c, call);
    t->locks--;
}

TZ_NO_SANITIZE void tz_take_call(struct tz_tls *t, struct tz_sigctx *c,
                                 const struct tz_call *call)
{
    t->locks++;
    tz_publish(t, c);
    rest(t->m, TZ_NOP_REST);
    go_on(t->m, c, call);
    t->locks--;
}

TZ_NO_SANITIZE void tz_take_stop(struct tz_tls *t, struct tz_sigctx *c)
{
    struct tz_m *m = t->m;
    t->locks++;
    tz_publish(t, c);
    rest(m, TZ_NOP_STOPPED);
    while (tz_load_acq(&m->nop) == TZ_NOP_STOPPED) { // with start's release
        uint32_t epoch = tz_load_acq(&tz_sched.epoch);
        if (tz_load_acq(&m->nop) == TZ_NOP_STOPPED)
            tz_futex_sleep(&tz_sched.epoch, epoch, -1);
    }
    tz_xadd(&tz_sched.resuming, -1u);
    tz_san_acquire(&tz_sched.epoch);
    tz_withdraw(m);
    t->locks--;
}

static struct tz_m *takers(void)
{
    struct tz_m *next;
    if (tz_load(&tz_sched.newtakers))
        for (struct tz_m *m = tz_xchg(&tz_sched.newtakers, NULL); m; m = next) {
            next = m->takerlink;
            m->takerlink = tz_sched.takers;
            tz_sched.takers = m;
        }
    return tz_sched.takers;
}

uint32_t tz_takers_ask(void)
{
    uint32_t asked = 0;
    for (struct tz_m *m = takers(); m; m = m->takerlink) {
        // One that has come to rest meanwhile is looked at again: a scan reads
        // what it published, and a failed exchange acquires nothing.
        while (tz_load(&m->nop) == TZ_NOP_RUN) {
            tz_xadd(&tz_sched.stopwait, 1);
            if (tz_cas(&m->nop, TZ_NOP_RUN, TZ_NOP_ASKED)) {
                tz_stop_signal(m);
                asked++;
                break;
            }
            tz_xadd(&tz_sched.stopwait, -1u);
        }
    }
    return asked;
}

void tz_takers_signal(void)
{
    for (struct tz_m *m = takers(); m; m = m->takerlink)
        if (tz_load(&m->nop) == TZ_NOP_ASKED)
            tz_stop_signal(m);
}

// Before any P is started: whoever has one does not come to be a taker meanwhile.
void tz_takers_restart(void)
{
    struct tz_m **at = &tz_sched.takers;
    for (struct tz_m *m = takers(); m; m = *at) {
        uint32_t nop = tz_load(&m->nop);
        if (nop == TZ_NOP_STOPPED) {
            tz_xadd(&tz_sched.resuming, 1);
            tz_store_rel(&m->nop, TZ_NOP_RUN); // with tz_take_stop
        }
        if (nop == TZ_NOP_NONE) {
            *at = m->takerlink;
            tz_store_rlx(&m->taker, 0);
        } else {
            at = &m->takerlink;
        }
    }
}

// Waits in the global queue, tied to this thread: whoever comes to it there
// passes a P on. Not without the lock: who gives a P up looks at the queue.
static void wait_for_p(struct tz_m *m, struct tz_g *g)
{
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = tz_pidle_get();
    if (!p) {
        tz_tie(m, g);
        tz_sched.nmtied++;
        tz_globrunq_put(g);
    }
    tz_lock_release(&tz_sched.lock);
    if (p) {
        tz_acquirep(p);
        return;
    }
    tz_tied_sleep(m);
    tz_untie(m, g);
}

void tz_take_back(void *arg, uintptr_t sp)
{
    struct tz_tls *t = arg;
    struct tz_m *m = t->m;
    struct tz_g *g = t->g;
    struct tz_p *old = m->oldp;
    m->oldp = NULL;
    tz_xadd(&tz_sched.busy_takers, -1u);
    // It was taken for others, who may not have come for it yet: this goroutine is
    // behind them, or one that allocates all the time would keep it for ever.
    if (old && tz_load_rlx(&old->status) == TZ_P_SYSCALL && tz_any_work() &&
        !tz_load(&tz_sched.stopping))
        tz_pass_on(old);
    if (tz_load_rlx(&m->nop) != TZ_NOP_REST) { // it is not new (attach.c)
        m->stop_sp = sp;
        rest(m, TZ_NOP_REST);
    }
    if (!tz_regain_p(t, old) && !tz_get_idle_p())
        wait_for_p(m, g);
    tz_store_rel(&g->status, TZ_G_RUNNING);
    m->stop_sp = 0;
    tz_store(&m->nop, TZ_NOP_NONE); // the P stops with the world from here on
    tz_xadd(&tz_sched.nops, -1u);
}

void tz_port_take_back(void)
{
    struct tz_tls *t = tz_tls_get();
    if (tz_sched.forked)
        tz_fatal("tuza is used in the child of a fork, where only its calling "
                 "thread is left: call exec there, or _exit");
    TZ_CHECK(t->g && !t->p);
    if (t->locks > 1)
        return; // in a section that was entered without a P, and needs none
    if (!tz_on_own_stack(t->g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)t->g->id);
    t->taken = 0;
    tz_ctx_spill(tz_take_back, t);
}

void tz_let_go(struct tz_tls *t)
{
    tz_xadd(&tz_sched.busy_takers, 1);
    give_up(t, TZ_NOP_RUN);
}

void tz_give_way(void)
{
    tz_crit_enter(); // waits for a P, where it has none
    struct tz_tls *t = tz_tls_get();
    struct tz_p *p = t->p;
    if (!t->g || t->g->is_g0 || t->locks != 1) {
        tz_crit_leave();
        return;
    }
    tz_let_go(t);
    if (!tz_load(&tz_sched.stopping)) // it takes the P itself
        tz_pass_on(p);
    tz_crit_leave(); // a stop may have asked for this thread since
}
