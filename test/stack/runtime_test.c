// SPDX-License-Identifier: BSD-3-Clause
// test/stack/runtime_test.c: stacks under a running program: their figures, who
// calls the system for them, and collections meanwhile.

#include <sys/mman.h>

#include "base/cpu.h"
#include "sched/proc.h"
#include "stack/slab.h"
#include "stack/stackpool.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static tuza_chan(int) gate;

static tuza_stackstats stackstats(void)
{
    tuza_stackstats s = { .size = sizeof s };
    need_eq(tuza_stackstats_read(&s), 0);
    need_eq(s.sys, s.inuse + s.cached + s.hot + s.cold + s.unused);
    return s;
}

static tuza_memstats memstats(void)
{
    tuza_memstats s = { .size = sizeof s };
    need_eq(tuza_memstats_read(&s), 0);
    need_eq(s.stack_sys, s.stack_inuse + s.stack_idle);
    return s;
}

static void wait_at_gate(void *arg)
{
    (void)arg;
    int got;
    tuza_waitgroup_done(&group);
    tuza_recv(gate, &got);
}

static void others_have_ended(void)
{
    tuza_schedstats s = { .size = sizeof s };
    while (tuza_schedstats_read(&s) == 0 && s.goroutines > 1)
        tuza_yield();
}

// n goroutines that wait at the gate.
static void fill_up(int n)
{
    gate = tuza_chan_make(int, 0);
    tuza_waitgroup_add(&group, n);
    for (int i = 0; i < n; i++)
        need_eq(tuza_spawn(wait_at_gate, NULL), 0);
    tuza_waitgroup_wait(&group);
}

static void let_go(void)
{
    tuza_close(gate);
    others_have_ended();
}

// --- fixed stacks, through this P's cache

enum { FIXED = 100 };
static uintptr_t fixed[FIXED];

static void get_fixed(void *arg)
{
    struct tz_stackcache *c = tz_tls_get()->p->stacks;
    (void)arg;
    for (int i = 0; i < FIXED; i++)
        need_eq(tz_stackpool_get(c, (unsigned)i % 4, &fixed[i]), 0);
}

static void put_fixed(void *arg)
{
    struct tz_stackcache *c = tz_tls_get()->p->stacks;
    (void)arg;
    for (int i = 0; i < FIXED; i++)
        tz_stackpool_put(c, (unsigned)i % 4, fixed[i]);
}

IN_GOROUTINES(s1_22_stacks_told_are_those_of_spans_and_slabs, 2)
{
    enum { MOST = 1000 };
    const uint64_t bytes = FIXED / 4 * (1024 + 2048 + 4096 + 8192);
    tuza_stackstats before = stackstats();
    fill_up(MOST);
    tz_system_stack(get_fixed, NULL);
    tuza_stackstats s = stackstats();
    tuza_memstats m = memstats();
    need_eq(s.fixed_inuse, bytes);
    need_eq(s.inuse - before.inuse, MOST * UINT64_C(262144) + bytes);
    need_eq(s.inuse, m.stack_inuse);
    need_eq(s.sys, m.stack_sys);
    need(s.guards_marker + s.guards_mprotect + s.guards_canary >= MOST);
    tz_system_stack(put_fixed, NULL);
    let_go();
    tuza_gc();
    tuza_gc();
    s = stackstats();
    need_eq(s.inuse, before.inuse);
    need_eq(s.inuse, memstats().stack_inuse);
    need_eq(s.sys, memstats().stack_sys);
    need(s.sys <= before.sys + (64 << 20)); // of 256 MiB
    need(s.unmapped > 0);
}

static void nothing(void *arg) { (void)arg; }

static void many_come_and_go(int n)
{
    for (int i = 0; i < n; i++) {
        need_eq(tuza_spawn(nothing, NULL), 0);
        if (i % 100 == 99)
            tuza_yield();
    }
    others_have_ended();
}

static uint64_t maps(void)
{
    tuza_os_counts c = { .size = sizeof c };
    need_eq(tuza_os_counts_read(&c), 0);
    return c.mmap + c.munmap;
}

IN_GOROUTINES(s1_04_no_mapping_more_in_100000_goroutines, 1)
{
    many_come_and_go(2000);
    uint64_t before = maps();
    many_come_and_go(scaled(100000));
    need_eq(maps(), before);
}

// --- who calls the system

static uint32_t calls, calls_on_a_goroutine; // atomic

