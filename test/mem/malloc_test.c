// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/malloc_test.c: objects, caches and sweeping; collections are made
// by hand: the test marks, flips and sweeps [mem.I4] [mem.I5].

#include "mem_check.h"
#include "mem/port.h"
#include "os/env.h"
#include "tuza/mem.h"

static struct {
    int triggers, emergencies;
    void (*do_trigger)(void);
} port;

void tz_port_gc_trigger(void)
{
    port.triggers++;
    if (port.do_trigger)
        port.do_trigger();
}

void tz_port_gc_emergency(void) { port.emergencies++; }

static struct tz_mcache *cache;

static void start(void)
{
    heap_start();
    cache = cache_start();
}

// An object, and the claim that the cache had no reason to refuse it.
static char *get(size_t size, bool noscan)
{
    char *p = tz_malloc(size, noscan);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(port.emergencies, 0);
    ck_assert_int_eq(tz_tls_get()->locks, 0);
    return p;
}

static bool all(const char *p, size_t n, char c)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != c)
            return false;
    return true;
}

START_TEST(objects_hold_their_size_are_aligned_and_zero)
{
    static const size_t sizes[] = { 0,    1,    15,    16,    17,    48,
                                    49,   1024, 1025,  8192,  32767, 32768,
                                    32769, 40960, 40961, 1000000 };
    start();
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        for (int k = 0; k < 5; k++) {
            char *p = get(sizes[i], k % 2);
            struct tz_object o = object_at(p);
            ck_assert_uint_eq((uintptr_t)p % 16, 0);
            ck_assert_uint_eq(o.base, (uintptr_t)p);
            ck_assert_uint_ge(o.size, tz_max(sizes[i], 1));
            ck_assert_int_eq(o.noscan, k % 2);
            ck_assert(all(p, o.size, 0));
            memset(p, 0x5a, o.size);
        }
    }
}
END_TEST

START_TEST(absurd_sizes_are_refused_without_a_collection)
{
    start();
    get(40000, false); // so that there are free pages
    ck_assert_ptr_null(tuza_alloc(SIZE_MAX));
    ck_assert_ptr_null(tuza_alloc(SIZE_MAX - TZ_PAGE_SIZE));
    ck_assert_ptr_null(tuza_alloc(SIZE_MAX / 2));
    ck_assert_ptr_null(tuza_alloc(SIZE_MAX / 4 + 9));
    ck_assert_ptr_null(tuza_alloc_array(SIZE_MAX / 8, 9));
    ck_assert_int_eq(port.emergencies, 0);
    ck_assert_ptr_nonnull(tuza_alloc_array(10, 9));
}
END_TEST

static void outside_body(void)
{
    heap_start();
    tz_malloc(3, false);
}

START_TEST(allocation_without_a_cache_is_fatal)
{
    struct os_ended e = os_child(outside_body);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "allocation of 3 bytes outside of a goroutine");
}
END_TEST

START_TEST(object_of_tells_base_and_size)
{
    start();
    char *p = tuza_alloc_bytes(100);
    void *base = NULL;
    ck_assert_uint_eq(tuza_object_of(p + 111, &base), 112);
    ck_assert_ptr_eq(base, p);
    ck_assert_uint_eq(tuza_object_of(p, NULL), 112);
    base = &base;
    ck_assert_uint_eq(tuza_object_of(&p, &base), 0);
    ck_assert_ptr_eq(base, &base); // untouched
}
END_TEST

// A span of `size` bytes whose objects are those of `keep` (a bit each, in
// words) after a collection; all the bytes of all objects were 0x5a.
static struct tz_span *fragment(size_t size, bool noscan, const uint64_t *keep,
                                char **objects)
{
    unsigned cls = tz_sizeclass_of(size);
    for (uint32_t i = 0; i < tz_sizeclass[cls].nelems; i++) {
        objects[i] = get(size, noscan);
        memset(objects[i], 0x5a, tz_sizeclass[cls].size);
        ck_assert_uint_eq(object_at(objects[i]).index, i);
        if (keep[i / 64] >> (i % 64) & 1)
            mark(objects[i]);
    }
    uintptr_t base = object_at(objects[0]).base;
    collect(cache);
    struct tz_region *r = tz_heap_region(base);
    return r->spans[(base - r->base) >> TZ_PAGE_SHIFT];
}

