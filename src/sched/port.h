// SPDX-License-Identifier: BSD-3-Clause
// sched/port.h: what the scheduler needs from rooms to its right. Weak no-ops
// by default.
#ifndef TZ_SCHED_PORT_H
#define TZ_SCHED_PORT_H

#include "sched/m.h"

// A new P: give it its timers. 0, or -ENOMEM.
int tz_port_p_init(struct tz_p *p);

// Runs the timers of p that are due at now, and returns how many ran. On g0 or
// a goroutine, in a critical section, by any thread that holds a P.
int tz_port_timers_run(struct tz_p *p, int64_t now);

// The calling thread has become m's, which others see from now on. Outside of
// handlers, without locks.
void tz_port_m_start(struct tz_m *m);
// And is about not to be it any more.
void tz_port_m_stop(struct tz_m *m);

// The world was stopped: how long it took until all had stopped, and until it
// ran again, from when that was asked for. By who stopped it, on the system
// stack.
void tz_port_stw_latency(int64_t stopping_ns, int64_t total_ns);

// g, which has parked or not run yet, is about to run, while by_g0 says SCAN: what
// it holds is to be known before. On g0, with a P.
void tz_port_scan_first(struct tz_g *g);

// sysmon looks around, now. On its thread, without locks.
void tz_port_tick(int64_t now);

#endif
