// SPDX-License-Identifier: BSD-3-Clause
// sched/sched.h: the scheduler as the rooms above see it.
#ifndef TZ_SCHED_SCHED_H
#define TZ_SCHED_SCHED_H

#include "os/lock.h"
#include "sched/m.h"
#include "sched/template.h"

// Parks the current goroutine: it stops running, and when its stack is no
// longer in use, commit(g, arg) is called on another stack, which must be
// brief and must not park. From then on tz_ready may be called for it; commit
// returns false to take the park back. arg may point into the parking
// goroutine's stack, which does not move; but once commit has made g visible
// to a waker it may run and return, so commit must not touch arg after that.
// tz_park returns when somebody has readied g, perhaps on another thread.
void tz_park(bool (*commit)(struct tz_g *g, void *arg), void *arg,
             enum tz_wait why);

// Parks and then releases l, which the caller holds: whoever takes l
// afterwards may ready g. The next goroutine may get its first stack while l
// is held, so l's rank is below STACKPOOL.
void tz_park_unlock(struct tz_lock *l, enum tz_wait why);

// Makes a WAITING goroutine runnable; it runs next on this P. Exactly one
// caller per park. May be called with locks held (ranks below SCHED), from a
// timer's function and from commit, on a thread with or without a P.
void tz_ready(struct tz_g *g);

// Puts the current goroutine at the end of the P's queue.
void tz_yield(void);

// Under TUZADEBUG=stress=yield: yields now and then. In a simulation: where the
// order may become another one. Call it where parking is allowed and no lock is
// held.
void tz_stress_yield(void);

// The look of tz_yield_point was asked for.
void tz_yield_asked(void);

// The current goroutine is about to wait, on its thread, for what another does: its P
// is passed on, and the next critical section waits for another.
void tz_give_way(void);

// Yields when the goroutine has run for 10 ms or a timer is due. For operations
// that may park but usually do not, so that a loop of them leaves the P.
TZ_INLINE void tz_yield_point(void)
{
    struct tz_p *p = tz_tls_get()->p;
    if (p && tz_unlikely(tz_load_rlx(&p->look)))
        tz_yield_asked();
}

// A new goroutine: see tuza_spawn_copy. pc: where the program's call returns to.
int tz_spawn(void (*fn)(void *), const void *args, size_t size,
             const char *name, const char *site, const void *pc);
TZ_NORETURN void tz_goexit(void);

// Calls fn(arg) on the thread's system stack, or just calls it when already
// there. fn may block the thread but not park.
void tz_system_stack(void (*fn)(void *), void *arg);

// Stops the world, calls fn(arg) on the system stack and starts the world
// again. Meanwhile the caller's registers and stack are complete for a scan.
// When another thread is stopping the world, takes part in that stop first. On
// a goroutine, outside of critical sections.
void tz_world_call(void (*fn)(void *), void *arg);
// The same, for ever, for fn(NULL): whoever is stopped is outside of libc, but for
// those who do not leave it in some time.
TZ_NORETURN void tz_world_end(void (*fn)(void *));

// Tells the scheduler of a timer due at `when` (clock ns): an idle thread that
// sleeps longer is woken. Callable with locks up to TIMERS held.
void tz_sched_timer_added(int64_t when);

// All goroutines ever made, dead ones included, in the order of their making.
// Callable without locks: the table only grows.
size_t tz_allg_count(void);
struct tz_g *tz_allg_get(size_t i);

// Start-up (api): the Ps, handlers and sysmon; the main goroutine; then its
// first thread, which is the caller's (never returns), or another (returns
// what main has returned). 0, or -errno.
int tz_sched_init(uint32_t nprocs, int max_taken);
int tz_main_spawn(int (*fn)(int, char **), int argc, char **argv,
                  bool exit_when_done);
TZ_NORETURN void tz_main_here(void);
int tz_main_elsewhere(void);

// A number that no other channel has, from 1; with one P in order. With a P.
void tz_chan_numbers(struct tz_p *p); // some more for p
TZ_INLINE uint64_t tz_chan_number(void)
{
    tz_crit_enter();
    struct tz_p *p = tz_tls_get()->p;
    if (tz_unlikely(p->chanid == p->chanid_end))
        tz_chan_numbers(p);
    uint64_t n = ++p->chanid;
    tz_crit_leave();
    return n;
}

// One more of the goroutines that exist is the runtime's own, for good: it is
// not counted.
void tz_sched_system(void);

// Goroutines that exist now and that were ever started, less the runtime's own.
void tz_sched_counts(uint64_t *now, uint64_t *started);

// The most that existed at once: exact with one P, else what was seen here or
// when a P had used up its dead Gs, of which it keeps up to 64.
uint64_t tz_sched_peak(void);

#endif
