// SPDX-License-Identifier: BSD-3-Clause
// diag/diag.h: starting the room.
#ifndef TZ_DIAG_DIAG_H
#define TZ_DIAG_DIAG_H

// At start-up, before the first goroutine runs: the handler of SIGQUIT. 0, or
// -errno.
int tz_dump_init(void);

#endif
