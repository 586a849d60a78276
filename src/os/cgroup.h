// SPDX-License-Identifier: BSD-3-Clause
// os/cgroup.h: what control groups grant to this process.
#ifndef TZ_OS_CGROUP_H
#define TZ_OS_CGROUP_H

#include "base/base.h"

// The lowest limits of the process's control groups and of all above them that can
// be seen, of either version. UINT64_MAX where there is none, where /proc does not
// tell, and on other systems.
struct tz_cgroup {
    uint64_t memory; // bytes
    uint64_t cpus;   // processors whose time may be used: the quota for a period,
                     // rounded up, so at least 1
};

// `root` goes before every path that is opened: "" is the real one. Any thread;
// blocks only as long as a few small files take to read; needs 12 KiB of stack.
struct tz_cgroup tz_cgroup_limits(const char *root);

#endif
