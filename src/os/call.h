// SPDX-License-Identifier: BSD-3-Clause
// os/call.h: system calls that another thread of this process is in.
//
// A thread that blocks in the kernel without having said so can be found from
// outside, and a signal handler on it can finish the call in its place, so that
// the code that made the call sees nothing of the signal.
#ifndef TZ_OS_CALL_H
#define TZ_OS_CALL_H

#include "os/sig.h"

struct tz_call {
    long nr;          // -1: not known, but that it has failed with EINTR
    uintptr_t arg[6];
    uintptr_t pc;     // behind the instruction that has made it
    int64_t since;    // when it was seen; clock ns
};

// What thread tid blocks in. False: it runs, or that cannot be known, or the
// call is none that tz_call_finish does. Some microseconds, three system calls.
bool tz_call_look(int tid, struct tz_call *out);

// The processor time that thread tid has used so far, in ns; -1 unknown.
int64_t tz_call_cputime(int tid);

// In a handler. Whether the interrupted code is about to make a call that
// tz_call_finish does, or was in one that a signal has ended. What was seen of it
// (NULL: nothing) helps to know it. *out gets it.
bool tz_call_interrupted(const struct tz_sigctx *c, const struct tz_call *seen,
                         struct tz_call *out);

// Makes the call in its place, with the interrupted code's signal mask, but for
// `keep`, which stays blocked: blocks. What is left of the time of a call that
// has a limit is kept where the kernel knows it, or what has passed since
// call->since is taken off. The code goes on behind its call and sees the result.
void tz_call_finish(struct tz_sigctx *c, const struct tz_call *call, int keep);

#endif
