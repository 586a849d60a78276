// SPDX-License-Identifier: BSD-3-Clause
// diag/metrics.c: figures by name, as in Go's runtime/metrics (metrics.go).
//
// A call reads the counters of the rooms once, by the public calls of
// tuza/stats.h, and takes every metric from what it read: so parts and totals of
// one call fit each other. Only what can be measured without a cost on the way
// is here: no latencies of the scheduler, which would read a clock at each
// switch.
//
// The parts of /memory/classes are what tuza/stats.h has, under Go's names:
//
//   heap/objects + unused = spans in use     heap/free      idle pages
//   heap/released                            heap/stacks    stacks in use
//   metadata/other   tables, and the collector's work
//   other            the rest: stacks kept ready, what is mapped ahead

#include "diag/diag.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "diag/histogram.h"
#include "gc/gc.h"
#include "mem/limit.h"
#include "sched/port.h"
#include "sched/proc.h"
#include "tuza/stats.h"

static struct {
    struct tz_histogram stopping, pauses; // of the world, for collections
} times;

void tz_port_stw_latency(int64_t stopping_ns, int64_t total_ns)
{
    tz_histogram_add(&times.stopping, stopping_ns);
    tz_histogram_add(&times.pauses, total_ns);
}

void tz_metrics_init(void)
{
    tz_histogram_init();
}

// --- what is read once a call

enum { STATES = TZ_G_NO_P + 1 };

struct seen {
    tuza_memstats mem;
    tuza_schedstats sched;
    tuza_stackstats stacks;
    struct tz_gcstats gc;
    uint64_t state[STATES]; // goroutines by status; when they are asked for
    bool counted;
};

static uint64_t in_state(struct seen *s, uint32_t status)
{
    if (!s->counted) {
        for (size_t i = 0; i < tz_allg_count(); i++) {
            uint32_t now = tz_load_rlx(&tz_allg_get(i)->status);
            if (now < STATES)
                s->state[now]++;
        }
        s->counted = true;
    }
    return s->state[status];
}

static uint64_t objects(const struct seen *s)
{
    return tz_min(s->mem.heap_live, s->mem.heap_inuse);
}

// --- one function a metric

#define UINT64(name, value_)                                                   \
    static void name(struct seen *s, tuza_metric *m)                           \
    {                                                                          \
        (void)s;                                                               \
        m->value.u64 = (value_);                                               \
    }
#define FLOAT64(name, value_)                                                  \
    static void name(struct seen *s, tuza_metric *m)                           \
    {                                                                          \
        m->value.f64 = (value_);                                               \
    }
#define HISTOGRAM(name, h)                                                     \
    static void name(struct seen *s, tuza_metric *m)                           \
    {                                                                          \
        (void)s;                                                               \
        m->value.u64 = tz_histogram_read(h, m->histogram);                     \
    }

UINT64(gc_automatic, s->mem.num_gc - s->mem.num_forced)
UINT64(gc_forced, s->mem.num_forced)
UINT64(gc_total, s->mem.num_gc)
UINT64(gc_memlimit, s->mem.memory_limit)
UINT64(alloc_bytes, s->mem.total_alloc)
UINT64(alloc_objects, s->mem.mallocs)
UINT64(heap_goal, s->mem.next_gc)
UINT64(heap_live, s->mem.heap_live)
UINT64(heap_free, s->mem.heap_idle)
UINT64(heap_objects, objects(s))
UINT64(heap_released, s->mem.heap_released)
UINT64(heap_stacks, s->mem.stack_inuse)
UINT64(heap_unused, s->mem.heap_inuse - objects(s))
UINT64(metadata, s->mem.meta_sys + s->mem.gc_sys)
UINT64(other, s->mem.other_sys + s->mem.unmap_deferred + s->mem.stack_idle)
UINT64(total, s->mem.total_sys)
UINT64(goroutines, s->sched.goroutines)
UINT64(created, s->sched.created)
UINT64(not_in_go, in_state(s, TZ_G_SYSCALL))
UINT64(runnable, in_state(s, TZ_G_RUNNABLE))
UINT64(running, in_state(s, TZ_G_RUNNING) + in_state(s, TZ_G_NO_P))
UINT64(waiting, in_state(s, TZ_G_WAITING))
UINT64(gomaxprocs, s->sched.maxprocs)
UINT64(threads, s->sched.threads)
UINT64(handoffs, s->sched.handoffs)
UINT64(peak, s->sched.peak)
UINT64(relaxed, s->mem.num_relaxed)
UINT64(used, s->mem.memory_used)
UINT64(maximum, s->mem.memory_max)
UINT64(external, s->mem.external)
UINT64(reserved, s->mem.reserved)
UINT64(heap_peak, s->mem.heap_peak)
UINT64(stacks_idle, s->mem.stack_idle)
UINT64(guards_marker, s->stacks.guards_marker)
UINT64(guards_mprotect, s->stacks.guards_mprotect)
UINT64(guards_canary, s->stacks.guards_canary)
FLOAT64(mark_assist, (double)s->gc.mark_assist_ns / 1e9)
FLOAT64(mark_dedicated,
        (double)(s->gc.mark_beside_ns + s->gc.mark_stopped_ns) / 1e9)
