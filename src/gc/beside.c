// SPDX-License-Identifier: BSD-3-Clause
// gc/beside.c: marking beside the running program.
//
// Between two short stops, threads without a P mark what they find, and then what
// was written meanwhile (M1: track.c), until little is left. No stop is needed for
// what they find to be useful, nor must they find all: the last stop scans all roots
// and what was written since, and decides. Where stores tell (M2: told.c) the first
// stop has read all roots, and what stores have told takes the place of what was
// written.
//
// Where all of the heap is hot that is in vain, and it is marked in a stop instead: by
// what a sample says before, what a look says meanwhile, or what the last mark met
// (docs/adr/012).
//
// Who allocates much while that goes on helps: for the bytes allocated until the
// goal is reached, what is still to be marked is to be marked, so each 32 KiB owe
// their share. What the threads have marked pays for it first, as in Go's
// mgcpacer.go. A goroutine never helps for more than 0.2 ms at once, nor while
// somebody waits for it to stop; then the heap grows past its goal instead.

#include "gc/beside.h"

#include "gc/barrier.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "gc/pacer.h"
#include "gc/reach.h"
#include "gc/told.h"
#include "gc/track.h"
#include "gc/worker.h"
#include "mem/malloc.h"
#include "mem/mheap.h"
#include "mem/types.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/port.h"
#include "sched/proc.h"

enum {
    // Below it the pause is some 30 ms at most, and faults and waiting for memory
    // would cost a fifth of the time of a program that does nothing but allocate.
    BESIDE_MIN = TZ_DEBUG ? 1 << 20 : 32 << 20,
    TOLD_MIN = TZ_DEBUG ? 1 << 20 : 4 << 20, // stores pay only while it marks
    SLICE = 256 << 10,       // bytes marked between two looks around
    ASSISTS = 16,            // goroutines that help at once
    ASSIST_SLICE = 16 << 10,
    ASSIST_MOST = 1 << 20,   // bytes owed at once
    ASSIST_NS = 200 * 1000,
    ROUNDS = 12,
    LAST_ROUNDS = 3,
    SETTLE_NS = 10 * 1000 * 1000,
    FEW = 1 << 20,           // bytes written: as little as that goes into the stop
    HOT = 4, ALL = 7,        // eighths of the heap
    LOOKS = 8,
    PROBE_MIN = TZ_DEBUG ? 16 << 20 : 256 << 20,
    PROBE_NS = 20 * 1000 * 1000,
    STOPS_MOST = 7,
};

enum { NOT_YET, TRYING, YES, NO };

struct assist {
    struct tz_gcwork work;
    bool taken; // atomic
} TZ_ALIGNED(TZ_CACHE_LINE);

static struct {
    uint32_t tried;        // atomic; whether the kernel tells
    const char *missing;   // if it cannot; written before tried
    uint32_t told;         // atomic; all stores are told
    const char *untold;    // why not
    uint64_t loads;        // how much had been loaded then
    enum tz_gc_mode mode;  // of this collection
    struct tz_gcwork *work; // of the workers
    uint32_t njobs;
    uint32_t next_job;     // atomic
    uint64_t expected;     // bytes that will be marked, about
    bool failed;           // something was refused: what is marked is not known
    bool hot;              // rounds get no shorter
    bool touched;          // static data was, before the first told stop
    bool given_up;         // atomic; the rest is left to the last stop
    uint64_t next_look;    // bytes marked, when to look how hot it is
    uint32_t stops;        // so many collections more mark in a stop
    uint32_t next_stops;   // so many were to, at first
    bool in_vain;          // this one does
    bool put_off;          // the next one does, at the goal
    uint64_t marked;       // atomic; bytes so far, about
    int64_t credit;        // atomic; of them, not yet taken by who owes
    uint64_t assisted;     // atomic; bytes
    int64_t assist_ns;     // atomic
    uint64_t scanned;      // atomic; bytes of stacks, by who was about to use them
    struct assist assist[ASSISTS];
    void *buf[TZ_WORKERS_MAX + 1]; // for looks from outside; made when needed
} beside;

// --- whether

static void try_it(void *arg)
{
    (void)arg;
    bool ok = tz_track_open(&beside.missing);
    tz_store_rel(&beside.tried, ok ? YES : NO);
}

// The first to ask finds out, with more stack than a goroutine may have; who asks
// meanwhile does without.
static bool can(void)
{
    if (tz_load_rlx(&beside.tried) == NOT_YET &&
        tz_cas(&beside.tried, NOT_YET, TRYING))
        tz_system_stack(try_it, NULL);
    return tz_load_acq(&beside.tried) == YES;
}

