// SPDX-License-Identifier: BSD-3-Clause
// sched/m.c: threads for the scheduler.
//
// An M is made when there is a P with work and no idle M; it is never ended,
// only parked. When the system refuses a thread, the P goes back to the idle
// ones and the Ms that exist do the work.

#include <errno.h>
#include <unistd.h>

#include "base/san.h"
#include "mem/persist.h"
#include "os/env.h"
#include "os/sig.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/port.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "tuza/thread.h"

TZ_WEAK void tz_port_m_start(struct tz_m *m) { (void)m; }
TZ_WEAK void tz_port_m_stop(struct tz_m *m) { (void)m; }

struct tz_m *tz_m_make(void)
{
    tz_lock_acquire(&tz_sched.lock);
    struct tz_m *m = tz_sched.mfree;
    if (m)
        tz_sched.mfree = m->link;
    tz_lock_release(&tz_sched.lock);
    if (!m)
        m = tz_persist_alloc(sizeof *m, TZ_CACHE_LINE);
    if (!m)
        return NULL;
    m->ends = false;
    m->call.nr = -1;
    m->g0.is_g0 = 1;
    m->g0.magic = TZ_G_MAGIC;
    tz_note_clear(&m->park);
    m->id = tz_xadd(&tz_sched.mcount, 1);
    return m;
}

static void seed(struct tz_tls *t)
{
    uint64_t seed[2];
    tz_env_random(seed);
    t->rand[0] = seed[0];
    t->rand[1] = seed[1];
}

// m is complete, and others may find it.
static void publish(struct tz_m *m, struct tz_tls *t)
{
    t->m = m;
    tz_lock_acquire(&tz_sched.lock);
    m->tls = t;
    bool listed = m->listed;
    m->listed = true;
    tz_lock_release(&tz_sched.lock);
    if (listed)
        return;
    do
        m->alllink = tz_load_acq(&tz_sched.allm);
    while (!tz_cas_rel(&tz_sched.allm, m->alllink, m));
}

static void know_thread(struct tz_m *m, struct tz_tls *t)
{
    seed(t);
    tz_store_rlx(&m->tp, tz_thread_pointer());
    tz_store_rlx(&m->tid, tz_thread_id());
    m->errno_at = &errno;
}

// The calling thread becomes m's, on its g0.
void tz_m_adopt(struct tz_m *m)
{
    struct tz_tls *t = tz_tls_get();
    know_thread(m, t);
    tz_thread_stack(&m->g0.stack.lo, &m->g0.stack.hi);
#if TZ_TSAN
    m->g0.fiber = __tsan_get_current_fiber();
#endif
    if (tz_sig_altstack() != 0)
        tz_vm_die("a signal stack");
    // What the program has blocked stays so, but for our own, which an
    // executed program may have inherited blocked.
    static const int ours[] = { TZ_SIG_STOP, SIGSEGV };
    tz_sig_mask_use(ours, tz_countof(ours));
    t->g = &m->g0;
    publish(m, t);
    tz_port_m_start(m);
}

void tz_m_join(struct tz_m *m, struct tz_tls *t)
{
    know_thread(m, t);
    tz_xadd(&tz_sched.mcount, 1);
    publish(m, t);
}

void tz_m_part(struct tz_m *m, struct tz_tls *t)
{
    tz_port_m_stop(m);
    tz_lock_acquire(&tz_sched.lock);
    m->tls = NULL;
    tz_store_rlx(&m->tp, 0);
    tz_store_rlx(&m->tid, 0);
    tz_xadd(&tz_sched.mcount, -1u);
    tz_checkdead();
    tz_lock_release(&tz_sched.lock);
    t->m = NULL;
    t->g = NULL;
    t->stop = 0;
}

void tz_m_end(struct tz_m *m)
{
    tz_sig_block_all(); // no handler of ours may find a thread without M
    // While its P is on its way the world does not stop: nobody scans this thread.
    struct tz_p *p = m->p ? tz_releasep() : NULL;
    tz_m_part(m, tz_tls_get());
    if (p)
        tz_handoffp(p);
    tz_lock_acquire(&tz_sched.lock);
    m->link = tz_sched.mfree;
    tz_sched.mfree = m;
    tz_lock_release(&tz_sched.lock);
    if (tz_thread_id() == getpid())
        for (;;) // the end of the first thread would be seen as that of all
            tz_thread_sleep(INT64_MAX);
    tz_sig_altstack_free();
}

