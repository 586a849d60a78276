// SPDX-License-Identifier: BSD-3-Clause
// sched/sysmon.c: a thread without a P that watches.
//
// Every 20 us, slowing down to 10 ms when it finds nothing to do, it
//  - takes the P of a declared call that has lasted a whole tick, when there
//    is other work for the P or the call is older than 10 ms;
//  - takes the P of a goroutine that blocks undeclared, or has run for 10 ms,
//    when there is other work for the P (take.c);
//  - wakes a thread for timers that are overdue on Ps that nobody runs;
//  - asks a P that has run one goroutine for 10 ms, or has a timer due, to look
//    around: the goroutine yields at its next operation that may park;
//  - gives a little free memory back, at 1 % of a processor's time, and sweeps
//    what is not swept yet when nothing runs.
// While every P is idle or the world is stopped it sleeps until tz_sysmon_wake,
// a tenth of a second at most. Go's proc.go: sysmon, retake.

#include "mem/mcentral.h"
#include "mem/scavenge.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "sched/split.h"

enum {
    TICK_MIN_US = 20,
    TICK_MAX_US = 10000,
    TICK_AGAIN_US = 320, // at most, after a moment in which nothing ran
    LONG_CALL_MS = 10,
    SLICE_MS = 10,
    LOOK_US = 50   // a P whose goroutine has not changed for so long is looked at
};

TZ_WEAK void tz_port_tick(int64_t now) { (void)now; }

static void retake_one(struct tz_p *p, int64_t now)
{
    if (tz_load_acq(&p->status) != TZ_P_SYSCALL)
        return;
    uint32_t tick = tz_load_rlx(&p->syscalltick);
    if (tick != p->sysmon_syscalltick) { // a new call since we looked
        p->sysmon_syscalltick = tick;
        p->sysmon_when = now;
        return;
    }
    // Nobody needs it yet: leave it a while, exit is cheaper then.
    if (tz_runq_empty(p) && !tz_load(&tz_sched.runqsize) &&
        tz_load(&tz_sched.nmspinning) + tz_load(&tz_sched.npidle) > 0 &&
        now - p->sysmon_when < LONG_CALL_MS * TZ_NSEC_PER_MSEC)
        return;
    if (!tz_load(&tz_sched.stopping))
        tz_pass_on(p);
}

// Other work waits for p, which nobody can come for.
static bool is_needed(struct tz_p *p, int64_t now)
{
    if (tz_load(&tz_sched.npidle) || tz_load(&tz_sched.nmspinning))
        return false;
    return tz_load(&tz_sched.runqsize) || !tz_runq_empty(p) ||
           tz_load_rlx(&p->timer_next) <= now;
}

static void ask_for_p(struct tz_p *p, struct tz_m *m)
{
    tz_store_rlx(&m->take_tick, p->sysmon_schedtick);
    tz_store(&m->take, 1);
    tz_stop_signal(m);
}

// The goroutine of p blocks undeclared: it has used no processor time since the
// last look, and the kernel says in which call it is. Each look is twice as far
// from the last as that was.
static bool take_blocked(struct tz_p *p, struct tz_m *m, int64_t now)
{
    if (now < p->sysmon_look)
        return false;
    int64_t used = tz_call_cputime(tz_load_rlx(&m->tid)), since = p->sysmon_used;
    p->sysmon_used = used;
    p->sysmon_look = now + (now - p->sysmon_schedwhen);
    if (used < 0 || used != since) {
        // Computes: at the next look it may not.
        p->sysmon_look = now + LOOK_US * TZ_NSEC_PER_USEC +
                         (now - p->sysmon_schedwhen) / 4;
        return false;
    }
    struct tz_call call;
    if (!tz_call_look(tz_load_rlx(&m->tid), &call))
        return false;
    m->call = call; // with the exchange of `take`; a handler that reads it now
                    // compares it with its registers
    ask_for_p(p, m);
    return true;
}

// A goroutine that computes leaves when it next may park (ask_to_look); where it
// does not come to that, it loses its P a millisecond later.
static bool take_busy(struct tz_p *p, struct tz_m *m, int64_t now)
{
    if (now - p->sysmon_schedwhen < (SLICE_MS + 1) * TZ_NSEC_PER_MSEC ||
        tz_load(&tz_sched.busy_takers) >= tz_load_rlx(&tz_sched.most_takers))
        return false;
    m->call.nr = -1;
    ask_for_p(p, m);
    return true;
}

static bool take_running(struct tz_p *p, int64_t now)
{
    if (tz_load_acq(&p->status) != TZ_P_RUNNING ||
        tz_load_rlx(&p->schedtick) != p->sysmon_schedtick ||
        now - p->sysmon_schedwhen < LOOK_US * TZ_NSEC_PER_USEC ||
        tz_load(&tz_sched.stopping) || !is_needed(p, now))
        return false;
    struct tz_m *m = tz_load_rlx(&p->m);
    if (!m || !tz_load_rlx(&m->curg) || tz_load(&m->take))
        return false;
    return take_blocked(p, m, now) || take_busy(p, m, now);
}

