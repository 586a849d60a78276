// SPDX-License-Identifier: BSD-3-Clause
// model/sched.h: what a test may ask of the scheduler's neighbours.
#ifndef MODEL_SCHED_H
#define MODEL_SCHED_H

// Called by a new M's thread before it is one, if not NULL: a system that takes
// its time.
extern void (*model_new_thread)(void);

#endif
