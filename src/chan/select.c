// SPDX-License-Identifier: BSD-3-Clause
// chan/select.c: waiting for several channels at once.
//
//   1. Look at the cases in random order, without locks. The first that seems
//      ready: lock its channel, try, done. Most selects end here, and cost
//      what one operation costs.
//   2. Lock all channels, in the order of their numbers, a channel that is
//      there twice once. Look again: now the answer is true for one moment,
//      which a default case needs [chan.I5].
//   3. Queue a waiter on each channel, start the timer of the AFTER case, and
//      park. Once parked, unlock all.
//   4. Whoever comes first on any of the channels, or the timer, claims the
//      goroutine by a flag in it and completes the case; the others then drop
//      its waiters [chan.I4].
//   5. Awake, take the other waiters out of their queues, a channel at a time.
//
// After step 3's last unlock nothing of the parked goroutine's frame is read
// by the code that parked it: step 5 takes every lock that step 3 has to
// release, in the same order, so the goroutine cannot return before.
//
// Up to 8 and up to 64 cases use arrays on the stack (500 bytes, 3 KB); more,
// an object of the heap.
//
// Go keeps this in runtime/select.go and starts with our step 2. AFTER is
// ours: Go makes a channel for each timeout.

#include "base/event.h"
#include "base/rand.h"
#include "chan/chan.h"
#include "mem/malloc.h"
#include "os/clock.h"
#include "os/env.h"
#include "time/timer.h"

enum { CASES_MAX = 65535, SMALL = 8, MEDIUM = 64, NONE = -1 };

struct selection {
    struct tz_g *g;
    tuza_case *cases;
    uint16_t *poll;         // cases with a channel, shuffled
    uint16_t *order;        // the same, by number of the channel
    struct tz_sudog *sudog; // of case order[i] at i
    unsigned n;             // how many of each
    int otherwise;          // taken when no other is ready, or NONE
    int after;              // the AFTER case with the shortest delay, or NONE
    struct tz_timer timer;  // of that case
};

// Sorts the cases out. 0, or -EINVAL.
static int classify(struct selection *s, size_t ncases)
{
    int dflt = NONE;
    for (size_t i = 0; i < ncases; i++) {
        const tuza_case *k = &s->cases[i];
        switch (k->kind) {
        case TUZA__CASE_SEND:
        case TUZA__CASE_RECV:
            if (!k->chan)
                break; // never ready
            tz_chan_valid("tuza_select", k->chan);
            s->poll[s->n++] = (uint16_t)i;
            break;
        case TUZA__CASE_AFTER:
            if (s->after == NONE || k->delay < s->cases[s->after].delay)
                s->after = (int)i;
            break;
        case TUZA__CASE_DEFAULT:
            if (dflt != NONE)
                return -EINVAL;
            dflt = (int)i;
            break;
        default:
            return -EINVAL;
        }
    }
    s->otherwise = dflt;
    if (dflt == NONE && s->after != NONE && s->cases[s->after].delay <= 0)
        s->otherwise = s->after;
    return 0;
}

static bool seems_ready(const tuza_case *k)
{
    return k->kind == TUZA__CASE_SEND ? tz_chan_can_send(k->chan)
                                      : tz_chan_can_recv(k->chan);
}

// Tries case k, whose channel is locked. Results as of the two below it.
static int attempt(const tuza_case *k, struct tz_g **wake)
{
    return k->kind == TUZA__CASE_SEND
               ? tz_chan_send_locked(k->chan, k->elem, wake)
               : tz_chan_recv_locked(k->chan, k->elem, wake);
}

// Case i ended with result r of attempt, and no lock is held any more.
static int finish(const tuza_case *k, int i, int r)
{
    if (k->kind == TUZA__CASE_RECV && k->ok)
        *k->ok = r;
    if (tz_unlikely(r == -EPIPE))
        tz_fatal("send on closed channel %p", (void *)k->chan);
    return i;
}

