// SPDX-License-Identifier: BSD-3-Clause
// os/peek.h: reading memory that may not be there.
#ifndef TZ_OS_PEEK_H
#define TZ_OS_PEEK_H

#include "base/base.h"

// Copies [from, from + n) of this process to `to`. false, and nothing faults,
// when a byte of it cannot be read or the system does not offer this.
// Signal-safe; a system call.
bool tz_peek(void *to, uintptr_t from, size_t n);

// The same for n ranges, which are copied one behind the other: false when a byte of
// any of them cannot be read. At most TZ_PEEK_RANGES.
struct tz_range {
    uintptr_t lo, hi;
};
enum { TZ_PEEK_RANGES = 16 };
bool tz_peek_ranges(void *to, const struct tz_range *ranges, size_t n);

#endif
