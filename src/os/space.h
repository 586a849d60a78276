// SPDX-License-Identifier: BSD-3-Clause
// os/space.h: how much may still be mapped.
#ifndef TZ_OS_SPACE_H
#define TZ_OS_SPACE_H

#include "base/base.h"

// With less than this left, addresses are not taken for what may never be
// touched: stacks of threads and goroutines are made smaller.
enum { TZ_SPACE_AMPLE = 1 << 30 };

// Bytes that this process may still map for writing: the least of what
// RLIMIT_AS and RLIMIT_DATA leave, or the limit itself where the system does
// not say how much is in use, and of what may still be committed on a system
// that counts strictly (vm.overcommit_memory=2, asked once). UINT64_MAX without
// limits. A snapshot; some microseconds when there is a limit, some tens on a
// strict system. Any thread, no locks; keeps errno.
uint64_t tz_space_left(void);

// The last of these, from files like /proc/sys/vm/overcommit_memory and
// /proc/meminfo. A file that cannot be read: not strict; UINT64_MAX.
bool tz_space_strict(const char *mode_path);
uint64_t tz_space_commit_left(const char *meminfo_path);

#endif
