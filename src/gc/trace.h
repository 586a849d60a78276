// SPDX-License-Identifier: BSD-3-Clause
// gc/trace.h: the line that TUZADEBUG=gctrace=1 prints for each collection.
#ifndef TZ_GC_TRACE_H
#define TZ_GC_TRACE_H

#include "gc/beside.h"

// Times are clock nanoseconds, sizes bytes.
struct tz_gctrace {
    int64_t since_start; // of the runtime, when the collection began
    // Of a mark beside the program; else 0:
    int64_t beginning;      // the world is asked to stop
    int64_t stopped_beside; // so long in all, before the last stop
    // The only stop, or the last:
    int64_t stopping; // the world is asked to stop
    int64_t stopped;  // all have stopped
    int64_t marking;  // preparations are over
    int64_t marked;   // marking is over
    int64_t end;      // the world runs again
    uint64_t cycle;   // number of this collection, from 1
    uint64_t heap_start;  // in objects when the mark began
    uint64_t heap_before; // and when the last stop did
    uint64_t heap_after, goal, roots;
    uint32_t workers;        // threads that marked in the last stop
    uint32_t workers_beside; // and before it
    enum tz_gc_mode mode;
    const char *missing; // why it is not a better one, or NULL
    bool forced; // asked for, not by growth
};

// Processor time for marking, by the clock: of goroutines that helped, of the
// collector's threads beside the program, of all of them with the world stopped.
struct tz_marktime {
    int64_t assist, beside, stopped;
};
struct tz_marktime tz_gctrace_marktime(const struct tz_gctrace *t);

void tz_gctrace_print(const struct tz_gctrace *t, uint32_t nprocs);

#endif
