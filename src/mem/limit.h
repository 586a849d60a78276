// SPDX-License-Identifier: BSD-3-Clause
// mem/limit.h: limits of memory, and bytes held outside of the heap.
#ifndef TZ_MEM_LIMIT_H
#define TZ_MEM_LIMIT_H

#include "base/base.h"
#include "tuza/limit.h"

#define TZ_NO_LIMIT UINT64_MAX

// Limits in bytes, TZ_NO_LIMIT for none; before the first allocation.
void tz_limit_init(uint64_t soft, uint64_t max);

// Whether the heap may map, or take into use again, so many bytes more. Asked
// with the heap's lock; takes none.
bool tz_limit_allows(uint64_t more);

// By how many bytes the soft limit would be exceeded with so many more: what
// should be given back before the heap takes them. 0 without a limit. No lock.
uint64_t tz_limit_over(uint64_t more);

// An allocation is about to fail although a collection was done: asks the
// program's function. True: try again, at most TUZA_MEMORY_TRIES times in all.
// On a goroutine, outside critical sections; may park.
bool tz_limit_ask_user(size_t wanted);

// Bytes that count towards the limits: mapped for use and not given back, of
// stacks what tz_limit_note_stacks was told last. No lock.
uint64_t tz_limit_used(void);

// The same without the heap.
uint64_t tz_limit_used_beside_heap(void);

uint64_t tz_limit_soft(void);
uint64_t tz_limit_max(void);
// What is in use may come to so much by growth of the heap: less than the hard limit
// by what the runtime keeps for itself; TZ_NO_LIMIT for none.
uint64_t tz_limit_max_of_heap(void);
uint64_t tz_limit_external(void);
void tz_limit_set_soft(uint64_t bytes);

// How many bytes of stacks have been touched, about.
void tz_limit_note_stacks(uint64_t bytes);

// Sets the goal: live bytes and external ones together are not to exceed it by much;
// UINT64_MAX is none. A collection starts `runway` bytes before that.
void tz_limit_set_goal(uint64_t bytes, uint64_t runway);

#endif