// Step 1. Shuffles poll as far as it gets; all of it when nothing is ready.
static int try_each(struct selection *s)
{
    uint64_t random = s->n > 1 ? tz_rand() : 0;
    for (unsigned left = s->n; left > 0; left--) {
        unsigned j = 0;
        if (left > 1)
            j = (unsigned)(((tz_rand_next(&random) >> 32) * left) >> 32);
        uint16_t i = s->poll[j];
        s->poll[j] = s->poll[left - 1];
        s->poll[left - 1] = i;

        tuza_case *k = &s->cases[i];
        if (!seems_ready(k))
            continue;
        struct tz_g *wake;
        tz_lock_acquire(&k->chan->lock);
        int r = attempt(k, &wake);
        tz_lock_release(&k->chan->lock);
        if (wake)
            tz_ready(wake);
        if (r != -EAGAIN)
            return finish(k, i, r);
    }
    return NONE;
}

static tuza_hchan *chan_at(const struct selection *s, unsigned i)
{
    return s->cases[s->order[i]].chan;
}

// Shell's sort, with Ciura's distances: short, in place, and fine for eight
// cases as for thousands.
static void sort_by_number(struct selection *s)
{
    static const uint16_t gaps[] = { 33936, 15084, 6704, 2980, 1324, 588, 262,
                                     116,   51,    23,   10,   4,    1 };
    memcpy(s->order, s->poll, s->n * sizeof s->order[0]);
    for (unsigned a = 0; a < tz_countof(gaps); a++) {
        unsigned gap = gaps[a];
        for (unsigned i = gap; i < s->n; i++) {
            uint16_t moved = s->order[i];
            uint64_t id = s->cases[moved].chan->id;
            unsigned j = i;
            for (; j >= gap && chan_at(s, j - gap)->id > id; j -= gap)
                s->order[j] = s->order[j - gap];
            s->order[j] = moved;
        }
    }
}

// Whether the next place in order is of the same channel.
static bool repeated(const struct selection *s, unsigned i, unsigned n)
{
    return i + 1 < n && chan_at(s, i) == chan_at(s, i + 1);
}

static void lock_all(struct selection *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (!repeated(s, i, s->n))
            tz_lock_acquire(&chan_at(s, i)->lock);
}

// The last unlock is the last access to s: see the head of this file.
static void unlock_all(struct selection *s)
{
    unsigned n = s->n;
    for (unsigned i = 0; i < n; i++)
        if (!repeated(s, i, n))
            tz_lock_release(&chan_at(s, i)->lock);
}

// Step 2's second look.
static int try_locked(struct selection *s)
{
    for (unsigned p = 0; p < s->n; p++) {
        uint16_t i = s->poll[p];
        tuza_case *k = &s->cases[i];
        if (!seems_ready(k))
            continue;
        struct tz_g *wake;
        int r = attempt(k, &wake);
        if (r == -EAGAIN)
            continue; // who seemed to wait there has been claimed
        unlock_all(s);
        if (wake)
            tz_ready(wake);
        return finish(k, i, r);
    }
    return NONE;
}

static void queue_all(struct selection *s)
{
    s->g->param = NULL;
    // Relaxed: claimers have the lock of one of our channels, or the timer's.
    tz_store_rlx(&s->g->select_done, 0);
    for (unsigned i = 0; i < s->n; i++) {
        const tuza_case *k = &s->cases[s->order[i]];
        s->sudog[i] = (struct tz_sudog){
            .g = s->g, .elem = k->elem, .is_select = true, .index = s->order[i]
        };
        tz_waitq_push(k->kind == TUZA__CASE_SEND ? &k->chan->sendq
                                                 : &k->chan->recvq,
                      &s->sudog[i]);
    }
}

// Step 5.
static void dequeue_all(struct selection *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        tuza_hchan *c = chan_at(s, i);
        tz_lock_acquire(&c->lock);
        for (;; i++) {
            bool send = s->cases[s->order[i]].kind == TUZA__CASE_SEND;
            tz_waitq_remove(send ? &c->sendq : &c->recvq, &s->sudog[i]);
            if (!repeated(s, i, s->n))
                break;
        }
        if (TZ_DEBUG)
            tz_chan_check(c);
        tz_lock_release(&c->lock);
    }
}

// The timer's function.
static void expire(void *arg)
{
    struct tz_g *g = arg;
    if (tz_cas(&g->select_done, 0, 1))
        tz_ready(g);
}

