// SPDX-License-Identifier: BSD-3-Clause
// os/lockrank.c: checks the order of locks in debug builds.
//
// Each thread keeps which ranks it holds in tz_tls.held_ranks: bit r of the
// low half for rank r, and in the high half how many locks of the two ranks
// that may be held several times: CHAN 17 bits, FOREIGN 15. Their bit stays set
// until the last of them is released [os.I7].
//
// Go keeps this in lockrank.go, as a partial order with a list of the locks
// held by each M; ours is a total order, which one word holds.

#include "os/lock.h"

_Static_assert(TZ_RANK_COUNT <= 31, "ranks fit below TZ_IN_HOOK");

// A lock of a rank that repeats, as it is counted in the high half, and where
// the count lies.
static uint64_t one_of(uint32_t rank)
{
    return rank == TZ_RANK_CHAN      ? UINT64_C(1) << 32
           : rank == TZ_RANK_FOREIGN ? UINT64_C(1) << 49
                                     : 0;
}

static uint64_t count_of(uint32_t rank, uint64_t held)
{
    return rank == TZ_RANK_CHAN ? held & (UINT64_C(0x1ffff) << 32)
                                : held & (UINT64_C(0x7fff) << 49);
}

static const char *rank_name(uint32_t rank)
{
    static const char *const names[] = {
        [TZ_RANK_GC_START] = "GC_START",
        [TZ_RANK_WORLD] = "WORLD",
        [TZ_RANK_CHAN] = "CHAN",
        [TZ_RANK_SEMA] = "SEMA",
        [TZ_RANK_CANCEL] = "CANCEL",
        [TZ_RANK_FINALIZER] = "FINALIZER",
        [TZ_RANK_TIMERS] = "TIMERS",
        [TZ_RANK_ALLGS] = "ALLGS",
        [TZ_RANK_SCHED] = "SCHED",
        [TZ_RANK_STACKPOOL] = "STACKPOOL",
        [TZ_RANK_FOREIGN_LIST] = "FOREIGN_LIST",
        [TZ_RANK_FOREIGN] = "FOREIGN",
        [TZ_RANK_SPECIAL] = "SPECIAL",
        [TZ_RANK_CENTRAL] = "CENTRAL",
        [TZ_RANK_HEAP] = "HEAP",
        [TZ_RANK_GC_WORK] = "GC_WORK",
        [TZ_RANK_PERSIST] = "PERSIST",
        [TZ_RANK_VM] = "VM",
        [TZ_RANK_LEAF] = "LEAF",
    };
    _Static_assert(tz_countof(names) == TZ_RANK_COUNT, "a name for each rank");
    return rank < TZ_RANK_COUNT ? names[rank] : "unknown";
}

// The highest rank in a set that is not empty.
static uint32_t highest(uint32_t ranks)
{
    return 31 - (uint32_t)__builtin_clz(ranks);
}

void tz_lockrank_acquire(struct tz_lock *l)
{
    struct tz_tls *t = tz_tls_get();
    uint32_t rank = l->rank;
    if (rank >= TZ_RANK_COUNT)
        tz_throw("lock %p: rank %u does not exist", (void *)l, rank);
    uint32_t allowed = (UINT32_C(1) << rank) - 1;
    if (one_of(rank))
        allowed |= UINT32_C(1) << rank;
    uint32_t held = (uint32_t)t->held_ranks;
    if (held & ~allowed)
        tz_throw("lock rank: takes %s while holding %s", rank_name(rank),
                 rank_name(highest(held)));
    t->held_ranks |= UINT64_C(1) << rank;
    t->held_ranks += one_of(rank);
}

void tz_lockrank_release(struct tz_lock *l)
{
    struct tz_tls *t = tz_tls_get();
    uint32_t rank = l->rank;
    uint64_t bit = UINT64_C(1) << (rank & 31);
    if (!tz_lock_held(l) || !(t->held_ranks & bit))
        tz_throw("lock rank: releases %s, which this thread does not hold",
                 rank_name(rank));
    t->held_ranks -= one_of(rank);
    if (!one_of(rank) || count_of(rank, t->held_ranks) == 0)
        t->held_ranks &= ~bit;
}
