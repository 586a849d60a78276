// SPDX-License-Identifier: BSD-3-Clause
// sched/proc.c: finding work for a thread, and threads for work.
//
// An M with a P looks for a goroutine: own queue, global queue, other Ps'
// queues, timers. When there is nothing it gives the P up, looks once more at
// everything (work may have come while it was still counted as looking), and
// sleeps. An M that looks is "spinning"; whoever makes work wakes another M
// only if there is an idle P and nobody spins, and a spinning M that finds
// work wakes the next. So wake-ups neither storm nor get lost [sched.I4]:
// maker:   queue the work, then look at nmspinning
// looker:  nmspinning--, then look at the queues
// both are sequentially consistent, so one of them sees the other.
//
// Go's proc.go (findRunnable, startm, stopm, wakep, handoffp) is the model.

#include "base/rand.h"
#include "os/clock.h"
#include "os/env.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "sched/sim.h"

struct tz_sched tz_sched = {
    .lock = TZ_LOCK_INIT(TZ_RANK_SCHED),
    .world = TZ_LOCK_INIT(TZ_RANK_WORLD),
    .sleep_until = INT64_MAX,
    .max_threads = 10000,
};

TZ_WEAK int tz_port_p_init(struct tz_p *p)
{
    p->timer_next = INT64_MAX;
    return 0;
}

TZ_WEAK int tz_port_timers_run(struct tz_p *p, int64_t now)
{
    (void)p, (void)now;
    return 0;
}

void tz_acquirep(struct tz_p *p)
{
    struct tz_tls *t = tz_tls_get();
    TZ_CHECK(!t->p && tz_load_rlx(&p->status) == TZ_P_IDLE && !p->m);
    tz_wirep(t, p);
    tz_store(&p->status, TZ_P_RUNNING);
    tz_poll_later(t);
    tz_sysmon_wake(); // it may have gone to sleep because nothing ran
}

struct tz_p *tz_releasep(void)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_p *p = t->p;
    TZ_CHECK(p && p->m == t->m && tz_load_rlx(&p->status) == TZ_P_RUNNING);
    tz_store_rlx(&p->m, NULL);
    t->m->p = NULL;
    t->p = NULL;
    t->cache = NULL;
    tz_store_rel(&p->status, TZ_P_IDLE);
    return p;
}

struct tz_p *tz_pidle_get(void)
{
    struct tz_p *p = tz_sched.pidle;
    if (!p || tz_load(&tz_sched.stopping))
        return NULL;
    tz_sched.pidle = p->link;
    tz_store(&tz_sched.npidle, tz_sched.npidle - 1);
    return p;
}

void tz_pidle_put(struct tz_p *p)
{
    TZ_DCHECK(tz_load_rlx(&p->status) == TZ_P_IDLE && !p->m);
    if (tz_unlikely(p->retired)) {
        tz_p_retire(p);
        return;
    }
    p->link = tz_sched.pidle;
    tz_sched.pidle = p;
    tz_store(&tz_sched.npidle, tz_sched.npidle + 1);
}

bool tz_get_idle_p(void)
{
    if (tz_load(&tz_sched.npidle) == 0)
        return false;
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = tz_pidle_get();
    tz_lock_release(&tz_sched.lock);
    if (!p)
        return false;
    tz_acquirep(p);
    return true;
}

static void midle_put(struct tz_m *m)
{
    m->link = tz_sched.midle;
    tz_sched.midle = m;
    tz_sched.nmidle++;
}

// Takes m off the idle list; false when it is not there any more.
static bool midle_remove(struct tz_m *m)
{
    struct tz_m **at = &tz_sched.midle;
    while (*at && *at != m)
        at = &(*at)->link;
    if (!*at)
        return false;
    *at = m->link;
    tz_sched.nmidle--;
    return true;
}

