// SPDX-License-Identifier: BSD-3-Clause
// gc/gc.c: one collection.
//
//   1. finish the sweep of the last one, look up the loaded objects
//   2. where the kernel tells what is written, or stores what they overwrite
//      (beside.c), and the heap is not small: stop the world for a moment:
//      allocation caches are flushed, and what is allocated from now on is marked;
//      then mark while the program runs
//   3. stop the world
//   4. take back what allocation caches hold, so that alloc bits are exact
//   5. mark from the roots, and from what was written, in parallel when the heap is
//      large: all of it, or what 2 has left
//   6. decide what becomes of objects with records (reach.c)
//   7. hand every span to the sweep; set the next trigger
//   8. start the world; sweep lazily and in the background
//
// Sound without any help from the program, because nothing moves, and nothing runs
// when it is decided what is reached. Without 2 the pause is as long as the mark. A
// collection starts when the heap has reached the trigger that the last one set
// (pacer.c), or when asked for. One by growth that marks beside the program is done
// by a goroutine of the runtime's own, so that who allocates need not wait for it.
// Go's mgc.go marks behind write barriers; its gctrace line is ours.

#include "gc/gc.h"

#include "base/event.h"
#include "gc/beside.h"
#include "gc/collector.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "gc/pacer.h"
#include "gc/reach.h"
#include "gc/trace.h"
#include "gc/track.h"
#include "gc/worker.h"
#include "mem/limit.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/port.h"
#include "mem/scavenge.h"
#include "mem/verify.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/futex.h"
#include "os/ncpu.h"
#include "os/thread.h"
#include "os/tlsroots.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "stack/stack.h"
#include "tuza/mem.h"
#include "tuza/syscall.h"

enum { PARALLEL_MIN = TZ_DEBUG ? 1 << 20 : 32 << 20 };

static struct {
    int64_t start;         // clock at init; const
    uint32_t busy;         // atomic; a thread is in tz_gc_collect
    uint32_t ends;         // atomic, a futex; how often it was left
    uint64_t cycles;       // atomic
    uint64_t forced;       // of them asked for; atomic
    uint64_t pause_total;  // atomic
    uint64_t pause_max;    // atomic
    uint64_t mark_assist, mark_beside, mark_stopped; // ns of threads; atomic
    // While marking:
    struct tz_gcwork work[TZ_WORKERS_MAX + 1]; // by worker
    uint32_t njobs;            // of roots
    uint32_t next_job;         // atomic
    uint32_t nworkers;         // const in a cycle
    bool again;                // what is marked may not have been scanned
    enum tz_gc_mode mode;      // of this one
    uint64_t live_before;      // tz_mem.live when that began
    uint64_t live_at_first;    // when the collection did
    // Of the last one; by who collects:
    uint64_t mark_ns, mark_bytes; // time of threads; bytes that live
} gc;

int tz_gc_init(int percent)
{
    gc.start = tz_clock_now();
    tz_pacer_init(percent, gc.start);
    (void)tz_words_best(); // asks the CPU and the environment
    int err = tz_work_init();
    return err ? err : tz_markroot_init();
}

// Nothing awaits a sweep any more when this returns. Spans that another thread
// is sweeping right now are waited for.
static void finish_sweep(void)
{
    enum { AT_ONCE = 64 }; // spans; then others may stop the world
    for (int n = AT_ONCE; n == AT_ONCE;) {
        tz_crit_enter();
        for (n = 0; n < AT_ONCE && tz_central_sweep_one(); n++)
            ;
        tz_crit_leave();
    }
    while (!tz_central_swept())
        tz_thread_yield();
}

// Threads cost more than they give on a small heap.
static uint32_t want_workers(void)
{
    return tz_load_rlx(&tz_mem.live) < PARALLEL_MIN ? 1
                                                     : tz_worker_count() + 1;
}

// Of this collection.
static uint64_t number(void) { return tz_load_rlx(&gc.cycles) + 1; }

static void mark_worker(uint32_t i)
{
    struct tz_gcwork *w = &gc.work[i];
    tz_mark_begin(w, number());
    w->alone = gc.nworkers == 1;
    if (gc.mode && !tz_beside_end(w))
        tz_store_rlx(&gc.again, true);
    uint32_t job;
    // Told, what roots hold by now was found, or is new.
    while (gc.mode < TZ_GC_M2 &&
           (job = tz_xadd_rlx(&gc.next_job, 1)) < gc.njobs)
        tz_markroot(w, job);
    tz_mark_drain(w);
}

