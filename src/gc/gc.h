// SPDX-License-Identifier: BSD-3-Clause
// gc/gc.h: the collector as the rooms above see it.
#ifndef TZ_GC_GC_H
#define TZ_GC_GC_H

#include "base/base.h"

struct tz_gcstats {
    uint64_t cycles;   // completed
    uint64_t pause_total_ns, pause_max_ns;
    uint64_t workers;  // threads made to help
    uint64_t forced;   // of the cycles: asked for, not by growth
    uint64_t relaxed;  // of the cycles: see tz_pacer_relaxed
    // Time of threads for marking: of goroutines that helped, of others beside the
    // program, of all with the world stopped.
    uint64_t mark_assist_ns, mark_beside_ns, mark_stopped_ns;
};

// Settings; before the first allocation. percent -1: never by growth. 0, or
// -ENOMEM.
int tz_gc_init(int percent);

enum tz_gc_why {
    TZ_GC_GROWTH,    // nothing is done if another goroutine is collecting
    TZ_GC_FORCED,    // begins after this call
    TZ_GC_EMERGENCY, // the same at once: memory was refused
};

// A full collection, on a goroutine, which may wait for a P.
void tz_gc_collect(enum tz_gc_why why);

// Calls fn in the stopped world, as at the beginning of a mark: njobs of roots are
// there, alloc bits are exact and nothing awaits a sweep. On a goroutine.
struct tz_gcwork;
void tz_gc_look(void (*fn)(struct tz_gcwork *w, uint32_t njobs, void *arg),
                void *arg);

void tz_gc_stats(struct tz_gcstats *out);

#endif