void tz_startm(struct tz_p *p, bool spinning)
{
    tz_lock_acquire(&tz_sched.lock);
    if (!p)
        p = tz_pidle_get();
    if (!p) {
        tz_lock_release(&tz_sched.lock);
        if (spinning)
            tz_xadd(&tz_sched.nmspinning, -1u);
        return;
    }
    struct tz_m *m = tz_sched.midle;
    if (m) {
        tz_sched.midle = m->link;
        tz_sched.nmidle--;
    }
    tz_lock_release(&tz_sched.lock);
    if (!m) {
        tz_m_start(p, spinning);
        return;
    }
    TZ_CHECK(!m->spinning && !m->nextp);
    m->spinning = spinning;
    m->nextp = p;
    tz_note_wake(&m->park);
}

void tz_wakep(void)
{
    if (tz_load(&tz_sched.npidle) == 0 || tz_load(&tz_sched.nmspinning) != 0 ||
        !tz_cas(&tz_sched.nmspinning, 0, 1))
        return;
    tz_startm(NULL, true);
}

void tz_handoffp(struct tz_p *p)
{
    if (!p->retired && (!tz_runq_empty(p) || tz_load(&tz_sched.runqsize))) {
        tz_startm(p, false);
        return;
    }
    // Nobody looks and nobody is idle to be woken: this P must look.
    if (!p->retired && tz_load(&tz_sched.nmspinning) + tz_load(&tz_sched.npidle) == 0 &&
        tz_cas(&tz_sched.nmspinning, 0, 1)) {
        tz_startm(p, true);
        return;
    }
    tz_lock_acquire(&tz_sched.lock);
    if (tz_load(&tz_sched.stopping)) {
        tz_stop_count(p);
        tz_lock_release(&tz_sched.lock);
        return;
    }
    if (tz_sched.runqsize && !p->retired) {
        tz_lock_release(&tz_sched.lock);
        tz_startm(p, false);
        return;
    }
    int64_t due = tz_load_rlx(&p->timer_next);
    tz_pidle_put(p);
    tz_lock_release(&tz_sched.lock);
    if (tz_unlikely(p->retired))
        tz_wakep(); // for what it has had queued
    if (due != INT64_MAX)
        tz_sched_timer_added(due);
}

void tz_pass_on(struct tz_p *p)
{
    if (!tz_cas(&p->status, TZ_P_SYSCALL, TZ_P_IDLE))
        return;
    tz_store_rlx(&p->syscalltick, p->syscalltick + 1);
    tz_xadd_rlx(&tz_sched.handoffs, 1);
    tz_handoffp(p);
}

void tz_sched_timer_added(int64_t when)
{
    // An M that is not asleep looks at all timers before it sleeps.
    if (when < tz_load(&tz_sched.sleep_until))
        tz_wakep();
}

// When the first timer of all is due.
static int64_t first_timer(void)
{
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        int64_t t = tz_load(&tz_sched.allp[i]->timer_next);
        if (t < first)
            first = t;
    }
    return first;
}

// Runs p's timers if one is due.
static bool check_timers(struct tz_p *p)
{
    int64_t next = tz_load_rlx(&p->timer_next);
    if (tz_likely(next == INT64_MAX))
        return false;
    int64_t now = tz_clock_now();
    return next <= now && tz_port_timers_run(p, now) > 0;
}

static void start_spinning(struct tz_m *m)
{
    m->spinning = true;
    tz_xadd(&tz_sched.nmspinning, 1);
}

// m has found work: somebody else has to look now.
static void reset_spinning(struct tz_m *m)
{
    m->spinning = false;
    uint32_t n = tz_xadd(&tz_sched.nmspinning, -1u);
    TZ_CHECK(n > 0);
    tz_wakep();
}

static struct tz_g *take_global(struct tz_p *p, uint32_t max)
{
    if (tz_load_rlx(&tz_sched.runqsize) == 0)
        return NULL;
    tz_lock_acquire(&tz_sched.lock);
    struct tz_g *g = tz_globrunq_get(p, max);
    tz_lock_release(&tz_sched.lock);
    // Who looked while they were neither here nor there may sleep by now.
    if (g && !tz_runq_empty(p))
        tz_wakep();
    return g;
}

