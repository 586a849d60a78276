// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/limit_test.c: what counts towards the limits, and what the page heap
// does at them, without a collector: a refusal here is final.

#include "mem/limit.h"
#include "mem/mem_check.h"
#include "mem/scavenge.h"

#define MB (UINT64_C(1) << 20)

enum { SPAN_PAGES = 128, SPANS = 400 }; // of a MiB

static struct tz_span *span[SPANS];

static struct tz_span *take(uint32_t npages)
{
    return tz_heap_span_alloc(NULL, npages, tz_spanclass(0, TZ_NOSCAN));
}

// Takes spans of a MiB until one is refused or there are n.
static int take_up_to(int n)
{
    int i = 0;
    while (i < n && (span[i] = take(SPAN_PAGES)))
        i++;
    return i;
}

static void give_back(int from, int to)
{
    for (int i = from; i < to; i++)
        tz_heap_span_free(span[i]);
}

START_TEST(no_limit_allows_all)
{
    heap_start();
    ck_assert(tz_limit_allows(0));
    ck_assert(tz_limit_allows(UINT64_MAX));
    ck_assert_uint_eq(tz_limit_over(UINT64_MAX), 0);
    ck_assert_uint_eq(tz_limit_soft(), TZ_NO_LIMIT);
    ck_assert_uint_eq(tz_limit_max(), TZ_NO_LIMIT);
}
END_TEST

// The hard limit of which the heap may have so much.
static uint64_t max_for(uint64_t heap) { return heap / 63 * 64 + heap % 63; }

START_TEST(the_heap_leaves_a_part_of_the_hard_limit)
{
    static const uint64_t heap[] = { 0, 1, 62, 63, 64, 1000, 100 * MB };
    for (size_t i = 0; i < sizeof heap / sizeof heap[0]; i++) {
        tz_limit_init(TZ_NO_LIMIT, max_for(heap[i]));
        ck_assert_uint_eq(tz_limit_max_of_heap(), heap[i]);
    }
    tz_limit_init(TZ_NO_LIMIT, 4096 * MB);
    ck_assert_uint_eq(tz_limit_max_of_heap(), 4092 * MB);
    tz_limit_init(TZ_NO_LIMIT, TZ_NO_LIMIT - 1);
    ck_assert_uint_eq(tz_limit_max_of_heap(), TZ_NO_LIMIT - 1 - 4 * MB);
    tz_limit_init(TZ_NO_LIMIT, TZ_NO_LIMIT);
    ck_assert_uint_eq(tz_limit_max_of_heap(), TZ_NO_LIMIT);
}
END_TEST

START_TEST(limits_are_compared_without_wrapping)
{
    heap_start();
    ck_assert_int_eq(take_up_to(1), 1);
    uint64_t used = tz_limit_used();
    tz_limit_init(used + 100, max_for(used + 50));
    ck_assert(tz_limit_allows(50));
    ck_assert(!tz_limit_allows(51));
    ck_assert(!tz_limit_allows(UINT64_MAX));
    ck_assert_uint_eq(tz_limit_over(0), 0);
    ck_assert_uint_eq(tz_limit_over(100), 0);
    ck_assert_uint_eq(tz_limit_over(101), 1);
    ck_assert_uint_eq(tz_limit_over(UINT64_MAX), UINT64_MAX - used - 100);
    tuza_external(60);
    ck_assert_uint_eq(tz_limit_over(100), 60);
    ck_assert(tz_limit_allows(50)); // what is outside is not mapped by us
    tz_limit_init(used - 10, used - 10); // exceeded already
    ck_assert(!tz_limit_allows(0));
    ck_assert_uint_eq(tz_limit_over(0), 70);
    ck_assert_uint_eq(tz_limit_over(5), 75);
}
END_TEST