static void *see_mmap(void *addr, size_t n, int prot, int flags, int fd,
                      off_t offset)
{
    struct tz_slab_view v;
    tz_xadd(&calls, 1);
    tz_xadd(&calls_on_a_goroutine, tz_slab_look(tz_sp(), &v));
    return mmap(addr, n, prot, flags, fd, offset);
}

static int see_munmap(void *addr, size_t n) { return munmap(addr, n); }

static int see_madvise(void *addr, size_t n, int advice)
{
    struct tz_slab_view v;
    tz_xadd(&calls, 1);
    tz_xadd(&calls_on_a_goroutine, tz_slab_look(tz_sp(), &v));
    return madvise(addr, n, advice);
}

static int park_many(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint32_t before = tz_load(&calls);
    fill_up(1000); // first runs, on the stacks of those that park
    need(tz_load(&calls) > before);
    need_eq(calls_on_a_goroutine, 0);
    let_go();
    return 0;
}

START_TEST(s3_11_stacks_are_taken_on_the_system_stack)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = see_mmap,
                        .munmap = see_munmap, .madvise = see_madvise };
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    api_run(park_many, 1);
}
END_TEST

// --- collections meanwhile

static uint32_t done; // atomic

static void collect_all_the_time(void *arg)
{
    (void)arg;
    while (!tz_load(&done))
        tuza_gc();
}

static void use_and_end(void *arg)
{
    volatile char deep[40000];
    for (size_t i = 0; i < sizeof deep; i += 4096)
        deep[i] = (char)(uintptr_t)arg;
    void *p = tuza_alloc(100);
    need(p);
    tuza_yield();
    need_eq(deep[4096], (char)(uintptr_t)arg);
    tuza_keepalive(p);
}

static void borrow(void *arg) { use_and_end(arg); }

static void churn(void *arg)
{
    uint64_t x = (uintptr_t)arg;
    for (int i = 0; i < scaled(1500); i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        if (x >> 60 == 0)
            need_eq(tuza_call_big(borrow, NULL, (16 << 20) << (x >> 32 & 1)),
                    0);
        else if (x >> 60 < 4)
            tz_system_stack(get_fixed, NULL), tz_system_stack(put_fixed, NULL);
        else
            need_eq(tuza_spawn(use_and_end, (void *)(uintptr_t)x), 0);
        if (x >> 50 & 1)
            tuza_yield();
    }
    tz_xadd(&done, 1);
}

// Stacks of all kinds come and go while the collector looks.
IN_GOROUTINES(s1_20_goroutines_end_while_collections_go_on, 2)
{
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    need_eq(tuza_spawn(churn, (void *)1), 0);
    others_have_ended();
    tuza_gc();
    tuza_gc();
    tz_stackpool_check(UINT32_MAX);
    need_eq(stackstats().fixed_inuse, 0);
    need_eq(stackstats().inuse, 8 << 20); // main's
    need(stackstats().unmapped > 0);
}

// --- giving back meanwhile

static uint32_t unmapping; // atomic

// Of what a goroutine gives back, not the thread that watches: not before the
// world is to stop. What the system has put elsewhere is given back at once, with
// the lock: it is not aligned as stacks are.
static int munmap_while_stopping(void *addr, size_t n)
{
    struct tz_tls *t = tz_tls_get();
    if (n == 64 << 20 && (uintptr_t)addr % (1 << 20) == 0 && t->p &&
        tz_xchg(&unmapping, 1) == 0)
        while (!tz_load(&t->stop))
            tz_cpu_relax();
    return munmap(addr, n);
}

static void collect_while_unmapping(void *arg)
{
    (void)arg;
    while (!tz_load(&unmapping))
        tuza_yield();
    tuza_gc();
}

static int give_back_while_another_collects(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(tuza_spawn(collect_while_unmapping, NULL), 0);
    while (!tz_load(&unmapping)) {
        need_eq(tuza_call_big(nothing, NULL, 33 << 20), 0);
        tuza_gc();
    }
    others_have_ended();
    return 0;
}

// Who gives back is not stopped half-way: the collector waits for him.
START_TEST(s1_20_a_collection_while_another_gives_back)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = see_mmap,
                        .munmap = munmap_while_stopping,
                        .madvise = see_madvise };
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    api_run(give_back_while_another_collects, 2);
}
END_TEST

int main(void)
{
    return api_check("stack/runtime",
                     (const TTest *const[]){
                         s1_22_stacks_told_are_those_of_spans_and_slabs,
                         s1_04_no_mapping_more_in_100000_goroutines,
                         s3_11_stacks_are_taken_on_the_system_stack,
                         s1_20_goroutines_end_while_collections_go_on,
                         s1_20_a_collection_while_another_gives_back,
                         NULL });
}