// Bytes of stacks that were touched, about: what was scanned, and for every
// goroutine there ever was at once the pages where its stack begins, which a
// later one takes over.
static uint64_t stacks_touched(uint64_t scanned)
{
    return scanned + tz_allg_count() * 2 * tz_vm_page();
}

// Before anything is marked. Who is not there yet has marked nothing, and is not
// touched: its pages are new.
static void reset_work(void)
{
    gc.again = false;
    for (uint32_t i = 0, n = tz_worker_count(); i <= n; i++) {
        struct tz_gcwork *w = &gc.work[i];
        w->alone = false;
        w->marked = w->scanned_roots = w->scanned_stacks = 0;
    }
}

// Marks everything; bytes alive, and bytes of roots that were scanned.
static uint64_t mark_all(uint64_t *roots)
{
    gc.njobs = tz_markroot_prepare();
    gc.next_job = 0;
    if (gc.mode)
        tz_beside_over();
    tz_work_start(gc.nworkers);
    tz_worker_run(mark_worker, gc.nworkers);
    gc.work[0].alone = true;
    if (tz_work_dropped() || gc.again)
        tz_mark_again(&gc.work[0], gc.njobs);
    tz_reach_finish(&gc.work[0], gc.njobs);
    tz_event(TZ_EV_GC, TZ_EV_GC_MARKED, gc.cycles);
    uint64_t live = 0, stacks = 0;
    *roots = 0;
    for (uint32_t i = 0, n = tz_worker_count(); i <= n; i++) {
        tz_work_release(&gc.work[i]);
        live += gc.work[i].marked;
        *roots += gc.work[i].scanned_roots;
        stacks += gc.work[i].scanned_stacks;
    }
    // What they scan does not count.
    if (gc.mode >= TZ_GC_M2 && (tz_env.gc_check || gc.mode == TZ_GC_M3))
        tz_mark_check_heap(&gc.work[0]);
    else if (tz_unlikely(tz_env.gc_check))
        tz_mark_check(&gc.work[0], gc.njobs);
    tz_limit_note_stacks(stacks_touched(stacks));
    return live;
}

// A P that is gone keeps no pages either.
static void flush_caches(void)
{
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_p *p = tz_sched.allp[i];
        tz_mcache_flush(p->cache);
        if (tz_load(&p->status) == TZ_P_DEAD)
            tz_heap_pagecache_flush(&p->cache->pages);
    }
}

// Nobody allocates or changes records from here on, and the bits are exact. Bytes of
// objects that were freed by hand and are not marked.
// again: to end a mark beside the program, whose first stop has done the rest.
static uint64_t quiesce(bool again)
{
    if (!again)
        finish_sweep(); // what has joined the lists since step 1
    flush_caches();
    if (!again)
        tz_stack_gc_begin(); // before the locks of foreign threads' caches
    tz_foreign_stop();
    uint64_t freed = tz_free_flush();
    tz_reach_begin();
    return freed;
}

// The first stop of a mark beside the program; on the system stack.
static void begin(void *arg)
{
    struct tz_gctrace *t = arg;
    quiesce(false);
    reset_work();
    gc.live_before = t->heap_start = tz_load_rlx(&tz_mem.live);
    t->goal = tz_load_rlx(&tz_mem.goal);
    tz_event(TZ_EV_GC, TZ_EV_GC_MARK, gc.cycles);
    tz_beside_begin(gc.work, tz_markroot_prepare(), gc.live_before);
    tz_reach_end();
    tz_foreign_start();
}

// Bytes in objects that are reached or were allocated beside the mark: those are
// marked too, but for `freed`.
static uint64_t living(uint64_t marked, uint64_t freed)
{
    if (!gc.mode)
        return marked;
    int64_t ns, meanwhile = (int64_t)(tz_load_rlx(&tz_mem.live) - gc.live_before);
    int64_t sum = (int64_t)(marked + tz_beside_assisted(&ns) + freed) + meanwhile;
    return sum > 0 ? (uint64_t)sum : 0;
}

