// SPDX-License-Identifier: BSD-3-Clause
// chan/chan.c: channels: make, send, receive, close.
//
// A channel is a ring of elements, two queues of waiters, and a lock:
//
//            sendq: G4 -> G7                      recvq: (empty)
//                     |
//      send ->  [ 3 | 4 | 5 | . ]  -> receive     qcount 3 of dataqsiz 4
//                 ^recvx      ^sendx
//
// A send, with the lock held, first looks for a waiting receiver and copies
// the value to where that one wants it; else it puts the value into the
// buffer; else it queues itself and parks, and whoever takes it from the queue
// has also taken the value from its stack. A receive is the mirror image. So
// a goroutine that wakes has nothing left to do, and values stay in order
// [chan.I1] [chan.I2].
//
// Attempts that may not wait look first without the lock, and are done when
// there is nothing.
//
// What it does NOT do: more than one element under one lock, and any spinning.
//
// Cost: an uncontended operation on a buffer is one lock and one copy.
// Go keeps this in runtime/chan.go. Our waiters' records lie on their stacks
// instead of a pool, since stacks do not move; and a close leaves it to each
// receiver to zero its element.

#include "chan/chan.h"

#include "base/event.h"
#include "mem/malloc.h"
#include "os/env.h"
#include "sched/sched.h"

enum { ELEM_MAX = 65535 };

void tz_chan_bad(const char *what, const tuza_hchan *c)
{
    tz_fatal("%s on %p, which is not a channel", what, (const void *)c);
}

void tz_chan_check(const tuza_hchan *c)
{
    TZ_CHECK(c->magic == TZ_CHAN_MAGIC && c->qcount <= c->dataqsiz);
    TZ_CHECK(tz_lock_held((struct tz_lock *)&c->lock));
    if (c->dataqsiz) {
        TZ_CHECK(c->sendx < c->dataqsiz && c->recvx < c->dataqsiz);
        size_t end = c->recvx + c->qcount;
        TZ_CHECK(c->sendx == (end >= c->dataqsiz ? end - c->dataqsiz : end));
    }
    TZ_CHECK(!c->recvq.first || !c->recvq.first->prev);
    TZ_CHECK(!c->sendq.first || !c->sendq.first->prev);
    // [chan.I2]
    TZ_CHECK(c->qcount == 0 || !c->recvq.first);
    TZ_CHECK(c->qcount == c->dataqsiz || !c->sendq.first);
}

// Entry of the operations: a place to yield in stress runs, and the check.
static inline void enter(const char *what, const tuza_hchan *c)
{
    if (tz_unlikely(tz_env.stress_yield))
        tz_stress_yield();
    if (c)
        tz_chan_valid(what, c);
}

static inline struct tz_g *current(const char *what)
{
    struct tz_g *g = tz_getg();
    return tz_likely(g != NULL) ? g : tz_need_g(what);
}

static inline uint64_t goid(void)
{
    struct tz_g *g = tz_getg();
    return g ? g->id : 0;
}

static TZ_COLD TZ_NORETURN void send_on_closed(const tuza_hchan *c)
{
    tz_fatal("send on closed channel %p", (const void *)c);
}

static inline void unlock_wake(tuza_hchan *c, struct tz_g *wake)
{
    if (TZ_DEBUG)
        tz_chan_check(c);
    tz_lock_release(&c->lock);
    if (wake)
        tz_ready(wake);
}

static bool stay_parked(struct tz_g *g, void *arg)
{
    (void)g, (void)arg;
    return true;
}

static TZ_COLD TZ_NORETURN void block_for_ever(enum tz_wait why)
{
    tz_park(stay_parked, NULL, why);
    tz_throw("a goroutine that waits for ever was readied");
}

tuza_hchan *tuza_chan_new(size_t elem_size, size_t capacity)
{
    size_t size;
    if (elem_size > ELEM_MAX ||
        __builtin_mul_overflow(elem_size, capacity, &size) ||
        __builtin_add_overflow(size, sizeof(tuza_hchan), &size) ||
        size > PTRDIFF_MAX || capacity > PTRDIFF_MAX)
        return NULL;
    tuza_hchan *c = tz_malloc(size, TZ_SCAN);
    if (!c)
        return NULL;
    c->dataqsiz = capacity;
    c->elem_size = (uint32_t)elem_size;
    tz_lock_init(&c->lock, TZ_RANK_CHAN);
    c->id = tz_chan_number();
    c->magic = TZ_CHAN_MAGIC;
    return c;
}

