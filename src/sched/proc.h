// SPDX-License-Identifier: BSD-3-Clause
// sched/proc.h: the scheduler's state and what its files share.
#ifndef TZ_SCHED_PROC_H
#define TZ_SCHED_PROC_H

#include "sched/sched.h"

enum { TZ_MAXPROCS = 1024 };

// Two goroutines that ready each other are always next; so once in 61 entries
// the global queue goes first, and once the oldest of the ring.
enum { TZ_TURNS = 61, TZ_TURN_GLOBAL = 0, TZ_TURN_OLDEST = 30 };

// What a goroutine that parks does not look after before it enters another.
enum {
    TZ_BY_G0_STOP = 1, // the world is to stop
    TZ_BY_G0_SCAN = 2  // tz_port_scan_first is to be called
};

struct tz_sched {
    struct tz_lock lock;
    struct tz_m *midle;    // idle Ms; guarded by lock, with the next
    uint32_t nmidle;
    uint32_t nmtied;       // Ms that wait for their tied goroutine; by lock
    struct tz_m *starting; // Ms whose threads are not there yet; by lock
    bool refused;          // a thread was, for a P that is idle now: who is
                           // about to sleep has to look again; by lock
    struct tz_p *pidle;    // idle Ps; guarded by lock
    uint32_t npidle;       // atomic; written with lock
    uint32_t nmspinning;   // atomic; Ms that look for work
    struct tz_g *runq, *runqtail; // global queue; guarded by lock
    uint32_t runqsize;            // atomic; written with lock

    uint32_t started;            // atomic; init is over
    uint32_t nprocs;             // Ps that are not retired; changes while the
    uint32_t nallp;              // world is stopped, like the number of all
    struct tz_p *allp[TZ_MAXPROCS];
    struct tz_m *allm;           // atomic; push only
    struct tz_m *mfree;          // Ms without a thread; guarded by lock
    uint32_t mcount;             // Ms made; atomic
    uint32_t max_threads;        // atomic; of mcount
    uint64_t goid;               // numbers given to Ps; atomic
    uint64_t chanid;             // the same for channels
    uint64_t peak;               // most that were seen at once; atomic
    uint64_t handoffs;           // atomic
    uint32_t nsystem;            // goroutines of the runtime's own; atomic

    // Stop-the-world (stw.c).
    struct tz_lock world;  // by who stops it, or forks
    struct tz_tls *forker; // atomic; who forks with that lock
    uint32_t stopping;     // atomic; the world is stopped or about to be
    uint32_t by_g0;        // atomic; TZ_BY_G0_*: goroutines are entered by g0s alone;
                           // acquire: with the end of the scans
    uint32_t scanned;      // what tz_g.scanned becomes; changes while the world is
                           // stopped
    uint32_t stopwait;     // atomic; Ps and takers that have not stopped yet
    uint32_t stopbell;     // atomic, a futex; rung for who stops the world
    uint32_t resuming;     // atomic; Ps whose threads have not seen the start
    int64_t restarted;     // atomic; when the world did last
    uint32_t nops;         // atomic; Ms whose nop is not NONE
    struct tz_m *newtakers; // atomic; Ms that have come to be such since a stop
    struct tz_m *takers;    // those of before, some no longer; by world
    uint32_t busy_takers;  // atomic; of them, those that compute
    uint32_t most_takers;  // atomic; so many are let
    int max_taken;         // the setting for it; const after init
    uint64_t taken_blocked, taken_busy; // so often; atomic
    uint32_t last_stop;    // atomic; 1: this stop is for ever; by world
    uint32_t last_refused; // atomic; times that one was in libc then, and went on
    bool forked;           // this is the child of a fork
    bool on_valgrind;      // const after init
    uint32_t epoch;        // atomic, a futex; counts starts of the world

    int64_t sleep_until;   // atomic; when an idle M wakes for a timer, else
                           // INT64_MAX; written with lock
    uint32_t split;        // atomic; there is split code (split.c)
    uint32_t thin;         // atomic; 0, or 1 + the order of thin segments
    uint32_t maybe_dead;   // atomic; all seemed to be asleep
    uint32_t sysmon_idle;  // atomic, a futex; sysmon sleeps for good
    int64_t now_coarse;    // atomic; the clock at sysmon's last tick, which
                           // may be a tenth of a second ago; 0 before it

    int (*main_fn)(int, char **); // const after init, with the next two
    int argc;
    char **argv;
    bool exit_when_done;   // TUZA_MAIN: main's end is the process's end
    int main_result;       // written before main_done
    uint32_t main_done;    // atomic, a futex
    uintptr_t caller_tp;   // thread pointer of tuza_run's caller
};
extern struct tz_sched tz_sched;

