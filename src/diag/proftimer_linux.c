// SPDX-License-Identifier: BSD-3-Clause
// diag/proftimer_linux.c: timers that run while a thread uses a processor, on
// Linux: POSIX timers on the thread's own clock, whose number is made from the
// thread's (kernel: posix-timers.h, MAKE_THREAD_CPUCLOCK). By system calls:
// libc's timer_create may allocate.
//
// The kernel looks at such timers at its ticks, 100 to 1000 a second, so that at
// higher rates several periods come as one signal; who counts asks the clock.

#include "diag/proftimer.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/san.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { PER_THREAD = 4, SCHED = 2 }; // bits of a clock's number

static clockid_t clock_of(int tid)
{
    return (clockid_t)((~(unsigned)tid << 3) | PER_THREAD | SCHED);
}

static struct timespec in_parts(int64_t ns)
{
    return (struct timespec){ .tv_sec = ns / TZ_NSEC_PER_SEC,
                              .tv_nsec = ns % TZ_NSEC_PER_SEC };
}

int tz_proftimer_start(int tid, int64_t first_ns, int64_t period_ns, int *timer)
{
    struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID };
    ev.sigev_signo = SIGPROF;
    ev.sigev_notify_thread_id = tid;
    struct itimerspec when = { in_parts(period_ns), in_parts(first_ns) };
    int id, saved = errno, err = 0;
    if (syscall(SYS_timer_create, clock_of(tid), &ev, &id)) {
        err = errno;
    } else if (syscall(SYS_timer_settime, id, 0, &when, NULL)) {
        err = errno;
        syscall(SYS_timer_delete, id);
    } else {
        *timer = id;
    }
    errno = saved;
    return -err;
}

void tz_proftimer_stop(int timer)
{
    int saved = errno;
    syscall(SYS_timer_delete, timer);
    errno = saved;
}

TZ_NO_SANITIZE int64_t tz_proftimer_now(int tid)
{
    struct timespec now;
    int saved = errno;
    bool ok = syscall(SYS_clock_gettime, clock_of(tid), &now) == 0;
    errno = saved;
    return ok ? now.tv_sec * TZ_NSEC_PER_SEC + now.tv_nsec : -1;
}
