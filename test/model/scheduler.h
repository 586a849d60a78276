// SPDX-License-Identifier: BSD-3-Clause
// test/model/scheduler.h: the whole scheduler under the explorer: Ms are model
// threads, which start others; goroutines run on them.
#ifndef TEST_MODEL_SCHEDULER_H
#define TEST_MODEL_SCHEDULER_H

#include <stdlib.h>
#include <string.h>

#include "model/model_check.h"
#include "arch/port.h"
#include "sched/proc.h"
#include "tuza/go.h"
#include "tuza/syscall.h"

static void (*main_goroutine)(void *); // set before it is explored
static int expected, ended;            // goroutines

// nprocs idle Ps, and the first goroutine in the queue of one of them.
static inline void make_scheduler(uint32_t nprocs)
{
    static const char *const name[] = { "p0", "p1", "p2", "p3" };
    model_name(&tz_sched, sizeof tz_sched, "sched");
    tz_sched.nprocs = tz_sched.nallp = nprocs;
    for (uint32_t i = nprocs; i-- > 0;) {
        struct tz_p *p = model_alloc(sizeof *p, TZ_CACHE_LINE);
        model_name(p, sizeof *p, name[i]);
        p->id = i;
        p->alone = nprocs == 1;
        p->timer_next = INT64_MAX;
        p->schedtick = 1; // not a turn to look around
        tz_sched.allp[i] = p;
        tz_pidle_put(p);
    }
    struct tz_g *g = tz_g_get(tz_sched.allp[0]);
    g->fn = main_goroutine;
    g->site = "main";
    g->id = ++tz_sched.goid;
    g->status = TZ_G_RUNNABLE;
    tz_runq_put(tz_sched.allp[0], g, true);
    model_name(g, sizeof *g, "g_main");
}

static inline void make_one_p(void)
{
    make_scheduler(1);
}
static inline void make_two_ps(void)
{
    make_scheduler(2);
}
static inline void make_three_ps(void)
{
    make_scheduler(3);
}

// The first M: as in sched/init.c.
static inline void first_m(void)
{
    tz_tls_get()->locks++;
    tz_m_adopt(tz_m_make());
    tz_lock_acquire(&tz_sched.lock);
    struct tz_p *p = tz_pidle_get();
    tz_lock_release(&tz_sched.lock);
    tz_acquirep(p);
    tz_schedule();
}

static inline void end_of_goroutine(void)
{
    ended++;
    model_note("goroutine %llu ends", (unsigned long long)tuza_goid());
}

// Runs on a processor without ever asking the scheduler, until *flag.
static inline void busy_until(const int *flag)
{
    while (!*flag)
        model_yield();
}

// Nothing moves any more: then everything has run.
static inline void all_have_run(void)
{
    if (ended != expected)
        model_fail("%d of %d goroutines have run to their end, and all threads "
                   "sleep",
                   ended, expected);
    model_need(tz_sched.runqsize == 0);
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        model_need(tz_runq_empty(tz_sched.allp[i]));
    model_need(tz_sched.nmspinning == 0);
    model_need(tz_sched.npidle == tz_sched.nprocs);
}

// body is the first of so many goroutines; beside the first M another thread
// may run. check: when nothing moves any more.
static inline void explore_with(void (*other)(void), void (*check)(void),
                                const char *name, void (*setup)(void),
                                void (*body)(void *), int goroutines,
                                uint32_t preemptions, uint32_t stale)
{
    struct model_program p = { .name = name,
                               .setup = setup,
                               .thread = { first_m, other },
                               .check = check,
                               .may_sleep = true,
                               .preemptions = preemptions,
                               .stale = stale,
                               .limit = 3000000,
                               .random = 3000 };
    main_goroutine = body;
    expected = goroutines;
    explored(&p);
}

static inline void explore(const char *name, void (*setup)(void),
                           void (*body)(void *), int goroutines,
                           uint32_t preemptions, uint32_t stale)
{
    explore_with(NULL, all_have_run, name, setup, body, goroutines, preemptions,
                 stale);
}

// With the real sysmon, at the time it comes.
static inline void with_sysmon(void)
{
    make_scheduler(1);
    model_need(tz_sysmon_start() == 0);
}
static inline void with_sysmon_2(void)
{
    make_scheduler(2);
    model_need(tz_sysmon_start() == 0);
}

static inline void spawn_one(void (*fn)(void *))
{
    model_need(tuza_spawn_at(fn, NULL, "here") == 0);
}

#endif