// How many of allp there are.
TZ_INLINE uint32_t tz_nallp(void)
{
    return tz_load_acq(&tz_sched.nallp); // with resize.c
}

// So many loops may run beside n Ps. Programs that count on one P not to run two
// goroutines at once have races when one of them has lost it: ThreadSanitizer,
// under which much takes longer than a loop may, would tell of those.
TZ_INLINE uint32_t tz_takers_for(uint32_t n)
{
    if (tz_sched.max_taken)
        return tz_sched.max_taken < 0 ? 0 : (uint32_t)tz_sched.max_taken;
    return TZ_TSAN || TZ_ASAN ? 0 : 4 * n;
}

// What a thread is: its own M, or NULL.
TZ_INLINE struct tz_m *tz_getm(void) { return tz_tls_get()->m; }

// g.c: a G to spawn with (from p's free list), which has its number and is
// counted; and a dead one to keep, which has been.
struct tz_g *tz_g_get(struct tz_p *p);
void tz_g_put(struct tz_p *p, struct tz_g *g);
struct tz_g *tz_g_get_foreign(void); // a dead one, for good; NULL without memory

// runq.c: the local queue. put: by the owner of p; next: as runnext.
void tz_runq_put(struct tz_p *p, struct tz_g *g, bool next);
struct tz_g *tz_runq_get(struct tz_p *p);
struct tz_g *tz_runq_get_oldest(struct tz_p *p); // of the ring: not runnext
// Of a single P: the oldest of the ring, NULL when that is empty. Then it goes, and
// g comes as the newest.
TZ_INLINE struct tz_g *tz_runq_oldest(struct tz_p *p)
{
    uint32_t head = tz_load_rlx(&p->runqhead);
    TZ_DCHECK(p->alone);
    return head == p->runqtail ? NULL
                               : tz_load_rlx(&p->runq[head % TZ_RUNQ_SIZE]);
}
TZ_INLINE void tz_runq_rotate(struct tz_p *p, struct tz_g *g)
{
    uint32_t tail = p->runqtail;
    tz_store_rlx(&p->runq[tail % TZ_RUNQ_SIZE], g);
    tz_store_rel(&p->runqtail, tail + 1); // with tz_runq_empty; never seen empty
    tz_store_rel(&p->runqhead, tz_load_rlx(&p->runqhead) + 1);
}
bool tz_runq_empty(struct tz_p *p);
// Takes half of victim's queue; one of them is returned, the others are p's.
// NULL: there is nothing, or no room for it in p's.
struct tz_g *tz_runq_steal(struct tz_p *p, struct tz_p *victim, bool runnext);
// The global queue; with the sched lock. get: one, and a fair share into p's.
void tz_globrunq_put(struct tz_g *g);
void tz_globrunq_put_batch(struct tz_g *head, struct tz_g *tail, uint32_t n);
struct tz_g *tz_globrunq_get(struct tz_p *p, uint32_t max);

// proc.c
// The calling thread's M and p, whose status is not looked at, belong together.
TZ_INLINE void tz_wirep(struct tz_tls *t, struct tz_p *p)
{
    t->m->p = p;
    tz_store_rlx(&p->m, t->m);
    t->p = p;
    t->cache = p->cache;
}
void tz_acquirep(struct tz_p *p);
// The thread has just got its P: a stop that did not see that is polled for.
TZ_INLINE void tz_poll_later(struct tz_tls *t)
{
    if (tz_unlikely(tz_load(&tz_sched.stopping)))
        tz_store_rlx(&t->stop, 1);
}
struct tz_p *tz_releasep(void);
// For the thread, which has none. False: there is none.
bool tz_get_idle_p(void);
// old again, if nobody has taken it.
TZ_INLINE bool tz_regain_p(struct tz_tls *t, struct tz_p *old)
{
    if (tz_unlikely(!old || tz_load_rlx(&old->status) != TZ_P_SYSCALL ||
                    !tz_cas(&old->status, TZ_P_SYSCALL, TZ_P_RUNNING)))
        return false;
    tz_wirep(t, old);
    tz_poll_later(t);
    tz_store_rlx(&old->syscalltick, old->syscalltick + 1);
    return true;
}
struct tz_p *tz_pidle_get(void);       // with the lock; NULL while stopping
void tz_pidle_put(struct tz_p *p);     // with the lock
struct tz_p *tz_p_make(uint32_t id);   // init.c; NULL without memory
// resize.c; with the lock, no thread has p.
void tz_p_empty(struct tz_p *p); // what it has queued goes to the global queue
void tz_p_retire(struct tz_p *p);
void tz_startm(struct tz_p *p, bool spinning); // p NULL: an idle one
void tz_wakep(void);
void tz_handoffp(struct tz_p *p);
void tz_pass_on(struct tz_p *p); // of the status SYSCALL, if nobody has taken it
void tz_schedule(void); // on g0; returns when the thread is to end
struct tz_g *tz_findrunnable(void);
bool tz_any_work(void); // a goroutine is in some queue: a look without a lock

