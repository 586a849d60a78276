// SPDX-License-Identifier: BSD-3-Clause
// time/wait.h: parks that several may end: who has what is waited for, a time, or
// somebody who cancels.
#ifndef TZ_TIME_WAIT_H
#define TZ_TIME_WAIT_H

#include "sched/sched.h"

struct tz_waiter;

// What many parks may be ended by at once. Its owner keeps it until nobody parks
// with it.
struct tz_cancel {
    struct tz_lock lock;
    struct tz_waiter *first; // guarded by lock, with the next
    bool fired;
};

void tz_cancel_init(struct tz_cancel *c);

// Ends all parks with c, and each later one at once. By any thread.
void tz_cancel_fire(struct tz_cancel *c);

// As tz_park, but for who may end it. Whoever wants to ready g claims it first,
// and does so only if the claim was his. deadline: clock ns, INT64_MAX none;
// cancel: NULL none. commit runs with locks of rank TIMERS held: it may release
// what the caller holds, and takes no lock of a lower rank. 0 when somebody has
// claimed and readied g, or commit has returned false; -ETIMEDOUT; -ECANCELED;
// -ENOMEM: there is no room for a timer, and g has not parked.
int tz_park_until(bool (*commit)(struct tz_g *g, void *arg), void *arg,
                  enum tz_wait why, int64_t deadline, struct tz_cancel *cancel);

// The unpark race has one winner: true for one caller a park.
TZ_INLINE bool tz_park_claim(struct tz_g *g)
{
    return tz_cas(&g->select_done, 0, 1);
}

#endif