// m has a thread now, or never will: takes it off the list, and the P that
// waits for it; NULL when a stop has taken that. With the lock.
static struct tz_p *started(struct tz_m *m)
{
    struct tz_m **at = &tz_sched.starting;
    while (*at != m)
        at = &(*at)->link;
    *at = m->link;
    struct tz_p *p = m->nextp;
    m->nextp = NULL;
    if (!p && m->spinning) {
        m->spinning = false;
        tz_xadd(&tz_sched.nmspinning, -1u);
    }
    return p;
}

static void thread_main(void *arg)
{
    struct tz_m *m = arg;
    tz_thread_name("tuza-m");
    tz_tls_get()->locks++; // g0 is one long critical section
    tz_m_adopt(m);
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = started(m);
    tz_lock_release(&tz_sched.lock);
    if (p)
        tz_acquirep(p);
    tz_schedule();
    tz_m_end(m);
}

// On the template thread. The P goes back; other Ms do the work. One that fell
// asleep because this P was on its way to m must look again, or nobody would:
// at what is queued, or whether all are asleep now for good.
static void refused(struct tz_threadask *a)
{
    struct tz_m *m = a->arg;
    if (!tz_load_acq(&tz_sched.allm))
        tz_fatal("the system refuses the first thread; see ulimit -u");
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = started(m);
    if (m->spinning) {
        m->spinning = false;
        tz_xadd(&tz_sched.nmspinning, -1u);
    }
    tz_xadd(&tz_sched.mcount, -1u); // m itself is lost, some hundred bytes
    bool sleeper = tz_sched.midle;
    if (p && !sleeper && tz_tied_take(p))
        p = NULL;
    if (p && !sleeper) {
        tz_pidle_put(p);
        tz_sched.refused = true; // one may be on its way to sleep
    }
    if (!p)
        tz_checkdead(); // it counted as awake until now
    tz_lock_release(&tz_sched.lock);
    if (p && sleeper)
        tz_startm(p, false);
}

// What the threads are for that goroutines hold.
static TZ_NORETURN TZ_COLD void too_many_threads(void)
{
    uint32_t declared = 0, undeclared = 0, tied = 0, running = 0;
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink) {
        const struct tz_g *g = tz_load_rlx(&m->curg);
        uint32_t status = g ? tz_load_rlx(&g->status) : TZ_G_DEAD;
        declared += status == TZ_G_SYSCALL;
        undeclared += status == TZ_G_NO_P;
        running += status == TZ_G_RUNNING;
        tied += !g && m->tied;
    }
    tz_fatal("thread limit: %u threads, and another goroutine wants to run "
             "(tuza_max_threads)\n"
             "\t%u are in declared calls, %u have lost their P in undeclared "
             "calls or loops, %u run, %u wait for goroutines that are tied to "
             "them; these are listed below, with where they were spawned",
             tz_load(&tz_sched.mcount), declared, undeclared, running, tied);
}

int tuza_max_threads(int n)
{
    uint32_t old = tz_load(&tz_sched.max_threads);
    if (n > 0)
        old = tz_xchg(&tz_sched.max_threads, (uint32_t)n);
    return (int)old;
}

void tz_m_start(struct tz_p *p, bool spinning)
{
    if (tz_load(&tz_sched.mcount) >= tz_load(&tz_sched.max_threads))
        too_many_threads();
    struct tz_m *m = tz_m_make();
    tz_lock_acquire(&tz_sched.lock);
    bool stopping = tz_load(&tz_sched.stopping);
    if (stopping) { // it does not wait for threads that are being made
        tz_stop_count(p);
    } else if (!m && !tz_tied_take(p)) {
        tz_pidle_put(p);
        tz_sched.refused = true;
    }
    if (m) {
        m->nextp = stopping ? NULL : p;
        m->spinning = spinning;
        m->ask = (struct tz_threadask){ thread_main, m, refused, NULL };
        m->link = tz_sched.starting;
        tz_sched.starting = m;
    }
    tz_lock_release(&tz_sched.lock);
    if (m)
        tz_thread_ask(&m->ask);
    else if (spinning)
        tz_xadd(&tz_sched.nmspinning, -1u);
}
