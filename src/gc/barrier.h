// SPDX-License-Identifier: BSD-3-Clause
// gc/barrier.h: what stores overwrite while a collection marks.
#ifndef TZ_GC_BARRIER_H
#define TZ_GC_BARRIER_H

#include "base/atomic.h"
#include "tuza/barrier.h"

enum { TZ_BARRIER_WORDS = 512 };

// --- for the mark

// What is said of the program's stores: enum of tuza/barrier.h. Before anything
// runs.
void tz_barrier_init(int says);

// Whether all stores of all that is loaded are told. Else *missing is the path
// of the first that is without, "" for the program, NULL when the program said
// so; until the next call. May wait for the dynamic linker's lock.
bool tz_barrier_declared(const char **missing);

// How many objects had been loaded at the last such question, if their notes count.
uint64_t tz_barrier_loads(void);

// Whether only the macros of tuza/barrier.h tell, and no compiler.
bool tz_barrier_by_hand(void);

// With the world stopped: stores are logged from here on, or no more. Stop
// forgets what nobody has taken.
void tz_barrier_start(void);
// Before that, by who collects: makes the buffers, so that the stop need not.
void tz_barrier_make(void);
void tz_barrier_stop(void);

// Calls fn(arg, words, n) with what was logged: old values that point into the
// heap, some of them several times; returns how many. At any time, by several
// threads at once: what is in full buffers.
typedef void tz_barrier_fn(void *arg, const uintptr_t *words, size_t n);
size_t tz_barrier_flush(tz_barrier_fn *fn, void *arg);
// With the world stopped, by one thread: everything.
size_t tz_barrier_flush_all(tz_barrier_fn *fn, void *arg);

// Whether a value was lost since the start because memory for a buffer was
// refused. Then what can be reached is found only by scanning all roots and all
// marked objects anew with the world stopped (tz_mark_again).
bool tz_barrier_overflowed(void);

// --- for the runtime's own stores

TZ_INLINE bool tz_barrier_is_on(void)
{
    return tz_unlikely(tz_load_rlx(&tuza__barrier));
}

// n bytes at p are about to be overwritten.
void tz_barrier_log(const void *p, size_t n);
TZ_INLINE void tz_barrier_range(const void *p, size_t n)
{
    if (tz_barrier_is_on())
        tz_barrier_log(p, n);
}

// The program is given a pointer that the mark may not find elsewhere.
void tz_barrier_log_word(uintptr_t word);
TZ_INLINE void tz_barrier_give(uintptr_t word)
{
    if (tz_barrier_is_on())
        tz_barrier_log_word(word);
}

// A root of the records' is taken away, with their lock.
void tz_barrier_log_root(uintptr_t word);
TZ_INLINE void tz_barrier_take_away(uintptr_t word)
{
    if (tz_barrier_is_on())
        tz_barrier_log_root(word);
}

#endif
