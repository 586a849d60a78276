// SPDX-License-Identifier: BSD-3-Clause
// os/clock.h: time.
#ifndef TZ_OS_CLOCK_H
#define TZ_OS_CLOCK_H

#include "base/base.h"

// Nanoseconds of the monotonic clock; never decreases. Signal-safe.
int64_t tz_clock_now(void);

// Simulations: from now on tz_clock_now says this, until the next call, which
// says more; 0: the real clock.
void tz_clock_set(int64_t now);

// Nanoseconds of processor time of this process: user and system.
int64_t tz_clock_cpu(void);

#endif
