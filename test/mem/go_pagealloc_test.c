// SPDX-License-Identifier: BSD-3-Clause
// test/mem/go_pagealloc_test.c: the page allocator by the shapes of Go's
// mpagealloc_test.go, mpallocbits_test.go and mpagecache_test.go: what is in
// use in the beginning, what is asked for, where it must come from.

#include "mem_check.h"

enum { CHUNK = TZ_CHUNK_PAGES, CHUNKS = 64 * 64 * 2 };

static uint64_t bitmap[CHUNKS * 8];
static struct tz_runs chunk[CHUNKS], group[CHUNKS / 64], top[CHUNKS / 4096];
static struct tz_pagealloc a = {
    .bitmap = bitmap, .chunk = chunk, .group = group, .top = top
};

// The model: a byte a page, 1 for pages in use.
static uint8_t used[CHUNKS * CHUNK];
static uint32_t npages;

static void start(uint32_t n)
{
    a = (struct tz_pagealloc){
        .bitmap = bitmap, .chunk = chunk, .group = group, .top = top
    };
    memset(bitmap, 0, sizeof bitmap); // as tables come from the system
    memset(chunk, 0, sizeof chunk);
    memset(group, 0, sizeof group);
    memset(top, 0, sizeof top);
    memset(used, 0, n);
    npages = n;
    tz_pagealloc_grow(&a, n);
}

static void use(uint32_t page, uint32_t n)
{
    tz_pagealloc_take_at(&a, page, n);
    memset(used + page, 1, n);
}

static void put(uint32_t page, uint32_t n)
{
    tz_pagealloc_put(&a, page, n);
    memset(used + page, 0, n);
}

static uint32_t take(uint32_t n)
{
    uint32_t p = tz_pagealloc_take(&a, n);
    if (p != TZ_NO_PAGE)
        for (uint32_t i = p; i < p + n; i++)
            if (used[i]++)
                ck_abort_msg("page %u was handed out twice", i);
    return p;
}

static uint32_t nfree(void)
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < npages; p++)
        n += !used[p];
    return n;
}

// Summaries of one stretch, from the model.
static bool runs_are(const struct tz_runs *r, uint32_t first, uint32_t n)
{
    uint32_t start_run = n, run = 0, max = 0;
    for (uint32_t p = first; p < first + n; p++) {
        if (p >= npages || used[p]) {
            start_run = start_run == n ? p - first : start_run;
            run = 0;
        } else if (++run > max) {
            max = run;
        }
    }
    return r->start == start_run && r->max == max && r->end == run;
}

static void assert_summaries(const char *name)
{
    bool ok = a.nfree == nfree();
    for (uint32_t c = 0; c < a.nchunks; c++)
        ok &= runs_are(&chunk[c], c * CHUNK, CHUNK);
    for (uint32_t g = 0; g < a.ngroups; g++)
        ok &= runs_are(&group[g], g * TZ_GROUP_PAGES, TZ_GROUP_PAGES);
    for (uint32_t t = 0; t < a.ntops; t++)
        ok &= runs_are(&top[t], t * TZ_TOP_PAGES, TZ_TOP_PAGES);
    if (!ok)
        ck_abort_msg("%s: a summary is wrong", name);
}

// --- asking, from a state

struct range {
    uint32_t page, n;
};

struct ask {
    uint32_t n, want;
};

#define NONE TZ_NO_PAGE

struct shape {
    const char *name;
    uint32_t chunks;
    struct range in_use[4];
    struct ask asks[6]; // until n is 0
};

