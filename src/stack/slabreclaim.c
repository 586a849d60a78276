// SPDX-License-Identifier: BSD-3-Clause
// stack/slabreclaim.c: memory of free stacks goes back to the system.
//
// A goroutine that ends leaves its pages to the next one, which is what makes
// starting one cheap; so nothing is given back there. A thread that watches
// does it later (tz_stack_tick), at 1 % of a processor's time, slab by slab:
// of each stack that has lain in the pool for a while the two highest pages
// stay, where every goroutine begins, and what lies below goes back. Where the
// kernel drops many ranges in one call that is all: 0.35 us for a stack of
// 256 KiB that holds nothing there, as most do. Elsewhere each range is a call,
// so one mincore asks first for all stacks of a slab what is there; the answer
// costs 10 ns a page, twice as much as dropping nothing in one call.
//
// Markers and mprotected zones stand below what is dropped, and stay.

#include "base/bits.h"
#include "os/clock.h"
#include "os/vm.h"
#include "stack/slabpool.h"
#include "stack/stack.h"

enum {
    WARM_PAGES = 2,
    WINDOW = 4096, // pages asked about at once
    STEP_NS = 100 * 1000 * 1000,
    TICK_NS = 1000 * 1000,
    CREDIT_MAX_NS = 1000 * 1000
};

// By the one thread that ticks.
static struct {
    int64_t last, last_step; // clock
    int64_t credit;          // nanoseconds that may be spent
} reclaim;

// What of stack i may go: all between its guard and its warm pages.
static struct tz_vm_range deep_part(const struct tz_slab *s, uint32_t i)
{
    uintptr_t lo = tz_slab_slot(s, i) + s->guard_size;
    uintptr_t hi = tz_slab_slot(s, i + 1) - WARM_PAGES * tz_vm_page();
    return (struct tz_vm_range){ (void *)lo, hi > lo ? hi - lo : 0 };
}

static bool any_in(const unsigned char *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in[i] & 1)
            return true;
    return false;
}

// Whether memory is there; so it is taken for where nobody can tell.
static bool resident(struct tz_vm_range r)
{
    unsigned char in[WINDOW];
    size_t page = tz_vm_page();
    for (size_t off = 0; off < r.n; off += WINDOW * page) {
        size_t n = tz_min(r.n - off, WINDOW * page);
        if (tz_vm_resident((char *)r.p + off, n, in) != 0 ||
            any_in(in, n / page))
            return true;
    }
    return false;
}

// The same for stacks [first, end) of s, asked in one call: bits by number.
static uint64_t resident_of(const struct tz_slab *s, uint32_t first,
                            uint32_t end)
{
    unsigned char in[WINDOW];
    size_t page = tz_vm_page();
    uintptr_t base = tz_slab_slot(s, first);
    size_t n = tz_slab_slot(s, end) - base;
    uint64_t all = tz_mask64(end) & ~tz_mask64(first), deep = 0;
    if (n / page > WINDOW)
        return resident(deep_part(s, first)) ? all : 0;
    if (tz_vm_resident((void *)base, n, in) != 0)
        return all;
    for (uint32_t i = first; i < end; i++) {
        struct tz_vm_range r = deep_part(s, i);
        size_t at = ((uintptr_t)r.p - base) / page;
        if (any_in(in + at, r.n / page))
            deep |= UINT64_C(1) << i;
    }
    return deep;
}

// Of the stacks whose bits are set, those with memory that may go.
static uint64_t deep_ones(const struct tz_slab *s, uint64_t wanted)
{
    size_t pages = tz_slab_stride(s) / tz_vm_page();
    uint32_t step = pages < WINDOW ? (uint32_t)(WINDOW / pages) : 1;
    uint64_t deep = 0;
    for (uint32_t i = 0; i < s->carved; i += step) {
        uint32_t end = (uint32_t)tz_min(i + step, s->carved);
        if (wanted & tz_mask64(end) & ~tz_mask64(i))
            deep |= resident_of(s, i, end);
    }
    return deep & wanted;
}

bool tz_slabpool_trim(bool all)
{
    struct tz_slab *s = tz_slabpool_begin_trim(all);
    if (!s)
        return false;
    struct tz_vm_range range[TZ_SLAB_MAX];
    uint32_t n = 0;
    uint64_t deep = tz_vm_drops_many() ? s->busy : deep_ones(s, s->busy);
    for (; deep; deep &= deep - 1)
        range[n++] = deep_part(s, tz_ctz64(deep));
    tz_vm_drop(range, n); // what is not taken stays: the stack is free anyway
    tz_slabpool_end_trim(s);
    return true;
}

void tz_stack_tick(int64_t now)
{
    int64_t since = now - reclaim.last;
    if (since < TICK_NS)
        return;
    reclaim.last = now;
    reclaim.credit += (int64_t)tz_min((uint64_t)since / 100, CREDIT_MAX_NS);
    if (reclaim.credit > CREDIT_MAX_NS)
        reclaim.credit = CREDIT_MAX_NS;
    if (now - reclaim.last_step >= STEP_NS) {
        reclaim.last_step = now;
        tz_slabpool_step();
    }
    while (reclaim.credit > 0) {
        int64_t start = tz_clock_now();
        bool done = tz_slabpool_unmap(false) || tz_slabpool_trim(false);
        reclaim.credit -= tz_clock_now() - start;
        if (!done)
            break;
    }
}

void tz_stack_give_back(void)
{
    while (tz_slabpool_unmap(false))
        ;
}
