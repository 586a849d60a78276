// SPDX-License-Identifier: BSD-3-Clause
// time/timer.c: timers, in one heap a P.
//
// A heap of arity 4 of (when, timer): half as deep as a binary one, and the
// four children of an entry share a cache line [time.I1]. A timer is started
// on the heap of the P that its goroutine runs on and stays there; the thread
// that holds the P runs it when it looks for work, and an idle thread may run
// another P's. Each timer knows its place, so that a stop takes it out at
// once: it may lie on the stack of a goroutine that is about to return.
//
// The entries live in chunks of persistent memory, each twice as large as the
// one before. A heap grows without copying and keeps what it has grown to.
//
// Functions of timers run with the heap locked. That makes a stop simple, with
// none of the states by which Go's timers were moved and run outside of their
// lock (runtime/time.go); in return they have to be brief.
//
// Cost: start and stop O(log4 n), each with one lock that others rarely want;
// looking whether a timer is due is one load.

#include <errno.h>

#include "base/bits.h"
#include "base/event.h"
#include "mem/persist.h"
#include "os/lock.h"
#include "sched/port.h"
#include "time/timer.h"

enum {
    ARITY = 4,
    CHUNK0_LOG2 = 6, // entries of the first chunk
    UNUSED = 3,      // of them at its front, which aligns groups of children
    NCHUNKS = 26,
    RUN_BATCH = 32 // timers run before others may have the lock
};

struct entry {
    int64_t when; // copy of t->when: no walk of the heap reads the timers
    struct tz_timer *t;
};

struct tz_timers {
    struct tz_lock lock; // TZ_RANK_TIMERS
    uint32_t count;      // entries; guarded by lock, like the rest
    uint32_t capacity;
    struct tz_p *p; // const after init
    struct entry *chunk[NCHUNKS];
};

// Place i is entry i + 67 - 2^k of the chunk with 2^k entries, 2^k <= i + 67.
// Siblings, 4i + 1 to 4i + 4, stand side by side in one chunk.
static uint64_t number(uint32_t i)
{
    return (uint64_t)i + (1u << CHUNK0_LOG2) + UNUSED;
}

static struct entry *slot(struct tz_timers *h, uint32_t i)
{
    uint64_t n = number(i);
    unsigned k = tz_log2(n);
    return &h->chunk[k - CHUNK0_LOG2][n - (UINT64_C(1) << k)];
}

static void put(struct tz_timers *h, uint32_t i, struct entry e)
{
    *slot(h, i) = e;
    e.t->pos = i + 1;
}

// Stores e in the hole at i or above it.
static void sift_up(struct tz_timers *h, uint32_t i, struct entry e)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;
        struct entry up = *slot(h, parent);
        if (up.when <= e.when)
            break;
        put(h, i, up);
        i = parent;
    }
    put(h, i, e);
}

// Stores e in the hole at i or below it.
static void sift_down(struct tz_timers *h, uint32_t i, struct entry e)
{
    for (;;) {
        uint64_t child = (uint64_t)i * ARITY + 1;
        if (child >= h->count)
            break;
        unsigned n = (unsigned)tz_min(ARITY, h->count - child);
        struct entry *siblings = slot(h, (uint32_t)child);
        unsigned least = 0;
        for (unsigned c = 1; c < n; c++)
            if (siblings[c].when < siblings[least].when)
                least = c;
        if (e.when <= siblings[least].when)
            break;
        put(h, i, siblings[least]);
        i = (uint32_t)child + least;
    }
    put(h, i, e);
}

// Tells the scheduler's P what is first now. An earlier time is an exchange,
// not a store: tz_sched_timer_added loads afterwards for how long the idle
// threads sleep, and they look at timer_next after they have told it.
static void publish(struct tz_timers *h)
{
    int64_t next = h->count ? slot(h, 0)->when : INT64_MAX;
    int64_t before = tz_load_rlx(&h->p->timer_next);
    if (next < before)
        (void)tz_xchg(&h->p->timer_next, next);
    else if (next != before)
        tz_store_rlx(&h->p->timer_next, next); // a late reader locks in vain
}

static bool reserve(struct tz_timers *h)
{
    if (tz_likely(h->count < h->capacity))
        return true;
    unsigned k = tz_log2(number(h->capacity));
    if (k - CHUNK0_LOG2 >= NCHUNKS)
        return false;
    size_t n = (size_t)1 << k;
    struct entry *chunk =
        tz_persist_alloc(n * sizeof(struct entry), TZ_CACHE_LINE);
    if (!chunk)
        return false;
    h->chunk[k - CHUNK0_LOG2] = chunk;
    h->capacity += (uint32_t)n - (h->capacity ? 0 : UNUSED);
    return true;
}