static void assert_refilled(size_t size, bool noscan, const uint64_t *keep)
{
    char *objects[512];
    struct tz_span *s = fragment(size, noscan, keep, objects);
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->nelems; i++) {
        if (keep[i / 64] >> (i % 64) & 1) {
            left++;
            continue;
        }
        if (left == s->nelems)
            break;
        char *p = get(size, noscan); // sweeps the span at the first
        ck_assert_ptr_eq(p, objects[i]);
        if (!noscan)
            ck_assert(all(p, s->elem_size, 0));
        memset(p, 0x11, s->elem_size);
    }
    if (left < s->nelems) { // full now: the next is elsewhere
        char *p = get(size, noscan);
        ck_assert(p < objects[0] || p >= objects[0] + s->npages * TZ_PAGE_SIZE);
    }
    for (uint32_t i = 0; i < s->nelems; i++)
        if (keep[i / 64] >> (i % 64) & 1)
            ck_assert(all(objects[i], s->elem_size, 0x5a));
}

START_TEST(free_runs_of_every_shape_are_found_and_zeroed)
{
    static const uint64_t patterns[][8] = {
        { 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x5555555555555555, 0, 0,
          1, 1, UINT64_C(1) << 63 },
        { ~UINT64_C(0), ~UINT64_C(0), 0, 0, ~UINT64_C(0), 0, ~UINT64_C(0), 7 },
        { 0, 0, 0, 0, 0, 0, 0, UINT64_C(1) << 63 },
        { 1 },
        { ~UINT64_C(1), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0),
          ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0) },
        { ~UINT64_C(0) >> 1, UINT64_MAX - 1, 0xff00ff00ff00ff00,
          0x00ff00ff00ff00ff, 0x8000000000000001, 0x7ffffffffffffffe, 2, 4 },
    };
    static const size_t sizes[] = { 16, 32, 48, 112, 1024, 1152, 6784, 32768 };
    start();
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        for (size_t k = 0; k < tz_countof(patterns); k++) {
            assert_refilled(sizes[i], k % 2, patterns[k]);
            collect(cache); // nothing is marked: all goes
            sweep_all();
        }
    }
}
END_TEST

START_TEST(random_patterns_are_refilled)
{
    uint64_t seed = seed_start("malloc");
    start();
    for (int i = 0; i < 300; i++) {
        uint64_t keep[8], r = tz_rand_next(&seed);
        for (int w = 0; w < 8; w++) {
            keep[w] = tz_rand_next(&seed);
            if (r & 1)
                keep[w] &= tz_rand_next(&seed) & tz_rand_next(&seed);
            if (r & 2)
                keep[w] |= tz_rand_next(&seed) | tz_rand_next(&seed);
        }
        keep[0] |= 1;
        assert_refilled(16 + r / 8 % 3000, r & 4, keep);
        collect(cache);
        sweep_all();
    }
}
END_TEST

START_TEST(fresh_pages_are_not_written_for_zeroing)
{
    start();
    char *p = get(16, false);
    p[20] = 7; // the rest of the run is there already
    char *q = get(16, false);
    ck_assert_ptr_eq(q, p + 16);
    ck_assert_int_eq(q[4], 7); // a second memset would have cleared it
}
END_TEST

// Who reads first, as the barrier does, has a second fault when he writes.
START_TEST(fresh_pages_are_written_to_while_marking)
{
    start();
    tz_store(&tz_mem.marking, 1);
    const struct tz_span *s = object_at(get(3000, false)).span;
    unsigned char in[64];
    size_t n = (size_t)s->npages * TZ_PAGE_SIZE;
    ck_assert_uint_le(n / 4096, sizeof in);
    ck_assert_int_eq(mincore((void *)s->base, n, in), 0);
    for (size_t i = 0; i < n / 4096; i++)
        ck_assert(in[i] & 1);
    ck_assert(all((char *)s->base, n, 0));
    tz_store(&tz_mem.marking, 0);
}
END_TEST

START_TEST(reused_large_objects_are_zeroed_unless_noscan)
{
    start();
    char *p = get(100000, false);
    memset(p, 0x5a, 100000);
    collect(cache);
    sweep_all();
    ck_assert(!is_object(p));
    char *q = get(100000, true);
    ck_assert_ptr_eq(q, p);
    ck_assert(all(q, 100000, 0x5a));
    collect(cache);
    sweep_all();
    q = get(100000, false);
    ck_assert_ptr_eq(q, p);
    ck_assert(all(q, 100000, 0));
}
END_TEST

