// SPDX-License-Identifier: BSD-3-Clause
// test/mem/go_malloc_test.c: what Go's malloc_test.go, the accounting tests of
// its gc_test.go and the program GCPhys claim of a heap that is in use: each
// figure is what one finds by counting.

#include <pthread.h>

#include "base/bits.h"
#include "gc/gc.h"
#include "mem/malloc.h"
#include "os/os_check.h"
#include "sched/proc.h"
#include "support/goroutines.h"

#define MB (UINT64_C(1) << 20)

static tuza_waitgroup group;
static uint32_t stop; // atomic

static tuza_memstats stats(void)
{
    tuza_memstats st = { .size = sizeof st };
    need_eq(tuza_memstats_read(&st), 0);
    return st;
}

// --- counting by hand

static struct {
    uint64_t objects, bytes; // with their alloc bit set
    uint64_t spans, manual, cached; // pages
    uint64_t used;                  // pages, by the bitmap
    uint64_t free;                  // by it, and by its count
    uint64_t nfree;
    uint64_t released, untouched; // units
    uint64_t broken; // units that are released or untouched, and in use
    uint64_t live, inuse, sys, stat_manual; // as the heap has them
    uint64_t stat_released, stat_untouched;
    uint32_t releasing;
} all;

static bool bit_of(const uint64_t *words, size_t i)
{
    return words[i / 64] >> (i % 64) & 1;
}

static void count_span(const struct tz_span *s)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->nelems; i++)
        n += s->bits->word[i / 64].alloc >> (i % 64) & 1;
    all.objects += n;
    all.bytes += n * s->elem_size;
    all.spans += s->npages;
}

static void count_region(const struct tz_region *r)
{
    uint32_t n = r->pages.npages;
    for (uint32_t p = 0; p < n; p++) {
        const struct tz_span *s = r->spans[p];
        bool first = s && s->base == r->base + ((uintptr_t)p << TZ_PAGE_SHIFT);
        if (tz_page_has_objects(r->cls[p]) && first)
            count_span(s);
        all.manual += r->cls[p] == TZ_PAGE_MANUAL;
        all.used += bit_of(r->pages.bitmap, p);
    }
    all.free += n;
    all.nfree += r->pages.nfree;
    for (uint32_t u = 0; u < n / TZ_UNIT_PAGES; u++) {
        bool released = bit_of(r->scav.released, u);
        bool untouched = bit_of(r->scav.untouched, u);
        uint64_t pages = r->pages.bitmap[u / 8] >> (u % 8 * 8) & 0xff;
        all.released += released;
        all.untouched += untouched;
        all.broken += (released || untouched) && pages != 0;
        all.broken += released && untouched;
    }
}

static void count_cached(void *arg, const struct tz_mcache *c)
{
    (void)arg;
    for (int i = 0; i < 2; i++)
        all.cached += tz_popcount64(c->pages.block[i].free);
}

static void count_here(struct tz_gcwork *w, uint32_t njobs, void *arg)
{
    (void)w, (void)njobs, (void)arg;
    memset(&all, 0, sizeof all);
    tz_lock_acquire(&tz_mem.lock); // the watcher gives memory back
    for (uint32_t i = 0; i < tz_mem.nregions; i++)
        count_region(&tz_mem.region[i]);
    for (uint32_t i = 0; i < tz_nallp(); i++)
        count_cached(NULL, tz_sched.allp[i]->cache);
    tz_foreign_each(count_cached, NULL);
    all.free -= all.used;
    all.live = tz_load(&tz_mem.live);
    all.inuse = tz_load(&tz_mem.inuse);
    all.sys = tz_load(&tz_mem.sys);
    all.stat_manual = tz_load(&tz_mem.manual);
    all.stat_released = tz_load(&tz_mem.released);
    all.stat_untouched = tz_load(&tz_mem.untouched);
    all.releasing = tz_mem.releasing;
    tz_lock_release(&tz_mem.lock);
}

