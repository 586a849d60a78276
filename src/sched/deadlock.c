// SPDX-License-Identifier: BSD-3-Clause
// sched/deadlock.c: noticing that nothing can ever run again.
//
// When the last M goes to sleep, no goroutine runs, none is in a call (its M
// would not be idle) and no M is being started (it counts from before its thread
// exists); an M that waits for the goroutine it is tied to counts as asleep. If
// then nothing is queued and no timer is set, nobody of ours is left to ready
// anybody: unless main has returned (then the process is about to end anyway),
// that is a deadlock. It is reported only when sysmon finds it twice, 10 ms apart,
// with nothing changed in between; and not while there are threads that others
// have made, which may still ready somebody, or attach.
//
// Go's checkdead reports at first sight, and has been wrong (Go issue 40368).

#include "os/env.h"
#include "os/thread.h"
#include "sched/proc.h"

#define BETWEEN_NS (10 * TZ_NSEC_PER_MSEC)

static struct {
    int64_t since;  // when it was seen first; owned by sysmon, with the next
    uint64_t ticks;
} seen;

static bool something_queued(void)
{
    if (tz_sched.runqsize)
        return true;
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_p *p = tz_sched.allp[i];
        if (!tz_runq_empty(p) || tz_load(&p->timer_next) != INT64_MAX)
            return true;
        uint32_t status = tz_load(&p->status);
        if (status == TZ_P_RUNNING || status == TZ_P_SYSCALL)
            return true;
    }
    return false;
}

// With the sched lock.
static bool all_asleep(void)
{
    return tz_sched.nmidle + tz_sched.nmtied >= tz_load(&tz_sched.mcount) &&
           !tz_load(&tz_sched.stopping) && !tz_load(&tz_sched.main_done) &&
           !something_queued();
}

static TZ_NORETURN TZ_COLD void report(void)
{
    tz_fatal("all goroutines are asleep - deadlock!");
}

void tz_checkdead(void)
{
    if (!all_asleep() || tz_load(&tz_sched.maybe_dead))
        return;
    if (tz_env.sim) // there is one thread, and no sysmon
        report();
    tz_store(&tz_sched.maybe_dead, 1);
    tz_sysmon_wake();
}

// Goes up whenever a goroutine runs.
static uint64_t ticks(void)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < tz_nallp(); i++)
        n += tz_load_rlx(&tz_sched.allp[i]->schedtick);
    return n;
}

void tz_deadlock_look(int64_t now)
{
    tz_lock_acquire(&tz_sched.lock);
    bool dead = all_asleep();
    uint64_t n = ticks();
    if (!dead) {
        seen.since = 0;
        tz_store(&tz_sched.maybe_dead, 0); // who sleeps next asks again
    }
    tz_lock_release(&tz_sched.lock);
    if (!dead)
        return;
    if (seen.since == 0 || seen.ticks != n) {
        seen.since = now;
        seen.ticks = n;
        return;
    }
    if (now - seen.since < BETWEEN_NS || tz_thread_others() > 0)
        return;
    report();
}
