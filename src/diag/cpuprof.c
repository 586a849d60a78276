// SPDX-License-Identifier: BSD-3-Clause
// diag/cpuprof.c: where processor time goes: the CPU profile.
//
//   kernel: a timer on each M's own processor time --SIGPROF--> that thread
//   on_prof: walks the stack it interrupted, puts it into the M's ring
//   drain, a thread: 20 times a second empties all rings into the profile
//   tuza_cpuprofile_stop: no more timers, a last round, profile.proto
//
// A timer belongs to a thread, and start makes them for all Ms by their numbers,
// whatever those do; an M that begins later makes its own. So there is nothing
// that a thread which sleeps in the kernel meanwhile would have to notice.
//
// The handler takes no lock and allocates nothing: a ring has one writer, the
// handler of its thread, and one reader. What it interrupts may be anything: the
// middle of a switch, where the current G and the stack do not fit together
// (then only the innermost frame is told), or a change of the G's bounds, in
// critical sections (then the stack is read by copies, which cannot fault). A
// SIGPROF on a thread that is no M is the program's, or dropped.
//
// Go's proc.go: sigprof, setThreadCPUProfiler; cpuprof.go; pprof/proto.go.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include "diag/profile.h"
#include "diag/proftimer.h"
#include "mem/persist.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/sig.h"
#include "os/thread.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "stack/unwind.h"
#include "tuza/debug.h"

enum { RING = 64, HZ_MAX = 1000, DRAIN_MS = 50 };

struct sample {
    const char *label;
    uint32_t n;      // places
    uint32_t weight; // periods that have passed
    uintptr_t place[TZ_PROFILE_FRAMES];
};

enum { UNARMED, ARMING, ARMED };

// An M's, made when it is first profiled; in persistent memory.
struct tz_profm {
    uint32_t state; // atomic; UNARMED, ARMING, ARMED
    int timer;      // while ARMED
    int64_t last;   // processor time that was accounted for; owned by the
                    // handler while ARMED
    uint64_t lost;  // atomic; written by the handler
    uint32_t head;  // atomic; written by the handler
    uint32_t tail;  // atomic; written by the drain
    struct sample ring[RING];
};

enum { OFF, BUSY, ON };

static struct {
    uint32_t state;  // atomic; OFF, BUSY (starting or stopping), ON
    uint32_t active; // atomic; timers may be made
    uint32_t stop;   // atomic, a futex; the drain is to end
    uint32_t done;   // atomic, a futex; it has ended
    bool installed;  // the handler is; by who has state BUSY, with what follows
    bool others;     // the program had a handler before us
    int fd;
    int64_t period;  // ns; const while active
    int64_t start;   // by the clock
    struct tz_threadask ask;
    struct tz_profile profile; // the drain's until it is done
} prof;

// --- the handler

// The stack that sp lies in, and what it may go over to.
struct bounds {
    uintptr_t lo, hi;
    const struct tz_stack_link *chain;
    struct tz_stack_link own;
};

TZ_NO_SANITIZE static bool find_stack(struct tz_tls *t, uintptr_t sp,
                                      struct bounds *b)
{
    struct tz_m *m = t->m;
    const struct tz_g *g = t->g, *from = m->from;
    const struct tz_g *user = g && !g->is_g0 ? g : from;
    b->chain = NULL;
    if (user && tz_stack_holds(&user->stack, sp)) {
        b->lo = user->stack.lo;
        b->hi = user->stack.hi;
        if (!t->locks)
            b->chain = user->links;
        return true;
    }
    if (from && tz_stack_holds(&from->stack, sp)) {
        b->lo = from->stack.lo; // another has just become the current one
        b->hi = from->stack.hi;
        return true;
    }
    if (!tz_stack_holds(&m->g0.stack, sp))
        return false;
    b->lo = m->g0.stack.lo;
    b->hi = m->g0.stack.hi;
    if (user) { // which has called something on the system stack
        b->own.older = NULL;
        b->own.from = user->stack;
        b->own.from_sp = user->stack.lo;
        b->chain = &b->own;
    }
    return true;
}

