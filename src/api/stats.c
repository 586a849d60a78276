// SPDX-License-Identifier: BSD-3-Clause
// api/stats.c: tuza_memstats and its like, gathered from the rooms.
//
// Counters are read while the program runs: each is right at some moment of the
// call. Sums of mapped memory are made of what was read, see count_mapped; of
// the others, sums need not be right.

#include <errno.h>
#include <string.h>

#include "gc/gc.h"
#include "mem/limit.h"
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
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        const struct tz_mcache *c = tz_sched.allp[i]->cache;
        s->total_alloc += tz_load_rlx(&c->bytes);
        s->mallocs += tz_load_rlx(&c->objects);
        s->heap_live += tz_load_rlx(&c->live);
    }
}

// The heap is read under its lock, the others in one go; what depends on what
// was read is computed, not read again, so that the equations of tuza/stats.h
// hold while everything moves.
static void count_mapped(tuza_memstats *s)
{
    struct tz_heap_stats heap;
    struct tz_vm_stats vm;
    struct tz_stack_stats stacks;
    tz_stack_stats_read(&stacks);
    tz_heap_stats_read(&heap);
    tz_vm_stats_read(&vm);
    uint64_t mapped[TZ_VM_USES];
    for (int i = 0; i < TZ_VM_USES; i++) {
        mapped[i] = vm.ready[i] + vm.released[i];
        s->reserved += vm.reserved[i];
    }
    s->heap_inuse = heap.inuse;
    s->heap_peak = tz_max(tz_load_rlx(&tz_mem.peak), heap.inuse);
    s->heap_idle = heap.idle + heap.cached;
    s->heap_released = heap.released + heap.untouched;
    s->heap_sys = s->heap_inuse + s->heap_idle + s->heap_released;
    // Counted per P: one that moved from one to another meanwhile may count
    // twice, or take another's away.
    s->stack_sys = mapped[TZ_VM_STACK];
    s->stack_inuse = tz_min(stacks.inuse, s->stack_sys);
    s->stack_idle = s->stack_sys - s->stack_inuse;
    s->meta_sys = mapped[TZ_VM_META];
    s->gc_sys = mapped[TZ_VM_GC];
    s->other_sys = mapped[TZ_VM_OTHER];
    s->unmap_deferred = vm.unmap_deferred;
    s->total_sys = s->heap_sys + s->stack_sys + s->meta_sys + s->gc_sys +
                   s->other_sys + s->unmap_deferred;
}

static void count_limits(tuza_memstats *s)
{
    s->memory_used = tz_min(tz_limit_used(), s->total_sys);
    s->memory_limit = tz_min(tz_limit_soft(), INT64_MAX);
    s->memory_max = tz_limit_max();
    s->external = tz_limit_external();
}

int tuza_memstats_read(tuza_memstats *st)
{
    tuza_memstats s = { .heap_live = tz_load_rlx(&tz_mem.live),
                        .next_gc = tz_load_rlx(&tz_mem.trigger) };
    struct tz_gcstats gc;
    tz_gc_stats(&gc);
    count_allocations(&s);
    count_mapped(&s);
    count_limits(&s);
    s.num_gc = gc.cycles;
    s.pause_total_ns = gc.pause_total_ns;
    s.pause_max_ns = gc.pause_max_ns;
    s.num_forced = gc.forced;
    s.num_relaxed = gc.relaxed;
    return give(st, st->size, &s, sizeof s);
}

int tuza_schedstats_read(tuza_schedstats *st)
{
    tuza_schedstats s = { .peak = tz_sched_peak(),
                          .maxprocs = tz_load_rlx(&tz_sched.nprocs),
                          .handoffs = tz_load_rlx(&tz_sched.handoffs),
                          .taken_blocked =
                              tz_load_rlx(&tz_sched.taken_blocked),
                          .taken_busy = tz_load_rlx(&tz_sched.taken_busy),
                          .without_p = tz_load_rlx(&tz_sched.nops) };
    struct tz_gcstats gc;
    tz_gc_stats(&gc);
    tz_sched_counts(&s.goroutines, &s.created);
    // Ms, the watcher, the template and the collector's helpers.
    s.threads = tz_load_rlx(&tz_sched.mcount) + 2 + gc.workers;
    return give(st, st->size, &s, sizeof s);
}

_Static_assert((int)TUZA_GUARD_LOCKED == (int)TZ_GUARD_LOCKED &&
                   (int)TUZA_GUARD_REFUSED == (int)TZ_GUARD_REFUSED,
               "the same reasons");

int tuza_stackstats_read(tuza_stackstats *st)
{
    struct tz_stack_stats t;
    tz_stack_stats_read(&t);
    tuza_stackstats s = { .inuse = t.inuse,
                          .fixed_inuse = t.fixed,
                          .cached = t.cached,
                          .hot = t.hot,
                          .cold = t.cold,
                          .unused = t.unused,
                          .sys = t.sys,
                          .trimmed = t.trimmed,
                          .unmapped = t.unmapped,
                          .guards_marker = t.guards[TZ_GUARD_MARKER],
                          .guards_mprotect = t.guards[TZ_GUARD_PROTECT],
                          .guards_canary = t.guards[TZ_GUARD_CANARY],
                          .guard_fallback = (uint64_t)t.why };
    return give(st, st->size, &s, sizeof s);
}