// Counts in the stopped world and compares.
static void count_all(void)
{
    tz_gc_look(count_here, NULL);
    need_eq(all.live, all.bytes);
    need_eq(all.inuse, all.spans * TZ_PAGE_SIZE);
    need_eq(all.stat_manual, all.manual * TZ_PAGE_SIZE);
    need_eq(all.nfree, all.free);
    need_eq(all.used, all.spans + all.manual + all.cached + all.releasing);
    need_eq(all.sys + all.stat_manual, (all.used + all.free) * TZ_PAGE_SIZE);
    need_eq(all.stat_released, all.released * TZ_UNIT_BYTES);
    need_eq(all.stat_untouched, all.untouched * TZ_UNIT_BYTES);
    need_eq(all.broken, 0);
}

// --- gc_test.go: PageAccounting, in steps of 64 KiB

static void *volatile block[1024];

IN_GOROUTINES(pages_in_use_are_counted_right_while_the_heap_grows, 2)
{
    for (int i = 0; i < 1024; i++) {
        block[i] = tuza_alloc(64 << 10);
        need(block[i]);
        if (i % 128 == 127)
            count_all();
    }
    need(all.spans >= 1024 * 8);
    for (int i = 0; i < 1024; i++)
        if (i % 3)
            block[i] = NULL;
    tuza_gc();
    tuza_gc();
    count_all();
    need(all.spans >= 1024 * 8 / 3 && all.spans < 1024 * 8 / 2);
}

// --- gc_test.go: ReadMemStats; malloc_test.go: ScavengedBitsCleared

struct pair {
    void *p, *q;
    uint64_t n;
};
static const tuza_type pair_type = TUZA_TYPE(struct pair, p, q);

enum { HELD = 128 };

static void change_one(void **held, uint64_t *seed)
{
    void **p = &held[rnd(seed, HELD)], *old = *p;
    size_t size = (size_t)rnd(seed, 200000) >> rnd(seed, 17);
    *p = NULL;
    if (old && rnd(seed, 3) == 0)
        tuza_free(old);
    switch (rnd(seed, 4)) {
    case 0: *p = tuza_alloc(size); break;
    case 1: *p = tuza_alloc_bytes(size); break;
    case 2: *p = tuza_alloc_typed(&pair_type, 1 + rnd(seed, 40)); break;
    default: tuza_free(tuza_alloc_uncollectable(size)); break;
    }
}

static void change_all(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    void *held[HELD] = { 0 };
    for (int i = 0; !tz_load(&stop); i++) {
        change_one(held, &seed);
        if (i % 256 == 0)
            tuza_yield();
        if (rnd(&seed, 20000) == 0)
            tuza_release_memory();
    }
    tuza_waitgroup_done(&group);
}

// So does a thread that runs no goroutines.
static void *change_outside(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    void *held[HELD] = { 0 };
    while (!tz_load(&stop)) {
        void **p = &held[rnd(&seed, HELD)];
        tuza_free(*p);
        *p = tuza_alloc_uncollectable((size_t)rnd(&seed, 3000));
    }
    for (int i = 0; i < HELD; i++)
        tuza_free(held[i]);
    return NULL;
}

// Pages for something else, as stacks are; given back at the next call.
static void change_manual(int i)
{
    static struct tz_span *s;
    tz_crit_enter();
    if (s)
        tz_heap_manual_free(s, TZ_VM_OTHER, false);
    s = i % 2 ? NULL : tz_heap_manual_alloc(1 + (uint32_t)i, TZ_VM_OTHER);
    tz_crit_leave();
}

