// SPDX-License-Identifier: BSD-3-Clause
// chan/chan.h: a channel inside, and what select shares with send and receive.
#ifndef TZ_CHAN_CHAN_H
#define TZ_CHAN_CHAN_H

#include <errno.h>
#include <string.h>

#include "chan/waitq.h"
#include "gc/barrier.h"
#include "os/lock.h"
#include "tuza/chan.h"

// One object of the collected heap: this, then the buffer. qcount, closed and
// the queues' first fields are written under the lock and read without it as
// hints. The order of the first two is for compilers that read them directly.
struct tuza_hchan {
    TZ_ALIGNED(16) size_t qcount; // in the buffer; atomic, guarded by lock
    size_t dataqsiz;              // capacity; const after init
    uint32_t elem_size;           // const after init
    uint32_t closed;              // atomic, guarded by lock; 1 once closed
    size_t sendx, recvx;          // places in the buffer; guarded by lock
    struct tz_waitq recvq;        // guarded by lock
    struct tz_waitq sendq;        // guarded by lock
    struct tz_lock lock;          // TZ_RANK_CHAN
    uint32_t magic;               // TZ_CHAN_MAGIC
    uint64_t id;                  // no other has it; const after init
};
_Static_assert(offsetof(struct tuza_hchan, qcount) == 0, "word 0");
_Static_assert(offsetof(struct tuza_hchan, dataqsiz) == sizeof(size_t),
               "word 1");
_Static_assert(sizeof(struct tuza_hchan) % 16 == 0, "aligns the buffer");

enum { TZ_CHAN_MAGIC = 0x6368616e };

// The end of a program that uses as a channel what is none.
TZ_NORETURN TZ_COLD void tz_chan_bad(const char *what, const tuza_hchan *c);

TZ_INLINE void tz_chan_valid(const char *what, const tuza_hchan *c)
{
    if (tz_unlikely(c->magic != TZ_CHAN_MAGIC))
        tz_chan_bad(what, c);
}

// Whether a send or receive would find a partner, room or a close. Without the
// lock a hint: true may be too late and false too early.
TZ_INLINE bool tz_chan_can_send(const tuza_hchan *c)
{
    if (tz_load_rlx(&c->closed))
        return true;
    return c->dataqsiz ? tz_load_rlx(&c->qcount) < c->dataqsiz
                       : tz_load_rlx(&c->recvq.first) != NULL;
}

TZ_INLINE bool tz_chan_can_recv(const tuza_hchan *c)
{
    // Acquire: closed is looked at after the queue. A channel that was empty,
    // and afterwards not closed, was both at the first look; so "no" is right
    // at some moment.
    return (c->dataqsiz ? tz_load_acq(&c->qcount) > 0
                        : tz_load_acq(&c->sendq.first) != NULL) ||
           tz_load_rlx(&c->closed);
}

TZ_INLINE void *tz_chan_slot(tuza_hchan *c, size_t i)
{
    return (char *)(c + 1) + i * c->elem_size;
}

// Sizes that fit a register are worth a branch: a call of memcpy for a size
// unknown at compile time costs about as much as the rest of a send.
TZ_INLINE void tz_chan_copy(const tuza_hchan *c, void *to, const void *from)
{
    if (c->elem_size == 8)
        memcpy(to, from, 8);
    else if (c->elem_size == 4)
        memcpy(to, from, 4);
    else if (c->elem_size)
        memcpy(to, from, c->elem_size);
}

// A value that was received must not keep an object alive from the buffer.
// Smaller elements hold no pointer.
TZ_INLINE void tz_chan_forget(const tuza_hchan *c, void *slot)
{
    if (c->elem_size == 8)
        memset(slot, 0, 8);
    else if (c->elem_size >= sizeof(void *))
        memset(slot, 0, c->elem_size);
}

TZ_INLINE void tz_chan_zero(const tuza_hchan *c, void *elem)
{
    if (elem)
        memset(elem, 0, c->elem_size);
}

// Notes in a waiter that was popped how its wait ended, and returns whom to
// ready.
TZ_INLINE struct tz_g *tz_chan_finish(struct tz_sudog *s, bool success)
{
    s->success = success;
    if (s->is_select)
        s->g->param = s;
    return s->g;
}

// The halves of send and receive that need the lock and never wait. Each
// leaves in *wake the goroutine that the caller has to ready once it has
// unlocked, or NULL.

// 0, -EAGAIN when it has to wait, -EPIPE on a closed channel.
TZ_INLINE int tz_chan_send_locked(tuza_hchan *c, const void *elem,
                                  struct tz_g **wake)
{
    *wake = NULL;
    if (tz_unlikely(c->closed))
        return -EPIPE;
    struct tz_sudog *s;
    if (c->recvq.first && (s = tz_waitq_pop(&c->recvq)) != NULL) {
        if (s->elem)
            tz_chan_copy(c, s->elem, elem);
        *wake = tz_chan_finish(s, true);
        return 0;
    }
    if (c->qcount == c->dataqsiz)
        return -EAGAIN;
    tz_chan_copy(c, tz_chan_slot(c, c->sendx), elem);
    if (++c->sendx == c->dataqsiz)
        c->sendx = 0;
    tz_store_rlx(&c->qcount, c->qcount + 1);
    return 0;
}

// Takes the first value out of the buffer. With a sender that waits the buffer
// is full, and its value takes the place that becomes free [chan.I2].
TZ_INLINE void tz_chan_take_slot(tuza_hchan *c, void *elem,
                                 const struct tz_sudog *sender)
{
    void *slot = tz_chan_slot(c, c->recvx);
    if (c->elem_size >= sizeof(void *))
        tz_barrier_range(slot, c->elem_size); // it moves to where nobody looks
    if (elem)
        tz_chan_copy(c, elem, slot);
    if (++c->recvx == c->dataqsiz)
        c->recvx = 0;
    if (sender) {
        TZ_DCHECK(c->qcount == c->dataqsiz);
        tz_chan_copy(c, slot, sender->elem);
        c->sendx = c->recvx;
    } else {
        tz_chan_forget(c, slot);
        tz_store_rlx(&c->qcount, c->qcount - 1);
    }
}

// 1, -EAGAIN when it has to wait, 0 (and *elem zeroed) when the channel is
// closed and empty.
TZ_INLINE int tz_chan_recv_locked(tuza_hchan *c, void *elem, struct tz_g **wake)
{
    *wake = NULL;
    struct tz_sudog *s = NULL;
    if (c->sendq.first)
        s = tz_waitq_pop(&c->sendq);
    if (c->qcount > 0) {
        tz_chan_take_slot(c, elem, s);
    } else if (s) {
        if (elem)
            tz_chan_copy(c, elem, s->elem);
    } else if (c->closed) {
        tz_chan_zero(c, elem);
        return 0;
    } else {
        return -EAGAIN;
    }
    if (s)
        *wake = tz_chan_finish(s, true);
    return 1;
}

// Throws where the channel's invariants do not hold. The caller holds its lock.
void tz_chan_check(const tuza_hchan *c);

#endif
