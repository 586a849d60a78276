// SPDX-License-Identifier: BSD-3-Clause
// model/sched.h: what a test may ask of the scheduler's neighbours.
#ifndef MODEL_SCHED_H
#define MODEL_SCHED_H

#include <stdbool.h>

// Called by a new M's thread before it is one, if not NULL: a system that takes
// its time.
extern void (*model_new_thread)(void);

// Sleeps on a futex have no limit: what only a later look would mend, such as a
// wake that was lost, is a deadlock. For tests without timers.
extern bool model_patient;

#endif
