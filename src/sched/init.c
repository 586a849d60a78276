// SPDX-License-Identifier: BSD-3-Clause
// sched/init.c: Ps, the first M and the main goroutine.

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/san.h"
#include "mem/malloc.h"
#include "mem/persist.h"
#include "os/env.h"
#include "os/futex.h"
#include "os/module.h"
#include "os/port.h"
#include "os/sig.h"
#include "os/sigpc.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/port.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "sched/sim.h"
#include "sched/split.h"

struct tz_p *tz_p_make(uint32_t id)
{
    struct tz_p *p = tz_persist_alloc(sizeof *p, TZ_CACHE_LINE);
    if (!p)
        return NULL;
    p->id = id;
    p->cache = tz_mcache_make();
    p->stacks = tz_stackcache_make();
    return p->cache && p->stacks && tz_port_p_init(p) == 0 ? p : NULL;
}

// A stop would wait for this thread: a goroutine runs there, in no declared call.
static bool is_waited_for(const struct tz_tls *t)
{
    return t->m && t->g && !t->g->is_g0 && (t->p || t->taken) &&
           t->locks == 0 && !tz_sched.forked;
}

// No handler stops the thread in between, or asks for its P, and nobody else is
// stopped before the fork is made: libc waits in there for its locks, which one
// that is stopped may hold.
static void before_fork(void)
{
    if (!is_waited_for(tz_tls_get())) {
        tz_tls_get()->locks++;
        return;
    }
    while (!tz_lock_try(&tz_sched.world)) // whose end stops here
        tz_thread_yield();
    tz_store_rlx(&tz_sched.forker, tz_tls_get());
}

// Whether this thread has the lock of stops.
static bool is_forker(const struct tz_tls *t)
{
    return tz_load_rlx(&tz_sched.forker) == t;
}

static void after_fork(void)
{
    struct tz_tls *t = tz_tls_get();
    if (is_forker(t)) {
        tz_store_rlx(&tz_sched.forker, NULL);
        tz_lock_release(&tz_sched.world);
    } else if (--t->locks == 0 && tz_load_rlx(&t->stop)) {
        tz_port_stop_here();
    }
}

// The other threads do not exist here, and nobody will release their locks: any
// critical section is the end (take.c), allocations included.
static void in_fork_child(void)
{
    struct tz_tls *t = tz_tls_get();
    tz_sched.forked = true;
    t->held_ranks = 0;
    tz_store_rlx(&tz_sched.forker, NULL); // it may fork again
    t->cache = NULL;
    t->stop = 0;
    t->taken = 1;
    t->locks--;
}

int tz_sched_init(uint32_t nprocs, int max_taken)
{
    TZ_CHECK(nprocs >= 1 && nprocs <= TZ_MAXPROCS);
    for (uint32_t i = 0; i < nprocs; i++) {
        tz_sched.allp[i] = tz_p_make(i);
        if (!tz_sched.allp[i])
            return -ENOMEM;
    }
    tz_sched.nprocs = tz_sched.nallp = nprocs;
    tz_sched.allp[0]->alone = nprocs == 1;
    tz_sched.max_taken = max_taken;
    tz_sched.most_takers = tz_takers_for(nprocs);
    tz_sched.on_valgrind = tz_san_on_valgrind();
    tz_lock_acquire(&tz_sched.lock);
    for (uint32_t i = nprocs; i-- > 0;)
        tz_pidle_put(tz_sched.allp[i]);
    tz_lock_release(&tz_sched.lock);
    tz_sched.caller_tp = tz_thread_pointer();
    tz_sig_mask_remember();
    tz_sig_pc_init();
    tz_module_init();
    pthread_atfork(before_fork, after_fork, in_fork_child);
    int err = tz_preempt_init();
    if (!err)
        err = tz_template_start();
    if (tz_env.sim) // nothing for sysmon to do
        tz_sim_init(tz_sched.allp[0]);
    else if (!err)
        err = tz_sysmon_start();
    if (!err)
        tz_store_rel(&tz_sched.started, 1); // with tuza_attach
    return err;
}

// The world is stopped: for ever. Tells tuza_run's caller, who waits on another
// thread.
static void main_has_returned(void *arg)
{
    (void)arg;
    tz_store(&tz_sched.main_done, 1);
    tz_futex_wake(&tz_sched.main_done, 1);
    for (;;)
        tz_futex_sleep(&tz_sched.main_done, 1, -1);
}

static void main_goroutine(void *arg)
{
    (void)arg;
    int status = tz_sched.main_fn(tz_sched.argc, tz_sched.argv);
    if (tz_sched.exit_when_done)
        exit(status);
    tz_sched.main_result = status;
    tz_world_end(main_has_returned);
}

int tz_main_spawn(int (*fn)(int, char **), int argc, char **argv,
                  bool exit_when_done)
{
    tz_sched.main_fn = fn;
    tz_sched.argc = argc;
    tz_sched.argv = argv;
    tz_sched.exit_when_done = exit_when_done;
    struct tz_p *p = tz_sched.allp[0];
    struct tz_g *g = tz_g_get(p);
    if (!g)
        return -ENOMEM;
    g->fn = main_goroutine;
    g->args_size = 0;
    g->name = "main";
    g->site = "the start of the program";
    g->parent = 0;
    tz_store_rel(&g->status, TZ_G_RUNNABLE);
    tz_runq_put(p, g, true);
    return 0;
}

// The calling thread becomes the first M.
void tz_main_here(void)
{
    tz_tls_get()->locks++;
    struct tz_m *m = tz_m_make();
    if (!m)
        tz_vm_die("the start");
    tz_m_adopt(m);
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = tz_pidle_get();
    tz_lock_release(&tz_sched.lock);
    tz_acquirep(p);
    tz_schedule();
    tz_m_end(m);
    tz_throw("the first thread has ended");
}

// A thread of its own becomes the first M.
int tz_main_elsewhere(void)
{
    tz_startm(NULL, false);
    while (!tz_load_acq(&tz_sched.main_done)) // with main_has_returned
        tz_futex_sleep(&tz_sched.main_done, 0, -1);
    return tz_sched.main_result;
}

TZ_INLINE bool runs_on(struct tz_g *g)
{
    return g && !g->is_g0 && tz_on_own_stack(g, tz_sp());
}

// Apart, so that a goroutine with little stack left need not have room for it.
static TZ_COLD void tell_valgrind(uintptr_t top)
{
    tz_san_stack_used(top, 64);
}

void tz_system_stack(void (*fn)(void *), void *arg)
{
    tz_crit_enter();
    struct tz_tls *t = tz_tls_get();
    // Who parks may already have set the next one as what runs (tz_leave).
    if (!runs_on(t->g) && !(t->m && runs_on(t->m->from))) {
        fn(arg); // already on a system stack
    } else {
        uintptr_t top = t->m->g0.ctx.sp;
        TZ_CHECK(top);
        top = tz_align_down(top - 256, 16);
        if (tz_unlikely(tz_sched.on_valgrind))
            tell_valgrind(top);
        bool split = tz_load_rlx(&tz_sched.split);
        uintptr_t slot = split ? tz_split_pause() : 0;
        tz_ctx_call_on(top, fn, arg);
        if (split)
            tz_split_resume(slot);
    }
    tz_crit_leave();
}

void tz_port_system_stack(void (*fn)(void *), void *arg)
{
    tz_system_stack(fn, arg);
}