// m.c: a new M for p; its thread comes later. At the end of one, on g0, in its
// first function: returns without M, or never on the process's first thread.
void tz_m_end(struct tz_m *m);
void tz_m_start(struct tz_p *p, bool spinning);
void tz_m_adopt(struct tz_m *m);       // the calling thread becomes m's
// The thread of t and m belong together from here on; no longer.
void tz_m_join(struct tz_m *m, struct tz_tls *t);
void tz_m_part(struct tz_m *m, struct tz_tls *t);
struct tz_m *tz_m_make(void);

// park.c: the first function of a scheduler that has a stack of its own.
void tz_g0_main(void *m);
// Leaves the current goroutine g, whose status is set, for the next
// one; commit runs when its stack is free. Returns when g runs again.
void tz_leave(struct tz_g *g, bool (*commit)(struct tz_g *, void *), void *arg,
              bool dying);
// On g0: switches to g, returns when something has switched back to g0.
void tz_enter(struct tz_g *g);

// stw.c. Holds p, sees tz_sched.stopping: stops right here until the world starts.
void tz_stop_in_place(struct tz_p *p);
// p has stopped without a thread in it; a P or a taker has. Signal-safe.
void tz_stop_count(struct tz_p *p);
void tz_stop_count_down(void);
// Who stops the world is to look again. Signal-safe.
void tz_stop_ring(void);

void tz_stop_signal(struct tz_m *m);

// tied.c: goroutines that are tied to a thread. On g0.
// m, whose tied goroutine does not run: waits until it is passed a P for that.
void tz_tied_wait(struct tz_m *m);
// The P of this M goes to the M that g is tied to.
void tz_tied_pass(struct tz_g *g);
// p, which no thread is to be had for, goes to the M of the first tied one that
// is queued; false: none is. With the lock.
bool tz_tied_take(struct tz_p *p);
// The same for who waits elsewhere: g is in the global queue, or about to be.
void tz_tied_sleep(struct tz_m *m);
void tz_tie(struct tz_m *m, struct tz_g *g);
void tz_tied_ends(struct tz_g *g); // and so does this thread, soon
void tz_untie(struct tz_m *m, struct tz_g *g);

// take.c. In a handler on the thread of t, whose goroutine runs code of the
// program: gives its P up, and finishes the system call that it was in, if any.
struct tz_sigctx;
void tz_take_here(struct tz_tls *t, struct tz_sigctx *c,
                  const struct tz_call *call);
// One that has none: finishes the call.
void tz_take_call(struct tz_tls *t, struct tz_sigctx *c,
                  const struct tz_call *call);
// The same as if it had been asked, outside of a handler, at the end of a critical
// section; and what such a goroutine does first in the next one, spilled at sp.
void tz_let_go(struct tz_tls *t);
void tz_take_back(void *tls, uintptr_t sp);
// The same thread without a P: stands still while the world is stopped.
void tz_take_stop(struct tz_tls *t, struct tz_sigctx *c);
// By who stops the world, all of the Ms without a P. Asks those in RUN to stop,
// counts them in stopwait and signals them: how many. Signals those again that were
// asked. Lets those run on that have stopped.
uint32_t tz_takers_ask(void);
void tz_takers_signal(void);
void tz_takers_restart(void);

// stacks.c. sp lies in one of g's older stacks, which it has jumped back to: that
// one is g->stack from now on. false: in none. Signal-safe, for the current g.
bool tz_g_find_stack(struct tz_g *g, uintptr_t sp);
// Whether the current goroutine g runs on a stack of its own.
TZ_INLINE bool tz_on_own_stack(struct tz_g *g, uintptr_t sp)
{
    return tz_stack_holds(&g->stack, sp) ||
           (tz_unlikely(g->links) && tz_g_find_stack(g, sp));
}
// The current goroutine g leaves, and g->watch is set.
void tz_g_watch(struct tz_g *g);
// Gives back all stacks of g, which has ended, but the first: g->stack then.
void tz_g_drop_links(struct tz_stackcache *c, struct tz_g *g);

// preempt.c, deadlock.c, sysmon.c
int tz_preempt_init(void);
void tz_checkdead(void); // with the sched lock
void tz_deadlock_look(int64_t now); // sysmon, when tz_sched.maybe_dead
int tz_sysmon_start(void);
void tz_sysmon_wake(void);

#endif
