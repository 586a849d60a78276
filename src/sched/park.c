// SPDX-License-Identifier: BSD-3-Clause
// sched/park.c: leaving a goroutine and entering another.
//
// A goroutine that parks looks for the next one itself and switches to it
// directly; only when its P's own queue is empty, or it is time to look
// further, does it switch to g0, where the search may block. What must happen
// to the one left (release a lock, queue it, free it) is done by whoever runs
// next, because until the switch its stack is in use [sched.I3]:
//
//     G1: tz_leave ----switch----> G2: after_switch: commit(G1)
//                                      … runs on
//     G1: <------------switch---- somebody: tz_leave, commit of that one
//
// The thread is in a critical section from tz_leave to the end of
// after_switch; the count is the thread's, so it is carried over the switch.
// Go always goes through g0 (mcall, schedule); one switch instead of two is
// why ours is faster.
//
// A goroutine that returns needs its stack no more, so the next one begins on
// it right away, if that one has not run yet: no switch, no stack put and got
// (goroutine_main). One that ends by tuza_goexit leaves like a parking one.

#include <string.h>

#include "arch/port.h"
#include "base/event.h"
#include "base/print.h"
#include "base/san.h"
#include "os/env.h"
#include "os/space.h"
#include "os/vm.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "sched/sim.h"
#include "sched/split.h"

// A G's first run: a stack and the entry.
static void first_run(struct tz_g *g, struct tz_p *p);

#if TZ_ASAN
static void fiber_leave(struct tz_g *from, const struct tz_g *to, bool dying)
{
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fiber,
                                   (void *)to->stack.lo,
                                   to->stack.hi - to->stack.lo);
}
static void fiber_arrive(struct tz_g *g)
{
    __sanitizer_finish_switch_fiber(g->fiber, NULL, NULL);
}
static void fiber_make(struct tz_g *g) { g->fiber = NULL; }
static void fiber_pass(struct tz_g *g, struct tz_g *to)
{
    to->fiber = g->fiber;
}
static void fiber_free(struct tz_g *g) { (void)g; }
#elif TZ_TSAN
static void fiber_leave(struct tz_g *from, const struct tz_g *to, bool dying)
{
    (void)from, (void)dying;
    __tsan_switch_to_fiber(to->fiber, 0);
}
static void fiber_arrive(struct tz_g *g) { (void)g; }
// ThreadSanitizer ends the process without a word of ours when it has no more
// slots: 8128 in all, some of which threads have.
enum { FIBERS_MAX = 8000 };
static uint32_t fibers; // that there are; atomic

static void fiber_make(struct tz_g *g)
{
    if (tz_xadd_rlx(&fibers, 1) >= FIBERS_MAX)
        tz_fatal("ThreadSanitizer follows %d goroutines that have begun to run "
                 "at most: use fewer in this build",
                 FIBERS_MAX);
    g->fiber = __tsan_create_fiber(0);
}
static void fiber_pass(struct tz_g *g, struct tz_g *to)
{
    to->fiber = g->fiber;
}
static void fiber_free(struct tz_g *g)
{
    __tsan_destroy_fiber(g->fiber);
    tz_xadd_rlx(&fibers, -1u);
}
#else
static void fiber_leave(struct tz_g *from, const struct tz_g *to, bool dying)
{
    (void)from, (void)to, (void)dying;
}
static void fiber_arrive(struct tz_g *g) { (void)g; }
static void fiber_make(struct tz_g *g) { (void)g; }
static void fiber_pass(struct tz_g *g, struct tz_g *to) { (void)g, (void)to; }
static void fiber_free(struct tz_g *g) { (void)g; }
#endif

// The context switch itself. Returns when somebody switches to `from`.
static void switch_to(struct tz_g *from, struct tz_g *to, bool dying)
{
    fiber_leave(from, to, dying);
    if (tz_unlikely(tz_load_rlx(&tz_sched.split)))
        tz_split_switch(to);
    tz_ctx_switch_here(&from->ctx, &to->ctx);
    fiber_arrive(from);
}

// Does what the one that left us the thread has asked for.
static TZ_NOINLINE void do_asked(struct tz_m *m)
{
    struct tz_g *g = m->from;
    m->from = NULL;
    if (m->commit && !m->commit(g, m->commit_arg)) {
        // The park is taken back: it runs as soon as we park, or elsewhere.
        tz_store_rel(&g->status, TZ_G_RUNNABLE);
        tz_runq_put(m->p, g, true);
        tz_wakep();
    }
    if (TZ_DEBUG && (tz_tls_get()->held_ranks & ~TZ_IN_HOOK))
        tz_throw("goroutine %llu has parked with a lock held",
                 (unsigned long long)g->id);
}

