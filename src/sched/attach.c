// SPDX-License-Identifier: BSD-3-Clause
// sched/attach.c: threads that others have made, as goroutines.
//
// An attached thread has an M and a goroutine that is tied to it and runs on the
// thread's own stack; the M's scheduler gets a stack of its own. Outside of the
// runtime's calls the goroutine stands as one whose P was taken (take.c): it is
// stopped with the world, its stack is scanned, and it waits for a P at the
// beginning of each call. So nothing else needs to know of it.
//
//     attach: M and G in place; G NO_P, nop REST; takes a P; lets it go: nop RUN
//     detach: takes a P (nobody scans it now); G DEAD; the P to others
//
// What is kept of a thread after its detach (M, G, the stack, the bounds of the
// thread's own, which are dear to ask for) waits for its next attach; at
// its end it goes to a list for other threads.
//
// A declared call that calls back is left and entered again with the state of the
// first enter, for its frame is still there: so callbacks nest as deep as the
// stack goes. Go keeps this in proc.go (needm, dropm) and cgocall.go.

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "arch/port.h"
#include "base/san.h"
#include "mem/persist.h"
#include "os/env.h"
#include "os/sig.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/port.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "tuza/syscall.h"
#include "tuza/thread.h"

enum { G0_STACK = 256 * 1024 };

// Of one thread at a time. Persistent, like what it points to.
struct foreign {
    struct tz_m *m;
    struct tz_g *g;
    uint32_t attached;     // calls
    bool altstack;         // we have given the thread its signal stack
    struct tz_stack stack; // the thread's own
    sigset_t mask;         // to be restored
    struct foreign *link;  // guarded by attach.lock
};

static struct {
    struct tz_lock lock;
    struct foreign *spare; // of threads that have ended; guarded by lock
    pthread_key_t key;     // this thread's; const after once
    pthread_once_t once;
    bool works;            // the key exists; const after once
} attach = { .lock = TZ_LOCK_INIT(TZ_RANK_LEAF), .once = PTHREAD_ONCE_INIT };

static const int ours[] = { TZ_SIG_STOP, SIGSEGV };

static void detach_for_good(void *arg);

static void make_key(void)
{
    attach.works = pthread_key_create(&attach.key, detach_for_good) == 0;
}

// Makes the M's own stack.
static bool make_g0(struct tz_m *m)
{
    char *lo = tz_vm_alloc_signal_stack(G0_STACK);
    if (!lo)
        return false;
    if (tz_vm_guard(lo, tz_vm_page()) != 0)
        tz_vm_protect(lo, tz_vm_page()); // best effort
    m->g0.stack = (struct tz_stack){ (uintptr_t)lo, (uintptr_t)lo + G0_STACK };
    tz_ctx_init(&m->g0.ctx, m->g0.stack.hi, tz_g0_main, m);
#if TZ_TSAN
    m->g0.fiber = __tsan_create_fiber(0);
#endif
    return true;
}

static struct foreign *make(void)
{
    struct foreign *f = tz_persist_alloc(sizeof *f, 0);
    if (!f)
        return NULL;
    f->m = tz_m_make();
    f->g = tz_g_get_foreign();
    if (!f->m || !f->g || !make_g0(f->m))
        return NULL; // some hundred bytes stay behind
    tz_xadd(&tz_sched.mcount, -1u); // counted while it is attached
    return f;
}

// This thread's, made ready. NULL: memory is refused.
static struct foreign *of_thread(void)
{
    struct foreign *f = pthread_getspecific(attach.key);
    if (f)
        return f;
    tz_lock_acquire(&attach.lock);
    f = attach.spare;
    if (f)
        attach.spare = f->link;
    tz_lock_release(&attach.lock);
    if (!f)
        f = make();
    if (!f)
        return NULL;
    stack_t before;
    f->altstack = sigaltstack(NULL, &before) == 0 &&
                  (before.ss_flags & SS_DISABLE);
    if (tz_sig_altstack() != 0 || pthread_setspecific(attach.key, f) != 0) {
        tz_lock_acquire(&attach.lock);
        f->link = attach.spare;
        attach.spare = f;
        tz_lock_release(&attach.lock);
        return NULL;
    }
    tz_thread_stack(&f->stack.lo, &f->stack.hi);
    return f;
}

static void become_g(struct foreign *f)
{
    struct tz_g *g = f->g;
    g->id = tz_xadd(&tz_sched.goid, 1) + 1;
    g->fn = NULL;
    g->name = "attached thread";
    g->site = "tuza_attach";
    g->args_size = 0;
    g->started = 1;
    g->stack = f->stack;
    g->links = NULL;
    g->seg = NULL;
    g->label = NULL;
    g->m = f->m;
    g->ties = 1;
    tz_tie(f->m, g);
#if TZ_ASAN
    g->fiber = NULL;
#elif TZ_TSAN
    g->fiber = __tsan_get_current_fiber();
#endif
}