static const struct shape shapes[] = {
    { "all free, 1", 1, { { 0 } },
      { { 1, 0 }, { 1, 1 }, { 1, 2 }, { 1, 3 }, { 1, 4 } } },
    { "only the last page of many chunks, 1", 4, { { 0, 4 * CHUNK - 1 } },
      { { 1, 4 * CHUNK - 1 }, { 1, NONE } } },
    { "a gap between what is grown, 1", 16,
      { { 0, CHUNK }, { CHUNK, 14 * CHUNK } },
      { { 1, 15 * CHUNK }, { 1, 15 * CHUNK + 1 }, { 1, 15 * CHUNK + 2 } } },
    { "all free, 2", 1, { { 0 } },
      { { 2, 0 }, { 2, 2 }, { 2, 4 }, { 2, 6 }, { 2, 8 } } },
    { "across two chunks, 2", 2,
      { { 0, CHUNK - 1 }, { CHUNK + 1, CHUNK - 1 } },
      { { 2, CHUNK - 1 }, { 2, NONE }, { 1, NONE } } },
    { "all free, 5", 2, { { 0 } },
      { { 5, 0 }, { 5, 5 }, { 5, 10 }, { 5, 15 }, { 5, 20 } } },
    { "all free, 64", 2, { { 0 } },
      { { 64, 0 }, { 64, 64 }, { 64, 128 } } },
    { "all free, 65", 2, { { 0 } },
      { { 65, 0 }, { 65, 65 }, { 65, 130 } } },
    { "the last 65 pages, 65", 4, { { 0, 4 * CHUNK - 65 } },
      { { 65, 4 * CHUNK - 65 }, { 65, NONE }, { 1, NONE } } },
    { "all free, a chunk", 2, { { 0 } },
      { { CHUNK, 0 }, { CHUNK, CHUNK }, { CHUNK, NONE } } },
    { "across two chunks, a chunk", 2,
      { { 0, CHUNK / 2 }, { CHUNK + CHUNK / 2, CHUNK / 2 } },
      { { CHUNK, CHUNK / 2 }, { 1, NONE } } },
    { "across two chunks, a page more", 2,
      { { 0, CHUNK / 2 }, { CHUNK + CHUNK / 2, CHUNK / 2 } },
      { { CHUNK + 1, NONE }, { CHUNK, CHUNK / 2 } } },
    { "all free, two chunks", 2, { { 0 } },
      { { 2 * CHUNK, 0 }, { 2 * CHUNK, NONE }, { 1, NONE } } },
    { "a gap of one chunk, two chunks", 4, { { CHUNK, CHUNK } },
      { { 2 * CHUNK, 2 * CHUNK }, { CHUNK, 0 }, { 1, NONE } } },
    { "across three chunks, two chunks", 3,
      { { 0, CHUNK / 2 }, { 2 * CHUNK + CHUNK / 2, CHUNK / 2 } },
      { { 2 * CHUNK, CHUNK / 2 }, { 1, NONE } } },
    { "across three chunks, 5 quarters of one", 3,
      { { 0, 3 * CHUNK / 4 }, { 2 * CHUNK, CHUNK } },
      { { 5 * CHUNK / 4, 3 * CHUNK / 4 }, { 1, NONE } } },
    { "all free, 7 chunks and 5 pages", 8, { { 0 } },
      { { 7 * CHUNK + 5, 0 }, { 7 * CHUNK + 5, NONE },
        { CHUNK - 5, 7 * CHUNK + 5 }, { 1, NONE } } },
    { "small holes before a large one", 3,
      { { 1, 62 }, { 65, 100 }, { 200, CHUNK } },
      { { 3, 165 }, { 2, 63 }, { 33, 200 + CHUNK }, { 1, 0 }, { 32, 168 } } },
    { "the end of a group and the next", 130, { { 0, 64 * CHUNK - 7 } },
      { { 8, 64 * CHUNK - 7 }, { 1, 64 * CHUNK + 1 },
        { 65 * CHUNK, 64 * CHUNK + 2 } } },
    { "a group in use between", 192, { { 3, 64 * CHUNK - 3 },
      { 128 * CHUNK, 64 * CHUNK } },
      { { 4, 64 * CHUNK }, { 3, 0 }, { 64 * CHUNK - 4, 64 * CHUNK + 4 },
        { 1, NONE } } },
    { "the end of a top and the next", 4096 + 2, { { 0, 4096 * CHUNK - 1 } },
      { { 3, 4096 * CHUNK - 1 }, { 2 * CHUNK - 2, 4096 * CHUNK + 2 },
        { 1, NONE } } },
    { "a gap of nearly a top", 8192, { { 5, 8191 * CHUNK } },
      { { 6, 8191 * CHUNK + 5 }, { 5, 0 }, { CHUNK - 11, 8191 * CHUNK + 11 },
        { 1, NONE } } },
};

