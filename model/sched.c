// SPDX-License-Identifier: BSD-3-Clause
// model/sched.c: the scheduler's neighbours in its own room, as small as they
// can be.

#include "sched.h"

#include "explore.h"
#include "mem/malloc.h"
#include "sched/proc.h"
#include "sched/sim.h"

// The search itself sees when all are asleep.
void tz_checkdead(void) {}
void tz_deadlock_look(int64_t now) { (void)now; }
void tz_mcache_flush(struct tz_mcache *c) { (void)c; }
struct tz_p *tz_p_make(uint32_t id) { (void)id; return NULL; }

// No simulation: the explorer itself chooses the order.
void tz_sim_point(void) {}

struct tz_g *tz_sim_next(struct tz_p *p)
{
    (void)p;
    return NULL;
}

// There is one stack a thread, and it is large enough.
void tz_system_stack(void (*fn)(void *), void *arg)
{
    tz_crit_enter();
    fn(arg);
    tz_crit_leave();
}

void (*model_new_thread)(void);

static void new_thread(void *arg)
{
    struct tz_threadask *a = arg;
    if (model_new_thread)
        model_new_thread();
    a->fn(a->arg);
}

// The thread is there at once, or refused when there are four.
void tz_thread_ask(struct tz_threadask *a)
{
    if (!model_start(new_thread, a) && a->refused)
        a->refused(a);
}

// No goroutine has other stacks than its own.
bool tz_g_find_stack(struct tz_g *g, uintptr_t sp)
{
    (void)g, (void)sp;
    return false;
}

void tz_g_watch(struct tz_g *g)
{
    (void)g;
}

void tz_g_drop_links(struct tz_stackcache *c, struct tz_g *g)
{
    (void)c, (void)g;
}