// Four rounds over the other Ps in random order; in the last one also their
// timers and what they are about to run.
static struct tz_g *steal(struct tz_p *p)
{
    uint32_t n = tz_nallp();
    for (int round = 0; round < 4; round++) {
        uint32_t at = tz_rand_n(n);
        for (uint32_t i = 0; i < n; i++, at = at + 1 == n ? 0 : at + 1) {
            struct tz_p *victim = tz_sched.allp[at];
            if (tz_load_rlx(&tz_sched.stopping))
                return NULL;
            if (victim == p)
                continue;
            if (round == 3 && check_timers(victim)) {
                struct tz_g *g = tz_runq_get(p);
                if (g)
                    return g;
            }
            struct tz_g *g = tz_runq_steal(p, victim, round == 3);
            if (g)
                return g;
        }
    }
    return NULL;
}

// Sleeps until startm hands a P over, or, with until, that time has come and
// there is an idle P; or not at all, to look once more because a thread was
// refused. With the sched lock, which it releases.
static void stopm(struct tz_m *m, int64_t until)
{
    TZ_CHECK(!m->p && !m->spinning);
    struct tz_p *again = tz_sched.refused ? tz_pidle_get() : NULL;
    if (again) {
        tz_sched.refused = false;
        tz_lock_release(&tz_sched.lock);
        tz_acquirep(again);
        return;
    }
    midle_put(m);
    bool timed = until < tz_sched.sleep_until;
    if (timed)
        tz_store(&tz_sched.sleep_until, until);
    else if (until == INT64_MAX)
        tz_checkdead();
    tz_lock_release(&tz_sched.lock);
    bool woken = true;
    if (timed) {
        int64_t now = tz_clock_now();
        woken = until > now && tz_note_sleep_for(&m->park, until - now);
        tz_lock_acquire(&tz_sched.lock);
        if (tz_sched.sleep_until == until)
            tz_store(&tz_sched.sleep_until, INT64_MAX);
        bool mine = !woken && midle_remove(m);
        struct tz_p *p = mine ? tz_pidle_get() : NULL;
        tz_lock_release(&tz_sched.lock);
        if (mine && p) {
            tz_acquirep(p);
            start_spinning(m);
            return;
        }
        if (mine) { // every P runs: they look at their timers themselves
            tz_lock_acquire(&tz_sched.lock);
            stopm(m, INT64_MAX - 1);
            return;
        }
    }
    tz_note_sleep(&m->park);
    tz_note_clear(&m->park);
    struct tz_p *p = m->nextp;
    m->nextp = NULL;
    tz_acquirep(p);
}

// A P for the M, which has none, and work has been seen; NULL: none is idle.
static bool get_idle_p(void)
{
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = tz_pidle_get();
    tz_lock_release(&tz_sched.lock);
    if (p)
        tz_acquirep(p);
    return p != NULL;
}

bool tz_any_work(void)
{
    if (tz_load(&tz_sched.runqsize))
        return true;
    for (uint32_t i = 0; i < tz_nallp(); i++)
        if (!tz_runq_empty(tz_sched.allp[i]))
            return true;
    return false;
}

// The P is given up; returns with one, when there may be work.
static void give_up_p(struct tz_m *m)
{
    tz_lock_acquire(&tz_sched.lock);
    if (tz_load(&tz_sched.stopping) || tz_sched.runqsize) {
        tz_lock_release(&tz_sched.lock);
        return;
    }
    tz_pidle_put(tz_releasep());
    tz_lock_release(&tz_sched.lock);
    if (m->spinning) {
        m->spinning = false;
        TZ_CHECK(tz_xadd(&tz_sched.nmspinning, -1u) > 0);
    }
    // Again, now that makers of work count on nobody [sched.I4].
    if (tz_any_work() && get_idle_p()) {
        start_spinning(m);
        return;
    }
    int64_t until = first_timer();
    tz_lock_acquire(&tz_sched.lock);
    if (tz_sched.runqsize && tz_sched.pidle && !tz_load(&tz_sched.stopping)) {
        struct tz_p *p = tz_pidle_get();
        tz_lock_release(&tz_sched.lock);
        tz_acquirep(p);
        return;
    }
    stopm(m, until);
}

