// SPDX-License-Identifier: BSD-3-Clause
// mem/persist.h: memory that is never freed.
#ifndef TZ_MEM_PERSIST_H
#define TZ_MEM_PERSIST_H

#include "base/base.h"

enum { TZ_PERSIST_CHUNK = 256 * 1024, TZ_PERSIST_LARGE = 64 * 1024 };

// n > 0 zeroed bytes aligned to `align` (a power of two up to a page, 0: 16),
// for as long as the process lives. NULL when refused. Any thread.
void *tz_persist_alloc(size_t n, size_t align);

// Bytes that tz_persist_alloc has handed out.
uint64_t tz_persist_used(void);

#endif