static bool commit(struct tz_g *g, void *arg)
{
    (void)g;
    struct selection *s = arg;
    bool channels = s->n > 0;
    if (s->after != NONE)
        tz_timer_release(&s->timer);
    if (channels) // without, the timer has perhaps ended the select
        unlock_all(s);
    return true;
}

// Steps 3 to 5, with all locked.
static int wait(struct selection *s)
{
    if (s->after != NONE) {
        int64_t delay = s->cases[s->after].delay;
        tz_timer_init(&s->timer, expire, s->g);
        int err = tz_timer_start_hold(&s->timer,
                                      tz_timer_when(tz_clock_now(), delay));
        if (err) {
            unlock_all(s);
            return err;
        }
    }
    queue_all(s);
    tz_park(commit, s, TZ_WAIT_SELECT);

    struct tz_sudog *fired = s->g->param;
    s->g->param = NULL;
    if (fired && s->after != NONE)
        (void)tz_timer_stop(&s->timer); // has it run, it lost
    dequeue_all(s);
    if (!fired)
        return s->after;
    const tuza_case *k = &s->cases[fired->index];
    if (k->kind == TUZA__CASE_RECV) {
        if (!fired->success)
            tz_chan_zero(k->chan, k->elem);
        return finish(k, fired->index, fired->success);
    }
    return finish(k, fired->index, fired->success ? 0 : -EPIPE);
}

static bool stay_parked(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return true;
}

static int select_in(struct selection *s, size_t ncases)
{
    int err = classify(s, ncases);
    if (err)
        return err;
    int taken = try_each(s);
    if (taken != NONE)
        return taken;
    // For one channel the look without the lock is as true as any.
    if (s->n <= 1 && s->otherwise != NONE)
        return s->otherwise;
    if (s->n == 0 && s->after == NONE) {
        tz_park(stay_parked, NULL,
                ncases ? TZ_WAIT_SELECT : TZ_WAIT_SELECT_NO_CASES);
        tz_throw("a goroutine that waits for ever was readied");
    }
    sort_by_number(s);
    lock_all(s);
    taken = try_locked(s);
    if (taken != NONE)
        return taken;
    if (s->otherwise != NONE) {
        unlock_all(s);
        return s->otherwise;
    }
    return wait(s);
}

static TZ_NOINLINE int select_small(struct tz_g *g, tuza_case *cases, size_t n)
{
    uint16_t order[2][SMALL];
    struct tz_sudog sudog[SMALL];
    struct selection s = { .g = g,
                           .cases = cases,
                           .poll = order[0],
                           .order = order[1],
                           .sudog = sudog,
                           .after = NONE };
    return select_in(&s, n);
}

static TZ_NOINLINE int select_medium(struct tz_g *g, tuza_case *cases, size_t n)
{
    uint16_t order[2][MEDIUM];
    struct tz_sudog sudog[MEDIUM];
    struct selection s = { .g = g,
                           .cases = cases,
                           .poll = order[0],
                           .order = order[1],
                           .sudog = sudog,
                           .after = NONE };
    return select_in(&s, n);
}

static TZ_NOINLINE int select_large(struct tz_g *g, tuza_case *cases, size_t n)
{
    struct tz_sudog *sudog =
        tz_malloc(n * (sizeof *sudog + 2 * sizeof(uint16_t)), TZ_SCAN);
    if (!sudog)
        return -ENOMEM;
    uint16_t *order = (uint16_t *)(sudog + n);
    struct selection s = { .g = g,
                           .cases = cases,
                           .poll = order,
                           .order = order + n,
                           .sudog = sudog,
                           .after = NONE };
    return select_in(&s, n);
}

int tuza_chan_select(tuza_case *cases, size_t n)
{
    struct tz_g *g = tz_getg();
    if (tz_unlikely(!g))
        g = tz_need_g("tuza_select");
    if (tz_unlikely(tz_env.stress_yield))
        tz_stress_yield();
    tz_yield_point();
    int taken = n <= SMALL       ? select_small(g, cases, n)
                : n <= MEDIUM    ? select_medium(g, cases, n)
                : n <= CASES_MAX ? select_large(g, cases, n)
                                 : -EINVAL;
    tz_event(TZ_EV_SELECT, g->id, (uint64_t)taken);
    return taken;
}
