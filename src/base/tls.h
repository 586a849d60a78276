// SPDX-License-Identifier: BSD-3-Clause
// base/tls.h: the one thread-local object and the one way to reach it.
//
// A goroutine may resume on another thread, and compilers cache the addresses
// of thread-local variables across calls. So the object is reached through
// tz_tls_get() alone, whose result must not live across a call that may park:
// ask again afterwards [base.I1].
#ifndef TZ_BASE_TLS_H
#define TZ_BASE_TLS_H

#include "base/atomic.h"
#include "base/cpu.h"

struct tz_m;
struct tz_g;
struct tz_p;
struct tz_mcache;

struct tz_tls {
    struct tz_m *m;          // NULL on a thread that the runtime did not make
    struct tz_g *g;          // what runs: m's curg, or its g0
    struct tz_p *p;          // the P that m holds, or NULL
    struct tz_mcache *cache; // p's allocation cache, NULL without a P
    int32_t locks;           // > 0: a runtime critical section [base.I2]
    uint16_t stop;           // atomic; set by others: stop at the next poll
    uint16_t taken;          // the goroutine g runs without a P: it was taken,
                             // or this is the child of a fork [base.I3]
    uint64_t held_ranks;     // debug builds: lock ranks held, TZ_IN_HOOK
    uint64_t rand[2];        // state of tz_rand
};
_Static_assert(sizeof(struct tz_tls) <= 64, "fits the static TLS surplus");

extern __thread struct tz_tls tz_tls
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

TZ_INLINE struct tz_tls *tz_tls_get(void) { return tz_tls_address(); }

// In held_ranks, above all ranks: a function of the user's runs that must not
// call the runtime.
#define TZ_IN_HOOK (UINT64_C(1) << 31)

// Debug builds: the thread goes into such a function, or comes out. Any
// critical section between is fatal.
void tz_hook_enter(void);
void tz_hook_leave(void);
TZ_NORETURN TZ_COLD void tz_hook_reentered(void);

// What tz_crit_leave calls when a stop was asked for during the critical
// section: stops this thread until the world runs again. The scheduler
// defines it.
void tz_port_stop_here(void);

// What tz_crit_enter calls when `taken` is set: waits until the goroutine has a P
// again, on this thread. The scheduler defines it.
void tz_port_take_back(void);

// While inside, this thread is not stopped by the stop-the-world signal and
// the goroutine does not change its thread. Nests. Cheap: two increments.
TZ_INLINE void tz_crit_enter(void)
{
    struct tz_tls *t = tz_tls_get();
    if (TZ_DEBUG && tz_unlikely(t->held_ranks & TZ_IN_HOOK))
        tz_hook_reentered();
    t->locks++; // from here on nobody takes the P
    tz_compiler_barrier();
    if (tz_unlikely(t->taken))
        tz_port_take_back();
}

TZ_INLINE void tz_crit_leave(void)
{
    tz_compiler_barrier();
    struct tz_tls *t = tz_tls_get();
    if (--t->locks == 0 && tz_unlikely(tz_load_rlx(&t->stop)))
        tz_port_stop_here();
}

#endif
