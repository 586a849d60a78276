// SPDX-License-Identifier: BSD-3-Clause
// sched/deadlock.c: noticing that nothing can ever run again.
//
// When the last M goes to sleep, no goroutine runs, none is in a declared call
// (its M would not be idle), and no M is being started (it counts from before
// its thread exists). If then nothing is queued and no timer is set, nobody is
// left to ready anybody: a deadlock, unless the main goroutine has returned
// (then the process is about to end anyway).

#include "sched/proc.h"

static bool something_queued(void)
{
    if (tz_sched.runqsize)
        return true;
    for (uint32_t i = 0; i < tz_sched.nprocs; i++) {
        struct tz_p *p = tz_sched.allp[i];
        if (!tz_runq_empty(p) || tz_load(&p->timer_next) != INT64_MAX)
            return true;
        uint32_t status = tz_load(&p->status);
        if (status == TZ_P_RUNNING || status == TZ_P_SYSCALL)
            return true;
    }
    return false;
}

void tz_checkdead(void)
{
    if (tz_sched.nmidle + tz_sched.nmtied < tz_load(&tz_sched.mcount) ||
        tz_load(&tz_sched.stopping) || tz_load(&tz_sched.main_done))
        return;
    if (something_queued())
        return;
    tz_fatal("all goroutines are asleep - deadlock!");
}
