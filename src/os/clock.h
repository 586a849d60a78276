// SPDX-License-Identifier: BSD-3-Clause
// os/clock.h: time.
#ifndef TZ_OS_CLOCK_H
#define TZ_OS_CLOCK_H

#include "base/base.h"

// Nanoseconds of the monotonic clock; never decreases. Signal-safe.
int64_t tz_clock_now(void);

// Nanoseconds of processor time of this process: user and system.
int64_t tz_clock_cpu(void);

#endif