// With the world stopped, on the system stack.
static void cycle(void *arg)
{
    struct tz_gctrace *t = arg;
    t->stopped = tz_clock_now();
    uint64_t freed = quiesce(gc.mode != TZ_GC_M0);
    tz_heap_verify_if_asked("before the mark", !gc.mode);
    t->heap_before = tz_load_rlx(&tz_mem.live);
    if (!gc.mode) {
        t->heap_start = t->heap_before;
        t->goal = tz_load_rlx(&tz_mem.goal);
        reset_work();
        tz_event(TZ_EV_GC, TZ_EV_GC_MARK, gc.cycles);
    }
    gc.nworkers = t->workers = want_workers();
    t->marking = tz_clock_now();
    uint64_t live = living(mark_all(&t->roots), freed);
    t->marked = tz_clock_now();
    tz_heap_verify_if_asked("after the mark", false);
    t->heap_after = live;
    tz_store_rlx(&tz_mem.live, live);
    tz_pacer_cycle(&(struct tz_pace){
        .before = t->heap_before,
        .live = live,
        .roots = t->roots,
        .inuse = tz_load_rlx(&tz_mem.inuse),
        .meanwhile = gc.mode ? t->heap_before - tz_min(t->heap_before,
                                                       gc.live_at_first)
                             : 0,
        .beside = tz_limit_used_beside_heap(),
        .began = t->stopping,
        .ended = t->marked });
    tz_scavenge_pace(tz_load_rlx(&tz_mem.goal), t->goal);
    tz_reach_end();
    tz_central_flip();
    tz_heap_verify_if_asked("after the flip", false);
    tz_foreign_start();
    tz_stack_gc_end();
    tz_worker_sweep();
    tz_event(TZ_EV_GC, TZ_EV_GC_SWEEP, gc.cycles);
    t->cycle = tz_xadd_rlx(&gc.cycles, 1) + 1;
    if (t->forced)
        tz_xadd_rlx(&gc.forced, 1);
}

struct look {
    void (*fn)(struct tz_gcwork *w, uint32_t njobs, void *arg);
    void *arg;
};

static void look_there(void *arg)
{
    struct look *l = arg;
    quiesce(false);
    l->fn(&gc.work[0], tz_markroot_prepare(), l->arg);
    tz_reach_end();
    tz_foreign_start();
    tz_stack_gc_end();
}

static void count_pause(uint64_t ns)
{
    tz_xadd_rlx(&gc.pause_total, ns);
    uint64_t max = tz_load_rlx(&gc.pause_max);
    while (ns > max && !tz_cas(&gc.pause_max, max, ns))
        max = tz_load_rlx(&gc.pause_max);
}

// Until the collection that goes on has ended, or for a moment; on this thread, since
// the goroutine may hold a lock of pthread's.
static void wait_for_end(void)
{
    enum { MOMENT_NS = 20 * 1000 * 1000 };
    uint32_t ends = tz_load(&gc.ends);
    tz_give_way();
    if (tz_load(&gc.busy) || tz_collector_asked())
        tz_futex_sleep(&gc.ends, ends, MOMENT_NS);
}

static void stop_being_collector(void)
{
    tz_store_rel(&gc.busy, 0); // with the next collector's CAS
    tz_xadd(&gc.ends, 1);
    tz_futex_wake(&gc.ends, UINT32_MAX >> 1);
}

// One goroutine collects at a time. The others go on until its stop reaches
// them, if they need not have a collection of their own.
static bool become_collector(bool force)
{
    while (tz_load(&gc.busy) || !tz_cas(&gc.busy, 0, 1)) {
        if (!force)
            return false;
        wait_for_end();
    }
    return true;
}

// The heap is an eighth over its goal, or at it if a limit has set it: whoever
// collects may be waiting for a processor, and those that allocate must not outrun
// it meanwhile.
static bool outrun(void)
{
    uint64_t goal = tz_load_rlx(&tz_mem.goal);
    uint64_t over = tz_pacer_tight() ? 0 : goal / 8;
    return tz_mem_taken() > tz_max(goal, goal + over) &&
           (tz_load(&gc.busy) || tz_collector_asked());
}

static void arm_beside(void *arg)
{
    (void)arg;
    tz_beside_arm(gc.mode, &gc.work[0], number());
}

static uint32_t want_workers_beside(void)
{
    uint32_t quarter = (tz_load_rlx(&tz_sched.nprocs) + 3) / 4;
    return (uint32_t)tz_min(quarter, tz_worker_count() + 1);
}

