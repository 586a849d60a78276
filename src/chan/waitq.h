// SPDX-License-Identifier: BSD-3-Clause
// chan/waitq.h: the goroutines that wait on one side of a channel.
//
// A waiter is a record on the parked goroutine's own stack, which does not
// move. The channel's lock guards it from the moment it is queued. Whoever
// takes it out fills in the outcome, unlocks, readies the goroutine, and from
// then on does not touch the record: its stack frame may have returned
// [chan.I3].
#ifndef TZ_CHAN_WAITQ_H
#define TZ_CHAN_WAITQ_H

#include "base/atomic.h"
#include "sched/g.h"

struct tz_sudog {
    struct tz_g *g;
    struct tz_sudog *next, *prev; // both NULL when not queued, or alone
    void *elem;     // where the value is, or goes; NULL: thrown away
    bool is_select; // g waits on other channels too: see tz_waitq_claim
    bool success;   // by whoever takes it out: a value passed, not a close
    uint16_t index; // of its case in the select
};

// First in, first out. `first` is also read without the lock, as a hint, so it
// is stored atomically.
struct tz_waitq {
    struct tz_sudog *first, *last;
};

TZ_INLINE void tz_waitq_push(struct tz_waitq *q, struct tz_sudog *s)
{
    s->next = NULL;
    s->prev = q->last;
    if (q->last)
        q->last->next = s;
    else
        tz_store_rlx(&q->first, s);
    q->last = s;
}

// Takes s out if it is in. A waiter that is alone has no neighbours either, so
// the queue's first tells.
TZ_INLINE void tz_waitq_remove(struct tz_waitq *q, struct tz_sudog *s)
{
    if (!s->prev && q->first != s)
        return;
    if (s->prev)
        s->prev->next = s->next;
    else
        tz_store_rlx(&q->first, s->next);
    if (s->next)
        s->next->prev = s->prev;
    else
        q->last = s->prev;
    s->next = s->prev = NULL;
}

// Whether the caller is the one to wake s. A goroutine that waits in a select
// is queued on several channels, and wakers under different locks compete for
// it; the winner sets the flag [chan.I4].
TZ_INLINE bool tz_waitq_claim(struct tz_sudog *s)
{
    return !s->is_select || tz_cas(&s->g->select_done, 0, 1);
}

// The first waiter that is ours to wake, or NULL. Those of selects that
// somebody else has decided are dropped on the way: their goroutines find
// themselves no longer queued.
TZ_INLINE struct tz_sudog *tz_waitq_pop(struct tz_waitq *q)
{
    struct tz_sudog *s;
    while ((s = q->first) != NULL) {
        tz_waitq_remove(q, s);
        if (tz_likely(tz_waitq_claim(s)))
            return s;
    }
    return NULL;
}

#endif
