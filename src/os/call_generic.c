// SPDX-License-Identifier: BSD-3-Clause
// os/call_generic.c: a system where nothing is known of another thread's calls.

#include "os/call.h"

bool tz_call_look(int tid, struct tz_call *out)
{
    (void)tid, (void)out;
    return false;
}

int64_t tz_call_cputime(int tid)
{
    (void)tid;
    return -1;
}

bool tz_call_interrupted(const struct tz_sigctx *c, const struct tz_call *seen,
                         struct tz_call *out)
{
    (void)c, (void)seen, (void)out;
    return false;
}

void tz_call_finish(struct tz_sigctx *c, const struct tz_call *call, int keep)
{
    (void)c, (void)call, (void)keep;
}
