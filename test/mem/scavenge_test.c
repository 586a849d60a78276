// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/scavenge_test.c: free pages go back, are zero when they are used
// again, and are counted right.

#include "mem_check.h"

#include "os/clock.h"
#include "os/env.h"

static struct tz_heap_stats stats(void)
{
    struct tz_heap_stats s;
    tz_heap_stats_read(&s);
    ck_assert_uint_eq(s.sys, s.inuse + s.cached + s.idle + s.untouched +
                                 s.released);
    return s;
}

static struct tz_span *large(uint32_t npages)
{
    struct tz_span *s = tz_heap_span_alloc(NULL, npages, 0);
    ck_assert_ptr_nonnull(s);
    return s;
}

// A span all of whose pages are written to.
static struct tz_span *dirty(uint32_t npages)
{
    struct tz_span *s = large(npages);
    memset((void *)s->base, 0xa5, npages * TZ_PAGE_SIZE);
    return s;
}

static bool all_zero(const void *p, size_t n)
{
    const uint64_t *w = p;
    for (size_t i = 0; i < n / sizeof *w; i++)
        if (w[i])
            return false;
    return true;
}

static size_t rss(void)
{
    char text[256];
    os_read_file("/proc/self/statm", text, sizeof text);
    return strtoul(strchr(text, ' '), NULL, 10) * 4096;
}

// Bytes of [p, p + n) that are in memory.
static size_t resident(uintptr_t p, size_t n)
{
    static unsigned char in[256 * 256];
    size_t sum = 0, page = tz_vm_page();
    ck_assert_uint_le(n / page, sizeof in);
    ck_assert_int_eq(mincore((void *)p, n, in), 0);
    for (size_t i = 0; i < n / page; i++)
        sum += in[i] & 1 ? page : 0;
    return sum;
}

START_TEST(s2_13_nine_tenths_of_what_is_freed_leave_the_process)
{
    enum { PAGES = 200 * 128 };
    const size_t n = PAGES * TZ_PAGE_SIZE;
    heap_start();
    size_t before = rss();
    struct tz_span *s = dirty(PAGES);
    uintptr_t base = s->base;
    size_t full = rss();
    ck_assert_uint_ge(full - before, n / 10 * 9);
    ck_assert_uint_ge(resident(base, n), n / 10 * 9);
    tz_heap_span_free(s);
    ck_assert_uint_eq(tz_scavenge_all(), n);
    size_t after = rss();
    ck_assert_uint_le(resident(base, n), n / 10);
    if (!TZ_SAN_OWNS_ADDRESSES) // their shadow stays
        ck_assert_msg(full - after >= (full - before) / 10 * 9,
                      "%zu before, %zu full, %zu after", before, full, after);
    ck_assert_uint_eq(stats().released, n);
    ck_assert_uint_eq(tz_scavenge_all(), 0); // no page twice
}
END_TEST

START_TEST(s2_26_released_pages_are_zero_and_known_as_such)
{
    heap_start();
    struct tz_span *s = dirty(64);
    uintptr_t base = s->base;
    tz_heap_span_free(s);
    ck_assert_uint_eq(tz_scavenge_all(), 64 * TZ_PAGE_SIZE);
    s = large(60); // the same pages
    ck_assert_uint_eq(s->base, base);
    ck_assert_uint_eq(s->needzero, 0);
    ck_assert(all_zero((void *)base, 60 * TZ_PAGE_SIZE));
    ck_assert_uint_eq(stats().released, 0); // the last unit is used as well
    struct tz_span *t = large(4);
    ck_assert_uint_eq(t->base, base + 60 * TZ_PAGE_SIZE);
    ck_assert_uint_eq(t->needzero, 0);
    ck_assert(all_zero((void *)t->base, 4 * TZ_PAGE_SIZE));
    tz_heap_span_free(s);
    tz_heap_span_free(t);
    s = large(64); // was in spans since
    ck_assert_uint_eq(s->base, base);
    ck_assert_uint_eq(s->needzero, 1);
}
END_TEST

