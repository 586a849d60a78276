// SPDX-License-Identifier: BSD-3-Clause
// os/futex.h: sleeping until a word changes. Raw system calls where the system
// has them, so that it works with any lock of libc held.
#ifndef TZ_OS_FUTEX_H
#define TZ_OS_FUTEX_H

#include "base/base.h"

// Sleeps while *word == expect, at most ns nanoseconds (< 0: no limit).
// Returns on a wake, a changed word, the end of the time, a signal, or for no
// reason: the caller looks again. Preserves errno.
void tz_futex_sleep(uint32_t *word, uint32_t expect, int64_t ns);

// Wakes up to n threads that sleep on word. Preserves errno.
void tz_futex_wake(uint32_t *word, uint32_t n);

#endif
