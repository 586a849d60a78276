// SPDX-License-Identifier: BSD-3-Clause
// diag/proftimer_generic.c: no timers of threads.

#include "diag/proftimer.h"

#include <errno.h>

int tz_proftimer_start(int tid, int64_t first_ns, int64_t period_ns, int *timer)
{
    (void)tid, (void)first_ns, (void)period_ns, (void)timer;
    return -ENOSYS;
}

void tz_proftimer_stop(int timer) { (void)timer; }

int64_t tz_proftimer_now(int tid)
{
    (void)tid;
    return -1;
}
