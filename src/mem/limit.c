// SPDX-License-Identifier: BSD-3-Clause
// mem/limit.c: limits of memory, and bytes held outside of the heap.
//
// Two limits with two servants. The soft one is obeyed by the collector, which
// sets its goal by it (gc/pacer.c), and by who gives pages back. The hard one
// is asked by the page heap before it grows (tz_limit_allows); it then refuses
// as if the system had, so that whatever a refusal starts, a collection and a
// second attempt, is the same in both cases. Only then the program's function
// is asked.
//
// The heap takes what it is allowed to the last page, and collections note more
// of stacks, mark stacks grow, threads are made without asking: so the heap is
// refused a little below the hard limit (tz_limit_max_of_heap), and those have the rest.
//
// What counts is every byte mapped for use and not given back. Stacks are the
// exception: they are mapped generously and committed by the kernel as they are
// touched, so their address space says nothing; what the collector has scanned
// of them does.
//
// External bytes lower the trigger, so that an allocation compares one number
// as ever. Go has the soft limit (mgcpacer.go, memoryLimit), neither of the
// others; the 16 callers of the function at a time are a table because an
// allocation that has failed is no place to allocate.

#include "mem/limit.h"

#include <errno.h>

#include "base/print.h"
#include "mem/mheap.h"
#include "mem/port.h"
#include "os/lock.h"
#include "os/vm.h"

enum { ASKERS_MAX = 16 };

static struct {
    struct tz_lock lock;
    uint64_t soft;      // bytes; atomic
    uint64_t max;       // bytes; atomic
    tuza_memory_fn fn;  // guarded by lock
    void *arg;          // guarded by lock
    uint64_t external;  // bytes; atomic, written with the lock
    uint64_t goal;      // bytes; guarded by lock
    uint64_t runway;     // by lock; see tz_limit_set_goal
    uint64_t stacks;    // bytes touched, about; atomic
    uint32_t told;      // atomic; 1: the line about a refusal was printed
    struct tz_g *asker[ASKERS_MAX]; // inside of fn; atomic
} limit = {
    .lock = TZ_LOCK_INIT(TZ_RANK_LEAF),
    .soft = TZ_NO_LIMIT,
    .max = TZ_NO_LIMIT,
    .goal = UINT64_MAX,
};

void tz_limit_init(uint64_t soft, uint64_t max)
{
    tz_store_rlx(&limit.soft, soft);
    tz_store_rlx(&limit.max, max);
}

uint64_t tz_limit_soft(void) { return tz_load_rlx(&limit.soft); }
uint64_t tz_limit_max(void) { return tz_load_rlx(&limit.max); }
uint64_t tz_limit_external(void) { return tz_load_rlx(&limit.external); }

void tz_limit_set_soft(uint64_t bytes) { tz_store_rlx(&limit.soft, bytes); }

void tz_limit_note_stacks(uint64_t bytes)
{
    tz_store_rlx(&limit.stacks, bytes);
}

// What was given back or never used costs nothing. The three change one by
// one, each under the heap's lock.
static uint64_t heap_used(void)
{
    uint64_t sys = tz_load_rlx(&tz_mem.sys);
    uint64_t gone = tz_load_rlx(&tz_mem.released) +
                    tz_load_rlx(&tz_mem.untouched);
    return gone < sys ? sys - gone : 0;
}

uint64_t tz_limit_used_beside_heap(void)
{
    struct tz_vm_stats vm;
    tz_vm_stats_read(&vm);
    uint64_t sum = 0;
    for (int i = 0; i < TZ_VM_USES; i++)
        if (i != TZ_VM_STACK && i != TZ_VM_HEAP)
            sum += vm.ready[i];
    sum += tz_load_rlx(&tz_mem.manual); // stacks that are full of use
    return sum + tz_min(vm.ready[TZ_VM_STACK], tz_load_rlx(&limit.stacks));
}

uint64_t tz_limit_used(void)
{
    return heap_used() + tz_limit_used_beside_heap();
}

uint64_t tz_limit_max_of_heap(void)
{
    enum { SHARE = 64, MOST = 4 << 20 };
    uint64_t max = tz_load_rlx(&limit.max);
    return max == TZ_NO_LIMIT ? max : max - tz_min(max / SHARE, MOST);
}

