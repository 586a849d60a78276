// SPDX-License-Identifier: BSD-3-Clause
// sched/p.h: a processor: the right to run goroutines, and what is needed
// for it without locks.
#ifndef TZ_SCHED_P_H
#define TZ_SCHED_P_H

#include "sched/g.h"

enum tz_pstatus {
    TZ_P_IDLE,    // on the idle list, or on its way to a thread
    TZ_P_RUNNING, // an M holds it
    TZ_P_SYSCALL, // its M is in a declared call; anybody may take it
    TZ_P_STOPPED, // the world is stopped
    TZ_P_DEAD     // retired, and nobody runs it: there are to be fewer
};

// Stress builds shrink the queue so that its overflow is ordinary.
#ifdef TZ_STRESS
enum { TZ_RUNQ_SIZE = 4 };
#else
enum { TZ_RUNQ_SIZE = 256 };
#endif

struct tz_p {
    uint32_t status;      // atomic; enum tz_pstatus
    uint32_t id;          // index in tz_sched.allp
    struct tz_m *m;       // back link; NULL when idle
    struct tz_p *link;    // idle list; guarded by the sched lock
    uint32_t schedtick;   // counts goroutines entered; atomic, owner writes
    uint32_t look;        // atomic; set by sysmon: the goroutine has had its
                          // 10 ms, or a timer is due; g0 is to look around
    uint32_t turns;       // counts looks at the others; owned by the P
    uint32_t syscalltick; // counts ends of declared calls; atomic, written
                          // by whoever ends the status SYSCALL

    struct tz_mcache *cache;      // allocation cache; owned by the P
    struct tz_stackcache *stacks; // owned by the P
    struct tz_g *gfree, *gfull;   // dead Gs: a chain in use, and a full one
                                  // or none; owned by the P
    uint32_t ngfree;              // in gfree; owned by the P
    bool alone;                   // there is no other P, and never was
    bool retired;                 // is to be given up; changes while the world
                                  // is stopped
    uint64_t goid, goid_end;      // numbers to give away; owned by the P
    uint64_t chanid, chanid_end;  // the same for channels
    uint64_t spawned, ended;      // goroutines, on this P; atomic, owner writes
    uint64_t most;                // of spawned - ended so far; likewise
    uint32_t sysmon_syscalltick; // as sysmon last saw it; owned by sysmon
    int64_t sysmon_when;         // when it saw that first; likewise
    uint32_t sysmon_schedtick;   // the same for schedtick
    int64_t sysmon_schedwhen;
    int64_t sysmon_look; // when to look whether its goroutine blocks; likewise
    int64_t sysmon_used; // processor time of its thread at the last look

    struct tz_timers *timers; // the time room's; set by tz_port_p_init
    int64_t timer_next;       // atomic; when the first is due, INT64_MAX none

    // Run queue: a ring; the owner adds at tail, everybody takes at head.
    TZ_ALIGNED(TZ_CACHE_LINE) uint32_t runqhead; // atomic; CAS by takers
    TZ_ALIGNED(TZ_CACHE_LINE) uint32_t runqtail; // atomic; owner stores
    struct tz_g *runnext; // atomic; runs before the queue; thieves CAS it
    struct tz_g *runq[TZ_RUNQ_SIZE];
};

#endif