static uint64_t allocated_bits(const struct tz_span *s)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n += tz_popcount64(s->bits->word[i].alloc);
    return n;
}

START_TEST(a_flush_gives_back_exactly_what_was_not_used)
{
    start();
    char *p[7];
    for (int i = 0; i < 7; i++)
        p[i] = get(48, false);
    struct tz_span *s = cache->slot[tz_spanclass(3, false)].span;
    ck_assert_uint_eq(allocated_bits(s), s->nelems); // the run is taken whole
    tz_mcache_flush(cache);
    ck_assert_uint_eq(allocated_bits(s), 7);
    ck_assert_uint_eq(s->nalloc, 7);
    ck_assert_uint_eq(tz_mem.live, 7 * 48);
    ck_assert_uint_eq(cache->live, 0);
    ck_assert_uint_eq(cache->bytes, 7 * 48);
    ck_assert_uint_eq(cache->objects, 7);
    for (int i = 0; i < 7; i++)
        ck_assert(is_object(p[i]));
    ck_assert(!is_object(p[6] + 48));
    tz_mcache_flush(cache); // again: nothing is there
    ck_assert_uint_eq(tz_mem.live, 7 * 48);
}
END_TEST

// Symptom: a span whose run was given back looked full to who took it next,
// and the allocation was refused although there was memory.
START_TEST(what_a_flush_gives_back_is_handed_out_next)
{
    start();
    char *p = get(48, false);
    memset(p + 48, 0x5a, 48); // somebody wrote where nothing was allocated
    tz_mcache_flush(cache);
    ck_assert_ptr_eq(get(48, false), p + 48);
    ck_assert(all(p + 48, 48, 0));
    for (int i = 2; i < 170; i++) {
        ck_assert_ptr_eq(get(48, false), p + 48 * i);
        if (i % 3 == 0)
            tz_mcache_flush(cache);
    }
}
END_TEST

static struct tz_mcache *other;

// The goroutine goes on with another P's cache.
static void change_cache(void) { tz_tls_get()->cache = other; }

// Symptom: a goroutine whose P changed in the slow path dropped the run of the
// new P's cache: its objects were lost until the next collection, or the
// allocation was refused.
START_TEST(a_changed_cache_keeps_its_run)
{
    start();
    other = tz_mcache_make();
    change_cache();
    char *p = get(48, false);
    for (int i = 1; i < 170; i++)
        get(48, false);
    mark(p + 4 * 48); // two runs: [0, 4) and [5, 170)
    collect(other);
    ck_assert_ptr_eq(get(48, false), p);
    uint64_t objects = other->objects;
    tz_tls_get()->cache = cache;
    cache->collect = true;
    port.do_trigger = change_cache;
    ck_assert_ptr_eq(get(48, false), p + 48);
    ck_assert_int_eq(port.triggers, 1);
    ck_assert_uint_eq(other->objects, objects);
}
END_TEST

START_TEST(sweeping_keeps_the_marked_and_frees_empty_spans)
{
    start();
    char *keep = get(200, false), *lose = get(200, true);
    char *big = get(100000, true), *gone = get(200000, false);
    mark(keep);
    mark(big + 99999);
    uint64_t inuse = tz_mem.inuse;
    collect(cache);
    ck_assert(!tz_central_swept());
    ck_assert(is_object(lose)); // until it is swept
    sweep_all();
    ck_assert(is_object(keep));
    ck_assert(is_object(big));
    ck_assert(!is_object(lose));
    ck_assert(!is_object(gone));
    ck_assert_uint_eq(inuse - tz_mem.inuse, (1 + 25) * TZ_PAGE_SIZE);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(object_at(keep).bits->word[i].mark, 0);
    mark(keep); // only the marks of this cycle count
    collect(cache);
    sweep_all();
    ck_assert(is_object(keep));
    ck_assert(!is_object(big));
}
END_TEST

START_TEST(a_full_span_with_all_marked_is_passed_over)
{
    start();
    char *objects[512];
    uint64_t keep[8];
    memset(keep, 0xff, sizeof keep);
    struct tz_span *s = fragment(1024, false, keep, objects);
    char *p = get(1024, false); // sweeps it, finds it full, takes another
    ck_assert_ptr_ne(tz_heap_region((uintptr_t)p)
                         ->spans[((uintptr_t)p - tz_mem.region[0].base) >>
                                 TZ_PAGE_SHIFT],
                     s);
    ck_assert_uint_eq(s->nalloc, 8);
    ck_assert_uint_eq(s->needzero, 0); // no slot of it was used before
    sweep_all();
}
END_TEST

