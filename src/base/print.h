// SPDX-License-Identifier: BSD-3-Clause
// base/print.h: formatted output that may be used anywhere, signal handlers
// and a broken heap included: no locks, no allocation, no stdio, no errno.
#ifndef TZ_BASE_PRINT_H
#define TZ_BASE_PRINT_H

#include <stdarg.h>

#include "base/base.h"

// Formats into buf (always terminated when size > 0) and returns the length
// that the whole text has. Understands %% %c %s %.*s %d %i %u %x %p with the
// lengths h, l, ll, z and t, a width and the flag 0; nothing else.
size_t tz_vformat(char *buf, size_t size, const char *fmt, va_list ap);
size_t tz_format(char *buf, size_t size, const char *fmt, ...) TZ_PRINTF(3, 4);

// Formats to standard error: one write call a line, at most 1024 bytes.
void tz_print(const char *fmt, ...) TZ_PRINTF(1, 2);
void tz_vprint(const char *fmt, va_list ap);

// The kernel's short text of an errno ("Cannot allocate memory"), without
// strerror's locale and locks.
const char *tz_strerror(int err);

#endif