START_TEST(s2_26_what_the_system_may_keep_a_while_needs_zeroing)
{
    setenv("TUZADEBUG", "madvfree=1", 1);
    tz_env_init();
    heap_start();
    struct tz_span *s = dirty(64);
    tz_heap_span_free(s);
    ck_assert_uint_eq(tz_scavenge_all(), 64 * TZ_PAGE_SIZE);
    s = large(64);
    if (tz_vm_unused_zeroes()) // no such advice here
        ck_assert(all_zero((void *)s->base, 64 * TZ_PAGE_SIZE));
    else
        ck_assert_uint_eq(s->needzero, 1);
}
END_TEST

START_TEST(a_span_over_released_and_dirty_pages_needs_zeroing)
{
    heap_start();
    struct tz_span *a = dirty(8), *b = dirty(8);
    tz_heap_span_free(b);
    ck_assert_uint_eq(tz_scavenge(1), TZ_UNIT_BYTES);
    tz_heap_span_free(a);
    struct tz_span *s = large(16);
    ck_assert_uint_eq(s->needzero, 1);
    ck_assert(all_zero((char *)s->base + TZ_UNIT_BYTES, TZ_UNIT_BYTES));
    ck_assert_uint_eq(stats().released, 0);
}
END_TEST

START_TEST(the_highest_addresses_go_first_and_no_more_than_asked)
{
    heap_start();
    struct tz_span *s[64];
    for (int i = 0; i < 64; i++)
        s[i] = dirty(TZ_UNIT_PAGES);
    struct tz_region *r = &tz_mem.region[0];
    for (int i = 0; i < 64; i += 3)
        tz_heap_span_free(s[i]);
    ck_assert_uint_eq(tz_scavenge(1), TZ_UNIT_BYTES);
    ck_assert_uint_eq(r->scav.released[0], UINT64_C(1) << 63);
    ck_assert_uint_eq(tz_scavenge(2 * TZ_UNIT_BYTES), 2 * TZ_UNIT_BYTES);
    ck_assert_uint_eq(r->scav.released[0], UINT64_C(0x9200) << 48);
    for (int i = 1; i < 64; i += 3)
        tz_heap_span_free(s[i]);
    ck_assert_uint_eq(tz_scavenge(2 * TZ_UNIT_BYTES), 2 * TZ_UNIT_BYTES);
    ck_assert_uint_eq(r->scav.released[0], UINT64_C(0xb600) << 48);
}
END_TEST

START_TEST(the_last_chunk_of_the_last_region_goes_first)
{
    struct tz_span *s[300];
    int n = 0;
    sys_install();
    sys.no_place = true;
    sys.mmap_max = 13 * TZ_MIB;
    heap_start();
    while (tz_mem.nregions < 2 || tz_mem.region[1].pages.nchunks < 2) {
        s[n++] = dirty(TZ_UNIT_PAGES);
        ck_assert_int_lt(n, 300);
    }
    struct tz_region *r = tz_mem.region;
    ck_assert_uint_eq(r[0].pages.nchunks, 2);
    for (int i = 0; i < n; i += 3)
        tz_heap_span_free(s[i]);
    while (!r[1].scav.released[0])
        ck_assert_uint_eq(tz_scavenge(1), TZ_UNIT_BYTES);
    ck_assert_uint_eq(r[0].scav.released[1], 0);
    while (!r[0].scav.released[0])
        ck_assert_uint_eq(tz_scavenge(1), TZ_UNIT_BYTES);
    ck_assert_uint_ge(tz_popcount64(r[0].scav.released[1]), 21);
}
END_TEST

START_TEST(half_a_chunk_that_is_idle_goes_as_one)
{
    heap_start();
    struct tz_span *low = dirty(250), *s = dirty(512 - 250);
    tz_heap_span_free(s);
    ck_assert_uint_eq(tz_scavenge(1), 2 * TZ_MIB);
    tz_heap_span_free(low); // now the other half is idle too
    ck_assert_uint_eq(tz_scavenge(1), 2 * TZ_MIB);
    ck_assert_uint_eq(tz_scavenge(1), 0);
}
END_TEST

