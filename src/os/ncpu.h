// SPDX-License-Identifier: BSD-3-Clause
// os/ncpu.h: how many processors this process may use.
#ifndef TZ_OS_NCPU_H
#define TZ_OS_NCPU_H

#include "base/base.h"

// Those of the affinity mask, >= 1: so many threads run at once.
int tz_ncpu(void);

// And no more than its control groups grant (os/cgroup.h).
int tz_ncpu_within(uint64_t granted);

#endif
