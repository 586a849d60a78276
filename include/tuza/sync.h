/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/sync.h: locks between goroutines. All zero is a valid initial state;
 * none may be copied after first use. Call from goroutines only. */
#ifndef TUZA_SYNC_H
#define TUZA_SYNC_H

#include "tuza/base.h"

TUZA_BEGIN

/* A mutual-exclusion lock that parks the goroutine, never the thread. Not
 * recursive; may be unlocked by another goroutine than the one that locked. A
 * waiter that has waited 1 ms gets it before newcomers. It must stay in place
 * until every unlock of it has returned. */
typedef struct tuza_mutex {
    int32_t state;
    uint32_t sema;
} tuza_mutex;

/* Locks; may park. */
TUZA_API void tuza_mutex_lock(tuza_mutex *m) TUZA__SPLIT("mutex_lock");
/* 0, or -EBUSY when it is locked. Does not park. */
TUZA_API int tuza_mutex_trylock(tuza_mutex *m) TUZA__SPLIT("mutex_trylock");
/* Unlocks. An unlocked mutex is fatal. Does not park. */
TUZA_API void tuza_mutex_unlock(tuza_mutex *m) TUZA__SPLIT("mutex_unlock");

/* Waits for a number of things to happen: add before starting each, done when
 * one has finished, wait until none is left. It may go once every wait has returned.
 */
typedef struct tuza_waitgroup {
    uint64_t state;
    uint32_t sema;
} tuza_waitgroup;

/* Adds delta, which may be negative; a counter below zero is fatal. Does not
 * park. */
TUZA_API void tuza_waitgroup_add(tuza_waitgroup *wg, int32_t delta)
    TUZA__SPLIT("waitgroup_add");
/* Adds -1. */
TUZA_API void tuza_waitgroup_done(tuza_waitgroup *wg)
    TUZA__SPLIT("waitgroup_done");
/* Returns when the counter is zero; may park. */
TUZA_API void tuza_waitgroup_wait(tuza_waitgroup *wg)
    TUZA__SPLIT("waitgroup_wait");

TUZA_END

#endif