START_TEST(only_memory_that_was_touched_counts)
{
    heap_start();
    uint64_t used = tz_limit_used();
    ck_assert_int_eq(take_up_to(100), 100);
    ck_assert_uint_ge(tz_limit_used(), used + 100 * MB);
    ck_assert_uint_le(tz_limit_used(), used + 110 * MB); // tables
    give_back(0, 100);
    ck_assert_uint_ge(tz_limit_used(), used + 100 * MB); // idle counts
    size_t released = tuza_release_memory();
    ck_assert_uint_ge(released, 100 * MB);
    ck_assert_uint_le(tz_limit_used(), used + 10 * MB);
    ck_assert_uint_eq(tuza_release_memory(), 0);
    ck_assert_int_eq(take_up_to(100), 100);
    ck_assert_uint_ge(tz_limit_used(), used + 100 * MB);
    ck_assert_uint_le(tz_limit_used(), used + 110 * MB);
}
END_TEST

START_TEST(stacks_count_as_far_as_they_were_found_touched)
{
    heap_start();
    uint64_t used = tz_limit_used();
    tz_limit_note_stacks(5 * MB);
    ck_assert_uint_eq(tz_limit_used(), used); // there are none
    ck_assert_ptr_nonnull(tz_vm_alloc_stacks(64 * MB, 0));
    ck_assert_uint_eq(tz_limit_used(), used + 5 * MB);
    tz_limit_note_stacks(500 * MB);
    ck_assert_uint_eq(tz_limit_used(), used + 64 * MB);
    ck_assert_uint_eq(tz_limit_used_beside_heap(), used + 64 * MB);
}
END_TEST

START_TEST(the_hard_limit_refuses_pages_and_no_more_than_that)
{
    heap_start();
    uint64_t used = tz_limit_used();
    ck_assert_int_eq(tuza_memory_max_set(used + 60 * MB, NULL, NULL), 0);
    int n = take_up_to(SPANS);
    ck_assert_int_ge(n, 54); // tables are a twentieth
    ck_assert_int_le(n, 60);
    ck_assert_uint_le(tz_limit_used(), used + 60 * MB);
    for (int i = 0; i < 100; i++)
        ck_assert_ptr_null(take(SPAN_PAGES));
    ck_assert_uint_le(tz_limit_used(), used + 60 * MB);
    // What is free in memory may be taken at the limit.
    give_back(10, 11);
    ck_assert_ptr_nonnull(span[10] = take(SPAN_PAGES));
    // Pages in memory that do not fit are given back for others that do.
    for (int i = 0; i < n; i += 2)
        give_back(i, i + 1);
    ck_assert_ptr_nonnull(take(10 * SPAN_PAGES));
    ck_assert_uint_le(tz_limit_used(), used + 60 * MB);
    ck_assert_ptr_null(take(60 * SPAN_PAGES));
    // Raised, it goes on.
    ck_assert_int_eq(tuza_memory_max_set(used + 200 * MB, NULL, NULL), 0);
    ck_assert_ptr_nonnull(take(60 * SPAN_PAGES));
    ck_assert_int_eq(tuza_memory_max_set(UINT64_MAX, NULL, NULL), 0);
    ck_assert_ptr_nonnull(take(300 * SPAN_PAGES));
}
END_TEST

// A page cache takes up to 64 pages: those that are allowed.
START_TEST(page_caches_obey_the_hard_limit)
{
    heap_start();
    struct tz_mcache *c = cache_start();
    void *first = tz_malloc(16, TZ_NOSCAN);
    ck_assert_ptr_nonnull(first);
    uint64_t used = tz_limit_used();
    ck_assert_int_eq(tuza_memory_max_set(used + 20 * MB, NULL, NULL), 0);
    uint64_t bytes = 0;
    while (tz_malloc(1024, TZ_NOSCAN))
        bytes += 1024;
    ck_assert_uint_ge(bytes, 17 * MB);
    ck_assert_uint_le(bytes, 21 * MB);
    ck_assert_uint_le(tz_limit_used(), used + 20 * MB);
    ck_assert_ptr_null(tz_malloc(100000, TZ_NOSCAN));
    ck_assert_ptr_null(tz_malloc(3000, TZ_NOSCAN));
    ck_assert(is_object(first));
    collect(c); // all is garbage
    sweep_all();
    ck_assert_ptr_nonnull(tz_malloc(10 * MB, TZ_NOSCAN));
    ck_assert_uint_le(tz_limit_used(), used + 20 * MB);
}
END_TEST

