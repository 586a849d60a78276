// SPDX-License-Identifier: BSD-3-Clause
// bench/alloc2t.h: what a worker of alloc2t does: alloc32's loop, on a ring of
// its own. So that two goroutines that took turns on one thread do not pass for
// two threads, each says now and then where it runs, and looks where the others
// do.
#ifndef BENCH_ALLOC2T_H
#define BENCH_ALLOC2T_H

#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "alloc.h"

enum { WORKERS_MAX = 2, PARTS = 2500, PART = 4000 };
static struct worker {
    struct alloc32 *ring[ALLOC32_LIVE];
    uint32_t tid; // atomic; 0 until it has begun
    uint32_t apart;
    bool ok;
} __attribute__((aligned(128))) workers[WORKERS_MAX];

// How many there are: as many as bench/run gives this run processors.
static inline int worker_count(void)
{
    const char *text = getenv("TUZAMAXPROCS");
    return text && strcmp(text, "1") == 0 ? 1 : WORKERS_MAX;
}

static inline bool workers_are_apart(const struct worker *me, int count)
{
    for (int i = 0; i < count; i++) {
        uint32_t tid = __atomic_load_n(&workers[i].tid, __ATOMIC_RELAXED);
        if (&workers[i] != me && (tid == 0 || tid == me->tid))
            return false;
    }
    return true;
}

// All begin at the same time: nobody's loop may be over before another's.
static inline void workers_meet(int count)
{
    static int here;
    __atomic_fetch_add(&here, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&here, __ATOMIC_RELAXED) < count)
        YIELD();
}

static inline void worker_run(struct worker *me, int count)
{
    workers_meet(count);
    bool ok = true;
    for (uint64_t i = 0; i < PARTS; i++) {
        __atomic_store_n(&me->tid, (uint32_t)syscall(SYS_gettid),
                         __ATOMIC_RELAXED);
        me->apart += workers_are_apart(me, count);
        ok &= alloc32_part(me->ring, i * PART, (i + 1) * PART);
    }
    me->ok = ok;
}

// Whether all objects were right, and all workers apart most of the time.
static inline bool workers_did_well(int count)
{
    bool ok = true;
    for (int i = 0; i < count; i++)
        ok &= workers[i].ok && workers[i].apart > PARTS / 2;
    return ok;
}

#endif
