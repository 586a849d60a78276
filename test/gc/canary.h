// SPDX-License-Identifier: BSD-3-Clause
// test/gc/canary.h: objects whose only reference is where the test puts it.
//
// Their addresses are kept as complements, which the collector does not take
// for pointers, and they are made by another goroutine, whose stack is gone
// afterwards. Conservative scanning may still find a stale word here or there,
// so that "reclaimed" means: nearly all of many.
#ifndef TEST_GC_CANARY_H
#define TEST_GC_CANARY_H

#include "mem/mheap.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline))

enum { CANARY = 0xca9a41 };

struct canaries {
    uintptr_t *hidden; // complements of addresses
    int n;
    size_t size;
    int done;
};

static inline uintptr_t hide(const void *p) { return ~(uintptr_t)p; }

static NOINLINE void make_canaries_here(void *arg)
{
    struct canaries *c = arg;
    int percent = tuza_gc_set_percent(-1); // not while nothing holds them
    for (int i = 0; i < c->n; i++) {
        uint64_t *p = tuza_alloc(c->size);
        need(p);
        p[0] = CANARY + (uint64_t)i;
        if (c->size >= 16)
            p[c->size / 8 - 1] = CANARY + (uint64_t)i;
        c->hidden[i] = hide(p);
    }
    tuza_gc_set_percent(percent);
    __atomic_store_n(&c->done, 1, __ATOMIC_RELEASE);
}

// n canaries of size bytes (a multiple of 8, at least 8).
static inline void make_canaries(uintptr_t *hidden, int n, size_t size)
{
    struct canaries c = { hidden, n, size, 0 };
    tuza_spawn(make_canaries_here, &c);
    while (!__atomic_load_n(&c.done, __ATOMIC_ACQUIRE))
        tuza_yield();
}

// Whether a canary is at a hidden address: not a free slot, nor something else
// that got it afterwards. Exact when the sweep is over, as after two
// collections.
static NOINLINE bool is_there(uintptr_t hidden)
{
    struct tz_object o;
    return tz_heap_find(~hidden, &o) && o.base == ~hidden &&
           *(uint64_t *)~hidden - CANARY < 4096;
}

// Writes over what earlier calls have left below this frame.
static NOINLINE void scrub_here(void)
{
    volatile char frame[12 * 1024];
    memset((char *)frame, 0, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void scrub_there(void *arg)
{
    scrub_here();
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

// The same for this stack and those of goroutines that ended lately, which the
// next ones get.
static inline void scrub_stacks(void)
{
    enum { SEVERAL = 8 };
    int done = 0;
    for (int i = 0; i < SEVERAL; i++)
        tuza_spawn(scrub_there, &done);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < SEVERAL)
        tuza_yield();
    scrub_here();
}

// Collects until what was garbage before is gone, and lets others write over
// its memory.
static NOINLINE void collect_well(void)
{
    for (int i = 0; i < 2; i++) {
        tuza_gc();
        for (size_t size = 8; size <= 4096; size *= 2)
            for (int j = 0; j < 200; j++)
                memset(tuza_alloc_bytes(size), 0xbb, size);
    }
    tuza_gc();
    tuza_gc();
}

static NOINLINE bool is_whole(uintptr_t hidden, int i, size_t size)
{
    const uint64_t *p = (const uint64_t *)~hidden;
    return is_there(hidden) && p[0] == CANARY + (uint64_t)i &&
           (size < 16 || p[size / 8 - 1] == CANARY + (uint64_t)i);
}

static inline int count_there(const uintptr_t *hidden, int n)
{
    int there = 0;
    for (int i = 0; i < n; i++)
        there += is_there(hidden[i]);
    return there;
}

static inline void need_all_whole(const uintptr_t *hidden, int n, size_t size)
{
    for (int i = 0; i < n; i++)
        need(is_whole(hidden[i], i, size));
}

// Nearly all of them; a stale word may point to what holds several, so dead
// stacks are written over before the second look.
static inline void need_reclaimed(const uintptr_t *hidden, int n)
{
    if (count_there(hidden, n) > n / 8) {
        scrub_stacks();
        collect_well();
    }
    need(count_there(hidden, n) <= n / 8);
}

#endif