// Above the soft limit, taking pages gives others back, a little at a time.
START_TEST(the_soft_limit_gives_idle_pages_back_and_refuses_nothing)
{
    heap_start();
    uint64_t used = tz_limit_used();
    tz_limit_set_soft(used + 50 * MB);
    ck_assert_int_eq(take_up_to(100), 100);
    give_back(0, 99); // but for the highest
    ck_assert_uint_ge(tz_limit_used(), used + 100 * MB);
    for (int i = 0; i < 40; i++)
        ck_assert_ptr_nonnull(take(1));
    ck_assert_uint_le(tz_limit_used(), used + 50 * MB);
    ck_assert_uint_ge(tz_limit_used(), used + 40 * MB); // and no more
}
END_TEST

START_TEST(the_watcher_gives_back_above_the_soft_limit)
{
    heap_start();
    uint64_t used = tz_limit_used();
    ck_assert_int_eq(take_up_to(100), 100);
    give_back(0, 100);
    tz_scavenge_pace(1000 * MB, 0); // the collector would keep all
    int64_t now = INT64_C(1) << 40, step = INT64_C(1000000000);
    ck_assert_uint_eq(tz_scavenge_tick(now += step), 0);
    tz_limit_set_soft(used + 80 * MB);
    for (int i = 0; i < 10000 && tz_limit_over(0); i++)
        tz_scavenge_tick(now += step);
    ck_assert_uint_eq(tz_limit_over(0), 0);
    ck_assert_uint_ge(tz_limit_used(), used + 70 * MB);
    ck_assert_uint_eq(tz_scavenge_tick(now += step), 0);
}
END_TEST

static int asked;

static int give_up(void *arg, size_t wanted)
{
    asked++;
    ck_assert_uint_eq(wanted, 12345);
    ck_assert(!tz_limit_ask_user(wanted)); // not by itself
    return *(int *)arg;
}

START_TEST(the_function_answers_and_is_not_entered_again)
{
    int answer = 0;
    // Any address may stand for a goroutine: nobody looks at it.
    tz_tls_get()->g = (struct tz_g *)&answer;
    ck_assert(!tz_limit_ask_user(12345)); // there is none
    ck_assert_int_eq(tuza_memory_max_set(MB, give_up, &answer), 0);
    ck_assert(!tz_limit_ask_user(12345));
    answer = 7;
    ck_assert(tz_limit_ask_user(12345));
    ck_assert(tz_limit_ask_user(12345));
    ck_assert_int_eq(asked, 3);
    ck_assert_int_eq(tuza_memory_max_set(0, NULL, NULL), -EINVAL);
    ck_assert(tz_limit_ask_user(12345)); // nothing was changed
}
END_TEST

// Threads that add and take away: nothing is lost, the trigger follows.
static void *external_thread(void *arg)
{
    int64_t n = (intptr_t)arg;
    for (int i = 0; i < 20000; i++) {
        tuza_external(n);
        tuza_external(-n);
        tuza_external(1);
    }
    return NULL;
}

START_TEST(external_bytes_of_many_threads_add_up)
{
    pthread_t t[4];
    tz_limit_set_goal(1000 * MB, 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, external_thread,
                                        (void *)(intptr_t)(i * 1000 + 1)), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(tz_limit_external(), 80000);
    ck_assert_uint_eq(tz_mem.trigger, 1000 * MB - 80000);
    tz_limit_set_goal(50000, 0);
    ck_assert_uint_eq(tz_mem.trigger, 0);
    tz_limit_set_goal(UINT64_MAX, 0);
    ck_assert_uint_eq(tz_mem.trigger, UINT64_MAX);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        no_limit_allows_all,
        the_heap_leaves_a_part_of_the_hard_limit,
        limits_are_compared_without_wrapping,
        only_memory_that_was_touched_counts,
        stacks_count_as_far_as_they_were_found_touched,
        the_hard_limit_refuses_pages_and_no_more_than_that,
        page_caches_obey_the_hard_limit,
        the_soft_limit_gives_idle_pages_back_and_refuses_nothing,
        the_watcher_gives_back_above_the_soft_limit,
        the_function_answers_and_is_not_entered_again,
        external_bytes_of_many_threads_add_up,
        NULL,
    };
    return os_check("mem/limit", tests);
}
