// SPDX-License-Identifier: BSD-3-Clause
// sched/sim.h: the order of a simulation (TUZASIM). Called only where tz_env.sim
// is set, but for tz_sim_hash.
#ifndef TZ_SCHED_SIM_H
#define TZ_SCHED_SIM_H

#include "sched/p.h"

// The only P is there, and nothing has run.
void tz_sim_init(struct tz_p *p);

// A goroutine is where another might run now: perhaps yields. Nothing where it
// may not park: in a critical section, on a thread's own stack.
void tz_sim_point(void);

// Somebody looks at the clock: it moves on a little.
void tz_sim_tick(void);

// On g0, in a critical section, with p: runs timers, moves the clock; which
// goroutine is to run. NULL: nothing can run any more.
struct tz_g *tz_sim_next(struct tz_p *p);

// What has happened so far, in a number; and how many events that were.
uint64_t tz_sim_hash(uint64_t *events);

#endif
