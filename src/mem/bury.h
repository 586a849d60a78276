// SPDX-License-Identifier: BSD-3-Clause
// mem/bury.h: objects that are gone and whose memory is never used again.
#ifndef TZ_MEM_BURY_H
#define TZ_MEM_BURY_H

#include "mem/span.h"

// neverfree=1: s has no objects and nothing to give. By its owner, who has no
// lock; afterwards it is on no list, and its pages stay its own.
void tz_bury(struct tz_span *s);

// pageperobject=1: the object of a large span is gone; from now on it faults.
// Where the system refuses that, it is overwritten instead.
void tz_bury_object(struct tz_span *s, enum tz_gone how);

struct tz_grave {
    uintptr_t base;
    size_t asked; // bytes that were asked for
    enum tz_gone how;
};

// Whether p lies in the pages of an object that faults. Signal-safe.
bool tz_bury_find(uintptr_t p, struct tz_grave *out);

#endif
