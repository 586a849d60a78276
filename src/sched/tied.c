// SPDX-License-Identifier: BSD-3-Clause
// sched/tied.c: goroutines that run on one thread only.
//
// tuza_lock_thread ties the current goroutine to its thread, for what C libraries
// keep per thread; a thread that was attached is tied to its goroutine for good;
// and one whose P was taken waits in a run queue tied to where it stands
// (take.c). Whoever comes to a tied goroutine in a queue passes his P on to its
// thread, and looks for another; a thread whose tied goroutine leaves hands its
// P off and sleeps until it is passed one:
//
//     M1, tied to G                      M2
//     G parks: P to others               …
//     sleeps on its note                 finds G in a queue
//                      <--- P, wake ---  needs another P, or sleeps
//     runs G
//
// So each change to or from a tied goroutine costs a change of threads. Go's
// proc.go: stoplockedm, startlockedm.

#include "os/env.h"
#include "sched/proc.h"
#include "tuza/thread.h"

void tz_tie(struct tz_m *m, struct tz_g *g)
{
    g->tied_to = m;
    g->watch |= TZ_WATCH_TIED;
    m->tied = g;
}

void tz_untie(struct tz_m *m, struct tz_g *g)
{
    if (g->ties)
        return;
    m->tied = NULL;
    g->watch &= (uint8_t)~TZ_WATCH_TIED;
    g->tied_to = NULL;
}

void tz_tied_sleep(struct tz_m *m)
{
    tz_note_sleep(&m->park);
    tz_note_clear(&m->park);
    struct tz_p *p = m->nextp;
    m->nextp = NULL;
    tz_acquirep(p);
}

void tz_tied_wait(struct tz_m *m)
{
    if (m->p)
        tz_handoffp(tz_releasep());
    tz_lock_acquire(&tz_sched.lock);
    tz_sched.nmtied++; // may have been taken off already, by who passes
    tz_checkdead();
    tz_lock_release(&tz_sched.lock);
    tz_tied_sleep(m);
}

// With the lock; then it is woken.
static void pass(struct tz_p *p, struct tz_m *to)
{
    tz_sched.nmtied--;
    TZ_CHECK(!to->nextp);
    to->nextp = p;
}

void tz_tied_pass(struct tz_g *g)
{
    struct tz_m *to = g->tied_to;
    struct tz_p *p = tz_releasep();
    tz_lock_acquire(&tz_sched.lock);
    pass(p, to);
    tz_lock_release(&tz_sched.lock);
    tz_note_wake(&to->park);
}

// With the lock. Unlinks the first one in the global queue.
static struct tz_g *first_tied(void)
{
    struct tz_g *last = NULL, **at = &tz_sched.runq;
    for (; *at && !(*at)->tied_to; at = &(*at)->link)
        last = *at;
    struct tz_g *g = *at;
    if (!g)
        return NULL;
    *at = g->link;
    if (!g->link)
        tz_sched.runqtail = last;
    tz_store(&tz_sched.runqsize, tz_sched.runqsize - 1);
    return g;
}

bool tz_tied_take(struct tz_p *p)
{
    tz_p_empty(p);
    struct tz_g *g = first_tied();
    if (!g)
        return false;
    pass(p, g->tied_to);
    tz_note_wake(&g->tied_to->park);
    return true;
}

void tz_tied_ends(struct tz_g *g)
{
    struct tz_m *m = g->tied_to;
    TZ_CHECK(m == tz_getm());
    g->ties = 0;
    tz_untie(m, g);
    m->ends = true;
}

void tuza_lock_thread(void)
{
    struct tz_g *g = tz_need_g("tuza_lock_thread");
    tz_crit_enter();
    if (g->ties++ == 0 && !tz_env.sim) // one thread runs all of them there
        tz_tie(tz_getm(), g);
    tz_crit_leave();
}

void tuza_unlock_thread(void)
{
    struct tz_g *g = tz_need_g("tuza_unlock_thread");
    if (g->ties == 0)
        tz_fatal("tuza_unlock_thread without tuza_lock_thread, in goroutine "
                 "%llu",
                 (unsigned long long)g->id);
    tz_crit_enter();
    if (--g->ties == 0 && g->tied_to)
        tz_untie(tz_getm(), g);
    tz_crit_leave();
}