IN_GOROUTINES(s2_20_every_figure_is_what_counting_finds, 3)
{
    uint64_t seed = test_seed();
    pthread_t thread;
    tuza_waitgroup_add(&group, 3);
    for (int i = 1; i <= 3; i++)
        tuza_spawn(change_all, (void *)(uintptr_t)(seed + (uint64_t)i));
    need_eq(pthread_create(&thread, NULL, change_outside,
                           (void *)(uintptr_t)(seed + 7)), 0);
    for (int i = 0; i < scaled(60); i++) {
        change_manual(i);
        count_all();
        if (i % 3 == 0)
            tuza_gc();
        if (i % 16 == 0)
            tuza_maxprocs(i % 32 ? 1 : 4); // pages in their caches stay known
        for (int k = 0; k < 20; k++)
            tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    TUZA_SYSCALL(pthread_join(thread, NULL));
    count_all();
    tuza_gc();
    tuza_release_memory();
    count_all();
}

// --- malloc_test.go: MemStats

static void is_sane(const tuza_memstats *s)
{
    const uint64_t all_but_zero[] = {
        s->heap_live,   s->heap_peak, s->heap_inuse, s->heap_sys,
        s->stack_inuse, s->stack_sys, s->meta_sys,   s->total_sys,
        s->total_alloc, s->mallocs,   s->next_gc,    s->num_gc,
        s->gc_sys,      s->pause_total_ns, s->memory_used, s->reserved,
    };
    for (size_t i = 0; i < tz_countof(all_but_zero); i++)
        if (all_but_zero[i] == 0)
            ck_abort_msg("figure %zu is zero", i);
    const uint64_t modest[] = {
        s->heap_live,   s->heap_peak,     s->heap_inuse, s->heap_sys,
        s->stack_inuse, s->meta_sys,      s->total_sys,  s->total_alloc,
        s->mallocs,     s->num_gc,        s->gc_sys,     s->other_sys,
        s->heap_idle,   s->heap_released, s->memory_used, s->num_forced,
    };
    for (size_t i = 0; i < tz_countof(modest); i++)
        if (modest[i] > UINT64_C(10000000000))
            ck_abort_msg("figure %zu is insane: %llu", i,
                         (unsigned long long)modest[i]);
    need(s->num_forced <= s->num_gc);
    need(s->heap_live <= s->heap_inuse && s->heap_inuse <= s->heap_peak);
}

IN_GOROUTINES(statistics_have_sane_values, 2)
{
    uint64_t seed = 5;
    static void *held[HELD];
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 1000; k++)
            change_one(held, &seed);
        tuza_gc();
        tuza_memstats st = stats();
        is_sane(&st);
    }
}

// Caches count what they have ahead; a collection takes that back.
IN_GOROUTINES(a_collection_makes_the_count_of_allocations_exact, 1)
{
    static const size_t sizes[] = { 1, 16, 24, 100, 1000, 5000, 40000 };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        tuza_gc();
        tuza_memstats before = stats();
        for (int k = 0; k < 777; k++)
            block[k] = tuza_alloc(sizes[i]);
        tuza_gc();
        tuza_memstats after = stats();
        size_t each = tuza_object_of(block[0], NULL);
        need_eq(after.mallocs - before.mallocs, 777);
        need_eq(after.total_alloc - before.total_alloc, 777 * each);
    }
}

// --- malloc_test.go: TinyAlloc and TinyAllocIssue37262: none are combined here,
// so that each is whole, and goes, by itself.

