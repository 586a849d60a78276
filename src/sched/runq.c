// SPDX-License-Identifier: BSD-3-Clause
// sched/runq.c: queues of runnable goroutines.
//
// Each P has a ring of 256. Its owner alone adds, at the tail, with a release
// store; owner and thieves take at the head, with a CAS that makes the reads
// of the slots before it valid. runnext is one slot in front of the ring: what
// was readied last runs next, while its data is warm. A thief leaves runnext
// alone unless there is nothing else. A full ring sends half of itself to the
// global queue, a list under the sched lock.
//
// With a single P there are no thieves, and no idle P to wake: plain stores do
// then. Who looks at the queue without the P cannot take it over but by the
// P's status, a lock or a stop, each of which orders what the owner has done
// before [sched.I4].
//
// The algorithm is that of Go's proc.go (runqput, runqget, runqgrab).

#include "base/rand.h"
#include "os/thread.h"
#include "sched/proc.h"

// Makes g the next one; returns the one that was.
static struct tz_g *swap_next(struct tz_p *p, struct tz_g *g)
{
    if (!p->alone)
        return tz_xchg(&p->runnext, g);
    struct tz_g *old = tz_load_rlx(&p->runnext);
    tz_store_rel(&p->runnext, g); // with tz_runq_empty
    return old;
}

// Takes n from the ring's head, which the caller has read; false: a thief was
// faster.
static bool consume(struct tz_p *p, uint32_t head, uint32_t n)
{
    if (!p->alone)
        return tz_cas_rel(&p->runqhead, head, head + n);
    tz_store_rel(&p->runqhead, head + n); // with tz_runq_empty
    return true;
}

// Moves half of the full ring and g to the global queue. False: the ring was
// no longer full.
static TZ_NOINLINE bool put_slow(struct tz_p *p, struct tz_g *g,
                                 uint32_t head, uint32_t tail)
{
    uint32_t n = (tail - head) / 2;
    TZ_CHECK(n == TZ_RUNQ_SIZE / 2);
    if (!consume(p, head, n))
        return false;
    // The slots keep what they hold: only we write to them. No array of it: who
    // parks may come here, on a stack of 2 KiB.
    struct tz_g *first = tz_load_rlx(&p->runq[head % TZ_RUNQ_SIZE]);
    struct tz_g *last = first;
    for (uint32_t i = 1; i < n; i++) {
        last->link = tz_load_rlx(&p->runq[(head + i) % TZ_RUNQ_SIZE]);
        last = last->link;
    }
    last->link = g;
    tz_lock_acquire(&tz_sched.lock);
    tz_globrunq_put_batch(first, g, n + 1);
    tz_lock_release(&tz_sched.lock);
    return true;
}

void tz_runq_put(struct tz_p *p, struct tz_g *g, bool next)
{
    if (next) {
        // The one that was next goes to the ring's end.
        g = swap_next(p, g);
        if (!g)
            return;
    }
    for (;;) {
        uint32_t head = tz_load_acq(&p->runqhead); // with the takers' CAS
        uint32_t tail = p->runqtail;
        if (tail - head < TZ_RUNQ_SIZE) {
            tz_store_rlx(&p->runq[tail % TZ_RUNQ_SIZE], g);
            // With the takers' load. A look at who is idle must come after
            // it [sched.I4]: with next, runnext can be seen since the exchange.
            if (next || p->alone)
                tz_store_rel(&p->runqtail, tail + 1);
            else
                (void)tz_xchg(&p->runqtail, tail + 1);
            return;
        }
        if (put_slow(p, g, head, tail))
            return;
    }
}

struct tz_g *tz_runq_get_oldest(struct tz_p *p)
{
    for (;;) {
        uint32_t head = tz_load_acq(&p->runqhead);
        if (head == p->runqtail)
            return NULL;
        struct tz_g *g = tz_load_rlx(&p->runq[head % TZ_RUNQ_SIZE]);
        if (consume(p, head, 1)) // the slot is consumed
            return g;
    }
}

struct tz_g *tz_runq_get(struct tz_p *p)
{
    struct tz_g *g = tz_load_rlx(&p->runnext);
    if (!g)
        return tz_runq_get_oldest(p);
    // Only thieves change it besides us, and only to NULL.
    if (p->alone)
        tz_store_rel(&p->runnext, NULL); // with tz_runq_empty
    else if (!tz_cas(&p->runnext, g, NULL))
        return tz_runq_get_oldest(p);
    return g;
}