// From here on the thread is known, without a P, and counts as stopped.
static void appear(void *arg, uintptr_t sp)
{
    struct foreign *f = arg;
    struct tz_m *m = f->m;
    struct tz_tls *t = tz_tls_get();
    m->stop_sp = sp;
    m->oldp = NULL;
    tz_store_rlx(&m->curg, f->g);
    tz_m_join(m, t);
    t->g = f->g;
    tz_xadd(&tz_sched.nops, 1);
    tz_xadd(&tz_sched.busy_takers, 1);
    tz_store(&m->nop, TZ_NOP_REST);
    tz_store_rel(&f->g->status, TZ_G_NO_P);
    tz_take_back(t, sp);
}

int tuza_attach(void)
{
    struct tz_tls *t = tz_tls_get();
    struct foreign *f = NULL;
    if (t->m) {
        f = attach.works ? pthread_getspecific(attach.key) : NULL;
        if (f && f->m == t->m)
            f->attached++;
        return 0;
    }
    if (!tz_load_acq(&tz_sched.started) || tz_sched.forked ||
        tz_env.sim || tz_load(&tz_sched.main_done))
        return -EAGAIN;
    pthread_once(&attach.once, make_key);
    f = attach.works ? of_thread() : NULL;
    if (!f)
        return -ENOMEM;
    t->locks++;
    f->attached = 1;
    become_g(f);
    tz_sig_unblock(ours, tz_countof(ours), &f->mask);
    tz_ctx_spill(appear, f);
    tz_xchg(&f->g->scanned, tz_sched.scanned); // before it parks: it was not entered
    tz_store_rlx(&t->p->spawned, t->p->spawned + 1);
    tz_port_m_start(f->m);
    tz_let_go(t);
    tz_crit_leave();
    return 0;
}

// The goroutine of the calling thread ends, in a critical section, with a P.
static void disappear(struct foreign *f)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_m *m = f->m;
    f->attached = 0;
    f->g->ties = 0;
    tz_untie(m, f->g);
    tz_store_rel(&f->g->status, TZ_G_DEAD);
    tz_store_rlx(&m->curg, NULL);
    f->g->m = NULL;
    tz_store_rel(&t->p->ended, t->p->ended + 1); // with tz_sched_counts
    struct tz_p *p = tz_releasep(); // on its way: the world does not stop yet
    tz_m_part(m, t);
    tz_handoffp(p);
}

int tuza_detach(void)
{
    struct tz_tls *t = tz_tls_get();
    struct foreign *f = attach.works ? pthread_getspecific(attach.key) : NULL;
    if (!t->m)
        return -EINVAL;
    if (!f || f->m != t->m)
        return 0; // a goroutine: it stays one
    if (f->attached > 1) {
        f->attached--;
        return 0;
    }
    tz_crit_enter();
    disappear(f);
    t->locks--;
    tz_sig_mask_restore(&f->mask);
    return 0;
}

// The thread ends.
static void detach_for_good(void *arg)
{
    struct foreign *f = arg;
    struct tz_tls *t = tz_tls_get();
    if (t->m == f->m) {
        tz_crit_enter();
        disappear(f);
        t->locks--;
    }
    if (f->altstack)
        tz_sig_altstack_free();
    tz_lock_acquire(&attach.lock);
    f->link = attach.spare;
    attach.spare = f;
    tz_lock_release(&attach.lock);
}

// Out of the declared call that g is in, and back into it.
static void call_back(struct tz_g *g, void (*fn)(void *), void *arg)
{
    struct tz_ctx_regs regs = g->syscall_regs;
    uintptr_t sp = g->syscall_sp;
    int saved = errno;
    if (g->ties++ == 0 && !tz_env.sim)
        tz_tie(tz_getm(), g);
    (void)tuza_syscall_exit();
    fn(arg);
    tz_port_syscall_enter(&regs, sp, 0);
    if (--g->ties == 0 && g->tied_to)
        tz_untie(tz_getm(), g);
    errno = saved; // the same thread: it was tied
}

int tuza_call_in(void (*fn)(void *), void *arg)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = tz_getg();
    if (g && tz_load_rlx(&g->status) == TZ_G_SYSCALL) {
        call_back(g, fn, arg);
        return 0;
    }
    if (g && t->locks)
        tz_fatal("tuza_call_in on the system stack, in goroutine %llu",
                 (unsigned long long)g->id);
    int err = tuza_attach();
    if (err)
        return err;
    fn(arg);
    tuza_detach();
    return 0;
}
