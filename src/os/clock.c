// SPDX-License-Identifier: BSD-3-Clause
// os/clock.c: the monotonic clock and the processor time of the process.
//
// clock_gettime is async-signal-safe and, where the kernel offers it, no
// system call. It fails only for a clock that does not exist.
//
// In a simulation the monotonic clock is a number that the scheduler moves on.
//
// Go keeps this in sys_linux_amd64.s (nanotime1) with its own vDSO lookup;
// ours asks libc, which has one.

#include <time.h>

#include "base/atomic.h"
#include "os/clock.h"

static int64_t virtual_now; // atomic, orders nothing; 0: the real clock

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int r = clock_gettime(id, &ts);
    TZ_CHECK(r == 0);
    return (int64_t)ts.tv_sec * TZ_NSEC_PER_SEC + ts.tv_nsec;
}

int64_t tz_clock_now(void)
{
    int64_t now = tz_load_rlx(&virtual_now);
    if (tz_unlikely(now))
        return now;
    return read_clock(CLOCK_MONOTONIC);
}

void tz_clock_set(int64_t now) { tz_store_rlx(&virtual_now, now); }

int64_t tz_clock_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