// Queues the caller, who holds the lock, on q and parks it. True when a value
// passed, false when the channel was closed meanwhile.
static TZ_NOINLINE bool wait_on(tuza_hchan *c, struct tz_waitq *q,
                                struct tz_g *g, void *elem, enum tz_wait why)
{
    struct tz_sudog s = { .g = g, .elem = elem };
    tz_waitq_push(q, &s);
    if (TZ_DEBUG)
        tz_chan_check(c);
    tz_park_unlock(&c->lock, why);
    return s.success;
}

int tuza_chan_send(tuza_hchan *c, const void *elem)
{
    struct tz_g *g = current("tuza_send");
    enter("tuza_send", c);
    tz_yield_point();
    tz_event(TZ_EV_CHAN_SEND, c ? c->id : 0, g->id);
    if (tz_unlikely(!c))
        block_for_ever(TZ_WAIT_CHAN_SEND_NIL);
    struct tz_g *wake;
    tz_lock_acquire(&c->lock);
    int r = tz_chan_send_locked(c, elem, &wake);
    if (r == -EAGAIN) {
        // Receivers copy from *elem and do not write it.
        if (wait_on(c, &c->sendq, g, (void *)(uintptr_t)elem,
                    TZ_WAIT_CHAN_SEND))
            return 0;
        send_on_closed(c);
    }
    unlock_wake(c, wake);
    if (tz_unlikely(r < 0))
        send_on_closed(c);
    return 0;
}

int tuza_chan_recv(tuza_hchan *c, void *elem)
{
    struct tz_g *g = current("tuza_recv");
    enter("tuza_recv", c);
    tz_yield_point();
    tz_event(TZ_EV_CHAN_RECV, c ? c->id : 0, g->id);
    if (tz_unlikely(!c))
        block_for_ever(TZ_WAIT_CHAN_RECV_NIL);
    struct tz_g *wake;
    tz_lock_acquire(&c->lock);
    int r = tz_chan_recv_locked(c, elem, &wake);
    if (r == -EAGAIN) {
        if (wait_on(c, &c->recvq, g, elem, TZ_WAIT_CHAN_RECV))
            return 1;
        tz_chan_zero(c, elem);
        return 0;
    }
    unlock_wake(c, wake);
    return r;
}

int tuza_chan_try_send(tuza_hchan *c, const void *elem)
{
    enter("tuza_try_send", c);
    // A channel that is full or without a receiver now was open a moment ago;
    // so both looks together are right at the moment of the first.
    if (!c || !tz_chan_can_send(c))
        return -EAGAIN;
    tz_event(TZ_EV_CHAN_SEND, c->id, goid());
    struct tz_g *wake;
    tz_lock_acquire(&c->lock);
    int r = tz_chan_send_locked(c, elem, &wake);
    unlock_wake(c, wake);
    if (tz_unlikely(r == -EPIPE))
        send_on_closed(c);
    return r;
}

int tuza_chan_try_recv(tuza_hchan *c, void *elem)
{
    enter("tuza_try_recv", c);
    if (!c || !tz_chan_can_recv(c))
        return -EAGAIN;
    tz_event(TZ_EV_CHAN_RECV, c->id, goid());
    struct tz_g *wake;
    tz_lock_acquire(&c->lock);
    int r = tz_chan_recv_locked(c, elem, &wake);
    unlock_wake(c, wake);
    return r;
}

// Moves all waiters of q to the end of a list linked by `next`, whose last
// link is *tail. Returns the new last link.
static struct tz_sudog **drain(struct tz_waitq *q, struct tz_sudog **tail)
{
    struct tz_sudog *s;
    while ((s = tz_waitq_pop(q)) != NULL) {
        (void)tz_chan_finish(s, false);
        *tail = s;
        tail = &s->next;
    }
    return tail;
}

void tuza_chan_close(tuza_hchan *c)
{
    if (!c)
        tz_fatal("close of NULL channel");
    enter("tuza_close", c);
    tz_event(TZ_EV_CHAN_CLOSE, c->id, goid());
    tz_lock_acquire(&c->lock);
    if (c->closed) {
        tz_lock_release(&c->lock);
        tz_fatal("close of closed channel %p", (void *)c);
    }
    tz_store_rlx(&c->closed, 1); // a reader without the lock has no partner:
                                 // it takes the lock, or only gives up
    struct tz_sudog *list = NULL;
    (void)drain(&c->sendq, drain(&c->recvq, &list));
    unlock_wake(c, NULL);
    while (list) {
        struct tz_g *g = list->g;
        list = list->next; // before its owner's frame may go
        tz_ready(g);
    }
}

size_t tuza_chan_len(const tuza_hchan *c)
{
    return c ? tz_load_rlx(&c->qcount) : 0;
}

size_t tuza_chan_cap(const tuza_hchan *c)
{
    return c ? c->dataqsiz : 0;
}
