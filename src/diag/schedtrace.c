// SPDX-License-Identifier: BSD-3-Clause
// diag/schedtrace.c: TUZADEBUG=schedtrace=MS: every so many milliseconds a line
// about the scheduler, in the form of Go's (GODEBUG=schedtrace):
//
//   SCHED 1009ms: gomaxprocs=2 idleprocs=0 threads=5 spinningthreads=0
//   needspinning=0 idlethreads=1 runqueue=0 [ 3 0 ] schedticks=[ 12 40 ]
//
// on one line; needspinning is always 0: who queues work looks itself. sysmon
// calls tz_port_tick at each of its ticks, so a line may be late by as long as
// one lasts: a tenth of a second while nothing runs. Figures are of about the
// same moment.
//
// Go's proc.go: schedtrace.

#include "base/print.h"
#include "diag/diag.h"
#include "os/clock.h"
#include "os/env.h"
#include "sched/port.h"
#include "sched/proc.h"

enum { LINE = 960 };

static struct {
    int64_t start; // const after init
    int64_t next;  // owned by sysmon
} trace;

void tz_schedtrace_init(void)
{
    trace.start = tz_clock_now();
    trace.next = trace.start + tz_env.schedtrace * TZ_NSEC_PER_MSEC;
}

// Appends to a line of LINE bytes; what does not fit is cut.
static size_t append(char *line, size_t at, const char *fmt, uint32_t n)
{
    size_t more = tz_format(line + at, LINE - at, fmt, n);
    return tz_min(at + more, LINE - 1);
}

static uint32_t queued(const struct tz_p *p)
{
    uint32_t head = tz_load_acq(&p->runqhead); // before the tail, which follows
    return tz_load_acq(&p->runqtail) - head +
           (tz_load_rlx(&p->runnext) != NULL);
}

static void print(int64_t now)
{
    char line[LINE];
    tz_lock_acquire(&tz_sched.lock);
    uint32_t midle = tz_sched.nmidle;
    tz_lock_release(&tz_sched.lock);
    size_t n = tz_format(
        line, sizeof line,
        "SCHED %lldms: gomaxprocs=%u idleprocs=%u threads=%u "
        "spinningthreads=%u needspinning=0 idlethreads=%u runqueue=%u [",
        (long long)((now - trace.start) / TZ_NSEC_PER_MSEC), tz_sched.nprocs,
        tz_load_rlx(&tz_sched.npidle), tz_load_rlx(&tz_sched.mcount),
        tz_load_rlx(&tz_sched.nmspinning), midle,
        tz_load_rlx(&tz_sched.runqsize));
    for (uint32_t i = 0; i < tz_sched.nprocs; i++)
        n = append(line, n, " %u", queued(tz_sched.allp[i]));
    n = append(line, n, " ] schedticks=[", 0);
    for (uint32_t i = 0; i < tz_sched.nprocs; i++)
        n = append(line, n, " %u", tz_load_rlx(&tz_sched.allp[i]->schedtick));
    append(line, n, " ]", 0);
    tz_print("%s\n", line);
}

void tz_port_tick(int64_t now)
{
    if (!tz_env.schedtrace || now < trace.next)
        return;
    print(now);
    trace.next = now + tz_env.schedtrace * TZ_NSEC_PER_MSEC;
}
