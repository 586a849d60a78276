// SPDX-License-Identifier: BSD-3-Clause
// sched/resize.c: another number of Ps, while goroutines run.
//
// Ps are made and never ended. To have fewer, those with the highest numbers are
// retired while the world is stopped: one that nobody runs sends what it has
// queued to the global queue and is DEAD; one that a thread runs is given up by
// that at its next look for work, and ends the same way (tz_pidle_put). Timers
// stay where they are, since idle threads look at those of all Ps. To have more,
// retired ones come back, then new ones are made. Go's procresize takes Ps
// away from their threads at once, which its threads, having no P while the
// world is stopped, can bear.

#include "mem/malloc.h"
#include "os/env.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "tuza/thread.h"

void tz_p_empty(struct tz_p *p)
{
    TZ_CHECK(!p->m);
    struct tz_g *g;
    while ((g = tz_runq_get(p)) != NULL)
        tz_globrunq_put(g);
}

// With the sched lock, or before goroutines run.
void tz_p_retire(struct tz_p *p)
{
    tz_p_empty(p);
    tz_store_rel(&p->status, TZ_P_DEAD);
}

static void add(uint32_t i)
{
    struct tz_p *p = tz_sched.allp[i];
    if (!p) {
        p = tz_p_make(i);
        if (!p)
            return;
        tz_sched.allp[i] = p;
        tz_store(&p->status, TZ_P_DEAD);
        tz_store_rel(&tz_sched.nallp, i + 1); // with tz_nallp
    }
    p->retired = false;
    if (tz_load(&p->status) == TZ_P_DEAD) // start makes it idle
        tz_store(&p->status, TZ_P_STOPPED);
}

static void drop(uint32_t i)
{
    struct tz_p *p = tz_sched.allp[i];
    p->retired = true;
    if (p->m) {
        tz_store(&p->look, 1); // its thread is to go to its scheduler
        return;
    }
    tz_lock_acquire(&tz_sched.lock);
    tz_mcache_flush(p->cache);
    tz_p_retire(p);
    tz_lock_release(&tz_sched.lock);
}

// With the world stopped.
static void resize(void *arg)
{
    uint32_t n = *(uint32_t *)arg, now = tz_sched.nprocs;
    if (n > 1)
        tz_sched.allp[0]->alone = false;
    for (uint32_t i = now; i < n; i++)
        add(i);
    if (n > tz_sched.nallp)
        n = tz_sched.nallp; // memory was refused
    for (uint32_t i = n; i < now; i++)
        drop(i);
    tz_store_rlx(&tz_sched.nprocs, n);
    tz_store_rlx(&tz_sched.most_takers, tz_takers_for(n));
}

int tuza_maxprocs(int n)
{
    tz_need_g("tuza_maxprocs");
    int old = (int)tz_load_rlx(&tz_sched.nprocs);
    uint32_t want = (uint32_t)tz_min((size_t)(n > 0 ? n : old), TZ_MAXPROCS);
    if ((int)want != old && !tz_env.sim)
        tz_world_call(resize, &want);
    return old;
}
