// SPDX-License-Identifier: BSD-3-Clause
// time/wait.c: parks with a deadline and a cancel.
//
// The record of such a park lies on the parking goroutine's stack. Its commit,
// on another stack, links it into the list of the cancel, starts its timer, and
// only then lets the caller's commit show the goroutine to those who may wake it;
// both locks are held until that is over. So whoever ends the park first, nothing
// of the record is used after the goroutine runs: to take it off the list and the
// heap it needs the same locks.
//
//     park                        waker        timer          cancel
//     cancel locked, linked
//     heap locked, timer set
//     caller's commit             claim, ready
//     both unlocked                            claim, ready   claim, ready
//     … runs: timer off, unlinked: nobody has it any more
//
// A claim is one exchange in the goroutine (select_done, as select uses it), so
// the three agree on who readies it. Go has the same in sudog.isSelect and
// selectDone, and deadlines as channels beside.

#include "time/wait.h"

#include <errno.h>

#include "time/timer.h"

struct tz_waiter {
    struct tz_g *g;
    bool (*commit)(struct tz_g *g, void *arg);
    void *arg;
    int64_t deadline;
    struct tz_cancel *cancel;
    struct tz_waiter *next, **link; // guarded by cancel's lock; link NULL: off
    struct tz_timer timer;
    int result; // of who has claimed; 0 the waker
};

void tz_cancel_init(struct tz_cancel *c)
{
    *c = (struct tz_cancel){ .lock = TZ_LOCK_INIT(TZ_RANK_CANCEL) };
}

// With c's lock.
static void link_up(struct tz_cancel *c, struct tz_waiter *w)
{
    w->next = c->first;
    w->link = &c->first;
    if (c->first)
        c->first->link = &w->next;
    c->first = w;
}

static void unlink_waiter(struct tz_waiter *w)
{
    if (!w->link)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->link = NULL;
}

static void end_by(struct tz_waiter *w, int result)
{
    if (!tz_park_claim(w->g))
        return;
    w->result = result;
    tz_ready(w->g);
}

void tz_cancel_fire(struct tz_cancel *c)
{
    tz_lock_acquire(&c->lock);
    c->fired = true;
    while (c->first) {
        struct tz_waiter *w = c->first;
        unlink_waiter(w);
        end_by(w, -ECANCELED); // it cannot go before it has had the lock
    }
    tz_lock_release(&c->lock);
}

static void time_is_up(void *waiter)
{
    end_by(waiter, -ETIMEDOUT);
}

// False: nobody has seen g.
static bool commit_timed(struct tz_waiter *w)
{
    if (w->deadline == INT64_MAX)
        return w->commit(w->g, w->arg);
    if (tz_timer_start_hold(&w->timer, w->deadline) != 0) {
        w->result = -ENOMEM;
        return false;
    }
    bool parked = w->commit(w->g, w->arg);
    tz_timer_release(&w->timer); // from here on w may be gone, if it has parked
    if (!parked)
        tz_timer_stop(&w->timer);
    return parked;
}

static bool commit_until(struct tz_g *g, void *arg)
{
    struct tz_waiter *w = arg;
    struct tz_cancel *c = w->cancel;
    (void)g;
    if (!c)
        return commit_timed(w);
    tz_lock_acquire(&c->lock);
    bool parked = false;
    if (c->fired) {
        w->result = -ECANCELED;
    } else {
        link_up(c, w);
        parked = commit_timed(w);
        if (!parked)
            unlink_waiter(w);
    }
    tz_lock_release(&c->lock);
    return parked;
}

int tz_park_until(bool (*commit)(struct tz_g *, void *), void *arg,
                  enum tz_wait why, int64_t deadline, struct tz_cancel *cancel)
{
    struct tz_waiter w = { .g = tz_need_g("parking"), .commit = commit,
                           .arg = arg, .deadline = deadline,
                           .cancel = cancel };
    tz_timer_init(&w.timer, time_is_up, &w);
    tz_store_rlx(&w.g->select_done, 0); // published by commit
    tz_park(commit_until, &w, why);
    if (deadline != INT64_MAX && w.timer.heap)
        tz_timer_stop(&w.timer);
    if (cancel) {
        tz_lock_acquire(&cancel->lock);
        unlink_waiter(&w);
        tz_lock_release(&cancel->lock);
    }
    return w.result;
}
