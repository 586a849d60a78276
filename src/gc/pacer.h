// SPDX-License-Identifier: BSD-3-Clause
// gc/pacer.h: when the next collection starts.
#ifndef TZ_GC_PACER_H
#define TZ_GC_PACER_H

#include "base/base.h"

// What one collection found. Bytes, and nanoseconds of the clock.
struct tz_pace {
    uint64_t before; // in objects when it began
    uint64_t live;   // in objects that it marked
    uint64_t roots;  // scanned as roots
    uint64_t inuse;  // of spans when it began
    uint64_t meanwhile; // allocated while it marked beside the program
    uint64_t beside; // mapped for anything but the heap, that counts
    int64_t began, ended; // the program was stopped; marking was over
};

// percent -1: never by growth. `now` is the clock.
void tz_pacer_init(int percent, int64_t now);

// At the end of a collection: sets the goal of the next.
void tz_pacer_cycle(const struct tz_pace *found);

// The program runs again, at time `now`.
void tz_pacer_resume(int64_t now);

// A setting has changed, or what is mapped beside the heap: the goal anew from
// what the last one found.
void tz_pacer_update(void);

// The collection that is due will be a stop, so it need not begin before the goal. False:
// that is reached.
bool tz_pacer_put_off(void);

// Whether a memory limit has set the goal, so that it is not to be exceeded.
bool tz_pacer_tight(void);

// Collections after which the goal was put above the memory limit, since too
// much time was going into collecting.
uint64_t tz_pacer_relaxed(void);

#endif