TZ_INLINE void after_switch(void)
{
    struct tz_m *m = tz_getm();
    if (m->from)
        do_asked(m);
}

// g runs on this thread from now on.
TZ_INLINE void set_running_untold(struct tz_tls *t, struct tz_g *g)
{
    TZ_DCHECK(tz_load_rlx(&g->status) == TZ_G_RUNNABLE);
    tz_store_rlx(&g->status, TZ_G_RUNNING);
    g->m = t->m;
    tz_store_rlx(&t->m->curg, g);
    t->g = g;
    tz_store_rlx(&t->p->schedtick, t->p->schedtick + 1);
}

TZ_INLINE void set_running(struct tz_tls *t, struct tz_g *g)
{
    set_running_untold(t, g);
    tz_event(TZ_EV_RUN, g->id, 0);
}

TZ_WEAK void tz_port_scan_first(struct tz_g *g) { (void)g; }

void tz_g0_main(void *m)
{
    fiber_arrive(&((struct tz_m *)m)->g0);
    after_switch();
    tz_schedule();
    tz_throw("the scheduler of an attached thread has ended");
}

// The next goroutine without blocking and without looking far; NULL: let g0
// look. Every 61st time g0 looks anyway, for the global queue and timers.
static struct tz_g *next_here(struct tz_p *p)
{
    uint32_t turn = p->schedtick % TZ_TURNS;
    if (tz_unlikely(turn == TZ_TURN_GLOBAL || tz_load_rlx(&p->look) ||
                    tz_load_acq(&tz_sched.by_g0)))
        return NULL;
    struct tz_g *g = NULL;
    if (tz_unlikely(turn == TZ_TURN_OLDEST))
        g = tz_runq_get_oldest(p);
    if (tz_likely(!g))
        g = tz_runq_get(p);
    if (tz_unlikely(g && (g->watch & TZ_WATCH_TIED))) {
        p->m->picked = g; // g0 passes the P on
        return NULL;
    }
    return g;
}

// Switches from g, which leaves, to next, or to g0 without one.
TZ_INLINE void leave_to(struct tz_tls *t, struct tz_g *g, struct tz_g *next,
                     bool (*commit)(struct tz_g *, void *), void *arg,
                     bool dying)
{
    struct tz_m *m = t->m;
    if (tz_unlikely(g->watch))
        tz_g_watch(g);
    m->from = g;
    m->commit = commit;
    m->commit_arg = arg;
    g->m = NULL;
    if (next) {
        set_running(t, next);
        if (!next->started)
            first_run(next, t->p);
    } else {
        next = &m->g0;
        tz_store_rlx(&m->curg, NULL);
        t->g = next;
    }
    switch_to(g, next, dying);
    after_switch();
}

void tz_leave(struct tz_g *g, bool (*commit)(struct tz_g *, void *), void *arg,
              bool dying)
{
    struct tz_tls *t = tz_tls_get();
    // A tied one leaves the thread to nobody.
    struct tz_g *next = NULL;
    if (t->p && tz_likely(!(g->watch & TZ_WATCH_TIED)))
        next = next_here(t->p);
    leave_to(t, g, next, commit, arg, dying);
}

void tz_enter(struct tz_g *g)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_m *m = t->m;
    if (tz_unlikely(tz_load_acq(&tz_sched.by_g0) >= TZ_BY_G0_SCAN))
        tz_port_scan_first(g);
    set_running(t, g);
    if (!g->started)
        first_run(g, t->p);
    switch_to(&m->g0, g, false);
    after_switch();
}

// Main gets what C programs have, or a part of it where little can be mapped;
// large arguments come on top of the usual size, and of the guard zone of
// whatever class that makes. 0: the usual.
static size_t stack_size(const struct tz_g *g)
{
    if (g->id == 1)
        return tz_space_left() < TZ_SPACE_AMPLE ? TZ_MIB : 8 * TZ_MIB;
    return g->args_size <= 4096
               ? 0
               : tz_stack_default() + g->args_size + 64 * TZ_KIB;
}

static TZ_NORETURN TZ_COLD void no_stack(const struct tz_g *g)
{
    char what[256];
    tz_format(what, sizeof what, "stack of goroutine %llu (spawned at %s)",
              (unsigned long long)g->id, g->site);
    tz_vm_die(what);
}