TZ_NO_SANITIZE static uint32_t walk(struct tz_tls *t, struct tz_sigctx *c,
                                    uintptr_t *place)
{
    struct tz_machine at;
    struct tz_unwind u;
    struct bounds b;
    uint32_t n = 0;
    place[n++] = c->pc;
    if (!tz_machine_of_signal(c, &at) || !find_stack(t, c->sp, &b))
        return n;
    tz_unwind_start(&u, &at, b.lo, b.hi, b.chain);
    u.fleeting = t->locks != 0;
    while (n < TZ_PROFILE_FRAMES && tz_unwind_step(&u))
        place[n++] = tz_unwind_place(&u);
    return n;
}

// How many periods this signal stands for: the kernel may have put several into
// one, and a thread that got no processor has used none.
TZ_NO_SANITIZE static uint32_t periods(struct tz_profm *p, int tid)
{
    int64_t now = tz_proftimer_now(tid), period = prof.period;
    int64_t n = (now - p->last + period / 2) / period;
    if (n < 1) {
        p->last = now;
        return 1;
    }
    p->last += n * period;
    return (uint32_t)n;
}

TZ_NO_SANITIZE static bool on_prof(struct tz_sigctx *c)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_profm *p = t->m ? tz_load_acq(&t->m->prof) : NULL;
    if (!p || c->code != SI_TIMER || tz_load_acq(&p->state) != ARMED)
        return !prof.others; // late, or not ours
    uint32_t n = periods(p, t->m->tid), head = tz_load_rlx(&p->head);
    if (head - tz_load_acq(&p->tail) == RING) { // with drain_one
        tz_store_rlx(&p->lost, tz_load_rlx(&p->lost) + n);
        return true;
    }
    struct sample *s = &p->ring[head % RING];
    s->label = t->g && !t->g->is_g0 ? t->g->label : NULL;
    s->weight = n;
    s->n = walk(t, c, s->place);
    tz_store_rel(&p->head, head + 1); // with drain_one
    return true;
}

// --- timers

static void disarm(struct tz_profm *p)
{
    if (p && tz_cas(&p->state, ARMED, UNARMED))
        tz_proftimer_stop(p->timer);
}

// Once for each M and profile, by its own thread or by start.
static void arm(struct tz_m *m)
{
    if (tz_load_rlx(&m->tid) == 0)
        return; // it has no thread
    struct tz_profm *p = tz_load_acq(&m->prof);
    if (!p) {
        struct tz_profm *fresh = tz_persist_alloc(sizeof *p, TZ_CACHE_LINE);
        if (!fresh)
            return;
        if (tz_cas(&m->prof, NULL, fresh))
            p = fresh;
        else
            p = tz_load_acq(&m->prof);
    }
    if (!tz_cas(&p->state, UNARMED, ARMING))
        return;
    int64_t period = prof.period;
    // Not all at the same moment, when all have started at the same one.
    int64_t first = period / 2 + (m->id % 16) * (period / 32);
    p->last = tz_proftimer_now(m->tid) + first - period;
    int err = tz_proftimer_start(m->tid, first, period, &p->timer);
    tz_store(&p->state, err ? UNARMED : ARMED);
    if (!tz_load(&prof.active)) // stop has not seen it
        disarm(p);
}

// Either it sees `active`, or start finds m on the list.
void tz_port_m_start(struct tz_m *m)
{
    if (tz_load(&prof.active))
        arm(m);
}

void tz_port_m_stop(struct tz_m *m)
{
    disarm(tz_load_acq(&m->prof));
}

// --- the drain