FLOAT64(pause_total, (double)s->mem.pause_total_ns / 1e9)
FLOAT64(pause_max, (double)s->mem.pause_max_ns / 1e9)
HISTOGRAM(pauses, &times.pauses)
HISTOGRAM(stopping, &times.stopping)

// --- the names

enum { U = TUZA_METRIC_UINT64, F = TUZA_METRIC_FLOAT64,
       H = TUZA_METRIC_HISTOGRAM };

#define METRICS(X)                                                             \
    X("/cpu/classes/gc/mark/assist:cpu-seconds", mark_assist, F, 1,            \
      "Time that goroutines have helped to mark.")                             \
    X("/cpu/classes/gc/mark/dedicated:cpu-seconds", mark_dedicated, F, 1,      \
      "Time that the collector's threads have marked, by the clock, beside "   \
      "the program and with the world stopped.")                               \
    X("/gc/cycles/automatic:gc-cycles", gc_automatic, U, 1,                    \
      "Collections that growth has started.")                                  \
    X("/gc/cycles/forced:gc-cycles", gc_forced, U, 1,                          \
      "Collections that the program has asked for.")                           \
    X("/gc/cycles/total:gc-cycles", gc_total, U, 1, "Collections completed.")  \
    X("/gc/gomemlimit:bytes", gc_memlimit, U, 0,                               \
      "The soft limit of memory; 2^63 - 1: none.")                             \
    X("/gc/heap/allocs:bytes", alloc_bytes, U, 1,                              \
      "Bytes of objects allocated.")                                           \
    X("/gc/heap/allocs:objects", alloc_objects, U, 1, "Objects allocated.")    \
    X("/gc/heap/goal:bytes", heap_goal, U, 0,                                  \
      "Live bytes at which the next collection starts; 2^64 - 1: never.")      \
    X("/gc/heap/live:bytes", heap_live, U, 0,                                  \
      "Bytes that the last collection found alive, and allocated since.")      \
    X("/gc/pauses:seconds", pauses, H, 1,                                      \
      "The same as /sched/pauses/total/gc:seconds.")                           \
    X("/memory/classes/heap/free:bytes", heap_free, U, 0,                      \
      "Free pages of the heap that memory stands behind.")                     \
    X("/memory/classes/heap/objects:bytes", heap_objects, U, 0,                \
      "Objects, live ones and dead ones not yet found.")                       \
    X("/memory/classes/heap/released:bytes", heap_released, U, 0,              \
      "Free pages of the heap without memory.")                                \
    X("/memory/classes/heap/stacks:bytes", heap_stacks, U, 0,                  \
      "Address space of goroutines' stacks in use.")                           \
    X("/memory/classes/heap/unused:bytes", heap_unused, U, 0,                  \
      "Reserved for objects, and not used for any.")                           \
    X("/memory/classes/metadata/other:bytes", metadata, U, 0,                  \
      "The runtime's tables and the collector's work.")                        \
    X("/memory/classes/other:bytes", other, U, 0,                              \
      "The rest: stacks kept ready, tables to come, what the system would "    \
      "not unmap yet.")                                                        \
    X("/memory/classes/total:bytes", total, U, 0,                              \
      "All that is mapped: the sum of the others in /memory/classes.")         \
    X("/sched/gomaxprocs:threads", gomaxprocs, U, 0,                           \
      "Threads that run goroutines at once.")                                  \
    X("/sched/goroutines-created:goroutines", created, U, 1,                   \
      "Goroutines started.")                                                   \
    X("/sched/goroutines/not-in-go:goroutines", not_in_go, U, 0,               \
      "Goroutines in declared calls.")                                         \
    X("/sched/goroutines/runnable:goroutines", runnable, U, 0,                 \
      "Goroutines that could run.")                                            \
    X("/sched/goroutines/running:goroutines", running, U, 0,                   \
      "Goroutines that run.")                                                  \
    X("/sched/goroutines/waiting:goroutines", waiting, U, 0,                   \
      "Goroutines that wait for something.")                                   \
    X("/sched/goroutines:goroutines", goroutines, U, 0,                        \
      "Goroutines that exist.")                                                \
    X("/sched/pauses/stopping/gc:seconds", stopping, H, 1,                     \
      "Times until all have stopped, of stops of the world.")                  \
    X("/sched/pauses/total/gc:seconds", pauses, H, 1,                          \
      "Times until the world runs again, of stops of the world.")              \
    X("/sched/threads/total:threads", threads, U, 0,                           \
      "Threads of the runtime.")                                               \
    X("/tuza/gc/pause-max:seconds", pause_max, F, 1,                           \
      "The longest collection with the world stopped.")                        \
    X("/tuza/gc/pauses-total:seconds", pause_total, F, 1,                      \
      "Time with the world stopped.")                                          \
    X("/tuza/gc/relaxed:gc-cycles", relaxed, U, 1,                             \
      "Collections after which the heap may exceed the limit for a while.")    \
    X("/tuza/heap/peak:bytes", heap_peak, U, 1,                                \
      "Most bytes that spans in use have had.")                                \
    X("/tuza/memory/external:bytes", external, U, 0,                           \
      "What tuza_external was told.")                                          \
    X("/tuza/memory/max:bytes", maximum, U, 0,                                 \
      "The hard limit of memory; 2^64 - 1: none.")                             \
    X("/tuza/memory/reserved:bytes", reserved, U, 0,                           \
      "Address space without memory.")                                         \
    X("/tuza/memory/used:bytes", used, U, 0, "Bytes that count for limits.")   \
    X("/tuza/sched/goroutines-peak:goroutines", peak, U, 1,                    \
      "Most goroutines that were seen at once.")                               \
    X("/tuza/sched/handoffs:events", handoffs, U, 1,                           \
      "Ps taken from calls that lasted.")                                      \
    X("/tuza/stacks/guards/canary:stacks", guards_canary, U, 1,                \
      "Stacks guarded by a word only.")                                        \
    X("/tuza/stacks/guards/marker:stacks", guards_marker, U, 1,                \
      "Stacks guarded by a marker in the page tables.")                        \
    X("/tuza/stacks/guards/mprotect:stacks", guards_mprotect, U, 1,            \
      "Stacks guarded by mprotect.")                                           \
    X("/tuza/stacks/idle:bytes", stacks_idle, U, 0,                            \
      "Address space for further stacks.")

