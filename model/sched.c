// SPDX-License-Identifier: BSD-3-Clause
// model/sched.c: the scheduler's neighbours in its own room, as small as they
// can be.

#include "explore.h"
#include "sched/proc.h"

// The search itself sees when all are asleep.
void tz_checkdead(void) {}

// There is one stack a thread, and it is large enough.
void tz_system_stack(void (*fn)(void *), void *arg)
{
    tz_crit_enter();
    fn(arg);
    tz_crit_leave();
}

// The thread is there at once, or refused when there are four.
void tz_thread_ask(struct tz_threadask *a)
{
    if (!model_start(a->fn, a->arg) && a->refused)
        a->refused(a);
}
