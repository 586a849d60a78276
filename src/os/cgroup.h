// SPDX-License-Identifier: BSD-3-Clause
// os/cgroup.h: what control groups grant to this process.
#ifndef TZ_OS_CGROUP_H
#define TZ_OS_CGROUP_H

#include "base/base.h"

// Bytes: the lowest limit of the process's memory control group and of all
// above it that can be seen, of either version. UINT64_MAX when there is none,
// where /proc does not tell, and on other systems. `root` goes before every
// path that is opened: "" is the real one. Any thread; blocks only as long as
// a few small files take to read; needs 8 KiB of stack.
uint64_t tz_cgroup_memory(const char *root);

// Processors whose time they let it use: the lowest quota for a period, rounded
// up, so at least 1. Else the same.
uint64_t tz_cgroup_cpus(const char *root);

#endif