#define DESCRIPTION(name, fn, kind, cumulative, text)                          \
    { name, text, kind, cumulative },
#define READER(name, fn, kind, cumulative, text) fn,
static const tuza_metric_description descriptions[] = { METRICS(DESCRIPTION) };
static void (*const readers[])(struct seen *, tuza_metric *) = {
    METRICS(READER)
};

const tuza_metric_description *tuza_metrics_all(size_t *n)
{
    *n = tz_countof(descriptions);
    return descriptions;
}

// Its place in the sorted table; -1: there is no such name.
static int find(const char *name)
{
    int lo = 0, hi = (int)tz_countof(descriptions);
    while (name && lo < hi) {
        int mid = (lo + hi) / 2;
        int order = strcmp(name, descriptions[mid].name);
        if (order == 0)
            return mid;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return -1;
}

int tuza_metrics_read(tuza_metric *m, size_t n)
{
    struct seen s = { .mem = { .size = sizeof s.mem },
                      .sched = { .size = sizeof s.sched },
                      .stacks = { .size = sizeof s.stacks } };
    if (!tz_load_acq(&tz_sched.allm))
        return -EINVAL;
    tuza_memstats_read(&s.mem);
    tuza_schedstats_read(&s.sched);
    tuza_stackstats_read(&s.stacks);
    tz_gc_stats(&s.gc);
    for (size_t i = 0; i < n; i++) {
        int at = find(m[i].name);
        m[i].kind = at < 0 ? TUZA_METRIC_BAD : descriptions[at].kind;
        if (at >= 0)
            readers[at](&s, &m[i]);
    }
    return 0;
}
