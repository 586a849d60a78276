// SPDX-License-Identifier: BSD-3-Clause
// diag/out.h: where a dump goes.
#ifndef TZ_DIAG_OUT_H
#define TZ_DIAG_OUT_H

#include "base/base.h"

struct tz_out {
    int fd;
    bool names; // this thread may ask what code is called (diag/symbol.h)
    int err;    // errno of the first write that failed: nothing follows it
};

// Like tz_print, to the file. Signal-safe; keeps errno.
void tz_out(struct tz_out *o, const char *fmt, ...) TZ_PRINTF(2, 3);

// All of it, however many writes it takes. 0, or an errno, which is kept.
int tz_out_bytes(int fd, const void *from, size_t n);

#endif
