// SPDX-License-Identifier: BSD-3-Clause
// os/lock.c: the slow halves of the lock.
//
//              acquire: cas                 acquire: xchg
//     free (0) ------------> held (1)  ------------------> contended (2)
//        ^                     |                              |
//        +------ release ------+----- release: wake one ------+
//
// A thread that once slept takes the lock as contended, because it cannot know
// whether others still sleep; the cost is one needless wake. Before it sleeps
// it spins a little if there is another processor to release the lock.
//
// Go keeps this in lock_futex.go; ours leaves out the passive spin
// (sched_yield), which only pays with more threads than processors and then
// delays the holder's wake.

#include "base/cpu.h"
#include "os/futex.h"
#include "os/lock.h"
#include "os/ncpu.h"

enum {
    SPINS = 40,       // looks at the word before sleeping
    RELAX_A_SPIN = 8, // pauses between two looks
};

// Looks at the word; 0 when there is one processor, where spinning is vain.
static uint32_t spin_count(void)
{
    static uint32_t cached; // atomic; count + 1, 0 not known
    uint32_t c = tz_load_rlx(&cached); // an idempotent value: no partner
    if (c == 0) {
        c = (tz_ncpu() > 1 ? SPINS : 0) + 1;
        tz_store_rlx(&cached, c);
    }
    return c - 1;
}

void tz_lock_ready(void) { (void)spin_count(); }

void tz_lock_acquire_slow(struct tz_lock *l)
{
    for (uint32_t i = spin_count(); i > 0; i--) {
        // Acquire: pairs with the release in tz_lock_release.
        if (tz_load_rlx(&l->word) == 0 && tz_cas_acq(&l->word, 0, 1))
            return;
        for (int k = 0; k < RELAX_A_SPIN; k++)
            tz_cpu_relax();
    }
    // Acquire: as above.
    while (tz_xchg_acq(&l->word, 2) != 0)
        tz_futex_sleep(&l->word, 2, -1);
}

void tz_lock_release_slow(struct tz_lock *l)
{
    tz_futex_wake(&l->word, 1);
}
