// SPDX-License-Identifier: BSD-3-Clause
// test/model/persist_test.c: the lists of chunks and large blocks lose nothing
// while several threads push, and who walks them reads what is complete.

#include <stdlib.h>

#include "base/tls.h"
#include "mem/malloc.h"
#include "mem/persist.h"
#include "model/model_check.h"
#include "os/port.h"

static struct tz_mcache cache[MODEL_THREADS];
static void *block[MODEL_THREADS];

// --- neighbours

size_t tz_vm_page(void)
{
    return 4096;
}

void *tz_vm_alloc(size_t n, enum tz_vm_use use)
{
    (void)use;
    return model_alloc(n, 4096);
}

void tz_vm_free(void *p, size_t n, enum tz_vm_use use, enum tz_vm_state was)
{
    (void)p, (void)n, (void)use, (void)was;
}

void tz_vm_charge(enum tz_vm_use from, enum tz_vm_use to, size_t n)
{
    (void)from, (void)to, (void)n;
}

void tz_port_system_stack(void (*fn)(void *), void *arg)
{
    fn(arg);
}

// --- threads

// A chunk of one's own, as a P has.
static void allocate_own(void)
{
    uint32_t i = model_self();
    tz_tls_get()->cache = &cache[i];
    void *p = tz_persist_alloc(64, 0);
    model_need(p && tz_persist_contains(p));
    model_touch(p, 64, true);
    tz_store_rel(&block[i], p);
    void *q = tz_persist_alloc(TZ_PERSIST_LARGE, 0);
    model_need(q && tz_persist_contains(q) && tz_persist_contains(p));
}

// The chunk that all share, under its lock.
static void allocate_shared(void)
{
    uint32_t i = model_self();
    void *p = tz_persist_alloc(64, 0);
    model_need(p && tz_persist_contains(p));
    model_touch(p, 64, true);
    tz_store_rel(&block[i], p);
    p = tz_persist_alloc_roots(64, 0);
    model_need(p && tz_persist_contains(p));
    model_touch(p, 64, true);
}

static void *seen;

static void look_for(void *arg, uintptr_t lo, uintptr_t hi)
{
    (void)arg;
    if ((uintptr_t)seen - lo < hi - lo)
        seen = NULL;
}

// Whatever another thread has told of is known to whoever walks.
static void walk(void)
{
    for (uint32_t i = 0; i < MODEL_THREADS; i++) {
        void *p = tz_load_acq(&block[i]);
        if (!p)
            continue;
        model_touch(p, 64, false);
        model_need(tz_persist_contains(p));
    }
    model_need(!tz_persist_contains(&seen));
}

static void nothing_is_lost(void)
{
    for (uint32_t i = 0; i < MODEL_THREADS; i++) {
        if (!block[i])
            continue;
        model_need(tz_persist_contains(block[i]));
        seen = block[i];
        tz_persist_each(TZ_PERSIST_PLAIN, look_for, NULL);
        model_need(!seen);
    }
    model_need(block[0]);
}

static void explore(const char *name, void (*a)(void), void (*b)(void),
                    void (*c)(void), uint32_t preemptions, uint32_t stale)
{
    struct model_program p = { .name = name,
                               .thread = { a, b, c },
                               .check = nothing_is_lost,
                               .preemptions = preemptions,
                               .stale = stale,
                               .limit = 1000000,
                               .random = 500 };
    explored(&p);
}

START_TEST(chunks_that_are_pushed_at_once_are_all_there)
{
    explore("two chunks", allocate_own, allocate_own, NULL, 3, 1);
    explore("two chunks and a walk", allocate_own, allocate_own, walk, 2, 1);
}
END_TEST

START_TEST(a_chunk_is_shared_by_threads_without_a_cache)
{
    explore("a shared chunk", allocate_shared, allocate_shared, walk, 2, 1);
}
END_TEST

int main(void)
{
    return model_tests("persist",
                       (const TTest *const[]){
                           chunks_that_are_pushed_at_once_are_all_there,
                           a_chunk_is_shared_by_threads_without_a_cache, NULL });
}