void tz_beside_ask(void)
{
    const char *why = NULL;
    bool told = tz_env.gc_mode != TZ_GCMODE_M0 && tz_env.gc_mode != TZ_GCMODE_M1 &&
                tz_told_all(&why);
    beside.untold = why;
    beside.loads = tz_barrier_loads();
    beside.in_vain = false;
    tz_store_rlx(&beside.given_up, false);
    tz_store_rlx(&beside.told, told);
}

enum tz_gc_mode tz_beside_wanted(uint64_t live, bool urgent)
{
    // Pages that fault are none to read beside the program.
    if (urgent || tz_env.sim || tz_env.page_per_object ||
        tz_env.gc_mode == TZ_GCMODE_M0)
        return TZ_GC_M0;
    bool forced = tz_env.gc_mode != TZ_GCMODE_BEST;
    if (tz_load_rlx(&beside.told) && (forced || live >= TOLD_MIN))
        return tz_env.gc_mode == TZ_GCMODE_M3 ? TZ_GC_M3 : TZ_GC_M2;
    return (forced || live >= BESIDE_MIN) && can() ? TZ_GC_M1 : TZ_GC_M0;
}

// Where all was written beside the mark, all is to be looked at again in the last stop:
// as well it could have been marked there alone. So it is, a few times.
void tz_beside_met(uint32_t eighths)
{
    beside.hot = eighths >= HOT;
    beside.next_stops = eighths < ALL ? 0 : tz_min(2 * beside.next_stops + 1, STOPS_MOST);
    beside.stops = beside.next_stops;
}

bool tz_beside_in_vain(void)
{
    beside.in_vain = beside.put_off ||
                     (beside.stops > 0 && tz_env.gc_mode != TZ_GCMODE_M1);
    beside.stops -= beside.in_vain && !beside.put_off;
    return beside.in_vain;
}

void tz_beside_put_off(bool off) { beside.put_off = off; }

// Written in the first of these times, and in both; of what is still unwritten the
// second one's share will be written in each of the others.
bool tz_beside_foresee(uint32_t once, uint32_t twice, uint32_t all, int64_t times)
{
    if (once >= all || all < TZ_TRACK_SAMPLE / 4)
        return once >= all && all > 0;
    double each = (double)(twice - once) / (double)(all - once);
    double left = 1 - (double)twice / (double)all;
    for (int64_t i = 2; i < times && left > 0.5; i++)
        left *= 1 - each;
    return left <= 0.5;
}

bool tz_beside_probe(uint64_t live, uint64_t mark_ns)
{
    if (live < PROBE_MIN || tz_env.gc_mode == TZ_GCMODE_M1 ||
        tz_pacer_tight() || !tz_track_sample()) // tight: who writes would wait for it
        return false;
    uint32_t all;
    tz_thread_sleep(PROBE_NS);
    uint32_t once = tz_track_sampled(&all);
    tz_thread_sleep(PROBE_NS);
    uint32_t twice = tz_max(once, tz_track_sampled(&all));
    int64_t times = (int64_t)(mark_ns / 2 / PROBE_NS);
    beside.in_vain = tz_beside_foresee(once, twice, all, times);
    return beside.in_vain;
}

bool tz_beside_gave_up(void) { return tz_load_rlx(&beside.given_up); }

const char *tz_beside_missing(void)
{
    if (beside.untold)
        return beside.untold;
    if (tz_beside_gave_up())
        return "given up, half of the heap was written by then";
    if (beside.in_vain)
        return "what is written beside a mark is all of the heap";
    return tz_load_acq(&beside.tried) == NO ? beside.missing : NULL;
}

// --- who collects

static bool is_told(void) { return beside.mode >= TZ_GC_M2; }

static void *buffer(uint32_t i)
{
    if (!beside.buf[i])
        beside.buf[i] = tz_vm_alloc(TZ_EARLY_BUF, TZ_VM_GC);
    return beside.buf[i];
}

// What the first stop would wait for page by page, most of all in the first collection.
static void prepare_to_be_told(void)
{
    tz_work_touch();
    tz_barrier_make();
    void *buf = beside.touched ? NULL : buffer(0);
    if (buf)
        tz_markroot_touch(buf);
    beside.touched = true;
}

void tz_beside_arm(enum tz_gc_mode mode, struct tz_gcwork *w, uint64_t cycle)
{
    beside.mode = mode;
    beside.hot = false;
    tz_mark_begin(w, cycle);
    tz_reach_start();
    if (is_told())
        prepare_to_be_told();
    beside.failed = !is_told() && !tz_track_begin();
}

void tz_beside_begin(struct tz_gcwork *w, uint32_t njobs, uint64_t expected)
{
    beside.work = w;
    beside.njobs = njobs;
    beside.next_job = 0;
    beside.expected = expected;
    bool small = expected < BESIDE_MIN; // M1 only as it was forced
    beside.next_look = is_told() || small ? UINT64_MAX : expected / LOOKS;
    tz_store_rlx(&beside.marked, 0);
    tz_store_rlx(&beside.credit, 0);
    tz_store_rlx(&beside.assisted, 0);
    tz_store_rlx(&beside.assist_ns, 0);
    tz_store_rlx(&beside.scanned, 0);
    if (is_told())
        beside.next_job = tz_told_begin(w);
    else
        tz_markroot_running(w);
    tz_store(&tz_mem.marking, 1);
}

