// SPDX-License-Identifier: BSD-3-Clause
// test/mem/free_test.c: freeing by hand, and caches of other threads.

#include "mem/mem_check.h"
#include "tuza/mem.h"

static struct tz_mcache *cache;

static void start(void)
{
    heap_start();
    cache = cache_start();
}

static uint64_t live(void)
{
    return tz_load_rlx(&tz_mem.live) + cache->live;
}

// --- one thread

START_TEST(a_freed_object_is_no_object_and_is_used_again)
{
    static const size_t sizes[] = {16, 48, 500, 1024, 1025, 8192, 32768};
    start();
    for (size_t k = 0; k < tz_countof(sizes); k++)
        for (unsigned kind = 0; kind < TZ_KINDS; kind++) {
            size_t n = sizes[k];
            char *p = tz_malloc(n, kind), *base = p;
            ck_assert(is_object(p));
            memset(p, 0x55, n);
            tuza_free(p);
            ck_assert(!is_object(p));
            ck_assert_uint_eq(tuza_object_of(p + n - 1, NULL), 0);
            int tries = 0;
            do {
                p = tz_malloc(n, kind);
                ck_assert_int_lt(tries++, 2000);
                for (size_t i = 0; kind != TZ_NOSCAN && i < n; i++)
                    ck_assert_int_eq(p[i], 0);
            } while (p != base);
        }
}
END_TEST

START_TEST(null_is_ignored)
{
    start();
    tuza_free(NULL);
}
END_TEST

START_TEST(a_large_object_gives_its_pages_back_at_once)
{
    start();
    uint64_t before = tz_load_rlx(&tz_mem.inuse), had = live();
    char *p = tz_malloc(10 * TZ_MIB, TZ_SCAN);
    memset(p, 1, 10 * TZ_MIB);
    ck_assert_uint_ge(tz_load_rlx(&tz_mem.inuse), before + 10 * TZ_MIB);
    tuza_free(p);
    ck_assert_uint_eq(tz_load_rlx(&tz_mem.inuse), before);
    ck_assert_uint_eq(live(), had);
    char *q = tz_malloc(10 * TZ_MIB, TZ_SCAN);
    ck_assert_ptr_eq(p, q);
    for (size_t i = 0; i < 10 * TZ_MIB; i += 1000)
        ck_assert_int_eq(q[i], 0);
}
END_TEST

// Whatever is freed, in whatever state its span is: swept, full, owned by the
// cache, awaiting its sweep; and nobody else loses anything.
enum { MANY = 6000 };
static struct {
    uint64_t *p[MANY];
    size_t size[MANY];
} model;

static void check_model(void)
{
    for (int i = 0; i < MANY; i++)
        if (model.p[i]) {
            ck_assert_uint_eq(model.p[i][0], (uintptr_t)&model.p[i]);
            ck_assert_uint_eq(model.p[i][model.size[i] / 8 - 1],
                              (uintptr_t)&model.p[i]);
        }
}

static void put_in(int i, size_t size, unsigned kind)
{
    uint64_t *p = tz_malloc(size, kind);
    ck_assert_ptr_nonnull(p);
    for (size_t w = 0; kind % TZ_KINDS != TZ_NOSCAN && w < size / 8; w++)
        ck_assert_uint_eq(p[w], 0);
    p[0] = p[size / 8 - 1] = (uintptr_t)&model.p[i];
    model.p[i] = p;
    model.size[i] = size;
}

static void mark_model(void)
{
    for (int i = 0; i < MANY; i++)
        if (model.p[i])
            mark(model.p[i]);
}

// As the collector does it.
static void collect_model(void)
{
    while (tz_central_sweep_one())
        ;
    tz_mcache_flush(cache);
    tz_free_flush();
    mark_model();
    tz_central_flip();
}

