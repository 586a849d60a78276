// SPDX-License-Identifier: BSD-3-Clause
// os/ncpu.h: how many processors this process may use (affinity mask), >= 1.
#ifndef TZ_OS_NCPU_H
#define TZ_OS_NCPU_H

int tz_ncpu(void);

#endif
