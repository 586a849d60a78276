// SPDX-License-Identifier: BSD-3-Clause
// test/mem/pagealloc_test.c: the page allocator against one byte a page.

#include "mem_check.h"

enum { CHUNKS = 4096 * 2, GROUPS = CHUNKS / 64, TOPS = GROUPS / 64 };

static uint64_t bitmap[CHUNKS * 8];
static struct tz_runs chunk[CHUNKS], group[GROUPS], top[TOPS];
static struct tz_pagealloc a = {
    .bitmap = bitmap, .chunk = chunk, .group = group, .top = top
};

// The model: 1 for pages in use; pages are grown up to npages.
static uint8_t used[CHUNKS * TZ_CHUNK_PAGES];
static uint32_t npages;

static void grow_pages(uint32_t n)
{
    tz_pagealloc_grow(&a, n);
    npages += n;
    ck_assert_uint_eq(a.npages, npages);
    ck_assert_uint_eq(a.nchunks,
                      tz_align_up(npages, TZ_CHUNK_PAGES) / TZ_CHUNK_PAGES);
}

static void grow(uint32_t nchunks) { grow_pages(nchunks * TZ_CHUNK_PAGES); }

static uint32_t model_find(uint32_t n)
{
    uint32_t run = 0;
    for (uint32_t p = 0; p < npages; p++) {
        run = used[p] ? 0 : run + 1;
        if (run == n)
            return p + 1 - n;
    }
    return TZ_NO_PAGE;
}

static uint32_t take(uint32_t n)
{
    uint32_t want = model_find(n), got = tz_pagealloc_take(&a, n);
    ck_assert_uint_eq(got, want);
    if (got != TZ_NO_PAGE)
        memset(used + got, 1, n);
    return got;
}

static void put(uint32_t page, uint32_t n)
{
    tz_pagealloc_put(&a, page, n);
    memset(used + page, 0, n);
}

static void take_64(void)
{
    uint32_t lowest = model_find(1), first = 12345;
    uint64_t want = 0, got = tz_pagealloc_take_64(&a, &first);
    if (lowest == TZ_NO_PAGE) {
        ck_assert_uint_eq(got, 0);
        ck_assert_uint_eq(first, 12345);
        return;
    }
    ck_assert_uint_eq(first, lowest & ~63u);
    uint32_t n = (uint32_t)tz_min(64, npages - first); // grown in part
    for (uint32_t i = 0; i < n; i++)
        want |= (uint64_t)!used[first + i] << i;
    ck_assert_uint_eq(got, want);
    memset(used + first, 1, n);
}

static void assert_runs(const struct tz_runs *r, uint32_t first, uint32_t n)
{
    uint32_t start = n, run = 0, max = 0;
    for (uint32_t p = first; p < first + n; p++) {
        if (p >= npages || used[p]) {
            if (start == n)
                start = p - first;
            run = 0;
        } else if (++run > max) {
            max = run;
        }
    }
    ck_assert_uint_eq(r->start, start);
    ck_assert_uint_eq(r->max, max);
    ck_assert_uint_eq(r->end, run);
}

// All invariants, recomputed.
static void assert_sound(void)
{
    uint32_t nfree = 0, tail = 0;
    for (uint32_t p = 0; p < npages; p++) {
        if ((bitmap[p / 64] >> (p % 64) & 1) != used[p])
            ck_abort_msg("page %u", p);
        nfree += !used[p];
        tail = used[p] ? 0 : tail + 1;
    }
    ck_assert_uint_eq(a.nfree, nfree);
    ck_assert_uint_eq(tz_pagealloc_tail(&a, UINT32_MAX), tail);
    ck_assert_uint_eq(tz_pagealloc_tail(&a, 5), tz_min(tail, 5));
    for (uint32_t c = 0; c < a.nchunks; c++)
        assert_runs(&chunk[c], c * TZ_CHUNK_PAGES, TZ_CHUNK_PAGES);
    for (uint32_t g = 0; g < a.ngroups; g++)
        assert_runs(&group[g], g * TZ_GROUP_PAGES, TZ_GROUP_PAGES);
    for (uint32_t t = 0; t < a.ntops; t++)
        assert_runs(&top[t], t * TZ_TOP_PAGES, TZ_TOP_PAGES);
    ck_assert_uint_eq(a.ngroups, (a.nchunks + 63) / 64);
    ck_assert_uint_eq(a.ntops, (a.ngroups + 63) / 64);
    uint32_t lowest = model_find(1);
    if (lowest != TZ_NO_PAGE)
        ck_assert_uint_le(a.first, lowest / TZ_CHUNK_PAGES);
}

static void start(void)
{
    memset(bitmap, 0xff, sizeof bitmap);
}

START_TEST(nothing_is_free_before_the_first_growth)
{
    start();
    ck_assert_uint_eq(tz_pagealloc_take(&a, 1), TZ_NO_PAGE);
    take_64();
    grow(1);
    assert_sound();
    ck_assert_uint_eq(take(TZ_CHUNK_PAGES + 1), TZ_NO_PAGE);
    ck_assert_uint_eq(take(TZ_CHUNK_PAGES), 0);
    ck_assert_uint_eq(take(1), TZ_NO_PAGE);
    assert_sound();
}
END_TEST

START_TEST(pages_of_a_chunk_that_is_grown_in_part_stay_out)
{
    start();
    for (uint32_t n = 0; n < 3 * TZ_CHUNK_PAGES; n += 64) {
        grow_pages(64);
        assert_sound();
        ck_assert_uint_eq(take(npages + 1), TZ_NO_PAGE);
        ck_assert_uint_eq(take(npages), 0);
        take_64();
        put(0, npages);
    }
    ck_assert_uint_eq(take(3 * TZ_CHUNK_PAGES), 0);
}
END_TEST