START_TEST(random_frees_agree_with_a_model)
{
    uint64_t seed = seed_start("free");
    start();
    for (int step = 0; step < (TZ_TSAN || TZ_ASAN ? 40000 : 150000); step++) {
        uint64_t r = tz_rand_next(&seed);
        int i = (int)(r % MANY);
        if (model.p[i]) {
            ck_assert_uint_eq(model.p[i][0], (uintptr_t)&model.p[i]);
            tuza_free(model.p[i]);
            ck_assert(!is_object(model.p[i]));
            model.p[i] = NULL;
        } else {
            size_t size = r >> 20 & 63 ? 16 + (r >> 30 & 255) / 8 * 8
                                       : 16 + (r >> 30 & 65535) / 8 * 8;
            put_in(i, size, r >> 50 & 1 ? TZ_SCAN : TZ_NOSCAN);
        }
        if (step % 20000 == 19999)
            collect_model(); // and no sweep: the next frees meet unswept spans
        if (step % 50000 == 0)
            check_model();
    }
    check_model();
    for (int i = 0; i < MANY; i++) {
        tuza_free(model.p[i]);
        model.p[i] = NULL;
    }
    collect_model();
    sweep_all();
    ck_assert_uint_eq(tz_load_rlx(&tz_mem.inuse), 0);
    ck_assert_uint_eq(live(), 0);
}
END_TEST

// 30 times as much as is ever alive, without a collection.
START_TEST(who_frees_all_by_hand_needs_no_collection)
{
    start();
    for (int i = 0; i < MANY; i++)
        put_in(i, 64, TZ_SCAN);
    uint64_t most = tz_load_rlx(&tz_mem.sys);
    for (int round = 0; round < 30; round++)
        for (int i = 0; i < MANY; i++) {
            int j = (i * 7919 + round) % MANY;
            tuza_free(model.p[j]);
            put_in(j, 64, TZ_SCAN);
        }
    ck_assert_uint_eq(tz_load_rlx(&tz_mem.sys), most);
    check_model();
}
END_TEST

// --- misuse

static void *victim;
static void free_twice(void)
{
    start();
    victim = tz_malloc(64, 0);
    tuza_free(victim);
    tuza_free(victim);
}
static void free_twice_elsewhere(void)
{
    start();
    victim = tz_malloc(64, 0);
    tz_mcache_flush(cache); // its span is not the cache's any more
    tuza_free(victim);
    tuza_free(victim);
}
static void free_inside(void)
{
    start();
    tuza_free((char *)tz_malloc(64, 0) + 16);
}
static void free_large_inside(void)
{
    start();
    tuza_free((char *)tz_malloc(100000, 0) + 8192);
}
static void free_static(void)
{
    start();
    tuza_free(&victim);
}
static void free_stack(void)
{
    int x;
    start();
    tuza_free(&x);
}
static void free_malloced(void)
{
    start();
    tuza_free(malloc(10));
}
static void free_new(void)
{
    start();
    tuza_free((char *)tz_malloc(64, 0) + 64);
}
static void free_large_twice(void)
{
    start();
    victim = tz_malloc(100000, 0);
    tuza_free(victim);
    tuza_free(victim);
}

START_TEST(what_is_no_object_is_told)
{
    static const struct {
        void (*body)(void);
        const char *text;
    } cases[] = {
        {free_twice, "was freed before, or never allocated"},
        {free_twice_elsewhere, "was freed before, or never allocated"},
        {free_large_twice, "was freed before, or never allocated"},
        {free_new, "was freed before, or never allocated"},
        {free_inside, "is 16 bytes inside an object of 64 at"},
        {free_large_inside, "is 8192 bytes inside an object of"},
        {free_static, "is not in the heap"},
        {free_stack, "is not in the heap"},
        {free_malloced, "is not in the heap"},
    };
    for (size_t i = 0; i < tz_countof(cases); i++) {
        struct os_ended e = os_child(cases[i].body);
        ck_assert_int_eq(e.status, 2);
        os_assert_has(e.text, "tuza: fatal: tuza_free: 0x");
        os_assert_has(e.text, cases[i].text);
    }
}
END_TEST