START_TEST(the_lowest_place_that_is_large_enough_is_found)
{
    for (size_t i = 0; i < tz_countof(shapes); i++) {
        const struct shape *s = &shapes[i];
        start(s->chunks * CHUNK);
        for (size_t k = 0; k < tz_countof(s->in_use) && s->in_use[k].n; k++)
            use(s->in_use[k].page, s->in_use[k].n);
        for (size_t k = 0; k < tz_countof(s->asks) && s->asks[k].n; k++) {
            uint32_t got = take(s->asks[k].n);
            if (got != s->asks[k].want)
                ck_abort_msg("%s: %u pages come from %u, not %u", s->name,
                             s->asks[k].n, got, s->asks[k].want);
        }
        assert_summaries(s->name);
    }
}
END_TEST

// --- giving back

struct back {
    const char *name;
    uint32_t chunks;
    struct range in_use[3], puts[5];
};

static const struct back backs[] = {
    { "a page, the first", 1, { { 0, CHUNK } }, { { 0, 1 } } },
    { "a page, the last", 1, { { 0, CHUNK } }, { { CHUNK - 1, 1 } } },
    { "pages one by one", 1, { { 0, CHUNK } },
      { { 0, 1 }, { 1, 1 }, { 2, 1 }, { 3, 1 }, { 4, 1 } } },
    { "across two chunks", 2, { { CHUNK - 1, 2 } }, { { CHUNK - 1, 2 } } },
    { "64", 1, { { 0, CHUNK } }, { { 0, 64 }, { 64, 64 }, { 128, 64 } } },
    { "65", 1, { { 0, CHUNK } }, { { 0, 65 }, { 65, 65 }, { 130, 65 } } },
    { "a chunk", 1, { { 0, CHUNK } }, { { 0, CHUNK } } },
    { "across two, a chunk", 2, { { 0, 2 * CHUNK } },
      { { CHUNK / 2, CHUNK } } },
    { "across three, two chunks", 3, { { 0, 3 * CHUNK } },
      { { CHUNK / 2, 2 * CHUNK } } },
    { "the middle, then both sides", 3, { { 0, 3 * CHUNK } },
      { { CHUNK, CHUNK }, { 0, CHUNK }, { 2 * CHUNK, CHUNK } } },
    { "across groups", 66, { { 0, 66 * CHUNK } },
      { { 64 * CHUNK - 100, 200 }, { 64 * CHUNK - 101, 1 } } },
    { "across tops", 4098, { { 0, 4098 * CHUNK } },
      { { 4096 * CHUNK - 1, 2 }, { 4095 * CHUNK, CHUNK - 1 } } },
};

// What is given back is free again, and found again in its place; no other is.
START_TEST(what_is_given_back_is_free_and_nothing_else)
{
    for (size_t i = 0; i < tz_countof(backs); i++) {
        const struct back *b = &backs[i];
        start(b->chunks * CHUNK);
        for (size_t k = 0; k < tz_countof(b->in_use) && b->in_use[k].n; k++)
            use(b->in_use[k].page, b->in_use[k].n);
        for (size_t k = 0; k < tz_countof(b->puts) && b->puts[k].n; k++)
            put(b->puts[k].page, b->puts[k].n);
        assert_summaries(b->name);
        uint32_t n = nfree(), last = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t p = take(1);
            if (p == NONE || (k > 0 && p <= last))
                ck_abort_msg("%s: %u after %u", b->name, p, last);
            last = p;
        }
        ck_assert_msg(take(1) == NONE, "%s", b->name);
    }
}
END_TEST

