// SPDX-License-Identifier: BSD-3-Clause
// os/cgroup_generic.c: systems without control groups.

#include "os/cgroup.h"

uint64_t tz_cgroup_memory(const char *root)
{
    (void)root;
    return UINT64_MAX;
}

uint64_t tz_cgroup_cpus(const char *root)
{
    (void)root;
    return UINT64_MAX;
}
