// SPDX-License-Identifier: BSD-3-Clause
// sync/mutex.c: the mutex between goroutines.
//
// The state word holds three flags and the number of waiters. Locking a free
// mutex is one compare-and-swap, unlocking one nobody waits for is one
// addition.
//
// NORMAL mode: waiters queue first in, first out, but one that is woken has to
// compete with goroutines that are already running and mostly loses. That is
// fast, since a running goroutine can take the mutex many times in a row, and
// unfair. STARVING mode begins when a waiter has waited for 1 ms: the mutex is
// then handed over, still locked, to the first in line, and newcomers queue
// without trying. It ends with a waiter that is the last one or has waited
// less.
//
//   state:   31 ........ 3 | 2        | 1     | 0
//            waiters       | STARVING | WOKEN | LOCKED
//
// WOKEN says that somebody is awake and trying, so that an unlock need not wake
// one more.
//
// The algorithm is Go's (sync/mutex.go of 1.9 and later). Ours differs in one
// point: an unlock never yields, as it may not park. The goroutine to which a
// starving mutex is handed runs next on this P, or at once on an idle one.

#include <errno.h>

#include "base/atomic.h"
#include "os/clock.h"
#include "os/env.h"
#include "sched/proc.h"
#include "sync/sema.h"
#include "tuza/sync.h"

_Static_assert(sizeof(tuza_mutex) == 8, "users embed it");

enum { LOCKED = 1, WOKEN = 2, STARVING = 4, WAITER = 8 };
enum { SPINS = 4, SPIN_PAUSES = 30 };

#define STARVE_NS TZ_NSEC_PER_MSEC

// Whether waiting a moment on the processor can pay: the holder may be running
// on another P, and this P has nothing else to do. Racy reads: a wrong guess
// costs a microsecond.
static bool can_spin(unsigned spins)
{
    uint32_t others = tz_load_rlx(&tz_sched.nprocs) - 1;
    if (spins >= SPINS || others <= tz_load_rlx(&tz_sched.npidle) +
                                        tz_load_rlx(&tz_sched.nmspinning))
        return false;
    tz_crit_enter();
    struct tz_p *p = tz_tls_get()->p;
    bool idle = p && !tz_load_rlx(&p->runnext) &&
                tz_load_rlx(&p->runqhead) == tz_load_rlx(&p->runqtail);
    tz_crit_leave();
    return idle;
}

// What a waiter knows of its own wait.
struct attempt {
    int64_t since; // when it first queued; 0 not yet
    unsigned spins;
    bool awoke;    // WOKEN is set for us
    bool starving; // we have waited too long
};

// Spins for a while if there is hope. False: `old` has to be acted upon.
static bool spin(tuza_mutex *m, int32_t old, struct attempt *a)
{
    if ((old & (LOCKED | STARVING)) != LOCKED || !can_spin(a->spins))
        return false;
    if (!a->awoke && !(old & WOKEN) && old >= WAITER &&
        tz_cas(&m->state, old, old | WOKEN))
        a->awoke = true;
    for (int i = 0; i < SPIN_PAUSES; i++)
        tz_cpu_relax();
    a->spins++;
    return true;
}

// The state we want to see instead of `old`.
static int32_t wanted(int32_t old, const struct attempt *a)
{
    int32_t after = old;
    if (!(old & STARVING))
        after |= LOCKED; // in starving mode newcomers may not try
    if (old & (LOCKED | STARVING))
        after += WAITER;
    if (a->starving && (old & LOCKED))
        after |= STARVING;
    if (a->awoke) {
        TZ_CHECK(old & WOKEN);
        after &= ~WOKEN;
    }
    return after;
}

// Queues and sleeps. True when the mutex was handed to us.
static bool wait_turn(tuza_mutex *m, struct attempt *a)
{
    bool again = a->since != 0;
    if (!again)
        a->since = tz_clock_now();
    tz_sema_acquire(&m->sema, again, TZ_WAIT_MUTEX);
    a->starving = a->starving || tz_clock_now() - a->since > STARVE_NS;
    a->awoke = true;
    a->spins = 0;
    int32_t old = tz_load(&m->state);
    if (!(old & STARVING))
        return false;
    // Handed over: LOCKED is left to us to set, and we still count as a waiter.
    if ((old & (LOCKED | WOKEN)) || old < WAITER)
        tz_fatal("mutex %p was overwritten, or copied after its first use",
                 (void *)m);
    int32_t delta = LOCKED - WAITER;
    if (!a->starving || old < 2 * WAITER)
        delta -= STARVING;
    tz_xadd(&m->state, delta);
    return true;
}

static TZ_NOINLINE void lock_slow(tuza_mutex *m)
{
    struct attempt a = { 0 };
    (void)tz_need_g("tuza_mutex_lock");
    for (;;) {
        int32_t old = tz_load_rlx(&m->state);
        if (spin(m, old, &a))
            continue;
        if (!tz_cas(&m->state, old, wanted(old, &a)))
            continue;
        if (!(old & (LOCKED | STARVING)))
            return; // it was free
        if (wait_turn(m, &a))
            return;
    }
}

void tuza_mutex_lock(tuza_mutex *m)
{
    if (tz_unlikely(tz_env.stress_yield))
        tz_stress_yield();
    tz_yield_point();
    if (tz_unlikely(!tz_cas_acq(&m->state, 0, LOCKED)))
        lock_slow(m);
}

int tuza_mutex_trylock(tuza_mutex *m)
{
    if (tz_unlikely(tz_env.stress_yield))
        tz_stress_yield();
    int32_t old = tz_load_rlx(&m->state);
    // One try: losing a race is as good a reason for "busy" as any.
    if ((old & (LOCKED | STARVING)) ||
        !tz_cas_acq(&m->state, old, old | LOCKED))
        return -EBUSY;
    return 0;
}

// `after` is the state after LOCKED was taken off.
static TZ_NOINLINE void unlock_slow(tuza_mutex *m, int32_t after)
{
    if (!((after + LOCKED) & LOCKED))
        tz_fatal("unlock of an unlocked mutex %p", (void *)m);
    if (after & STARVING) {
        tz_sema_release(&m->sema, true);
        return;
    }
    int32_t old = after;
    // Nobody to wake, or somebody is awake or has locked it already?
    while (old >= WAITER && !(old & (LOCKED | WOKEN | STARVING))) {
        if (tz_cas(&m->state, old, (old - WAITER) | WOKEN)) {
            tz_sema_release(&m->sema, false);
            return;
        }
        old = tz_load_rlx(&m->state);
    }
}

void tuza_mutex_unlock(tuza_mutex *m)
{
    if (tz_unlikely(tz_env.stress_yield))
        tz_stress_yield();
    int32_t after = __atomic_sub_fetch(&m->state, LOCKED, __ATOMIC_SEQ_CST);
    if (tz_unlikely(after != 0))
        unlock_slow(m, after);
}
