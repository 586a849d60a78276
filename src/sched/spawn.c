// SPDX-License-Identifier: BSD-3-Clause
// sched/spawn.c: new goroutines.
//
// A new goroutine is a G with a copy of its arguments in it; the stack comes
// when it first runs (park.c), so a burst of spawns costs no memory and the
// stacks in use stay few and warm. It is put in runnext: what was spawned last
// runs first, which keeps trees of tasks depth-first.

#include <errno.h>
#include <string.h>

#include "base/rand.h"
#include "mem/malloc.h"
#include "os/env.h"
#include "sched/proc.h"
#include "tuza/go.h"

// One atomic addition each, so that numbers are in order of creation.
static uint64_t next_id(void)
{
    uint64_t id = tz_xadd_rlx(&tz_sched.goid, 1) + 1;
    uint64_t now = id - tz_load_rlx(&tz_sched.ended);
    uint64_t peak = tz_load_rlx(&tz_sched.peak);
    while (now > peak && !tz_cas(&tz_sched.peak, peak, now))
        peak = tz_load_rlx(&tz_sched.peak);
    return id;
}

static struct tz_g *make(struct tz_p *p, void (*fn)(void *), const void *args,
                         size_t size, void *args_object)
{
    struct tz_g *g = tz_g_get(p);
    if (!g)
        return NULL;
    g->fn = fn;
    g->args_size = (uint32_t)size;
    if (size <= TZ_G_ARGS)
        memcpy(g->args, args, size);
    else
        g->args_object = args_object;
    g->id = next_id();
    g->started = 0;
    return g;
}

int tz_spawn(void (*fn)(void *), const void *args, size_t size,
             const char *name, const char *site)
{
    tz_need_g("tuza_go");
    if (size > 64 * 1024)
        return -EINVAL;
    void *object = NULL;
    if (size > TZ_G_ARGS) {
        object = tz_malloc(size, TZ_SCAN); // a root through the G
        if (!object)
            return -ENOMEM;
        memcpy(object, args, size);
    }
    tz_crit_enter();
    struct tz_p *p = tz_tls_get()->p;
    struct tz_g *g = make(p, fn, size ? args : "", size, object);
    if (g) {
        g->name = name;
        g->site = site;
        tz_store_rel(&g->status, TZ_G_RUNNABLE);
        tz_runq_put(p, g, true);
        tz_wakep();
    }
    tz_crit_leave();
    return g ? 0 : -ENOMEM;
}

struct call {
    void (*fn)(void *);
    void *arg;
};

static void run_call(void *args)
{
    struct call *c = args;
    c->fn(c->arg);
}

int tuza_spawn_at(void (*fn)(void *), void *arg, const char *site)
{
    struct call c = { fn, arg };
    return tz_spawn(run_call, &c, sizeof c, NULL, site);
}

int tuza_spawn_copy(void (*fn)(void *), const void *args, size_t size,
                    const char *name, const char *site)
{
    return tz_spawn(fn, args, size, name, site);
}

void tuza_yield(void) { tz_yield(); }

void tuza_goexit(void) { tz_goexit(); }

uint64_t tuza_goid(void)
{
    struct tz_g *g = tz_getg();
    return g ? g->id : 0;
}

void tuza_set_label(const char *label)
{
    tz_need_g("tuza_set_label")->label = label;
}

void tz_stress_yield(void)
{
    if (tz_env.stress_yield && tz_rand_n(4) == 0)
        tz_yield();
}