static void drain_one(struct tz_profm *p)
{
    uint32_t tail = tz_load_rlx(&p->tail);
    while (tail != tz_load_acq(&p->head)) { // with on_prof
        const struct sample *s = &p->ring[tail % RING];
        tz_profile_add(&prof.profile, s->label, s->place, s->n, s->weight);
        tz_store_rel(&p->tail, ++tail); // with on_prof
    }
}

static void each_m(void (*fn)(struct tz_profm *p))
{
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink) {
        struct tz_profm *p = tz_load_acq(&m->prof);
        if (p)
            fn(p);
    }
}

static void finish_drain(struct tz_threadask *a)
{
    (void)a;
    tz_store_rel(&prof.done, 1);
    tz_futex_wake(&prof.done, 1);
}

static void drain_main(void *arg)
{
    (void)arg;
    tz_thread_name("tuza-prof");
    tz_tls_get()->locks++;
    while (!tz_load_acq(&prof.stop)) {
        each_m(drain_one);
        tz_futex_sleep(&prof.stop, 0, DRAIN_MS * TZ_NSEC_PER_MSEC);
    }
    finish_drain(NULL);
}

// --- starting and stopping

static void forget(struct tz_profm *p)
{
    tz_store_rel(&p->tail, tz_load_acq(&p->head)); // of the last profile
    tz_store_rlx(&p->lost, 0);
}

static void count_lost(struct tz_profm *p)
{
    prof.profile.lost += tz_load_rlx(&p->lost);
}

static int install(void)
{
    struct sigaction now;
    if (prof.installed)
        return 0;
    prof.others = sigaction(SIGPROF, NULL, &now) == 0 &&
                  ((now.sa_flags & SA_SIGINFO) || now.sa_handler != SIG_DFL);
    int err = tz_sig_install(SIGPROF, on_prof);
    prof.installed = !err;
    return err;
}

int tuza_cpuprofile_start(int fd, int hz)
{
    int timer, err;
    struct timespec wall;
    if (hz < 0 || hz > HZ_MAX || !tz_load_acq(&tz_sched.allm))
        return -EINVAL;
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    if (!tz_cas(&prof.state, OFF, BUSY))
        return -EBUSY;
    prof.period = TZ_NSEC_PER_SEC / (hz ? hz : 100);
    // Whether there are such timers at all; this one never ends.
    err = tz_proftimer_start(tz_thread_id(), INT64_MAX / 2, 0, &timer);
    if (!err) {
        tz_proftimer_stop(timer);
        err = install();
    }
    if (err) {
        tz_store(&prof.state, OFF);
        return err;
    }
    prof.fd = fd;
    each_m(forget);
    clock_gettime(CLOCK_REALTIME, &wall);
    prof.profile.began = wall.tv_sec * TZ_NSEC_PER_SEC + wall.tv_nsec;
    prof.profile.kind = &tz_profile_cpu;
    prof.profile.period = prof.period;
    prof.start = tz_clock_now();
    prof.stop = prof.done = 0;
    tz_store(&prof.active, 1);
    for (struct tz_m *m = tz_load(&tz_sched.allm); m; m = m->alllink)
        arm(m);
    prof.ask = (struct tz_threadask){ drain_main, NULL, finish_drain, NULL };
    tz_thread_ask(&prof.ask);
    tz_store(&prof.state, ON);
    return 0;
}

int tuza_cpuprofile_stop(void)
{
    if (!tz_cas(&prof.state, ON, BUSY))
        return -EINVAL;
    tz_store(&prof.active, 0);
    each_m(disarm);
    tz_store_rel(&prof.stop, 1);
    tz_futex_wake(&prof.stop, 1);
    while (!tz_load_acq(&prof.done)) // with finish_drain
        tz_futex_sleep(&prof.done, 0, -1);
    each_m(drain_one); // what came in its last pause
    each_m(count_lost);
    prof.profile.duration_ns = tz_clock_now() - prof.start;
    int err = tz_profile_write(&prof.profile, prof.fd);
    tz_profile_free(&prof.profile);
    tz_store(&prof.state, OFF);
    return err;
}