// A P that has not gone on to another goroutine for 10 ms, or whose timers are
// overdue, is asked to look around at the next place where it may.
static void ask_to_look(struct tz_p *p, int64_t now)
{
    uint32_t status = tz_load_acq(&p->status);
    if (status != TZ_P_RUNNING && status != TZ_P_SYSCALL)
        return;
    uint32_t tick = tz_load_rlx(&p->schedtick);
    if (tick != p->sysmon_schedtick) {
        p->sysmon_schedtick = tick;
        p->sysmon_schedwhen = now;
        p->sysmon_look = now + LOOK_US * TZ_NSEC_PER_USEC;
        p->sysmon_used = -1;
    }
    if (now - p->sysmon_schedwhen >= SLICE_MS * TZ_NSEC_PER_MSEC ||
        tz_load_rlx(&p->timer_next) <= now) {
        tz_store_rlx(&p->look, 1);
        if (tz_load_rlx(&tz_sched.split))
            tz_split_poison(tz_load_rlx(&p->m));
    }
}

// True when something was done, or is to be soon: look again soon.
static bool watch(int64_t now)
{
    bool asked = false;
    uint64_t handoffs = tz_load_rlx(&tz_sched.handoffs);
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_p *p = tz_sched.allp[i];
        retake_one(p, now);
        ask_to_look(p, now);
        asked = take_running(p, now) || asked;
        int64_t t = tz_load_rlx(&p->timer_next);
        if (t < due)
            due = t;
    }
    if (due <= now && tz_load(&tz_sched.npidle))
        tz_wakep();
    return asked || tz_load_rlx(&tz_sched.handoffs) != handoffs;
}

static bool nothing_runs(void)
{
    if (tz_load(&tz_sched.stopping))
        return true;
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        uint32_t status = tz_load(&tz_sched.allp[i]->status);
        if (status == TZ_P_RUNNING || status == TZ_P_SYSCALL)
            return false;
    }
    return true;
}

// Garbage that nobody has come across, when there is nothing better to do.
static void sweep(void)
{
    while (tz_central_sweep_one())
        ;
}

// Nothing runs. What is started again goes on as it was, and so does who waited for
// less than a slice, as for a collection, but for a tick that has grown long.
static void wait_for_work(int64_t *tick_us, int *quiet)
{
    bool stopped = tz_load(&tz_sched.stopping);
    int64_t start = tz_clock_now();
    if (tz_load(&tz_sched.maybe_dead))
        tz_deadlock_look(start);
    tz_store(&tz_sched.sysmon_idle, 1);
    // With tz_acquirep's store of a status, and tz_checkdead's.
    bool dead = tz_load(&tz_sched.maybe_dead);
    if (nothing_runs())
        tz_futex_sleep(&tz_sched.sysmon_idle, 1,
                       (dead ? 10 : 100) * TZ_NSEC_PER_MSEC);
    tz_store(&tz_sched.sysmon_idle, 0);
    if (!tz_load(&tz_sched.stopping) && nothing_runs())
        sweep();
    if (stopped)
        return;
    if (tz_clock_now() - start < SLICE_MS * TZ_NSEC_PER_MSEC) {
        *tick_us = tz_min(*tick_us, TICK_AGAIN_US);
    } else {
        *tick_us = TICK_MIN_US;
        *quiet = 0;
    }
}

static void sysmon_main(void *arg)
{
    (void)arg;
    tz_thread_name("tuza-sysmon");
    tz_tls_get()->locks++;
    int64_t tick_us = TICK_MIN_US;
    int quiet = 0;
    for (;;) {
        if (nothing_runs())
            wait_for_work(&tick_us, &quiet);
        if (tz_load(&tz_sched.maybe_dead))
            tz_deadlock_look(tz_clock_now());
        tz_thread_sleep(tick_us * TZ_NSEC_PER_USEC);
        int64_t now = tz_clock_now();
        tz_store_rlx(&tz_sched.now_coarse, now); // read where it parks
        quiet = watch(now) ? 0 : quiet + 1;
        tz_scavenge_tick(now);
        tz_stack_tick(now);
        tz_port_tick(now);
        if (quiet == 0)
            tick_us = TICK_MIN_US;
        else if (quiet > 50 && tick_us < TICK_MAX_US)
            tick_us = tick_us * 2 < TICK_MAX_US ? tick_us * 2 : TICK_MAX_US;
    }
}

void tz_sysmon_wake(void)
{
    if (tz_load(&tz_sched.sysmon_idle) && tz_cas(&tz_sched.sysmon_idle, 1, 0))
        tz_futex_wake(&tz_sched.sysmon_idle, 1);
}

int tz_sysmon_start(void)
{
    return tz_thread_start(sysmon_main, NULL, 0);
}
