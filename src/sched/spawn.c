// SPDX-License-Identifier: BSD-3-Clause
// sched/spawn.c: new goroutines.
//
// A new goroutine is a G with a copy of its arguments in it; the stack comes
// when it first runs (park.c), so a burst of spawns costs no memory and the
// stacks in use stay few and warm. It is put in runnext: what was spawned last
// runs first, which keeps trees of tasks depth-first.

#include <errno.h>
#include <string.h>

#include "base/event.h"
#include "base/rand.h"
#include "mem/malloc.h"
#include "os/env.h"
#include "sched/proc.h"
#include "sched/sim.h"
#include "tuza/go.h"

// Usually a few words; a call for a size that is not constant costs more.
TZ_INLINE void copy_args(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8)
        __builtin_memcpy(to + i, from + i, 8);
    for (; i < size; i++)
        to[i] = from[i];
}

// Large arguments, in the heap. 0, or -errno.
static TZ_NOINLINE int copy_large(const void *args, size_t size, void **object)
{
    if (size > 64 * 1024)
        return -EINVAL;
    *object = tz_malloc(size, TZ_SCAN); // a root through the G
    if (!*object)
        return -ENOMEM;
    memcpy(*object, args, size);
    return 0;
}

int tz_spawn(void (*fn)(void *), const void *args, size_t size,
             const char *name, const char *site, const void *pc)
{
    struct tz_g *me = tz_getg();
    if (tz_unlikely(!me))
        me = tz_need_g("tuza_go");
    void *object = NULL;
    if (tz_unlikely(size > TZ_G_ARGS)) {
        int err = copy_large(args, size, &object);
        if (err)
            return err;
    }
    tz_crit_enter();
    struct tz_p *p = tz_tls_get()->p;
    struct tz_g *g = tz_g_get(p);
    if (tz_likely(g)) {
        g->fn = fn;
        g->name = name;
        g->site = site;
        g->parent = me->id;
        g->spawn_pc = (uintptr_t)pc;
        g->args_size = (uint32_t)size;
        if (tz_unlikely(object))
            g->args_object = object;
        else
            copy_args(g->args, args, size);
        tz_event(TZ_EV_SPAWN, g->id, tz_tls_get()->g->id);
        tz_store_rel(&g->status, TZ_G_RUNNABLE);
        tz_runq_put(p, g, true);
        tz_wakep();
    }
    tz_crit_leave();
    if (tz_unlikely(tz_env.sim))
        tz_sim_point();
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
    if (tz_unlikely(!fn)) // here, where the trace shows who asked
        tz_fatal("go of a NULL function, at %s", site);
    struct call c = { fn, arg };
    return tz_spawn(run_call, &c, sizeof c, NULL, site,
                    __builtin_return_address(0));
}

int tuza_spawn_copy(void (*fn)(void *), const void *args, size_t size,
                    const char *name, const char *site)
{
    return tz_spawn(fn, args, size, name, site, __builtin_return_address(0));
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
    if (tz_env.sim)
        tz_sim_point();
    else if (tz_env.stress_yield && tz_rand_n(4) == 0)
        tz_yield();
}
