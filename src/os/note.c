// SPDX-License-Identifier: BSD-3-Clause
// os/note.c: a one-time event on a futex word.
//
//     clear (0) --wake--> woken (1) --clear--> clear
//
// The one who wakes releases what it wrote before, the sleeper acquires it.
// The sleeper may reuse or free the note as soon as it sees 1, even before the
// futex call of the one who wakes; os/futex_linux.c says why that is safe.
//
// Go keeps this in lock_futex.go (notesleep, notewakeup); ours does not put
// the M into a blocking state, which is up to the caller.

#include "base/atomic.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/note.h"

void tz_note_clear(struct tz_note *n)
{
    tz_store_rlx(&n->key, 0); // nobody sleeps or wakes yet
}

void tz_note_sleep(struct tz_note *n)
{
    // Acquire: pairs with the release in tz_note_wake.
    while (tz_load_acq(&n->key) == 0)
        tz_futex_sleep(&n->key, 0, -1);
}

bool tz_note_sleep_for(struct tz_note *n, int64_t ns)
{
    int64_t now = tz_clock_now();
    int64_t end = ns > INT64_MAX - now ? INT64_MAX : now + ns;
    // Acquire: pairs with the release in tz_note_wake.
    while (tz_load_acq(&n->key) == 0) {
        if (now >= end)
            return false;
        tz_futex_sleep(&n->key, 0, end - now);
        now = tz_clock_now();
    }
    return true;
}

void tz_note_wake(struct tz_note *n)
{
    uint32_t old = tz_xchg_rel(&n->key, 1);
    if (tz_unlikely(old != 0))
        tz_throw("note %p: woken twice (key %u)", (void *)n, old);
    tz_futex_wake(&n->key, 1);
}