// --- other threads

enum { THREADS = 4, ROUNDS = 3000, HELD = 100 };
static uint64_t mixed; // objects whose content was somebody else's; atomic

static void *foreigner(void *arg)
{
    uint64_t *held[HELD] = {0}, seed = 1 + (uintptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = tz_rand_next(&seed);
        uint64_t **at = &held[r % HELD];
        if (*at && (*at)[0] != (uintptr_t)at)
            tz_xadd(&mixed, 1);
        tuza_free(*at);
        *at = tuza_alloc_uncollectable(16 + (r >> 32) % 3000);
        if ((*at)[0])
            tz_xadd(&mixed, 1);
        (*at)[0] = (uintptr_t)at;
    }
    for (int i = 0; i < HELD; i++)
        tuza_free(held[i]);
    return NULL;
}

static void count_one(void *arg, const struct tz_mcache *c)
{
    (void)c;
    ++*(uint32_t *)arg;
}

static uint32_t count_caches(void)
{
    uint32_t n = 0;
    tz_foreign_each(count_one, &n);
    return n;
}

static void run_foreigners(void)
{
    pthread_t t[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, foreigner, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

static void mark_whole_span(void *arg, struct tz_span *s)
{
    (void)arg;
    for (int i = 0; i < 8; i++)
        s->bits->word[i].mark = s->bits->word[i].alloc;
}

START_TEST(other_threads_allocate_while_collections_run)
{
    start();
    pthread_t t[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, foreigner, (void *)i), 0);
    for (int i = 0; i < 50; i++) {
        while (tz_central_sweep_one())
            ;
        tz_mcache_flush(cache);
        tz_foreign_stop();
        while (tz_central_sweep_one()) // none, but for what was being swept
            ;
        tz_free_flush();
        for (unsigned sc = 0; sc < TZ_SPANCLASS_COUNT; sc++)
            tz_central_each_uncollectable(sc, mark_whole_span, NULL);
        tz_central_flip();
        tz_foreign_start();
        sched_yield();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(mixed, 0);
}
END_TEST

START_TEST(caches_of_ended_threads_serve_the_next)
{
    start();
    for (int i = 0; i < 5; i++)
        run_foreigners();
    ck_assert_uint_eq(mixed, 0);
    ck_assert_uint_le(count_caches(), THREADS);
    collect(cache);
    tz_free_flush();
    sweep_all();
    ck_assert_uint_eq(tz_load_rlx(&tz_mem.inuse), 0);
}
END_TEST

static void *collected(void *arg)
{
    (void)arg;
    return tz_malloc(64, TZ_SCAN);
}
static void foreign_collected(void)
{
    pthread_t t;
    start();
    pthread_create(&t, NULL, collected, NULL);
    pthread_join(t, NULL);
}
static void too_early(void)
{
    tuza_alloc_uncollectable(64);
}

START_TEST(what_other_threads_may_not_do_is_told)
{
    struct os_ended e = os_child(foreign_collected);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "allocation of 64 bytes outside of a goroutine");
    e = os_child(too_early);
    ck_assert_int_eq(e.status, 2);
    os_assert_has(e.text, "before the runtime runs");
}
END_TEST

int main(void)
{
    return os_check(
        "mem/free",
        (const TTest *const[]){a_freed_object_is_no_object_and_is_used_again,
                               null_is_ignored,
                               a_large_object_gives_its_pages_back_at_once,
                               random_frees_agree_with_a_model,
                               who_frees_all_by_hand_needs_no_collection,
                               what_is_no_object_is_told,
                               other_threads_allocate_while_collections_run,
                               caches_of_ended_threads_serve_the_next,
                               what_other_threads_may_not_do_is_told, NULL});
}