static void publish(struct tz_gcwork *w, uint64_t before)
{
    tz_xadd_rlx(&beside.marked, w->marked - before);
    tz_xadd_rlx(&beside.credit, (int64_t)(w->marked - before));
    tz_work_share(w);
}

// Where half of the heap is written before half of it is marked, the rest is marked
// sooner in the stop, that will have to look at all of it.
static void give_up_if_hot(void)
{
    uint64_t marked = tz_load_rlx(&beside.marked), all = beside.expected;
    if (marked < beside.next_look)
        return;
    beside.next_look = marked < all / 2 ? marked + all / LOOKS : UINT64_MAX;
    if (marked < all / 2 && tz_track_written() >= HOT) {
        tz_store_rlx(&beside.given_up, true);
        tz_work_abandon();
    }
}

static void drain(struct tz_gcwork *w)
{
    bool more = true;
    while (more && !tz_load_rlx(&beside.given_up)) {
        uint64_t before = w->marked;
        more = tz_mark_some(w, SLICE);
        publish(w, before);
        if (w == beside.work)
            give_up_if_hot();
    }
}

static bool somebody_helps(void)
{
    for (uint32_t i = 0; i < ASSISTS; i++)
        if (tz_load(&beside.assist[i].taken))
            return true;
    return false;
}

// Goroutines that help may have had all there was when the workers came to an end,
// and put some of it back.
static void settle(struct tz_gcwork *w)
{
    int64_t start = tz_clock_now();
    while (!tz_load_rlx(&beside.given_up)) {
        bool helped = somebody_helps(); // before the look
        drain(w);
        if (tz_work_waiting())
            continue;
        if (!helped || tz_clock_now() - start > SETTLE_NS)
            return;
        tz_thread_yield();
    }
}

static void worker(uint32_t i)
{
    struct tz_gcwork *w = &beside.work[i];
    tz_mark_begin(w, beside.work->cycle);
    void *buf = is_told() ? NULL : buffer(i);
    uint32_t job;
    while ((buf || is_told()) &&
           (job = tz_xadd_rlx(&beside.next_job, 1)) < beside.njobs) {
        if (buf)
            tz_markroot_early(w, job, buf);
        else
            tz_told_left(w, job);
        drain(w);
    }
    do
        drain(w);
    while (!tz_work_all_done());
    if (tz_load_rlx(&beside.given_up))
        tz_mark_put_back(w);
}

// What was written since; false: no more of that.
static bool round_again(struct tz_gcwork *w, uint64_t *last)
{
    uint64_t bytes = tz_track_round(w);
    if (bytes == UINT64_MAX) {
        beside.failed = true;
        return false;
    }
    drain(w);
    beside.hot = bytes > FEW && bytes >= *last - *last / 8;
    *last = bytes;
    return bytes > FEW && !beside.hot;
}

// Until few stores are left that nobody looked at. Who stores all the time tells of
// what is marked.
static void told_rounds(struct tz_gcwork *w)
{
    uint64_t before;
    do {
        before = w->marked;
        tz_told_round(w);
        settle(w);
    } while (w->marked != before);
}

// What can be said about records by now need not be found out in the last stop.
static void records(struct tz_gcwork *w)
{
    bool more = true;
    for (int i = 0; more && i < TZ_REACH_PASSES && !tz_load_rlx(&beside.given_up); i++) {
        more = tz_reach_beside(w);
        settle(w);
    }
}

static void rounds(struct tz_gcwork *w, int most)
{
    if (is_told()) {
        told_rounds(w);
        return;
    }
    uint64_t last = UINT64_MAX;
    for (int i = 0; i < most && !beside.failed && !beside.hot; i++)
        if (!round_again(w, &last))
            break;
    settle(w);
}

void tz_beside_mark(struct tz_gcwork *w, uint32_t n)
{
    if (beside.failed)
        return;
    tz_work_start(n);
    tz_worker_run(worker, n);
    if (is_told())
        tz_markroot_all_scanned();
    else if (tz_beside_gave_up())
        tz_beside_met(8);
    else
        tz_beside_met(tz_track_written());
    records(w);
    rounds(w, ROUNDS);
}

void tz_beside_stop(struct tz_gcwork *w) { tz_markroot_missed(w); }

void tz_beside_more(struct tz_gcwork *w)
{
    drain(w);
    records(w);
    rounds(w, ROUNDS);
}

void tz_beside_last(struct tz_gcwork *w)
{
    rounds(w, LAST_ROUNDS);
}

