// SPDX-License-Identifier: BSD-3-Clause
// stack/guard.c: the zone at the low end of a stack that faults.
//
// A marker in the page tables costs 0.35 us once and no mapping. Where the
// kernel has none, or refuses one because memory is locked, mprotect makes the
// zone a mapping of its own: two more for each stack, of which a process may
// have 65530 in all, usually; half of what it may have is spent on it. Beyond
// that, or if that is refused too, a canary word stands at the stack's end and
// is looked at when the stack comes back.
//
// A zone is a quarter of the stack, 16 pages at most, so that a frame of
// 64 KiB cannot step over it.

#include "stack/guard.h"

#include "base/atomic.h"
#include "os/vm.h"

enum { MAPPINGS_A_GUARD = 2 };

static struct {
    enum tz_stack_guard kind;   // const after init
    uint64_t count[TZ_GUARDS];  // stacks by kind; atomic
    uint64_t budget;            // of mprotect; atomic, 0: not asked yet
    uint32_t why;               // enum tz_guard_why; atomic
} guard = { .kind = TZ_GUARD_MARKER };

static void note(enum tz_guard_why why) { tz_store_rlx(&guard.why, why); }

// No advice is taken for locked memory: neither a marker nor this.
static bool memory_is_locked(void)
{
    size_t n = tz_vm_page();
    void *p = tz_vm_alloc(n, TZ_VM_META);
    struct tz_vm_range r = { p, n };
    bool locked = p && !tz_vm_drop(&r, 1);
    if (p)
        tz_vm_free(p, n, TZ_VM_META, TZ_VM_READY);
    return locked;
}

void tz_guard_init(int kind)
{
    guard.kind = kind ? (enum tz_stack_guard)kind : TZ_GUARD_MARKER;
    if (guard.kind != TZ_GUARD_MARKER) {
        note(TZ_GUARD_ASKED);
    } else if (!tz_vm_guard_works()) {
        guard.kind = TZ_GUARD_PROTECT;
        note(memory_is_locked() ? TZ_GUARD_LOCKED : TZ_GUARD_NO_MARKERS);
    }
}

enum tz_stack_guard tz_guard_kind(void) { return guard.kind; }

size_t tz_guard_bytes(size_t stride)
{
    size_t page = tz_vm_page();
    size_t zone = tz_min(stride / 4, TZ_GUARD_ZONE_MAX);
    return tz_max(tz_align_down(zone, page), page);
}

// Whether one more zone may be a mapping; it counts then.
static bool afford(void)
{
    uint64_t budget = tz_load_rlx(&guard.budget);
    if (budget == 0) { // asking twice gives the same
        budget = tz_max(tz_vm_mappings_max() / 2 / MAPPINGS_A_GUARD, 1);
        tz_store_rlx(&guard.budget, budget);
    }
    if (tz_xadd_rlx(&guard.count[TZ_GUARD_PROTECT], 1) < budget)
        return true;
    tz_xadd_rlx(&guard.count[TZ_GUARD_PROTECT], -1);
    return false;
}

static bool protect(void *lo, size_t n)
{
    if (!afford()) {
        note(TZ_GUARD_BUDGET);
        return false;
    }
    if (tz_vm_protect(lo, n) == 0)
        return true;
    tz_xadd_rlx(&guard.count[TZ_GUARD_PROTECT], -1);
    note(TZ_GUARD_REFUSED);
    return false;
}

enum tz_stack_guard tz_guard_set(uintptr_t lo, size_t n)
{
    enum tz_stack_guard kind = guard.kind;
    if (kind == TZ_GUARD_MARKER && tz_vm_guard((void *)lo, n)) {
        note(TZ_GUARD_LOCKED);
        kind = TZ_GUARD_PROTECT;
    }
    if (kind == TZ_GUARD_PROTECT && protect((void *)lo, n))
        return kind; // counted by its budget
    if (kind == TZ_GUARD_PROTECT)
        kind = TZ_GUARD_CANARY;
    tz_xadd_rlx(&guard.count[kind], 1);
    return kind;
}

void tz_guard_gone(enum tz_stack_guard kind, uint32_t n)
{
    tz_xadd_rlx(&guard.count[kind], -(uint64_t)n);
}

bool tz_guard_has_canaries(void)
{
    return tz_load_rlx(&guard.count[TZ_GUARD_CANARY]) != 0;
}

void tz_guard_stats(uint64_t by_kind[TZ_GUARDS], enum tz_guard_why *why)
{
    for (int i = 0; i < TZ_GUARDS; i++)
        by_kind[i] = tz_load_rlx(&guard.count[i]);
    *why = (enum tz_guard_why)tz_load_rlx(&guard.why);
}