// Bookkeeping of a goroutine that has ended and has no stack any more.
TZ_INLINE void bury(struct tz_p *p, struct tz_g *g)
{
    tz_event(TZ_EV_EXIT, g->id, 0);
    g->started = 0;
    if (g->label)
        g->label = NULL;
    tz_store_rel(&g->status, TZ_G_DEAD);
    tz_g_put(p, g);
}

// The stack and the G of a goroutine that has ended.
static bool commit_exit(struct tz_g *g, void *arg)
{
    (void)arg;
    struct tz_p *p = tz_tls_get()->p;
    fiber_free(g);
    if (tz_unlikely(g->seg))
        tz_split_last(p->stacks, g);
    if (tz_unlikely(g->watch)) {
        if (g->watch & TZ_WATCH_TIED)
            tz_tied_ends(g);
        tz_g_drop_links(p->stacks, g);
        g->watch = 0;
    }
    if (tz_likely(g->stack.hi)) // not thin
        tz_stack_put(p->stacks, &g->stack);
    bury(p, g);
    return true;
}

// The function of g has returned. The next goroutine, if its first run is here
// and on a stack like this one; else does not return. *owner is where the
// stack's owner is kept, NULL when it has not been handed on so far.
static struct tz_g *follow(struct tz_g *g, void ***owner)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_p *p = t->p;
    struct tz_g *next = NULL;
    if (p && tz_likely(!(g->watch & TZ_WATCH_TIED)))
        next = next_here(p);
    if (!next || next->started || g->watch || stack_size(next) ||
        stack_size(g) || (tz_unlikely(tz_load_rlx(&tz_sched.thin)) &&
                          tz_thin_wanted(next))) {
        leave_to(t, g, next, commit_exit, NULL, true);
        tz_throw("a goroutine that had ended was resumed");
    }
    next->stack = g->stack;
    next->started = 1;
    if (tz_unlikely(g->seg))
        tz_split_pass(p->stacks, g, next);
    else
        next->seg = NULL;
    if (!*owner)
        *owner = tz_stack_owner(&next->stack);
    tz_store_rlx(*owner, next);
    fiber_pass(g, next);
    set_running(t, next);
    g->m = NULL;
    g->stack = (struct tz_stack){ 0, 0 };
    bury(p, g);
    tz_ctx_fp_reset();
    return next;
}

// Arguments are copied while the collector cannot look: until then they are
// roots in the G, and afterwards on the stack.
static TZ_NOINLINE void run_large(struct tz_g *g)
{
    void *args = __builtin_alloca_with_align(g->args_size, 8 * 16);
    memcpy(args, g->args_object, g->args_size);
    tz_crit_leave();
    g->fn(args);
    tz_crit_enter();
}

static TZ_NOINLINE void run(struct tz_g *g)
{
    TZ_ALIGNED(16) char args[TZ_G_ARGS];
    memcpy(args, g->args, sizeof args);
    tz_crit_leave();
    g->fn(args);
    tz_crit_enter();
}

// The life of a stack while goroutines use it one after another.
static TZ_NORETURN void goroutine_main(void *arg)
{
    struct tz_g *g = arg;
    void **owner = NULL;
    fiber_arrive(g);
    after_switch();
    for (;; g = follow(g, &owner)) {
        if (g->args_size <= TZ_G_ARGS)
            run(g);
        else
            run_large(g);
    }
}

// The first run of a goroutine on a thin segment.
static TZ_NOINLINE void first_run_thin(struct tz_g *g, struct tz_p *p)
{
    uintptr_t top = tz_thin_first(p->stacks, g);
    if (!top)
        no_stack(g);
    g->started = 1;
    g->watch = TZ_WATCH_CANARY;
    tz_ctx_init(&g->ctx, top, goroutine_main, g);
}

static void first_run(struct tz_g *g, struct tz_p *p)
{
    if (tz_unlikely(tz_load_rlx(&tz_sched.thin)) && tz_thin_wanted(g)) {
        first_run_thin(g, p);
        return;
    }
    size_t size = tz_split_stack_size(stack_size(g));
    if (tz_stack_get(p->stacks, size, g, &g->stack) != 0)
        no_stack(g);
    g->started = 1;
    if (tz_unlikely(tz_stack_unguarded(&g->stack)))
        g->watch = TZ_WATCH_CANARY;
    fiber_make(g);
    tz_ctx_init(&g->ctx, tz_split_first(g), goroutine_main, g);
}

