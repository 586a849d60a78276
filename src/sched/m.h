// SPDX-License-Identifier: BSD-3-Clause
// sched/m.h: a thread that runs goroutines.
#ifndef TZ_SCHED_M_H
#define TZ_SCHED_M_H

#include "os/call.h"
#include "os/note.h"
#include "sched/p.h"
#include "sched/template.h"
#include "stack/unwind.h"

struct tz_profm;
struct tz_barrier_buf;

// How an M stands whose goroutine has lost its P.
//
//          taken           the world is to stop
//   NONE ---------> RUN <-----------------------> ASKED
//     ^              |  ^     the world starts       | stops
//     |              |  +------------------------ STOPPED
//     | has a P      v
//     +------------ REST
enum tz_nop {
    TZ_NOP_NONE,    // has a P, or its goroutine needs none
    TZ_NOP_RUN,     // runs code of the program
    TZ_NOP_ASKED,   // the same, and a stop waits for it
    TZ_NOP_STOPPED, // stands still until the world starts
    TZ_NOP_REST     // in an undeclared call, or waits for a P: counts as stopped
};

// Lives in persistent memory, never freed; idle ones are reused.
struct tz_m {
    struct tz_g g0;      // the scheduler's own context, on the thread's stack
    struct tz_g *curg;   // atomic; the goroutine that runs, NULL on g0
    struct tz_p *p;      // held; NULL without one
    struct tz_p *nextp;  // handed over by startm; taken when the park ends,
                         // or by a stop before its thread has started
    struct tz_p *oldp;   // held before a declared call: tried first after it
    struct tz_tls *tls;  // of the thread; others set tls->stop. NULL without a
                         // thread; written and followed with the sched lock
    uintptr_t tp;        // thread pointer, for its TLS roots
    int *errno_at;       // of the thread: &errno there, without a call
    int32_t tid;
    uint32_t id;
    bool spinning;       // looks for work, counted in sched.nmspinning
    struct tz_g *tied;   // the only goroutine that it runs; NULL any
    struct tz_g *picked; // was chosen, but is tied to another M: g0 passes the
                         // P on to that one
    bool ends;           // its tied goroutine has ended: so does the thread
    struct tz_note park;
    struct tz_m *link;    // idle or starting list; guarded by the sched lock
    struct tz_threadask ask; // for its thread
    struct tz_m *alllink; // all Ms; const after it is published
    bool listed;          // it is: guarded by the sched lock
    uint32_t taker;       // atomic; it is in a list of takers (take.c)
    struct tz_m *takerlink;

    struct tz_profm *prof; // the profiler's; atomic, set once

    struct tz_barrier_buf *barrier; // old values (gc/barrier.c), NULL: none yet;
                                    // the collector's while it stands still
    bool logging;                   // its thread is writing to that

    // What the next context does for the one that switched away, once its
    // stack is no longer in use.
    struct tz_g *from;
    bool (*commit)(struct tz_g *g, void *arg);
    void *commit_arg;

    // Without a P, in code of the program (take.c).
    uint32_t nop;          // atomic; enum tz_nop
    uint32_t take;         // atomic; sysmon asks for the P of this M
    uint32_t take_tick;    // while it runs that goroutine: the P's schedtick
    struct tz_call call;   // the call that it was seen to block in; written by
                           // sysmon before `take`, read by the handler

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
