// SPDX-License-Identifier: BSD-3-Clause
// api/stats.c: tuza_memstats and tuza_schedstats, gathered from the rooms.
//
// Counters are read one by one while the program runs: each is right at some
// moment of the call, their sum need not be.

#include <errno.h>
#include <string.h>

#include "gc/gc.h"
#include "mem/malloc.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "stack/stack.h"
#include "tuza/stats.h"

// Copies what the caller's struct has room for.
static int give(void *to, size_t size, const void *from, size_t full)
{
    if (size < 2 * sizeof(uint64_t))
        return -EINVAL;
    size = tz_min(size, full);
    memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
           size - sizeof(size_t));
    return 0;
}

static void count_allocations(tuza_memstats *s)
{
    for (uint32_t i = 0; i < tz_sched.nprocs; i++) {
        const struct tz_mcache *c = tz_sched.allp[i]->cache;
        s->total_alloc += tz_load_rlx(&c->bytes);
        s->mallocs += tz_load_rlx(&c->objects);
        s->heap_live += tz_load_rlx(&c->live);
    }
}

int tuza_memstats_read(tuza_memstats *st)
{
    tuza_memstats s = { .heap_live = tz_load_rlx(&tz_mem.live),
                        .heap_peak = tz_load_rlx(&tz_mem.peak),
                        .heap_inuse = tz_load_rlx(&tz_mem.inuse),
                        .heap_sys = tz_load_rlx(&tz_mem.sys),
                        .next_gc = tz_load_rlx(&tz_mem.trigger) };
    struct tz_vm_stats vm;
    struct tz_gcstats gc;
    tz_vm_stats_read(&vm);
    tz_gc_stats(&gc);
    tz_stack_stats(&s.stack_inuse, &s.stack_sys);
    count_allocations(&s);
    s.meta_sys = vm.ready[TZ_VM_META];
    for (int i = 0; i < TZ_VM_USES; i++)
        s.total_sys += vm.ready[i];
    s.num_gc = gc.cycles;
    s.pause_total_ns = gc.pause_total_ns;
    s.pause_max_ns = gc.pause_max_ns;
    return give(st, st->size, &s, sizeof s);
}

int tuza_schedstats_read(tuza_schedstats *st)
{
    tuza_schedstats s = { .peak = tz_load_rlx(&tz_sched.peak),
                          .maxprocs = tz_sched.nprocs,
                          .handoffs = tz_load_rlx(&tz_sched.handoffs) };
    struct tz_gcstats gc;
    tz_gc_stats(&gc);
    tz_sched_counts(&s.goroutines, &s.created);
    // Ms, the watcher, the template and the collector's helpers.
    s.threads = tz_load_rlx(&tz_sched.mcount) + 2 + gc.workers;
    return give(st, st->size, &s, sizeof s);
}
