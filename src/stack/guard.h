// SPDX-License-Identifier: BSD-3-Clause
// stack/guard.h: what stands at the low end of a stack.
#ifndef TZ_STACK_GUARD_H
#define TZ_STACK_GUARD_H

#include "base/base.h"

enum tz_stack_guard {
    TZ_GUARD_NONE, // not cut yet
    TZ_GUARD_MARKER,
    TZ_GUARD_PROTECT,
    TZ_GUARD_CANARY,
    TZ_GUARDS
};

// Why a weaker guard was taken than a marker, last.
enum tz_guard_why {
    TZ_GUARD_FINE,       // none was
    TZ_GUARD_ASKED,      // TUZASTACKGUARD says so
    TZ_GUARD_NO_MARKERS, // the kernel has none, or does not enforce them
    TZ_GUARD_LOCKED,     // markers are refused: memory is locked
    TZ_GUARD_BUDGET,     // half of the mappings are guards
    TZ_GUARD_REFUSED     // mprotect is refused
};

enum { TZ_GUARD_ZONE_MAX = 64 * 1024 };

#define TZ_STACK_CANARY UINT64_C(0x74757a6163616e61)

// The kind to use from now on, 0 for the best; once.
void tz_guard_init(int kind);

// The kind that was chosen.
enum tz_stack_guard tz_guard_kind(void);

// Bytes of the zone of a stack that takes `stride` bytes.
size_t tz_guard_bytes(size_t stride);

// Guards [lo, lo + n), ready memory of a stack, for as long as it is mapped;
// tells by what. Any thread, no lock.
enum tz_stack_guard tz_guard_set(uintptr_t lo, size_t n);

// So many stacks with that guard are unmapped.
void tz_guard_gone(enum tz_stack_guard kind, uint32_t n);

// Whether some stacks have no better guard than a canary.
bool tz_guard_has_canaries(void);

// How many stacks each kind guards, and why not the best.
void tz_guard_stats(uint64_t by_kind[TZ_GUARDS], enum tz_guard_why *why);

#endif