// Where all lives: a new span is cheaper than to look at thousands for a free slot.
START_TEST(one_allocation_does_not_sweep_all_there_is)
{
    enum { SPANS = 1000 };
    start();
    for (int i = 0; i < SPANS * 8; i++)
        mark(get(1024, false));
    collect(cache);
    get(1024, false);
    uint32_t unswept = 0;
    for (uint32_t i = 0; i < SPANS; i++)
        unswept += tz_mem.region[0].bits[i].word[0].mark != 0;
    ck_assert_uint_lt(unswept, SPANS); // it has looked for one
    ck_assert_uint_ge(unswept, SPANS - 100);
    sweep_all();
}
END_TEST

START_TEST(flipping_before_all_is_swept_is_found_out)
{
    start();
    get(16, false);
    collect(cache);
    fflush(NULL);
    struct os_ended e = os_child(tz_central_flip);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "check failed: tz_list_empty(&c->unswept)");
}
END_TEST

static void stray_mark_body(void)
{
    start();
    char *p = get(16, false);
    struct tz_object o = object_at(p);
    o.bits->word[0].mark |= UINT64_C(1) << 63;
    collect(cache);
    sweep_all();
}

START_TEST(a_mark_on_a_free_slot_is_found_out_in_debug_builds)
{
    struct os_ended e = os_child(stray_mark_body);
    ck_assert_int_eq(e.status, TZ_DEBUG ? -SIGABRT : 0);
    if (TZ_DEBUG)
        os_assert_has(e.text, "check failed: (live & ~b->word[i].alloc) == 0");
}
END_TEST

static void collect_all(void)
{
    collect(cache);
    tz_mem.live = 0;
    sweep_all();
}

START_TEST(reaching_the_trigger_collects_once)
{
    start();
    port.do_trigger = collect_all;
    tz_mem.trigger = TZ_MIB;
    size_t n = 0;
    while (port.triggers == 0)
        get(1024, false), n += 1024;
    ck_assert_uint_ge(n, TZ_MIB);
    ck_assert_uint_le(n, TZ_MIB + 128 * 1024);
    tz_mem.trigger = UINT64_MAX;
    for (int i = 0; i < 10000; i++)
        get(1024, false);
    ck_assert_int_eq(port.triggers, 1);
}
END_TEST

START_TEST(a_critical_section_is_never_collected_in)
{
    start();
    cache->collect = true;
    tz_crit_enter();
    for (int i = 0; i < 2000; i++)
        ck_assert_ptr_nonnull(tz_malloc(64, false));
    ck_assert_int_eq(port.triggers, 0);
    tz_crit_leave();
    get(128, false);
    ck_assert_int_eq(port.triggers, 1);
}
END_TEST

START_TEST(under_stress_every_allocation_collects)
{
    start();
    tz_env.stress_gc = true;
    for (int i = 1; i <= 200; i++) {
        get(64, false);
        ck_assert_int_eq(port.triggers, i);
    }
}
END_TEST

START_TEST(refused_memory_collects_once_more_before_null)
{
    sys_install();
    start();
    sys.fail_at = 1, sys.fail_on = true, sys.calls = 0;
    ck_assert_ptr_null(tz_malloc(100 * TZ_MIB, false));
    ck_assert_int_eq(port.emergencies, 1);
    tz_crit_enter();
    ck_assert_ptr_null(tz_malloc(100 * TZ_MIB, false));
    tz_crit_leave();
    ck_assert_int_eq(port.emergencies, 1);
    sys.fail_at = 0;
    ck_assert_ptr_nonnull(tz_malloc(100 * TZ_MIB, false));
}
END_TEST

// Threads allocate while another sweeps; objects keep what is in them.
enum { KEPT = 3000 };
static struct {
    uint64_t *kept[2][KEPT];
    uint64_t seed;
    bool done;
    pthread_barrier_t barrier;
} crowd;

