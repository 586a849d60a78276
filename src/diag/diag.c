// SPDX-License-Identifier: BSD-3-Clause
// diag/diag.c: starting the room. What it does at other rooms' calls, by their
// ports, is linked because it is named here.

#include "diag/diag.h"

int tz_diag_init(void)
{
    tz_schedtrace_init();
    tz_metrics_init();
    return tz_dump_init();
}
