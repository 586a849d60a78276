// SPDX-License-Identifier: BSD-3-Clause
// sync/waitgroup.c: waiting for a number of things to happen.
//
// One 64-bit word holds the counter (upper half) and the number of waiters
// (lower half), so that both are changed and seen together. Whoever brings the
// counter to zero, with waiters there, resets the word and wakes each of them.
//
// An add that starts a new round while waiters of the last have not returned
// is the program's mistake; it is told where it can be seen. Go's sync has the
// same word and the same checks (sync/waitgroup.go).

#include "base/atomic.h"
#include "sync/sema.h"
#include "tuza/sync.h"

_Static_assert(sizeof(tuza_waitgroup) == 16, "users embed it");

static int32_t counter(uint64_t state)
{
    return (int32_t)(state >> 32);
}

static uint32_t waiters(uint64_t state)
{
    return (uint32_t)state;
}

void tuza_waitgroup_add(tuza_waitgroup *wg, int32_t delta)
{
    uint64_t add = (uint64_t)(uint32_t)delta << 32;
    uint64_t state = tz_xadd(&wg->state, add) + add;
    int32_t count = counter(state);
    uint32_t n = waiters(state);
    if (count < 0)
        tz_fatal("negative wait group counter (wait group %p)", (void *)wg);
    if (n != 0 && delta > 0 && count == delta)
        tz_fatal("wait group %p: add at zero while goroutines wait",
                 (void *)wg);
    if (count > 0 || n == 0)
        return;
    // Zero with waiters. Adds are a mistake now, and waits do not queue.
    if (tz_load_rlx(&wg->state) != state)
        tz_fatal("wait group %p: add while goroutines return from wait",
                 (void *)wg);
    tz_store(&wg->state, 0);
    for (; n > 0; n--)
        tz_sema_release(&wg->sema, false);
}

void tuza_waitgroup_done(tuza_waitgroup *wg)
{
    tuza_waitgroup_add(wg, -1);
}

void tuza_waitgroup_wait(tuza_waitgroup *wg)
{
    (void)tz_need_g("tuza_waitgroup_wait");
    tz_yield_point();
    for (;;) {
        uint64_t state = tz_load(&wg->state);
        if (counter(state) == 0)
            return;
        if (tz_cas(&wg->state, state, state + 1))
            break;
    }
    tz_sema_acquire(&wg->sema, false, TZ_WAIT_WAITGROUP);
    if (tz_load(&wg->state) != 0)
        tz_fatal("wait group %p: used again before wait has returned",
                 (void *)wg);
}