// Racy when p is not the caller's; then "empty" may be a moment old, but not
// wrong for the whole of the call: head, tail and runnext are read again when
// the owner was moving runnext to the ring meanwhile.
bool tz_runq_empty(struct tz_p *p)
{
    for (;;) {
        uint32_t head = tz_load_acq(&p->runqhead);
        uint32_t tail = tz_load_acq(&p->runqtail);
        struct tz_g *next = tz_load(&p->runnext);
        if (tail == tz_load_acq(&p->runqtail))
            return head == tail && !next;
    }
}

// Copies half of victim's ring into batch, the ring of the caller's P from
// `at` on; how many.
static uint32_t grab(struct tz_p *victim, struct tz_p *p, uint32_t at,
                     bool runnext)
{
    for (;;) {
        uint32_t head = tz_load_acq(&victim->runqhead);
        uint32_t tail = tz_load_acq(&victim->runqtail); // with the owner's put
        uint32_t n = tail - head;
        n -= n / 2;
        if (n == 0) {
            struct tz_g *next = tz_load_rlx(&victim->runnext);
            if (!runnext || !next)
                return 0;
            // Its P is about to run it if it still runs: let it.
            if (tz_load_rlx(&victim->status) == TZ_P_RUNNING)
                tz_thread_yield();
            if (!tz_cas(&victim->runnext, next, NULL))
                continue;
            tz_store_rlx(&p->runq[at % TZ_RUNQ_SIZE], next);
            return 1;
        }
        if (n > TZ_RUNQ_SIZE / 2) // head and tail are not of one moment
            continue;
        for (uint32_t i = 0; i < n; i++)
            tz_store_rlx(
                &p->runq[(at + i) % TZ_RUNQ_SIZE],
                tz_load_rlx(&victim->runq[(head + i) % TZ_RUNQ_SIZE]));
        if (tz_cas_rel(&victim->runqhead, head, head + n))
            return n;
    }
}

struct tz_g *tz_runq_steal(struct tz_p *p, struct tz_p *victim, bool runnext)
{
    uint32_t tail = p->runqtail;
    // The free half has room for half of another ring. Only stress=steal
    // steals while it has work of its own.
    if (tail - tz_load_acq(&p->runqhead) > TZ_RUNQ_SIZE / 2)
        return NULL;
    uint32_t n = grab(victim, p, tail, runnext);
    if (n == 0)
        return NULL;
    n--;
    struct tz_g *g = p->runq[(tail + n) % TZ_RUNQ_SIZE];
    if (n) {
        TZ_CHECK(tail - tz_load_acq(&p->runqhead) + n < TZ_RUNQ_SIZE);
        tz_store_rel(&p->runqtail, tail + n);
    }
    return g;
}

void tz_globrunq_put_batch(struct tz_g *head, struct tz_g *tail, uint32_t n)
{
    tail->link = NULL;
    if (tz_sched.runqtail)
        tz_sched.runqtail->link = head;
    else
        tz_sched.runq = head;
    tz_sched.runqtail = tail;
    tz_store(&tz_sched.runqsize, tz_sched.runqsize + n);
}

void tz_globrunq_put(struct tz_g *g) { tz_globrunq_put_batch(g, g, 1); }

// Moves up to n from the global queue's front to p's ring, as many as have
// room; how many.
static uint32_t move_to_ring(struct tz_p *p, uint32_t n)
{
    uint32_t tail = p->runqtail;
    uint32_t room = TZ_RUNQ_SIZE - (tail - tz_load_acq(&p->runqhead));
    n = (uint32_t)tz_min(n, room);
    struct tz_g *g = tz_sched.runq;
    for (uint32_t i = 0; i < n; i++, g = g->link)
        tz_store_rlx(&p->runq[(tail + i) % TZ_RUNQ_SIZE], g);
    tz_sched.runq = g;
    if (n == 0)
        return 0;
    if (p->alone)
        tz_store_rel(&p->runqtail, tail + n);
    else // before a look at who is idle [sched.I4]
        (void)tz_xchg(&p->runqtail, tail + n);
    return n;
}

struct tz_g *tz_globrunq_get(struct tz_p *p, uint32_t max)
{
    uint32_t size = tz_sched.runqsize;
    if (size == 0)
        return NULL;
    uint32_t n = (uint32_t)tz_min(size / tz_load_rlx(&tz_sched.nprocs) + 1, size);
    n = (uint32_t)tz_min(n, max ? max : TZ_RUNQ_SIZE / 2);
    struct tz_g *g = tz_sched.runq;
    tz_sched.runq = g->link;
    uint32_t moved = move_to_ring(p, n - 1);
    if (!tz_sched.runq)
        tz_sched.runqtail = NULL;
    tz_store(&tz_sched.runqsize, size - 1 - moved);
    return g;
}