// The search had gone on to the second 16 GiB.
START_TEST(a_page_given_back_far_below_is_next)
{
    start(4098 * CHUNK);
    use(0, 4097 * CHUNK - 1);
    ck_assert_uint_eq(take(1), 4097 * CHUNK - 1);
    ck_assert_uint_eq(take(1), 4097 * CHUNK);
    put(3, 2);
    ck_assert_uint_eq(take(2), 3);
    put(4, 1);
    ck_assert_uint_eq(take(1), 4);
    ck_assert_uint_eq(take(1), 4097 * CHUNK + 1);
}
END_TEST

// Some hundred pages in pieces of one size: as many as fit, then none; and
// again, after all was given back in another order.
START_TEST(all_is_used_up_in_pieces_of_any_size)
{
    static const uint32_t sizes[] = { 1,  2,   3,   4,   7,   8,     9,
                                      63, 64,  65,  100, 511, CHUNK, CHUNK + 1,
                                      600, 2 * CHUNK };
    static uint32_t pages[4 * CHUNK];
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        start(4 * CHUNK);
        for (int round = 0; round < 2; round++) {
            uint32_t n = 0, p;
            while ((p = take(sizes[i])) != NONE) {
                if (p != n * sizes[i])
                    ck_abort_msg("%u of %u: %u", n, sizes[i], p);
                pages[n++] = p;
            }
            ck_assert_uint_eq(n, 4 * CHUNK / sizes[i]);
            for (uint32_t k = 0; k < n; k++) // odd ones first
                put(pages[k < n / 2 ? 2 * k + 1 : 2 * (k - n / 2)], sizes[i]);
            ck_assert_uint_eq(nfree(), npages);
        }
        assert_summaries("sizes");
    }
}
END_TEST

// --- growth

// Wherever growth ends, what came last joins what was free before it.
START_TEST(growth_joins_free_pages_at_its_edges)
{
    static const uint32_t steps[] = { 64, CHUNK - 64, CHUNK, 1, 63, CHUNK - 64,
                                      60 * CHUNK, 3 * CHUNK, 64 * CHUNK,
                                      CHUNK / 2, 64 * CHUNK };
    start(64);
    use(0, 64);
    uint32_t was = 60;
    put(was, 4);
    for (size_t i = 0; i < tz_countof(steps); i++) {
        tz_pagealloc_grow(&a, steps[i]);
        memset(used + npages, 0, steps[i]);
        npages += steps[i];
        assert_summaries("growth");
        uint32_t n = npages - was;
        ck_assert_uint_eq(take(n + 1), NONE);
        ck_assert_uint_eq(take(n), was);
        was = npages - 5;
        put(was, 5);
    }
}
END_TEST

// --- bits of a chunk

// Makes the first pages of the one chunk used as the pattern's bits say.
static void set_pattern(uint32_t at, uint32_t pattern, uint32_t bits)
{
    start(CHUNK);
    for (uint32_t i = 0; i < bits; i++)
        if (pattern >> i & 1)
            use(at + i, 1);
}

// Every pattern of 11 pages, everywhere in a chunk that matters: in a word's
// middle, across two words, at both ends. Summaries are those of the model.
START_TEST(every_small_pattern_is_summed_up_right)
{
    enum { BITS = 11 };
    static const uint32_t places[] = { 0, 20, 58, 250, CHUNK - BITS };
    for (size_t i = 0; i < tz_countof(places); i++) {
        for (uint32_t w = 0; w < 1u << BITS; w++) {
            set_pattern(places[i], w, BITS);
            if (!runs_are(&chunk[0], 0, CHUNK))
                ck_abort_msg("pattern %x at page %u", w, places[i]);
        }
    }
}
END_TEST

