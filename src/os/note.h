// SPDX-License-Identifier: BSD-3-Clause
// os/note.h: a one-time event. One thread sleeps, one wakes it, once.
//
// Clear it before anybody can sleep or wake; a second wake without a clear is
// a broken invariant. Sleeping after the wake returns at once.
#ifndef TZ_OS_NOTE_H
#define TZ_OS_NOTE_H

#include "base/base.h"

struct tz_note {
    uint32_t key; // atomic; 0 clear, 1 woken
};

void tz_note_clear(struct tz_note *n);
void tz_note_sleep(struct tz_note *n);
// True when woken, false when ns nanoseconds have passed.
bool tz_note_sleep_for(struct tz_note *n, int64_t ns);
void tz_note_wake(struct tz_note *n);

#endif