static void mark_beside(void *arg)
{
    struct tz_gctrace *t = arg;
    t->workers_beside = want_workers_beside();
    tz_beside_mark(&gc.work[0], t->workers_beside);
}

// As long as the last mark took for each byte.
static void probe(void *arg)
{
    uint64_t live = tz_load_rlx(&tz_mem.live);
    double each = (double)gc.mark_ns / (double)(gc.mark_bytes + 1);
    double ns = each * (double)live / want_workers_beside();
    *(bool *)arg = tz_beside_probe(live, (uint64_t)ns);
}

static void stop_beside(void *arg)
{
    (void)arg;
    tz_beside_stop(&gc.work[0]);
}

static void more_beside(void *arg)
{
    (void)arg;
    tz_beside_more(&gc.work[0]);
}

static void last_beside(void *arg)
{
    (void)arg;
    tz_beside_last(&gc.work[0]);
}

static void forget_written(void *arg)
{
    (void)arg;
    tz_track_forget();
}

// As in a call that blocks, for which the goroutine gives its P away.
static void without_p(void (*fn)(void *), void *arg)
{
    struct tz_g *g = tz_getg();
    int32_t of_program = g->saved_errno;
    tuza_blocking_enter();
    tz_system_stack(fn, arg);
    (void)tuza_syscall_exit();
    g->saved_errno = of_program;
}

static int64_t stop_for(void (*fn)(void *), void *arg)
{
    int64_t start = tz_clock_now();
    tz_world_call(fn, arg);
    int64_t end = tz_clock_now();
    count_pause((uint64_t)(end - start));
    return end - start;
}

// --- stops that read roots

struct at_roots {
    void (*fn)(void *);
    void *arg;
    bool done;
};

static void if_all_are_known(void *arg)
{
    struct at_roots *x = arg;
    x->done = tz_roots_current();
    if (x->done)
        x->fn(x->arg);
}

// With the world stopped nobody can ask the dynamic linker, whose lock may be held by
// who is stopped; what was loaded since it was asked may hold what nobody else does.
// Then it is asked again. *start: when the stop began that fn was called in.
static void stop_at_roots(void (*fn)(void *), void *arg, int64_t *start)
{
    struct at_roots x = { fn, arg, false };
    for (;;) {
        tz_roots_snapshot(); // may wait for that lock: not inside
        tz_beside_ask_again();
        *start = tz_clock_now();
        tz_world_call(if_all_are_known, &x);
        if (x.done)
            return;
        count_pause((uint64_t)(tz_clock_now() - *start));
    }
}

static int64_t stop_to_begin(struct tz_gctrace *t)
{
    int64_t start;
    stop_at_roots(begin, t, &start);
    int64_t end = tz_clock_now();
    count_pause((uint64_t)(end - start));
    return end - start;
}

// What is asked for is awaited by who would write.
static bool is_in_vain(bool forced)
{
    bool in_vain = tz_beside_in_vain();
    if (!in_vain && !forced)
        without_p(probe, &in_vain);
    return in_vain;
}

// Chooses the mode. False: it will be a stop, and comes when the goal is reached.
static bool choose(struct tz_gctrace *t, bool urgent)
{
    tz_beside_ask();
    gc.mode = t->mode = tz_beside_wanted(tz_load_rlx(&tz_mem.live), urgent);
    bool stop = gc.mode == TZ_GC_M1 && is_in_vain(t->forced);
    if (stop)
        gc.mode = t->mode = TZ_GC_M0;
    bool off = stop && !t->forced && tz_pacer_put_off();
    tz_beside_put_off(off);
    return !off;
}

// Step 2.
static void collect_beside(struct tz_gctrace *t)
{
    t->beginning = tz_clock_now();
    without_p(arm_beside, NULL);
    t->stopped_beside = stop_to_begin(t);
    without_p(mark_beside, t);
    if (gc.mode == TZ_GC_M1 && !tz_beside_gave_up()) {
        t->stopped_beside += stop_for(stop_beside, NULL);
        without_p(more_beside, NULL);
    }
    tz_system_stack(last_beside, NULL); // it may have waited for a P
}