START_TEST(units_in_use_in_part_stay)
{
    heap_start();
    struct tz_span *s[32];
    for (int i = 0; i < 32; i++)
        s[i] = dirty(4);
    for (int i = 1; i < 32; i += 2)
        tz_heap_span_free(s[i]);
    ck_assert_uint_eq(tz_scavenge_all(), 0);
    ck_assert_uint_eq(stats().idle, 16 * 4 * TZ_PAGE_SIZE);
    tz_heap_span_free(s[6]);
    ck_assert_uint_eq(tz_scavenge_all(), TZ_UNIT_BYTES);
    for (int i = 0; i < 32; i += 2)
        if (i != 6)
            ck_assert_int_eq(*(unsigned char *)s[i]->base, 0xa5);
}
END_TEST

START_TEST(pages_that_were_never_used_cost_no_call)
{
    struct tz_vm_stats a, b;
    heap_start();
    tz_heap_span_free(dirty(8));
    tz_vm_stats_read(&a);
    ck_assert_uint_eq(tz_scavenge_all(), TZ_UNIT_BYTES);
    tz_vm_stats_read(&b);
    ck_assert_uint_le(b.calls - a.calls, 5); // one, and the probe's
    ck_assert_uint_eq(stats().untouched, 4 * TZ_MIB - TZ_UNIT_BYTES);
    ck_assert_uint_eq(b.ready[TZ_VM_HEAP] + b.released[TZ_VM_HEAP],
                      tz_mem.sys);
    ck_assert_uint_eq(b.released[TZ_VM_HEAP], tz_mem.released);
}
END_TEST

// --- against a model

enum { SLOTS = 100 };

static struct tz_span *held[SLOTS];

// The state of each page of the first region, as the model has it.
enum { UNTOUCHED, USED, DIRTY, RELEASED };
static uint8_t model[64 * TZ_CHUNK_PAGES];

// What becomes of a unit when a page of it is taken: known to be zero or not,
// the others are merely free.
static void model_take(const struct tz_span *s)
{
    uint32_t first = (uint32_t)((s->base - tz_mem.region[0].base) >>
                                TZ_PAGE_SHIFT);
    uint32_t end = first + s->npages;
    ck_assert_uint_le(end, sizeof model);
    uint32_t lo = (uint32_t)tz_align_down(first, TZ_UNIT_PAGES);
    uint32_t hi = (uint32_t)tz_align_up(end, TZ_UNIT_PAGES);
    for (uint32_t p = lo; p < hi; p++) {
        if (p >= first && p < end) {
            ck_assert_uint_ne(model[p], USED);
            model[p] = USED;
        } else if (model[p] != USED) {
            model[p] = DIRTY;
        }
    }
}

static void model_free(const struct tz_span *s)
{
    uint32_t first = (uint32_t)((s->base - tz_mem.region[0].base) >>
                                TZ_PAGE_SHIFT);
    memset(model + first, DIRTY, s->npages);
}

// Releases the model's highest dirty units until it is as much; true if the
// units are those that the heap has released.
static void model_scavenge(size_t bytes)
{
    const struct tz_region *r = &tz_mem.region[0];
    uint32_t npages = r->pages.npages;
    for (uint32_t u = npages / TZ_UNIT_PAGES; u-- > 0;) {
        uint8_t *m = model + u * TZ_UNIT_PAGES;
        bool was = m[0] == RELEASED, untouched = m[0] == UNTOUCHED;
        bool dirty_all = true;
        for (int i = 0; i < TZ_UNIT_PAGES; i++)
            dirty_all &= m[i] == DIRTY;
        bool is = r->scav.released[u / 64] >> (u % 64) & 1;
        ck_assert_int_eq(r->scav.untouched[u / 64] >> (u % 64) & 1, untouched);
        if (is && !was) {
            ck_assert(dirty_all);
            memset(m, RELEASED, TZ_UNIT_PAGES);
            ck_assert_uint_ge(bytes, TZ_UNIT_BYTES);
            bytes -= TZ_UNIT_BYTES;
        } else {
            ck_assert_int_eq(is, was);
        }
    }
    ck_assert_uint_eq(bytes, 0);
}