static void tiny_ones(void *arg)
{
    enum { N = 512 };
    unsigned char *p[N] = { 0 };
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < scaled(100000); i++) {
        int k = (int)rnd(&seed, N);
        if (p[k])
            need(p[k][0] == (k & 0xff) && p[k][k % 16] == (k & 0xff));
        size_t size = (size_t)(k % 16) + 1;
        p[k] = rnd(&seed, 2) ? tuza_alloc(size) : tuza_alloc_bytes(size);
        need((uintptr_t)p[k] % 16 == 0);
        memset(p[k], k, size);
        if (i % 1024 == 0)
            tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(tiny_objects_of_many_are_whole_across_collections, 4)
{
    tuza_waitgroup_add(&group, 4);
    for (uintptr_t i = 1; i <= 4; i++)
        tuza_spawn(tiny_ones, (void *)i);
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_wait(&group);
    count_all();
}

// --- malloc_test.go: PageCacheLeak: Ps that come and go lose no pages, not even
// those that were theirs.

static void fill_cache(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        memset(tuza_alloc_bytes(1000), 1, 1000);
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(ps_that_come_and_go_lose_no_pages, 4)
{
    uint64_t most = 0;
    for (int round = 0; round < 40; round++) {
        tuza_maxprocs(round % 2 ? 1 : 4);
        tuza_waitgroup_add(&group, 8);
        for (int i = 0; i < 8; i++)
            tuza_spawn(fill_cache, NULL);
        tuza_waitgroup_wait(&group);
        tuza_gc();
        count_all();
        if (round == 5)
            most = all.used + all.free;
        need(all.cached <= 64u * tz_nallp());
    }
    need(all.used + all.free <= most + 2 * TZ_CHUNK_PAGES);
}

// --- malloc_test.go: PhysicalMemoryUtilization; the program GCPhys: of a heap
// with holes, what is in memory is a little more than what is in use.

static uint64_t rss(void)
{
    char text[256];
    os_read_file("/proc/self/statm", text, sizeof text);
    return strtoull(strchr(text, ' '), NULL, 10) * 4096;
}

IN_GOROUTINES(s2_13_a_heap_with_holes_is_not_all_in_memory, 2)
{
    enum { SIZE = 128 << 10, N = 800 }; // 100 MiB
    static void *volatile object[N];
    uint64_t before = rss();
    for (int i = 0; i < N; i++) {
        object[i] = tuza_alloc_bytes(SIZE);
        memset(object[i], i, SIZE);
    }
    uint64_t full = rss();
    for (int i = 0; i < N; i++)
        if (i % 2)
            object[i] = NULL;
    tuza_gc();
    tuza_gc(); // the second has swept what the first found dead
    tuza_release_memory();
    tuza_memstats st = stats();
    need(st.heap_sys - st.heap_released <= st.heap_inuse / 10 * 11 + MB);
    need(st.heap_inuse <= (uint64_t)N / 2 * SIZE + 16 * MB);
    if (!TZ_SAN_OWNS_ADDRESSES) // their shadow stays
        need(rss() - before <= (full - before) / 10 * 6);
    for (int i = 0; i < N; i += 2)
        need(*(volatile char *)object[i] == (char)i);
}

// --- gc_test.go: HugeGCInfo: what is too large is refused, whatever its type

struct huge {
    double x;
    void *p[1 << 10];
    void *q;
};
static const uint64_t huge_mask[(sizeof(struct huge) / 8 + 63) / 64] = { 2 };
static const tuza_type huge_type = { sizeof(struct huge), "huge", 0,
                                     huge_mask, NULL };

IN_GOROUTINES(arrays_of_terabytes_are_refused, 1)
{
    static const size_t count[] = { (size_t)1 << 29, (size_t)1 << 33,
                                    (size_t)1 << 51, (size_t)1 << 60,
                                    ((size_t)1 << 60) + 1, SIZE_MAX };
    for (size_t i = 0; i < tz_countof(count); i++) {
        volatile size_t n = count[i];
        need(!tuza_alloc_typed(&huge_type, n));
        need(!tuza_alloc_array(n, sizeof(struct huge)));
        need(!tuza_alloc_array(sizeof(struct huge), n));
        if (n > (size_t)1 << 40)
            need(!tuza_alloc(n) && !tuza_alloc_bytes(n) &&
                 !tuza_alloc_uncollectable(n));
    }
    need(tuza_alloc_typed(&huge_type, 3));
    count_all();
}

int main(void)
{
    return api_check("go_malloc",
                     (const TTest *const[]){
                         pages_in_use_are_counted_right_while_the_heap_grows,
                         s2_20_every_figure_is_what_counting_finds,
                         statistics_have_sane_values,
                         a_collection_makes_the_count_of_allocations_exact,
                         tiny_objects_of_many_are_whole_across_collections,
                         ps_that_come_and_go_lose_no_pages,
                         s2_13_a_heap_with_holes_is_not_all_in_memory,
                         arrays_of_terabytes_are_refused, NULL });
}