bool tz_limit_allows(uint64_t more)
{
    uint64_t max = tz_limit_max_of_heap();
    if (tz_likely(max == TZ_NO_LIMIT))
        return true;
    uint64_t used = tz_limit_used();
    return used <= max && more <= max - used;
}

uint64_t tz_limit_over(uint64_t more)
{
    uint64_t soft = tz_load_rlx(&limit.soft);
    if (tz_likely(soft == TZ_NO_LIMIT))
        return 0;
    uint64_t used, over;
    if (__builtin_add_overflow(tz_limit_used(), more, &used) ||
        __builtin_add_overflow(used, tz_load_rlx(&limit.external), &used))
        used = UINT64_MAX;
    return __builtin_sub_overflow(used, soft, &over) ? 0 : over;
}

size_t tuza_release_memory(void) { return tz_scavenge_all(); }

// --- the program's function

// A place for g among those that are in the function; NULL when g is in it
// already, or too many are.
static struct tz_g **asker_enter(struct tz_g *g)
{
    for (int i = 0; i < ASKERS_MAX; i++)
        if (tz_load_rlx(&limit.asker[i]) == g) // who wrote it was g
            return NULL;
    for (int i = 0; i < ASKERS_MAX; i++)
        if (tz_cas(&limit.asker[i], NULL, g))
            return &limit.asker[i];
    return NULL;
}

static void tell_refusal(size_t wanted)
{
    uint64_t max = tz_limit_max();
    if (max == TZ_NO_LIMIT || tz_xchg(&limit.told, 1))
        return;
    tz_print("tuza: memory limit: %zu bytes refused: %llu of %llu are in use "
             "(TUZAMEMMAX or tuza_memory_max_set); allocations return NULL\n",
             wanted, (unsigned long long)tz_limit_used(),
             (unsigned long long)max);
}

bool tz_limit_ask_user(size_t wanted)
{
    tz_lock_acquire(&limit.lock);
    tuza_memory_fn fn = limit.fn;
    void *arg = limit.arg;
    tz_lock_release(&limit.lock);
    struct tz_g **place = fn ? asker_enter(tz_tls_get()->g) : NULL;
    bool again = false;
    if (place) {
        again = fn(arg, wanted) != 0;
        tz_store_rel(place, NULL); // with the next one's CAS
    }
    if (!again)
        tell_refusal(wanted);
    return again;
}

int tuza_memory_max_set(uint64_t bytes, tuza_memory_fn fn, void *arg)
{
    if (bytes == 0)
        return -EINVAL;
    tz_lock_acquire(&limit.lock);
    limit.fn = fn;
    limit.arg = arg;
    tz_store_rlx(&limit.max, bytes);
    tz_store_rlx(&limit.told, 0);
    tz_lock_release(&limit.lock);
    return 0;
}

// --- the trigger

// With the lock.
static void set_trigger(void)
{
    uint64_t goal = limit.goal, outside = limit.external;
    uint64_t of_heap = goal == UINT64_MAX ? UINT64_MAX
                       : goal > outside   ? goal - outside
                                          : 0;
    tz_store_rlx(&tz_mem.goal, of_heap);
    if (of_heap != UINT64_MAX)
        of_heap -= tz_min(of_heap, limit.runway);
    tz_store_rlx(&tz_mem.trigger, of_heap);
}

void tz_limit_set_goal(uint64_t bytes, uint64_t runway)
{
    tz_lock_acquire(&limit.lock);
    limit.goal = bytes;
    limit.runway = runway;
    set_trigger();
    tz_lock_release(&limit.lock);
}

void tuza_external(int64_t delta)
{
    tz_lock_acquire(&limit.lock);
    uint64_t old = limit.external, sum = old + (uint64_t)delta;
    bool wrong = delta < 0 ? sum > old : sum > INT64_MAX;
    if (wrong)
        sum = delta < 0 ? 0 : INT64_MAX;
    tz_store_rlx(&limit.external, sum);
    set_trigger();
    tz_lock_release(&limit.lock);
    if (TZ_DEBUG && wrong)
        tz_fatal("tuza_external: %lld bytes on top of %llu: the sum of all "
                 "calls can neither be negative nor that large",
                 (long long)delta, (unsigned long long)old);
    struct tz_tls *t = tz_tls_get();
    if (delta > 0 && t->cache && t->locks == 0 &&
        tz_load_rlx(&tz_mem.live) >= tz_load_rlx(&tz_mem.trigger))
        tz_port_gc_trigger();
}