static void model_balance(void)
{
    uint64_t n[4] = { 0 };
    struct tz_heap_stats s = stats();
    for (uint32_t p = 0; p < tz_mem.region[0].pages.npages; p++)
        n[model[p]] += TZ_PAGE_SIZE;
    ck_assert_uint_eq(s.inuse, n[USED]);
    ck_assert_uint_eq(s.idle, n[DIRTY]);
    ck_assert_uint_eq(s.released, n[RELEASED]);
    ck_assert_uint_eq(s.untouched, n[UNTOUCHED]);
    ck_assert_uint_eq(s.cached, 0);
}

START_TEST(random_changes_agree_with_a_byte_a_page)
{
    uint64_t seed = seed_start("scavenge");
    heap_start();
    for (int op = 0; op < 8000; op++) {
        uint64_t r = tz_rand_next(&seed);
        struct tz_span **h = &held[(r >> 8) % SLOTS];
        if (r % 16 == 0) {
            size_t want = (r >> 32) % (4 * TZ_MIB);
            model_scavenge(tz_scavenge(want));
        } else if (*h) {
            model_free(*h);
            tz_heap_span_free(*h);
            *h = NULL;
        } else {
            uint32_t n = 1 + (uint32_t)(r >> 32) % (r & 16 ? 20 : 150);
            *h = large(n);
            model_take(*h);
            if (!(*h)->needzero)
                ck_assert(all_zero((void *)(*h)->base, n * TZ_PAGE_SIZE));
            memset((void *)(*h)->base, 1, n * TZ_PAGE_SIZE);
        }
        if (op % 500 == 0)
            model_balance();
    }
    model_scavenge(tz_scavenge_all());
    model_balance();
    for (uint32_t u = 0; u < tz_mem.region[0].pages.npages; u += 8) {
        bool idle = true;
        for (int i = 0; i < 8; i++)
            idle &= model[u + (uint32_t)i] == DIRTY;
        ck_assert(!idle); // nothing was forgotten
    }
}
END_TEST

// --- threads

static uint32_t done; // atomic

static void *churn(void *arg)
{
    enum { HELD = 32 };
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct tz_pagecache pc = { 0 };
    struct tz_span *s[HELD] = { 0 };
    for (int i = 0; i < 4000 + HELD; i++) {
        uint64_t r = tz_rand_next(&seed);
        struct tz_span **h = &s[i < 4000 ? r % HELD : (uint64_t)i - 4000];
        if (*h) {
            uintptr_t *w = (uintptr_t *)(*h)->base;
            size_t last = (*h)->npages * TZ_PAGE_SIZE / sizeof *w - 1;
            ck_assert_ptr_eq((void *)w[0], *h);
            ck_assert_ptr_eq((void *)w[last], *h);
            tz_heap_span_free(*h);
            *h = NULL;
        } else if (i < 4000) {
            uint32_t n = r >> 32 & 1 ? 1 : (uint32_t)(r >> 40) % 80 + 1;
            *h = tz_heap_span_alloc(&pc, n, 0);
            ck_assert_ptr_nonnull(*h);
            uintptr_t *w = (uintptr_t *)(*h)->base;
            size_t last = n * TZ_PAGE_SIZE / sizeof *w - 1;
            if (!(*h)->needzero)
                ck_assert(!w[0] && !w[last]);
            w[0] = w[last] = (uintptr_t)*h;
        }
    }
    tz_heap_pagecache_flush(&pc);
    tz_xadd(&done, 1);
    return NULL;
}