// The P is one too many: what it has queued is for others.
static void give_up_retired(struct tz_m *m)
{
    tz_lock_acquire(&tz_sched.lock);
    bool stopping = tz_load(&tz_sched.stopping);
    if (!stopping)
        tz_pidle_put(tz_releasep());
    tz_lock_release(&tz_sched.lock);
    if (stopping)
        return;
    if (m->spinning) {
        m->spinning = false;
        TZ_CHECK(tz_xadd(&tz_sched.nmspinning, -1u) > 0);
    }
    tz_wakep();
}

// A goroutine has had its time and yielded, to the ring: the global queue, the
// ring and runnext have their turns.
static struct tz_g *take_turns(struct tz_p *p)
{
    switch (p->turns++ % 3) {
    case 0:
        return take_global(p, 1);
    case 1:
        return tz_runq_get_oldest(p);
    default:
        return tz_runq_get(p);
    }
}

// On g0, in a critical section. Blocks until there is a goroutine to run.
struct tz_g *tz_findrunnable(void)
{
    struct tz_m *m = tz_getm();
    for (;;) {
        struct tz_p *p = m->p;
        if (!p) {
            // A stop may have taken the P that a new M was made for, while the
            // M still counted as looking: it has to look [sched.I4].
            if (tz_any_work() && get_idle_p())
                continue;
            tz_lock_acquire(&tz_sched.lock);
            if (tz_sched.runqsize && (p = tz_pidle_get()) != NULL) {
                tz_lock_release(&tz_sched.lock);
                tz_acquirep(p);
            } else {
                stopm(m, first_timer());
            }
            continue;
        }
        if (tz_load(&tz_sched.stopping))
            tz_stop_in_place(p);
        if (tz_unlikely(p->retired)) {
            give_up_retired(m);
            continue;
        }
        if (tz_unlikely(tz_env.sim)) {
            struct tz_g *chosen = tz_sim_next(p);
            if (chosen)
                return chosen;
            give_up_p(m);
            continue;
        }
        bool fired = check_timers(p), look = tz_load_rlx(&p->look);
        struct tz_g *g = NULL;
        if (look)
            tz_store_rlx(&p->look, 0);
        uint32_t turn = p->schedtick % TZ_TURNS;
        if (look && !fired)
            g = take_turns(p);
        else if (turn == TZ_TURN_GLOBAL)
            g = take_global(p, 1);
        else if (turn == TZ_TURN_OLDEST)
            g = tz_runq_get_oldest(p);
        if (!g && !tz_env.stress_steal)
            g = tz_runq_get(p);
        if (!g)
            g = take_global(p, 0);
        if (g)
            return g;
        // At most half as many look as there are Ps at work.
        if (m->spinning ||
            2 * tz_load(&tz_sched.nmspinning) <
                tz_load_rlx(&tz_sched.nprocs) - tz_load(&tz_sched.npidle)) {
            if (!m->spinning)
                start_spinning(m);
            g = steal(p);
        }
        if (!g)
            g = tz_runq_get(p);
        if (g)
            return g;
        if (tz_load(&tz_sched.stopping))
            continue;
        give_up_p(m);
    }
}

void tz_schedule(void)
{
    struct tz_m *m = tz_getm();
    while (!m->ends) {
        struct tz_g *g = m->picked;
        m->picked = NULL;
        if (tz_unlikely(m->tied != NULL)) {
            TZ_CHECK(!g);
            tz_tied_wait(m);
            g = m->tied;
        } else if (!g) {
            g = tz_findrunnable();
        }
        if (m->spinning)
            reset_spinning(m);
        if (tz_unlikely(g->tied_to && g->tied_to != m)) {
            tz_tied_pass(g);
            continue;
        }
        tz_enter(g);
    }
}
