// SPDX-License-Identifier: BSD-3-Clause
// gc/reach.h: what follows from an object not being reachable.
#ifndef TZ_GC_REACH_H
#define TZ_GC_REACH_H

#include "gc/work.h"

// With the world stopped, before the marking and after the flip: nobody changes
// a record in between.
void tz_reach_begin(void);
void tz_reach_end(void);

// When everything is marked that roots lead to (njobs of them) and the other
// workers are done: marks what ephemerons and finalizers keep, clears handles
// of what is gone and queues its finalizers and cleanups.
void tz_reach_finish(struct tz_gcwork *w, uint32_t njobs);

// Beside the program. Before the first stop: nothing is settled. By several threads:
// marks the words of some of the records (jobs of tz_special_jobs) that are roots, and
// what ephemerons keep as far as it is known; of what is marked by now nothing is left
// to tz_reach_finish. By one, the same of all. True: values were pushed.
enum { TZ_REACH_PASSES = 8 }; // or else chains of ephemerons would cost too much
void tz_reach_start(void);
bool tz_reach_some(struct tz_gcwork *w, uint32_t job);
bool tz_reach_beside(struct tz_gcwork *w);

// Once the world runs: lets those run that were queued. Does not park.
void tz_reach_wake(void);

// What tuza_weak and tuza_ephemeron are: objects without pointers, so that the
// marking does not follow them. 0: gone.
struct tuza_weak {
    uintptr_t target; // atomic
};
struct tuza_ephemeron {
    uintptr_t key, value; // atomic
};

#endif
