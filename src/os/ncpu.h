// SPDX-License-Identifier: BSD-3-Clause
// os/ncpu.h: how many processors this process may use.
#ifndef TZ_OS_NCPU_H
#define TZ_OS_NCPU_H

// Those of the affinity mask, >= 1: so many threads run at once.
int tz_ncpu(void);

// So many that the quota of its control groups is used when each is busy: that
// rounded up, at least 1 and at most tz_ncpu(). root: see tz_cgroup_cpus.
int tz_ncpu_quota(const char *root);

#endif
