// SPDX-License-Identifier: BSD-3-Clause
// sched/sim.c: a whole program on one thread, in an order that a number chooses.
//
// With TUZASIM=seed there is one P and one thread that runs goroutines. Wherever
// the order could be another, it is drawn from the seed:
//
//     tz_sim_point   at operations of channels, locks and the like: whether
//                    the goroutine yields. How often is drawn once a run: at one
//                    in 2, 4, … 64 of them
//     tz_sim_next    which of all goroutines that can run is next, each as
//                    likely; whether timers that are due run before it; whether
//                    a span is swept
//     elsewhere      the order of a select's cases, when a collection starts
//
// Time is a number. It moves by up to 4 us at each of these places, and when
// nothing can run it jumps to the first timer; so a day of sleeping takes no
// time, and one that waits in a loop for a time comes to its end.
//
//     P's queue, global queue --> ready[] -- one by chance --> runs
//
// The P's `look` is always set: so whoever leaves goes to g0 (park.c), whoever
// passes a yield point asks here, and nothing else is needed on fast paths.
//
// Every event (base/event.h) goes into a hash. Two runs with the same hash have
// gone the same way. What the program itself gets from outside (files, the real
// clock, other threads, addresses) is its own business: it is deterministic when
// that is.
//
// What it does NOT do: hand a P off, or interrupt. A declared call blocks the
// only thread, and a loop without any operation of tuza runs for ever.
//
// Go has no such thing; FoundationDB and TigerBeetle test by simulation, Pony
// has a systematic mode without timers. sysmon does not run (init.c).

#include "sched/sim.h"

#include <stdlib.h>

#include "base/event.h"
#include "base/port.h"
#include "base/print.h"
#include "base/rand.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "os/clock.h"
#include "os/env.h"
#include "sched/port.h"
#include "sched/proc.h"

enum {
    STEP_US = 4,     // most that time moves at once
    RATES = 6,       // of yields: one in 2^1 to 2^RATES points
    TIMERS_ONE_IN = 2,
    SWEEP_ONE_IN = 16,
    READY_MIN = 1024
};

// The thread's own, but for `listener`.
static struct {
    uint64_t rand;
    uint32_t points;      // a yield in so many
    struct tz_g **ready;  // that can run, in no order
    uint32_t n, capacity; // of ready
    uint64_t hash, events;
    struct tz_listener listener;
} sim;

static uint32_t choose(uint32_t n)
{
    return (uint32_t)((tz_rand_next(&sim.rand) >> 32) * n >> 32);
}

void tz_sim_tick(void)
{
    uint32_t ns = 1 + choose(STEP_US * TZ_NSEC_PER_USEC);
    tz_clock_set(tz_clock_now() + ns);
}

void tz_sim_point(void)
{
    struct tz_tls *t = tz_tls_get();
    if (t->locks || !t->p || !t->g || t->g->is_g0)
        return;
    tz_sim_tick();
    if (choose(sim.points) == 0)
        tz_yield();
}

// Room for one more in ready. false: memory is refused.
static bool reserve(void)
{
    if (tz_likely(sim.n < sim.capacity))
        return true;
    uint32_t more = sim.capacity ? 2 * sim.capacity : READY_MIN;
    struct tz_g **at = tz_persist_alloc(more * sizeof *at, TZ_CACHE_LINE);
    if (!at)
        return false;
    for (uint32_t i = 0; i < sim.n; i++)
        at[i] = sim.ready[i];
    sim.ready = at;
    sim.capacity = more;
    return true;
}

static struct tz_g *take_queued(struct tz_p *p)
{
    struct tz_g *g = tz_runq_get(p);
    if (g || tz_load_rlx(&tz_sched.runqsize) == 0)
        return g;
    tz_lock_acquire(&tz_sched.lock);
    g = tz_globrunq_get(p, 1);
    tz_lock_release(&tz_sched.lock);
    return g;
}

// All that is queued becomes part of the choice. What finds no room is next: a
// choice as good as any.
static struct tz_g *collect(struct tz_p *p)
{
    for (;;) {
        bool room = reserve();
        struct tz_g *g = take_queued(p);
        if (!g || !room)
            return g;
        sim.ready[sim.n++] = g;
    }
}

static void run_timers(struct tz_p *p)
{
    int64_t now = tz_clock_now();
    if (tz_load_rlx(&p->timer_next) <= now)
        tz_port_timers_run(p, now);
}

// Nothing can run: to the time of the first timer. false: there is none.
static bool jump(struct tz_p *p)
{
    int64_t due = tz_load_rlx(&p->timer_next);
    if (due == INT64_MAX)
        return false;
    if (due > tz_clock_now())
        tz_clock_set(due);
    run_timers(p);
    return true;
}

struct tz_g *tz_sim_next(struct tz_p *p)
{
    do {
        tz_sim_tick();
        if (choose(TIMERS_ONE_IN) == 0)
            run_timers(p);
        if (choose(SWEEP_ONE_IN) == 0)
            (void)tz_central_sweep_one();
        struct tz_g *g = collect(p);
        if (g)
            return g;
        if (sim.n) {
            uint32_t i = choose(sim.n);
            g = sim.ready[i];
            sim.ready[i] = sim.ready[--sim.n];
            return g;
        }
    } while (jump(p));
    return NULL;
}

struct line {
    enum tz_event kind;
    uint64_t a, b;
};

static void print_event(void *arg)
{
    const struct line *l = arg;
    tz_print("sim %llu @%lld %s %llu %llu\n", (unsigned long long)sim.events,
             (long long)tz_clock_now(), tz_event_name(l->kind),
             (unsigned long long)l->a, (unsigned long long)l->b);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    return tz_rand_fold(hash ^ word ^ UINT64_C(0x9e3779b97f4a7c15),
                        UINT64_C(0xd6e8feb86659fd93)) +
           word;
}

static void on_event(enum tz_event kind, uint64_t a, uint64_t b)
{
    if (!tz_tls_get()->p && kind != TZ_EV_CALL)
        return; // another thread's: it comes when it comes
    sim.hash = mix(mix(mix(sim.hash, kind), a), b);
    sim.events++;
    struct line l = { kind, a, b };
    if (tz_env.simtrace > 1)
        tz_system_stack(print_event, &l);
}

uint64_t tz_sim_hash(uint64_t *events)
{
    *events = sim.events;
    return sim.hash;
}

static void tell(void)
{
    int64_t us = tz_clock_now() / TZ_NSEC_PER_USEC - TZ_NSEC_PER_MSEC;
    tz_print("tuza: TUZASIM=%llu: hash %016llx, %llu events, %lld.%06lld s\n",
             (unsigned long long)tz_env.sim_seed, (unsigned long long)sim.hash,
             (unsigned long long)sim.events, (long long)us / 1000000,
             (long long)us % 1000000);
}

// With which seed it comes again.
void tz_port_fault_note(void)
{
    if (tz_env.sim)
        tell();
}

void tz_sim_init(struct tz_p *p)
{
    sim.rand = tz_env.sim_seed;
    sim.points = UINT32_C(2) << choose(RATES);
    sim.listener.fn = on_event;
    p->look = 1; // for ever
    tz_event_want(&sim.listener, ~UINT32_C(0));
    if (tz_env.simtrace)
        atexit(tell);
}
