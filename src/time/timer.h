// SPDX-License-Identifier: BSD-3-Clause
// time/timer.h: something to be done at a time.
//
// The user of a timer embeds it: a sleeping goroutine has it on its stack.
// Nothing is allocated a timer, so nothing has to be freed; the user keeps it
// in place from the start until it has run or tz_timer_stop has returned.
#ifndef TZ_TIME_TIMER_H
#define TZ_TIME_TIMER_H

#include "sched/sched.h"

struct tz_timers;

struct tz_timer {
    int64_t when;          // clock ns when it is due; const while started
    void (*fn)(void *arg); // const after init, with arg
    void *arg;
    struct tz_timers *heap; // where it was last put; NULL before
    uint32_t pos;           // place in heap from 1, 0 off; guarded by its lock
};

// fn(arg) is called once a start, on any thread that holds a P, with the lock
// of a timer heap held (TZ_RANK_TIMERS): it is brief, does not park, may call
// tz_ready. It may free or reuse the timer, which is not touched after the
// call has begun.
TZ_INLINE void tz_timer_init(struct tz_timer *t, void (*fn)(void *), void *arg)
{
    t->fn = fn;
    t->arg = arg;
    t->heap = NULL;
    t->pos = 0;
}

// Makes t due at `when`. t is not started. On a thread that holds a P; takes
// locks of rank TIMERS and above. 0; -ENOMEM, and t is not started.
int tz_timer_start(struct tz_timer *t, int64_t when);

// The same in two halves: after the first, the heap is locked and t cannot
// run; the second, on the same thread, lets go. It reads t only before the
// unlock, so a goroutine whose timer will wake it can park in between.
int tz_timer_start_hold(struct tz_timer *t, int64_t when);
void tz_timer_release(struct tz_timer *t);

// True when t was started and will not run for it; false when it has run, or
// never was started. Afterwards fn is not running [time.I4].
bool tz_timer_stop(struct tz_timer *t);

// now + ns, held below the end of time. ns >= 0.
TZ_INLINE int64_t tz_timer_when(int64_t now, int64_t ns)
{
    return ns > INT64_MAX - 1 - now ? INT64_MAX - 1 : now + ns;
}

// Walks the heap of p and throws where it is out of order.
void tz_timers_check(struct tz_p *p);

#endif