START_TEST(two_threads_allocate_while_one_scavenges)
{
    uint64_t seed = seed_start("scavenge");
    pthread_t t[2];
    size_t sum = 0;
    heap_start();
    for (uint64_t i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(seed + i));
    while (tz_load(&done) < 2) {
        sum += sum % 3 ? tz_scavenge_all() : tz_scavenge(100000);
        stats();
        sched_yield();
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_gt(sum, 0);
    tz_scavenge_all();
    struct tz_heap_stats s = stats();
    ck_assert_uint_eq(s.inuse + s.cached + s.idle, 0);
    ck_assert_uint_eq(s.released + s.untouched, s.sys);
    const struct tz_pagealloc *a = &tz_mem.region[0].pages;
    ck_assert_uint_eq(a->nfree, a->npages);
}
END_TEST

// --- the background's pace

START_TEST(nothing_goes_before_the_collector_has_a_goal)
{
    heap_start();
    tz_heap_span_free(dirty(1000));
    for (int64_t ms = 1; ms < 1000; ms++)
        ck_assert_uint_eq(tz_scavenge_tick(ms * TZ_NSEC_PER_MSEC), 0);
    ck_assert_uint_eq(stats().idle, 1000 * TZ_PAGE_SIZE);
}
END_TEST

// As many ticks as it takes, on a clock of our own.
static size_t tick(int64_t *ms, int64_t n)
{
    size_t sum = 0;
    for (; n > 0; n--)
        sum += tz_scavenge_tick(++*ms * TZ_NSEC_PER_MSEC);
    return sum;
}

START_TEST(a_tenth_above_the_goal_stays)
{
    int64_t ms = 1000;
    heap_start();
    struct tz_span *low = dirty(1280), *high = dirty(11520);
    tz_heap_span_free(high);
    tz_scavenge_pace(40 * TZ_MIB, 0);
    tick(&ms, 1000000);
    struct tz_heap_stats s = stats();
    ck_assert_uint_le(s.inuse + s.idle, 44 * TZ_MIB);
    ck_assert_uint_ge(s.inuse + s.idle, 41 * TZ_MIB);
    tz_scavenge_pace(0, 0); // below what is in use: a tenth of that stays
    tick(&ms, 1000000);
    s = stats();
    ck_assert_uint_le(s.inuse + s.idle, 11 * TZ_MIB + 1);
    ck_assert_uint_ge(s.inuse + s.idle, 10 * TZ_MIB);
    ck_assert_uint_eq(low->npages, 1280);
}
END_TEST

START_TEST(what_each_cycle_has_at_its_end_stays)
{
    int64_t ms = 1000;
    heap_start();
    struct tz_span *high = dirty(12800); // 100 MiB, of a goal of 80
    tz_scavenge_pace(60 * TZ_MIB, 80 * TZ_MIB);
    tz_heap_span_free(high);
    tick(&ms, 1000000);
    struct tz_heap_stats s = stats();
    ck_assert_uint_le(s.inuse + s.idle, 83 * TZ_MIB); // 75, and a tenth
    ck_assert_uint_ge(s.inuse + s.idle, 80 * TZ_MIB);
    tz_scavenge_pace(UINT64_MAX, 1); // no goal
    ck_assert_uint_eq(tick(&ms, 1000), 0);
    tz_scavenge_pace(20 * TZ_MIB, 80 * TZ_MIB); // little was in use
    tick(&ms, 1000000);
    s = stats();
    ck_assert_uint_le(s.inuse + s.idle, 22 * TZ_MIB + 1);
}
END_TEST

// By work, not by time: a unit is charged 5 us at least, so 1 % of a second
// pays for 2000 units and what a purse of 1 ms was worth before, and after each
// look at most one piece goes beyond it.
START_TEST(one_percent_of_the_time_bounds_the_work)
{
    enum { PAGES = 60000 };
    int64_t ms = 1000;
    heap_start();
    struct tz_region *r = &tz_mem.region[0];
    tz_heap_span_free(large(PAGES)); // idle as far as the heap knows
    uint64_t all = stats().idle;
    // One unit in two stays in use, so that no piece is larger than a unit.
    static struct tz_span *s[PAGES / TZ_UNIT_PAGES];
    for (int i = 0; i < PAGES / TZ_UNIT_PAGES; i++)
        s[i] = large(TZ_UNIT_PAGES);
    for (int i = 0; i < PAGES / TZ_UNIT_PAGES; i += 2)
        tz_heap_span_free(s[i]);
    ck_assert_uint_ge(all, PAGES * TZ_PAGE_SIZE - TZ_UNIT_BYTES);
    tz_scavenge_pace(0, 0);
    // The heap must hold too much all the time.
    tz_mem.inuse = 0;
    size_t sum = tick(&ms, 1000);
    ck_assert_uint_gt(sum, 0);
    ck_assert_uint_le(sum / TZ_UNIT_BYTES, 2000 + 200 + 1);
    ck_assert_uint_eq(tick(&ms, 0), 0);
    size_t once = tz_scavenge_tick(ms * TZ_NSEC_PER_MSEC);
    ck_assert_uint_eq(once, 0); // the same millisecond again
    once = tz_scavenge_tick((ms + 3600000) * TZ_NSEC_PER_MSEC);
    ck_assert_uint_le(once / TZ_UNIT_BYTES, 201); // an hour earns one purse
    // An hour in which there was nothing to do: the same.
    tz_mem.inuse = tz_mem.sys;
    ms += 3600000;
    ck_assert_uint_eq(tick(&ms, 100000), 0);
    tz_mem.inuse = 0;
    ck_assert_uint_le(tick(&ms, 1) / TZ_UNIT_BYTES, 201);
    ck_assert_uint_gt(r->pages.npages, PAGES);
}
END_TEST

START_TEST(page_caches_are_given_back_when_all_is_wanted)
{
    struct tz_pagecache pc = { 0 };
    heap_start();
    struct tz_span *s = tz_heap_span_alloc(&pc, 1, 0);
    ck_assert_uint_eq(stats().cached, 63 * TZ_PAGE_SIZE);
    tz_scavenge_all();
    ck_assert_uint_eq(stats().cached, 63 * TZ_PAGE_SIZE); // the owner's
    struct tz_span *t = tz_heap_span_alloc(&pc, 2, 0);
    ck_assert_uint_eq(stats().cached, 0);
    ck_assert_uint_eq(t->base, s->base + TZ_PAGE_SIZE); // one of those pages
}
END_TEST

START_TEST(empty_spans_that_centrals_keep_go_back_too)
{
    heap_start();
    struct tz_mcache *c = cache_start();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++)
            ck_assert_msg(tz_malloc(64, TZ_NOSCAN) != NULL, "%d", i);
        collect(c);
        while (tz_central_sweep_one())
            ;
    }
    ck_assert_uint_gt(stats().inuse, 0);
    tz_heap_pagecache_flush(&c->pages);
    ck_assert_uint_gt(tz_scavenge_all(), 0);
    struct tz_heap_stats s = stats();
    ck_assert_uint_eq(s.inuse + s.idle + s.cached, 0);
}
END_TEST

