// SPDX-License-Identifier: BSD-3-Clause
// sched/slot_generic.c: no split code here.

#include "sched/split.h"

uintptr_t tz_slot_get(void) { return 0; }
void tz_slot_set(uintptr_t guard) { (void)guard; }
void tz_slot_poison(uintptr_t tp) { (void)tp; }
bool tz_slot_calls_bound(void) { return false; }
