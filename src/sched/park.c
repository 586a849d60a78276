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

#include <string.h>

#include "base/print.h"
#include "base/san.h"
#include "os/space.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "sched/split.h"

// A G's first run: a stack, the arguments on it, the entry.
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
static void fiber_free(struct tz_g *g) { (void)g; }
#elif TZ_TSAN
static void fiber_leave(struct tz_g *from, const struct tz_g *to, bool dying)
{
    (void)from, (void)dying;
    __tsan_switch_to_fiber(to->fiber, 0);
}
static void fiber_arrive(struct tz_g *g) { (void)g; }
static void fiber_make(struct tz_g *g) { g->fiber = __tsan_create_fiber(0); }
static void fiber_free(struct tz_g *g) { __tsan_destroy_fiber(g->fiber); }
#else
static void fiber_leave(struct tz_g *from, const struct tz_g *to, bool dying)
{
    (void)from, (void)to, (void)dying;
}
static void fiber_arrive(struct tz_g *g) { (void)g; }
static void fiber_make(struct tz_g *g) { (void)g; }
static void fiber_free(struct tz_g *g) { (void)g; }
#endif

// The context switch itself. Returns when somebody switches to `from`.
static void switch_to(struct tz_g *from, struct tz_g *to, bool dying)
{
    fiber_leave(from, to, dying);
    if (tz_unlikely(tz_load_rlx(&tz_sched.split)))
        tz_split_switch(to);
    tz_ctx_switch(&from->ctx, &to->ctx);
    fiber_arrive(from);
}

// Does what the one that left us the thread has asked for.
static void after_switch(void)
{
    struct tz_m *m = tz_getm();
    struct tz_g *g = m->from;
    if (!g)
        return;
    m->from = NULL;
    if (m->commit && !m->commit(g, m->commit_arg)) {
        // The park is taken back: it runs as soon as we park, or elsewhere.
        tz_store_rel(&g->status, TZ_G_RUNNABLE);
        tz_runq_put(m->p, g, true);
        tz_wakep();
    }
}

// g runs on this thread from now on.
static void set_running(struct tz_tls *t, struct tz_g *g)
{
    TZ_DCHECK(tz_load_rlx(&g->status) == TZ_G_RUNNABLE);
    tz_store_rlx(&g->status, TZ_G_RUNNING);
    g->m = t->m;
    g->wait_since = 0;
    tz_store_rlx(&t->m->curg, g);
    t->g = g;
    tz_store_rlx(&t->p->schedtick, t->p->schedtick + 1);
    if (!g->started)
        first_run(g, t->p);
}

// The next goroutine without blocking and without looking far; NULL: let g0
// look. Every 61st time g0 looks anyway, for the global queue and timers.
static struct tz_g *next_here(struct tz_p *p)
{
    uint32_t turn = p->schedtick % TZ_TURNS;
    if (tz_unlikely(turn == TZ_TURN_GLOBAL || tz_load_rlx(&p->look) ||
                    tz_load_rlx(&tz_sched.stopping)))
        return NULL;
    struct tz_g *g = NULL;
    if (tz_unlikely(turn == TZ_TURN_OLDEST))
        g = tz_runq_get_oldest(p);
    return g ? g : tz_runq_get(p);
}

void tz_leave(struct tz_g *g, bool (*commit)(struct tz_g *, void *), void *arg,
              bool dying)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_m *m = t->m;
    m->from = g;
    m->commit = commit;
    m->commit_arg = arg;
    g->m = NULL;
    struct tz_g *next = t->p ? next_here(t->p) : NULL;
    if (next) {
        set_running(t, next);
    } else {
        next = &m->g0;
        tz_store_rlx(&m->curg, NULL);
        t->g = next;
    }
    switch_to(g, next, dying);
    after_switch();
}

void tz_enter(struct tz_g *g)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_m *m = t->m;
    set_running(t, g);
    switch_to(&m->g0, g, false);
    after_switch();
}

static TZ_NORETURN void goroutine_main(void *arg)
{
    struct tz_g *g = arg;
    fiber_arrive(g);
    after_switch();
    tz_crit_leave();
    g->fn(g->param);
    tz_goexit();
}

// Main gets what C programs have, or a part of it where little can be mapped;
// large arguments come on top of the usual size, and of the guard zone of
// whatever class that makes.
static size_t stack_size(const struct tz_g *g)
{
    if (g->id == 1)
        return tz_space_left() < TZ_SPACE_AMPLE ? TZ_MIB : 8 * TZ_MIB;
    return g->args_size <= 4096
               ? 0
               : tz_stack_default() + g->args_size + 64 * TZ_KIB;
}

static void first_run(struct tz_g *g, struct tz_p *p)
{
    struct tz_stack st;
    if (tz_stack_get(p->stacks, tz_split_stack_size(stack_size(g)), g, &st)) {
        char what[256];
        tz_format(what, sizeof what, "stack of goroutine %llu (spawned at %s)",
                  (unsigned long long)g->id, g->site);
        tz_vm_die(what);
    }
    g->stack = st;
    g->started = 1;
    uintptr_t top = tz_align_down(tz_split_first(g) - g->args_size, 16);
    memcpy((void *)top, g->args_object ? g->args_object : g->args,
           g->args_size);
    g->param = (void *)top;
    g->args_object = NULL;
    fiber_make(g);
    tz_ctx_init(&g->ctx, top, goroutine_main, g);
}

void tz_park(bool (*commit)(struct tz_g *, void *), void *arg, enum tz_wait why)
{
    tz_crit_enter();
    struct tz_g *g = tz_need_g("parking");
    g->wait = (uint8_t)why;
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

void tz_yield(void)
{
    tz_crit_enter();
    tz_leave(tz_need_g("tuza_yield"), commit_yield, NULL, false);
    tz_crit_leave();
}

// The stack and the G of a goroutine that has ended.
static bool commit_exit(struct tz_g *g, void *arg)
{
    (void)arg;
    struct tz_p *p = tz_tls_get()->p;
    fiber_free(g);
    tz_split_last(p->stacks, g);
    tz_stack_put(p->stacks, &g->stack);
    g->started = 0;
    g->label = NULL;
    g->param = NULL;
    tz_store_rel(&g->status, TZ_G_DEAD);
    tz_xadd_rlx(&tz_sched.ended, 1);
    tz_g_put(p, g);
    return true;
}

void tz_goexit(void)
{
    tz_crit_enter();
    tz_leave(tz_need_g("tuza_goexit"), commit_exit, NULL, true);
    tz_throw("a goroutine that had ended was resumed");
}

void tz_ready(struct tz_g *g)
{
    TZ_CHECK(tz_load_rlx(&g->status) == TZ_G_WAITING);
    tz_crit_enter();
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