static void collect(struct tz_gctrace *t)
{
    tz_event(TZ_EV_GC, TZ_EV_GC_BEGIN, tz_load_rlx(&gc.cycles));
    tz_roots_snapshot(); // for what is read before the first stop
    tz_worker_want((uint32_t)tz_min(tz_load_rlx(&tz_sched.nprocs), (size_t)tz_ncpu()) - 1);
    finish_sweep();
    tz_crit_enter();
    size_t over = tz_limit_over(0);
    if (over)
        tz_central_trim();
    tz_crit_leave();
    tz_scavenge(over); // what is free is known to be by now
    gc.live_at_first = tz_load_rlx(&tz_mem.live);
    if (gc.mode)
        collect_beside(t);
    stop_at_roots(cycle, t, &t->stopping);
    t->end = tz_clock_now();
    tz_pacer_resume(t->end);
    if (gc.mode == TZ_GC_M1)
        without_p(forget_written, NULL);
    tz_event(TZ_EV_GC, TZ_EV_GC_END, tz_load_rlx(&gc.cycles));
    count_pause((uint64_t)(t->end - t->stopping));
}

static void count_marking(const struct tz_gctrace *t)
{
    struct tz_marktime x = tz_gctrace_marktime(t);
    tz_xadd_rlx(&gc.mark_assist, (uint64_t)x.assist);
    tz_xadd_rlx(&gc.mark_beside, (uint64_t)x.beside);
    tz_xadd_rlx(&gc.mark_stopped, (uint64_t)x.stopped);
    gc.mark_ns = (uint64_t)(x.assist + x.beside + x.stopped);
    gc.mark_bytes = t->heap_after;
}

void tz_gc_collect(enum tz_gc_why why)
{
    bool force = why != TZ_GC_GROWTH;
    if (!become_collector(force))
        return;
    struct tz_gctrace t = { .since_start = tz_clock_now() - gc.start,
                            .forced = force };
    if (!choose(&t, why == TZ_GC_EMERGENCY)) {
        stop_being_collector();
        return;
    }
    collect(&t);
    count_marking(&t);
    t.missing = tz_beside_missing();
    stop_being_collector();
    tz_reach_wake();
    if (force)
        tz_stack_give_back();
    if (tz_env.gctrace)
        tz_gctrace_print(&t, tz_load_rlx(&tz_sched.nprocs));
}

void tz_gc_look(void (*fn)(struct tz_gcwork *w, uint32_t njobs, void *arg),
                void *arg)
{
    struct look l = { fn, arg };
    int64_t start;
    become_collector(true);
    stop_at_roots(look_there, &l, &start);
    stop_being_collector();
}

// Bytes that an allocation has taken since it looked last, about (mem/malloc.c).
enum { BETWEEN = 32 << 10 };

static void forget_request(void)
{
    tz_crit_enter();
    struct tz_mcache *c = tz_tls_get()->cache;
    if (c)
        c->collect = false;
    tz_crit_leave();
}

// At every allocation under stress: then each of them, not just one of those
// that ask at the same time.
void tz_port_gc_trigger(void)
{
    forget_request();
    if (tz_env.stress_gc)
        tz_gc_collect(TZ_GC_FORCED);
    else if (tz_load(&gc.busy))
        tz_beside_assist(BETWEEN);
    else if (!tz_beside_wanted(tz_load_rlx(&tz_mem.live), false) ||
             !tz_collector_wake())
        tz_gc_collect(TZ_GC_GROWTH);
    while (outrun())
        wait_for_end();
}

// What is garbage has to be free pages before the second attempt.
void tz_port_gc_emergency(void)
{
    tz_gc_collect(TZ_GC_EMERGENCY);
    finish_sweep();
    tz_crit_enter();
    tz_central_trim();
    tz_crit_leave();
}

void tuza_gc(void)
{
    tz_need_g("tuza_gc");
    tz_gc_collect(TZ_GC_FORCED);
    finish_sweep(); // as Go's: what is garbage is free memory
    tz_yield_asked(); // Go's waits for it too: a loop of them lets others run
}

void tz_gc_stats(struct tz_gcstats *out)
{
    *out = (struct tz_gcstats){ tz_load_rlx(&gc.cycles),
                                tz_load_rlx(&gc.pause_total),
                                tz_load_rlx(&gc.pause_max),
                                tz_worker_count(),
                                tz_load_rlx(&gc.forced),
                                tz_pacer_relaxed(),
                                tz_load_rlx(&gc.mark_assist),
                                tz_load_rlx(&gc.mark_beside),
                                tz_load_rlx(&gc.mark_stopped) };
}
