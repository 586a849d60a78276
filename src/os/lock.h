// SPDX-License-Identifier: BSD-3-Clause
// os/lock.h: the runtime's own lock. Blocks the thread, so it is held briefly.
//
// Holding one is a critical section [base.I2]: the thread is neither stopped
// for the collector nor does its goroutine move. Not recursive. Works before
// the runtime is started and on threads it does not know.
#ifndef TZ_OS_LOCK_H
#define TZ_OS_LOCK_H

#include "base/tls.h"
#include "os/lockrank.h"

struct tz_lock {
    uint32_t word; // atomic; 0 free, 1 held, 2 held and threads may sleep
    uint32_t rank; // enum tz_lockrank; const after init
};

#define TZ_LOCK_INIT(rank_) { 0, (rank_) }

TZ_INLINE void tz_lock_init(struct tz_lock *l, enum tz_lockrank rank)
{
    l->word = 0;
    l->rank = rank;
}

// Asks now what the first wait for a lock would ask, with 2 KiB of stack. Once, at
// the start.
void tz_lock_ready(void);

// Slow halves: spin, then sleep on the futex; wake one sleeper.
void tz_lock_acquire_slow(struct tz_lock *l);
void tz_lock_release_slow(struct tz_lock *l);

// Debug builds: the rank rule, and that a released lock is held. Fatal
// otherwise, naming both ranks.
void tz_lockrank_acquire(struct tz_lock *l);
void tz_lockrank_release(struct tz_lock *l);

TZ_INLINE void tz_lock_acquire(struct tz_lock *l)
{
    tz_crit_enter();
    if (TZ_DEBUG)
        tz_lockrank_acquire(l);
    if (tz_unlikely(!tz_cas_acq(&l->word, 0, 1)))
        tz_lock_acquire_slow(l);
}

TZ_INLINE bool tz_lock_try(struct tz_lock *l)
{
    tz_crit_enter();
    if (tz_cas_acq(&l->word, 0, 1)) {
        if (TZ_DEBUG)
            tz_lockrank_acquire(l);
        return true;
    }
    tz_crit_leave();
    return false;
}

TZ_INLINE void tz_lock_release(struct tz_lock *l)
{
    if (TZ_DEBUG)
        tz_lockrank_release(l);
    if (tz_unlikely(tz_xchg_rel(&l->word, 0) == 2))
        tz_lock_release_slow(l);
    tz_crit_leave();
}

// Whether anybody holds it: for assertions.
TZ_INLINE bool tz_lock_held(struct tz_lock *l)
{
    return tz_load_rlx(&l->word) != 0;
}

#endif
