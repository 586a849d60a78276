// SPDX-License-Identifier: BSD-3-Clause
// os/lockrank.h: every lock of the runtime, in the order they may be taken.
//
// A thread may take a lock only if its rank is above all that it holds; debug
// builds check each acquisition. Equal ranks are allowed for CHAN, where select
// takes several in the order of their numbers, and FOREIGN, where the collector
// takes all in the order of their list.
#ifndef TZ_OS_LOCKRANK_H
#define TZ_OS_LOCKRANK_H

enum tz_lockrank {
    TZ_RANK_GC_START,  // gc: one collection at a time
    TZ_RANK_WORLD,     // sched: one stop-the-world at a time
    TZ_RANK_CHAN,      // chan: one channel
    TZ_RANK_SEMA,      // sync: one bucket of the semaphore table
    TZ_RANK_FINALIZER, // gc: who runs finalizers and cleanups
    TZ_RANK_CANCEL,    // time: those that one cancel ends
    TZ_RANK_TIMERS,    // time: one P's timers
    TZ_RANK_ALLGS,     // sched: the list of all goroutines
    TZ_RANK_SCHED,     // sched: idle lists and the global run queue
    TZ_RANK_STACKPOOL, // stack: global stack lists
    TZ_RANK_FOREIGN_LIST, // mem: the list of caches of foreign threads
    TZ_RANK_FOREIGN,   // mem: one such cache; the collector takes all
    TZ_RANK_SPECIAL,   // gc: records about objects; the collector holds it
    TZ_RANK_CENTRAL,   // mem: one span class's lists
    TZ_RANK_HEAP,      // mem: the page heap
    TZ_RANK_GC_WORK,   // gc: lists of work buffers
    TZ_RANK_PERSIST,   // mem: persistent memory's chunk
    TZ_RANK_VM,        // os: deferred unmaps
    TZ_RANK_LEAF,      // holds nothing else while held
    TZ_RANK_COUNT
};

#endif
