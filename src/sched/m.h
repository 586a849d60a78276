// SPDX-License-Identifier: BSD-3-Clause
// sched/m.h: a thread that runs goroutines.
#ifndef TZ_SCHED_M_H
#define TZ_SCHED_M_H

#include "os/note.h"
#include "sched/p.h"
#include "sched/template.h"
#include "stack/unwind.h"

struct tz_profm;

// Lives in persistent memory, never freed; idle ones are reused.
struct tz_m {
    struct tz_g g0;      // the scheduler's own context, on the thread's stack
    struct tz_g *curg;   // atomic; the goroutine that runs, NULL on g0
    struct tz_p *p;      // held; NULL without one
    struct tz_p *nextp;  // handed over by startm; taken when the park ends,
                         // or by a stop before its thread has started
    struct tz_p *oldp;   // held before a declared call: tried first after it
    struct tz_tls *tls;  // of the thread; others set tls->stop
    uintptr_t tp;        // thread pointer, for its TLS roots
    int32_t tid;
    uint32_t id;
    bool spinning;       // looks for work, counted in sched.nmspinning
    struct tz_note park;
    struct tz_m *link;    // idle or starting list; guarded by the sched lock
    struct tz_threadask ask; // for its thread
    struct tz_m *alllink; // all Ms; const after it is published

    struct tz_profm *prof; // the profiler's; atomic, set once

    // What the next context does for the one that switched away, once its
    // stack is no longer in use.
    struct tz_g *from;
    bool (*commit)(struct tz_g *g, void *arg);
    void *commit_arg;

    // While stopped in place: what to scan of curg besides [stop_sp, hi).
    uintptr_t stop_sp;
    uint32_t stop_sent; // stop signals sent to it; atomic
    uint32_t stop_seen; // of them; owned by its handler
    const void *stop_regs;
    size_t stop_regs_size;

    const struct tz_machine *fault; // where curg stood when its fault came;
                                    // NULL, or the report of it is under way
};

#endif
