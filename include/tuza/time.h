/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/time.h: durations in nanoseconds, the clock, sleeping. */
#ifndef TUZA_TIME_H
#define TUZA_TIME_H

#include "tuza/base.h"

TUZA_BEGIN

#define TUZA_NS(n) ((int64_t)(n))
#define TUZA_US(n) ((int64_t)(n) * 1000)
#define TUZA_MS(n) ((int64_t)(n) * 1000000)
#define TUZA_SEC(n) ((int64_t)(n) * 1000000000)

/* Nanoseconds of the monotonic clock since some point in the past. Any
 * thread, signal handlers too. */
TUZA_API int64_t tuza_now(void) TUZA__SPLIT("now");

/* Parks the goroutine for at least ns nanoseconds; <= 0 yields. */
TUZA_API void tuza_sleep(int64_t ns) TUZA__SPLIT("sleep");

TUZA_END

#endif