static void *allocator(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    uint64_t seed = crowd.seed + me;
    cache_start();
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < KEPT; i++) {
            uint64_t r = tz_rand_next(&seed);
            size_t n = 16 + (r % 50 ? r >> 8 & 511 : r >> 8 & 65535);
            uint64_t *p = tz_malloc(n, r & 64 ? TZ_NOSCAN : TZ_SCAN);
            ck_assert_ptr_nonnull(p);
            if (!(r & 64) && !all((char *)p, n, 0))
                ck_abort_msg("an object of %zu bytes is not zero", n);
            memset(p, 0x77, n);
            p[0] = (uintptr_t)p, p[1] = me;
            crowd.kept[me][i] = p;
        }
        for (int i = 0; i < KEPT; i++) {
            const uint64_t *p = crowd.kept[me][i];
            if (p[0] != (uintptr_t)p || p[1] != me)
                ck_abort_msg("an object was given to two");
        }
        while (tz_central_sweep_one()) // as a collection does first
            ;
        tz_mcache_flush(tz_tls_get()->cache);
        pthread_barrier_wait(&crowd.barrier); // the world is stopped
        if (me == 0) {
            while (!tz_central_swept())
                sched_yield();
            for (int k = 0; k < 2 * KEPT; k += 3)
                mark(crowd.kept[k % 2][k / 2]);
            tz_central_flip();
        }
        pthread_barrier_wait(&crowd.barrier);
    }
    return NULL;
}

static void *sweeper(void *arg)
{
    while (!tz_load(&crowd.done))
        if (!tz_central_sweep_one())
            sched_yield();
    return arg;
}

START_TEST(threads_allocate_while_one_sweeps)
{
    pthread_t t[3];
    crowd.seed = seed_start("malloc");
    pthread_barrier_init(&crowd.barrier, NULL, 2);
    heap_start();
    pthread_create(&t[2], NULL, sweeper, NULL);
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, allocator, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    tz_store(&crowd.done, true);
    pthread_join(t[2], NULL);
    sweep_all();
    tz_central_flip(); // nothing is marked: all goes
    sweep_all();
    ck_assert_uint_eq(tz_mem.inuse, 0);
}
END_TEST

static uint32_t length_of_lists(void)
{
    uint32_t n = 0;
    for (unsigned which = 0; which < TZ_CENTRAL_COUNT; which++) {
        struct tz_centralview c;
        tz_central_view(which, &c);
        for (int l = 0; l < TZ_CENTRALLISTS; l++)
            tz_list_for(at, c.list[l]) n++;
    }
    return n;
}

// TSan reported a race: the sweeper, let go, took spans off lists that the thread
// which held it had read.
START_TEST(who_sweeps_after_a_hold_has_seen_its_end)
{
    enum { ROUNDS = 200, OBJECTS = 400 };
    pthread_t t;
    start();
    pthread_create(&t, NULL, sweeper, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < OBJECTS; i++)
            get((size_t)i * 8 + 8, false);
        tz_mcache_flush(cache);
        while (tz_central_sweep_one() || !tz_central_swept())
            ;
        tz_central_flip();
        tz_central_hold(true);
        uint32_t n = length_of_lists();
        sched_yield();
        ck_assert_uint_eq(length_of_lists(), n);
        tz_central_hold(false);
    }
    tz_store(&crowd.done, true);
    pthread_join(t, NULL);
    sweep_all();
}
END_TEST

int main(void)
{
    return os_check(
        "mem/malloc",
        (const TTest *const[]){
            objects_hold_their_size_are_aligned_and_zero,
            absurd_sizes_are_refused_without_a_collection,
            allocation_without_a_cache_is_fatal, object_of_tells_base_and_size,
            free_runs_of_every_shape_are_found_and_zeroed,
            random_patterns_are_refilled,
            fresh_pages_are_not_written_for_zeroing,
            fresh_pages_are_written_to_while_marking,
            reused_large_objects_are_zeroed_unless_noscan,
            a_flush_gives_back_exactly_what_was_not_used,
            what_a_flush_gives_back_is_handed_out_next,
            a_changed_cache_keeps_its_run,
            sweeping_keeps_the_marked_and_frees_empty_spans,
            a_full_span_with_all_marked_is_passed_over,
            one_allocation_does_not_sweep_all_there_is,
            flipping_before_all_is_swept_is_found_out,
            a_mark_on_a_free_slot_is_found_out_in_debug_builds,
            reaching_the_trigger_collects_once,
            a_critical_section_is_never_collected_in,
            under_stress_every_allocation_collects,
            refused_memory_collects_once_more_before_null,
            threads_allocate_while_one_sweeps,
            who_sweeps_after_a_hold_has_seen_its_end, NULL });
}