void tz_park(bool (*commit)(struct tz_g *, void *), void *arg, enum tz_wait why)
{
    tz_crit_enter();
    struct tz_g *g = tz_need_g("parking");
    g->wait = (uint8_t)why;
    tz_store_rlx(&g->wait_since, tz_load_rlx(&tz_sched.now_coarse));
    tz_event(TZ_EV_PARK, g->id, why);
    tz_store_rlx(&g->status, TZ_G_WAITING); // published by commit
    tz_leave(g, commit, arg, false);
    tz_crit_leave();
}

static bool commit_unlock(struct tz_g *g, void *lock)
{
    (void)g;
    tz_lock_release(lock);
    return true;
}

void tz_park_unlock(struct tz_lock *l, enum tz_wait why)
{
    tz_park(commit_unlock, l, why);
}

static bool commit_yield(struct tz_g *g, void *arg)
{
    (void)arg;
    struct tz_tls *t = tz_tls_get();
    tz_store_rel(&g->status, TZ_G_RUNNABLE);
    tz_runq_put(t->p, g, false);
    if (!t->g->is_g0) // g0 looks at the queue, but who runs already may not
        tz_wakep();   // for long: work was queued [sched.I4]
    return true;
}

// In a critical section, which it ends.
static TZ_NOINLINE void yield_slowly(void)
{
    struct tz_g *g = tz_need_g("tuza_yield");
    if (tz_unlikely(tz_tls_get()->locks != 1) && !(g->watch & TZ_WATCH_SYSTEM))
        tz_fatal("goroutine %llu yields with a lock held",
                 (unsigned long long)g->id);
    tz_event(TZ_EV_YIELD, g->id, 0);
    tz_leave(g, commit_yield, NULL, false);
    tz_crit_leave();
}

// The oldest of the ring, if all that a yield of g has to do is to queue g and to
// go on with that one.
TZ_INLINE struct tz_g *usual_next(struct tz_tls *t, struct tz_g *g)
{
    struct tz_p *p = t->p;
    if (!g || g->is_g0 || g->watch || t->locks != 1 || !p->alone ||
        tz_load_rlx(&p->runnext) || p->schedtick % TZ_TURNS == TZ_TURN_GLOBAL ||
        tz_load_rlx(&p->look) || tz_load_acq(&tz_sched.by_g0) ||
        tz_load_rlx(&tz_sched.split) || tz_event_wanted(TZ_EV_YIELD) ||
        tz_event_wanted(TZ_EV_RUN))
        return NULL;
    struct tz_g *next = tz_runq_oldest(p);
    return next && next->started && !next->watch ? next : NULL;
}

// In the usual case with one P nobody but this thread takes from the ring, and
// nobody scans in a critical section. So g may be queued before it is left, and
// there is nothing to commit. All else is elsewhere, with a tail call: what lives
// across the switch would be pushed and popped.
void tz_yield(void)
{
    tz_crit_enter(); // a call: no red zone, which the switch writes to
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g, *next = usual_next(t, g);
    if (tz_unlikely(!next)) {
        yield_slowly();
        return;
    }
    tz_runq_rotate(t->p, g);
    tz_store_rlx(&g->status, TZ_G_RUNNABLE);
    g->m = NULL;
    set_running_untold(t, next);
    fiber_leave(g, next, false);
    tz_ctx_switch_here(&g->ctx, &next->ctx);
    fiber_arrive(tz_tls_get()->g);
    after_switch();
    tz_crit_leave();
}

void tz_yield_asked(void)
{
    if (tz_unlikely(tz_env.sim))
        tz_sim_point();
    else
        tz_yield();
}

void tz_goexit(void)
{
    tz_crit_enter();
    if (!tz_need_g("tuza_goexit")->fn)
        tz_fatal("tuza_goexit on an attached thread: it is to return");
    tz_leave(tz_need_g("tuza_goexit"), commit_exit, NULL, true);
    tz_throw("a goroutine that had ended was resumed");
}

void tz_port_entry_returned(void)
{
    tz_throw("the first function of a stack has returned");
}

void tz_ready(struct tz_g *g)
{
    TZ_CHECK(tz_load_rlx(&g->status) == TZ_G_WAITING);
    tz_crit_enter();
    tz_event(TZ_EV_READY, g->id, tz_getg() ? tz_getg()->id : 0);
    tz_store_rel(&g->status, TZ_G_RUNNABLE); // with whoever runs it
    struct tz_p *p = tz_tls_get()->p;
    if (p) {
        tz_runq_put(p, g, true);
    } else {
        tz_lock_acquire(&tz_sched.lock);
        tz_globrunq_put(g);
        tz_lock_release(&tz_sched.lock);
    }
    tz_wakep();
    tz_crit_leave();
}