START_TEST(cached_pages_are_used_before_memory_is_refused)
{
    struct tz_pagecache pc = { 0 };
    sys_install();
    sys.no_place = true;
    sys.mmap_max = 9 * TZ_MIB;
    heap_start();
    struct tz_span *a = tz_heap_span_alloc(&pc, 1, 0);
    struct tz_span *rest = large(tz_mem.region[0].pages.nfree);
    sys.mmap_max = 1;
    ck_assert_ptr_nonnull(a);
    ck_assert_uint_eq(stats().cached, 63 * TZ_PAGE_SIZE);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(&pc, 63, 0));
    ck_assert_ptr_null(tz_heap_span_alloc(&pc, 1, 0));
    ck_assert_ptr_null(tz_heap_span_alloc(&pc, 2, 0));
    tz_heap_span_free(rest);
    ck_assert_ptr_nonnull(tz_heap_span_alloc(&pc, 1, 0));
}
END_TEST

int main(void)
{
    return os_check("mem/scavenge",
                    (const TTest *const[]){
                        s2_13_nine_tenths_of_what_is_freed_leave_the_process,
                        s2_26_released_pages_are_zero_and_known_as_such,
                        s2_26_what_the_system_may_keep_a_while_needs_zeroing,
                        a_span_over_released_and_dirty_pages_needs_zeroing,
                        the_highest_addresses_go_first_and_no_more_than_asked,
                        the_last_chunk_of_the_last_region_goes_first,
                        half_a_chunk_that_is_idle_goes_as_one,
                        units_in_use_in_part_stay,
                        pages_that_were_never_used_cost_no_call,
                        random_changes_agree_with_a_byte_a_page,
                        two_threads_allocate_while_one_scavenges,
                        nothing_goes_before_the_collector_has_a_goal,
                        a_tenth_above_the_goal_stays,
                        what_each_cycle_has_at_its_end_stays,
                        one_percent_of_the_time_bounds_the_work,
                        page_caches_are_given_back_when_all_is_wanted,
                        empty_spans_that_centrals_keep_go_back_too,
                        cached_pages_are_used_before_memory_is_refused,
                        NULL });
}