// The lowest run of each length in every pattern, where all else is in use.
START_TEST(the_first_run_of_every_length_is_found)
{
    enum { BITS = 10 };
    static const uint32_t places[] = { 0, 30, 59, CHUNK - BITS };
    for (size_t i = 0; i < tz_countof(places); i++) {
        uint32_t at = places[i];
        for (uint32_t w = 0; w < 1u << BITS; w++) {
            set_pattern(at, w, BITS);
            if (at > 0)
                use(0, at);
            if (at + BITS < CHUNK)
                use(at + BITS, CHUNK - at - BITS);
            for (uint32_t n = 1; n <= BITS; n++) {
                uint32_t want = NONE, run = 0;
                for (uint32_t k = 0; k < BITS && want == NONE; k++) {
                    run = w >> k & 1 ? 0 : run + 1;
                    if (run == n)
                        want = at + k + 1 - n;
                }
                uint32_t got = tz_pagealloc_take(&a, n);
                if (got != want)
                    ck_abort_msg("%u in pattern %x: %u, not %u", n, w, got,
                                 want);
                if (got != NONE)
                    tz_pagealloc_put(&a, got, n);
            }
        }
    }
}
END_TEST

// --- a cache's 64 pages

struct cached {
    const char *name;
    uint32_t chunks;
    struct range in_use[3];
    struct {
        uint32_t first; // NONE: nothing is left
        uint64_t pages;
    } want[4]; // until pages and first are 0 after the first
};

#define ALL UINT64_MAX

static const struct cached caches[] = {
    { "all free", 1, { { 0 } },
      { { 0, ALL }, { 64, ALL }, { 128, ALL }, { 192, ALL } } },
    { "many chunks in use", 4, { { 0, 3 * CHUNK + 64 } },
      { { 3 * CHUNK + 64, ALL }, { 3 * CHUNK + 128, ALL } } },
    { "a gap", 3, { { 0, CHUNK - 64 }, { CHUNK, CHUNK } },
      { { CHUNK - 64, ALL }, { 2 * CHUNK, ALL } } },
    { "some of the first 64", 1, { { 0, 32 }, { 33, 1 } },
      { { 0, ALL << 34 | UINT64_C(1) << 32 }, { 64, ALL } } },
    { "one page", 1, { { 0, 131 }, { 132, CHUNK - 132 } },
      { { 128, 1 << 3 }, { NONE, 0 } } },
    { "the last page", 2, { { 0, 2 * CHUNK - 1 } },
      { { 2 * CHUNK - 64, UINT64_C(1) << 63 }, { NONE, 0 } } },
    { "nothing", 1, { { 0, CHUNK } }, { { NONE, 0 } } },
};

START_TEST(a_cache_gets_what_is_free_of_the_lowest_64)
{
    for (size_t i = 0; i < tz_countof(caches); i++) {
        const struct cached *c = &caches[i];
        start(c->chunks * CHUNK);
        for (size_t k = 0; k < tz_countof(c->in_use) && c->in_use[k].n; k++)
            use(c->in_use[k].page, c->in_use[k].n);
        for (size_t k = 0; k < tz_countof(c->want); k++) {
            if (k > 0 && !c->want[k].pages && !c->want[k].first)
                break;
            uint32_t first = NONE;
            uint64_t pages = tz_pagealloc_take_64(&a, &first);
            if (pages != c->want[k].pages || first != c->want[k].first)
                ck_abort_msg("%s, %zu: %llx from %u", c->name, k,
                             (unsigned long long)pages, first);
            for (uint32_t b = 0; b < 64; b++)
                if (pages >> b & 1)
                    used[first + b]++;
        }
        assert_summaries(c->name);
    }
}
END_TEST

int main(void)
{
    return os_check("mem/go_pagealloc",
                    (const TTest *const[]){
                        the_lowest_place_that_is_large_enough_is_found,
                        what_is_given_back_is_free_and_nothing_else,
                        a_page_given_back_far_below_is_next,
                        all_is_used_up_in_pieces_of_any_size,
                        growth_joins_free_pages_at_its_edges,
                        every_small_pattern_is_summed_up_right,
                        the_first_run_of_every_length_is_found,
                        a_cache_gets_what_is_free_of_the_lowest_64, NULL });
}