// Something may have been loaded meanwhile, and unloaded again.
void tz_beside_ask_again(void)
{
    const char *why;
    if (is_told() && (!tz_told_all(&why) || tz_barrier_loads() != beside.loads))
        beside.failed = true;
}

void tz_beside_over(void)
{
    tz_store(&tz_mem.marking, 0);
    for (uint32_t i = 0; i < ASSISTS; i++)
        TZ_CHECK(!beside.assist[i].taken);
}

bool tz_beside_end(struct tz_gcwork *w)
{
    if (!is_told())
        return tz_track_end(w) && !beside.failed;
    if (w != beside.work)
        return true;
    w->scanned_roots += tz_load_rlx(&beside.scanned);
    w->scanned_stacks += tz_load_rlx(&beside.scanned);
    return tz_told_end(w) && !beside.failed;
}

uint64_t tz_beside_assisted(int64_t *ns)
{
    *ns = tz_load_rlx(&beside.assist_ns);
    return tz_load_rlx(&beside.assisted);
}

// --- who allocates

// What so many bytes owe, less what others have done for it.
static uint64_t debt(uint64_t allocated)
{
    enum { ROOM_MIN = 1 << 20 };
    uint64_t live = tz_mem_taken(), goal = tz_load_rlx(&tz_mem.goal);
    uint64_t marked = tz_load_rlx(&beside.marked), all = beside.expected;
    uint64_t left = all > marked ? all - marked : all / 16;
    uint64_t room = goal > live + ROOM_MIN ? goal - live : ROOM_MIN;
    double owed = (double)allocated * (double)left / (double)room;
    uint64_t bytes = owed < ASSIST_MOST ? (uint64_t)owed : ASSIST_MOST;
    int64_t credit = tz_load_rlx(&beside.credit);
    int64_t take = tz_min(credit, (int64_t)bytes);
    if (take <= 0)
        return bytes;
    tz_xadd_rlx(&beside.credit, -take);
    return bytes - (uint64_t)take;
}

static struct assist *take_assist(void)
{
    for (uint32_t i = 0; i < ASSISTS; i++) {
        struct assist *a = &beside.assist[i];
        if (!tz_load_rlx(&a->taken) && !tz_xchg(&a->taken, true))
            return a;
    }
    return NULL;
}

struct help {
    const struct tz_tls *t;
    struct tz_gcwork *w;
    uint64_t bytes;
};

// In a critical section, which is why nobody ends the mark meanwhile.
static void help(void *arg)
{
    const struct help *h = arg;
    struct tz_gcwork *w = h->w;
    int64_t start = tz_clock_now(), ns = 0;
    uint64_t all = w->marked;
    tz_mark_begin(w, beside.work->cycle);
    bool more;
    do {
        more = tz_mark_some(w, ASSIST_SLICE);
        ns = tz_clock_now() - start;
    } while (more && w->marked - all < h->bytes && ns < ASSIST_NS &&
             !tz_load_rlx(&h->t->stop));
    tz_mark_put_back(w);
    tz_xadd_rlx(&beside.marked, w->marked - all);
    tz_xadd_rlx(&beside.assisted, w->marked - all);
    tz_xadd_rlx(&beside.assist_ns, ns);
}

void tz_beside_assist(uint64_t allocated)
{
    tz_crit_enter();
    const struct tz_tls *t = tz_tls_get();
    struct assist *a = NULL;
    uint64_t owed = 0;
    if (t->p && tz_load(&tz_mem.marking) && (owed = debt(allocated)) != 0)
        a = take_assist();
    if (a) {
        struct help h = { t, &a->work, owed };
        if (tz_types_any_traced())
            tz_system_stack(help, &h); // the procedures are the program's
        else
            help(&h);
        tz_store_rel(&a->taken, false);
    }
    tz_crit_leave();
}

// --- who is about to run a goroutine

// What it pushes counts as put back by somebody who helps (settle). All of it is noted
// only: it takes a microsecond for a usual stack.
void tz_port_scan_first(struct tz_g *g)
{
    while (tz_load_acq(&g->scanned) != tz_sched.scanned && !TZ_DEFECT(TZ_D102)) {
        struct assist *a = take_assist();
        if (a) {
            struct tz_gcwork *w = &a->work;
            tz_mark_begin(w, beside.work->cycle);
            w->marked = w->scanned_stacks = 0;
            tz_told_stack(w, g);
            tz_xadd_rlx(&beside.marked, w->marked);
            tz_xadd_rlx(&beside.assisted, w->marked);
            tz_xadd_rlx(&beside.scanned, w->scanned_stacks);
            tz_store_rel(&a->taken, false);
        }
        if (tz_load_acq(&g->scanned) != tz_sched.scanned)
            tz_thread_yield(); // another is at it
    }
}