START_TEST(pages_are_taken_where_they_are_wanted)
{
    start();
    grow(2);
    tz_pagealloc_take_at(&a, 500, 40);
    memset(used + 500, 1, 40);
    assert_sound();
    ck_assert_uint_eq(take(500), 0);
    ck_assert_uint_eq(take(1), 540);
    put(500, 40);
    assert_sound();
}
END_TEST

START_TEST(runs_across_words_chunks_groups_and_tops_are_found)
{
    static const uint32_t edges[] = { 64, TZ_CHUNK_PAGES, TZ_GROUP_PAGES,
                                      TZ_TOP_PAGES };
    start();
    grow(4096 + 64);
    ck_assert_uint_eq(take(npages), 0);
    for (size_t i = 0; i < tz_countof(edges); i++) {
        put(edges[i] - 3, 7);
        ck_assert_uint_eq(take(8), TZ_NO_PAGE);
        ck_assert_uint_eq(take(7), edges[i] - 3);
    }
    for (size_t i = 0; i < tz_countof(edges); i++) {
        put(edges[i] - 1, 2 + (uint32_t)i);
        assert_sound();
    }
    for (size_t i = tz_countof(edges); i-- > 0;) // the longest is the last
        ck_assert_uint_eq(take(2 + (uint32_t)i), edges[i] - 1);
    assert_sound();
}
END_TEST

START_TEST(a_run_may_span_several_free_groups)
{
    start();
    grow(200);
    uint32_t low = take(100), n = 130 * TZ_CHUNK_PAGES;
    ck_assert_uint_eq(low, 0);
    ck_assert_uint_eq(take(n), 100);
    ck_assert_uint_eq(take(n), TZ_NO_PAGE);
    put(100, n);
    assert_sound();
    grow(100);
    ck_assert_uint_eq(take(npages - 100), 100);
    assert_sound();
}
END_TEST

static void random_size_ops(uint64_t seed, int ops, uint32_t max)
{
    enum { HELD = 400 };
    static struct { uint32_t page, n; } held[HELD];
    for (int op = 0; op < ops; op++) {
        uint64_t r = tz_rand_next(&seed);
        uint32_t i = (uint32_t)(r >> 8) % HELD;
        if (held[i].n) { // give back all or a part
            uint32_t part = r & 1 ? held[i].n : 1 + (held[i].n - 1) / 2;
            put(held[i].page, part);
            held[i].page += part;
            held[i].n -= part;
        } else {
            uint32_t n = 1 + (uint32_t)(r >> 32) % (r & 6 ? 70 : max);
            uint32_t p = take(n);
            if (p != TZ_NO_PAGE)
                held[i].page = p, held[i].n = n;
        }
        if (r >> 8 & 1 && op % 64 == 0)
            take_64();
        if (op % 4999 == 0) {
            if (a.nchunks < 80)
                grow_pages(1 + (uint32_t)(r % (12 * TZ_CHUNK_PAGES)));
            assert_sound();
        }
    }
    assert_sound();
}

START_TEST(random_changes_agree_with_a_byte_a_page)
{
    start();
    grow(1);
    random_size_ops(seed_start("pagealloc"), 100000, 1500);
}
END_TEST

START_TEST(all_pages_come_back_as_one_run)
{
    uint64_t seed = seed_start("pagealloc");
    start();
    grow(3);
    static uint32_t pages[3 * TZ_CHUNK_PAGES];
    for (uint32_t i = 0; i < npages; i++)
        pages[i] = take(1);
    for (uint32_t i = npages; i-- > 1;) {
        uint32_t k = (uint32_t)(tz_rand_next(&seed) % (i + 1)), t = pages[i];
        pages[i] = pages[k];
        pages[k] = t;
    }
    for (uint32_t i = 0; i < npages; i++)
        put(pages[i], 1);
    assert_sound();
    ck_assert_uint_eq(take(npages), 0);
}
END_TEST

static void put_twice_body(void)
{
    start();
    tz_pagealloc_grow(&a, TZ_CHUNK_PAGES);
    tz_pagealloc_take(&a, 10);
    tz_pagealloc_put(&a, 2, 4);
    tz_pagealloc_put(&a, 5, 1);
}

START_TEST(putting_a_free_page_is_found_out)
{
    struct os_ended e = os_child(put_twice_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "check failed: used ? (*w & mask) == 0");
}
END_TEST

static void bad_summary_body(void)
{
    start();
    tz_pagealloc_grow(&a, TZ_CHUNK_PAGES);
    tz_pagealloc_take(&a, 500);
    top[0].max = group[0].max = chunk[0].max = 13;
    tz_pagealloc_take(&a, 13);
}

START_TEST(a_summary_that_lies_is_found_out)
{
    struct os_ended e = os_child(bad_summary_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text,
                  "page summaries promise 13 free pages in chunk 0");
}
END_TEST

int main(void)
{
    return os_check("mem/pagealloc",
                    (const TTest *const[]){
                        nothing_is_free_before_the_first_growth,
                        pages_of_a_chunk_that_is_grown_in_part_stay_out,
                        pages_are_taken_where_they_are_wanted,
                        runs_across_words_chunks_groups_and_tops_are_found,
                        a_run_may_span_several_free_groups,
                        random_changes_agree_with_a_byte_a_page,
                        all_pages_come_back_as_one_run,
                        putting_a_free_page_is_found_out,
                        a_summary_that_lies_is_found_out, NULL });
}