// Takes the entry at i out of the heap.
static void take_out(struct tz_timers *h, uint32_t i)
{
    slot(h, i)->t->pos = 0;
    struct entry last = *slot(h, --h->count);
    if (i == h->count)
        return;
    if (i > 0 && last.when < slot(h, (i - 1) / ARITY)->when)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

static struct tz_timers *lock_current(void)
{
    tz_crit_enter(); // the P stays ours between here and the lock
    struct tz_p *p = tz_tls_get()->p;
    TZ_CHECK(p && p->timers);
    struct tz_timers *h = p->timers;
    tz_lock_acquire(&h->lock);
    tz_crit_leave();
    return h;
}

int tz_timer_start_hold(struct tz_timer *t, int64_t when)
{
    TZ_CHECK(t->fn && t->pos == 0);
    struct tz_timers *h = lock_current();
    if (!reserve(h)) {
        tz_lock_release(&h->lock);
        return -ENOMEM;
    }
    t->when = when;
    t->heap = h;
    sift_up(h, h->count++, (struct entry){ when, t });
    publish(h);
    return 0;
}

void tz_timer_release(struct tz_timer *t)
{
    struct tz_timers *h = t->heap;
    int64_t when = t->when;
    bool first = t->pos == 1;
    tz_lock_release(&h->lock); // from here on t may be gone
    if (first)
        tz_sched_timer_added(when);
}

int tz_timer_start(struct tz_timer *t, int64_t when)
{
    int err = tz_timer_start_hold(t, when);
    if (!err)
        tz_timer_release(t);
    return err;
}

bool tz_timer_stop(struct tz_timer *t)
{
    struct tz_timers *h = t->heap;
    if (!h)
        return false;
    tz_lock_acquire(&h->lock); // while fn runs, its runner has this
    bool pending = t->pos != 0;
    if (pending) {
        TZ_CHECK(t->pos <= h->count && slot(h, t->pos - 1)->t == t);
        take_out(h, t->pos - 1);
        publish(h);
    }
    tz_lock_release(&h->lock);
    return pending;
}

// Runs up to RUN_BATCH timers that are due.
static int run_some(struct tz_timers *h, int64_t now)
{
    int ran = 0;
    tz_lock_acquire(&h->lock);
    while (ran < RUN_BATCH && h->count && slot(h, 0)->when <= now) {
        struct tz_timer *t = slot(h, 0)->t;
        TZ_DCHECK(t->pos == 1 && t->heap == h);
        void (*fn)(void *) = t->fn;
        void *arg = t->arg;
        tz_event(TZ_EV_TIMER, (uint64_t)t->when, 0);
        take_out(h, 0);
        fn(arg); // t may be gone from here on [time.I3]
        ran++;
    }
    publish(h);
    tz_lock_release(&h->lock);
    return ran;
}

int tz_port_timers_run(struct tz_p *p, int64_t now)
{
    if (tz_load_rlx(&p->timer_next) > now)
        return 0;
    int total = 0, ran;
    do {
        ran = run_some(p->timers, now);
        total += ran;
    } while (ran == RUN_BATCH);
    return total;
}

int tz_port_p_init(struct tz_p *p)
{
    struct tz_timers *h = tz_persist_alloc(sizeof *h, TZ_CACHE_LINE);
    if (!h)
        return -ENOMEM;
    tz_lock_init(&h->lock, TZ_RANK_TIMERS);
    h->p = p;
    p->timers = h;
    tz_store_rlx(&p->timer_next, INT64_MAX); // p is not yet published
    return 0;
}

void tz_timers_check(struct tz_p *p)
{
    struct tz_timers *h = p->timers;
    tz_lock_acquire(&h->lock);
    TZ_CHECK(h->p == p && h->count <= h->capacity);
    for (uint32_t i = 0; i < h->count; i++) {
        struct entry e = *slot(h, i);
        TZ_CHECK(e.t->heap == h && e.t->pos == i + 1 && e.t->when == e.when);
        TZ_CHECK(i == 0 || slot(h, (i - 1) / ARITY)->when <= e.when);
    }
    int64_t next = h->count ? slot(h, 0)->when : INT64_MAX;
    TZ_CHECK(tz_load_rlx(&p->timer_next) == next);
    tz_lock_release(&h->lock);
}
