// SPDX-License-Identifier: BSD-3-Clause
// gc/collector.c: the goroutine that collects when the heap has grown.
//
// Made when it is needed first, one of the runtime's own. It is readied by who
// allocates and yields to it, so that it stops the world for its first moment right
// then and gives its P back when it begins to mark. Go has workers that the scheduler
// prefers to other goroutines.

#include "gc/collector.h"

#include "base/atomic.h"
#include "gc/gc.h"
#include "mem/mheap.h"
#include "sched/sched.h"

static struct {
    struct tz_lock lock;
    struct tz_g *parked; // it, when it waits; guarded by lock
    uint32_t exists;     // atomic; 1: it was spawned
    uint32_t asked;      // atomic; cleared by it, with lock or before it looks
} collector = { .lock = TZ_LOCK_INIT(TZ_RANK_FINALIZER) };

bool tz_collector_asked(void) { return tz_load(&collector.asked); }

static void collect(void *arg)
{
    (void)arg;
    for (;;) {
        if (tz_load_rlx(&tz_mem.live) >= tz_load_rlx(&tz_mem.trigger))
            tz_gc_collect(TZ_GC_GROWTH);
        tz_lock_acquire(&collector.lock);
        tz_store(&collector.asked, 0);
        collector.parked = tz_getg();
        tz_park_unlock(&collector.lock, TZ_WAIT_COLLECTOR);
    }
}

// By one: it exists.
static bool make(void)
{
    tz_store(&collector.asked, 1);
    if (tz_spawn(collect, NULL, 0, "collector", "the runtime", NULL) == 0) {
        tz_sched_system();
        tz_yield();
        return true;
    }
    tz_store(&collector.asked, 0);
    tz_store(&collector.exists, 0);
    return false;
}

bool tz_collector_wake(void)
{
    if (!tz_load(&collector.exists) && tz_cas(&collector.exists, 0, 1))
        return make();
    tz_lock_acquire(&collector.lock);
    struct tz_g *g = collector.parked;
    collector.parked = NULL;
    if (g)
        tz_store(&collector.asked, 1);
    tz_lock_release(&collector.lock);
    if (g) {
        tz_ready(g);
        tz_yield();
    }
    return true;
}
