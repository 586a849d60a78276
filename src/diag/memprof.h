// SPDX-License-Identifier: BSD-3-Clause
// diag/memprof.h: what is in use, by where it was allocated.
#ifndef TZ_DIAG_MEMPROF_H
#define TZ_DIAG_MEMPROF_H

#include "diag/out.h"

// Prints the stacks that allocated most of what is in use; nothing when no
// samples are taken. 0, or -ENOMEM; errors of the write are in *o.
int tz_memprof_summary(struct tz_out *o);

#endif
