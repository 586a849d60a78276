// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/mem/go_scavenge_test.c: what goes back to the system, and in which order,
// by the shapes of Go's mgcscavenge_test.go and mpagecache_test.go.

#include "mem_check.h"

enum { UNITS = 3 * 64 }; // three chunks

// What a unit is: in use, idle (free and in memory), released.
#define USE 'u'
#define IDLE 'i'
#define GONE 'r'

static struct tz_span *span[UNITS];
static char state[UNITS + 1];

static struct tz_region *region(void) { return &tz_mem.region[0]; }

static bool is_gone(int unit)
{
    return region()->scav.released[unit / 64] >> (unit % 64) & 1;
}

// Takes all units that are free, so that all are in use.
static void use_all(void)
{
    for (int i = 0; i < UNITS; i++) {
        if (span[i])
            continue;
        span[i] = tz_heap_span_alloc(NULL, TZ_UNIT_PAGES, 0);
        if (!span[i] ||
            span[i]->base != region()->base + (size_t)i * TZ_UNIT_BYTES)
            ck_abort_msg("unit %d", i);
    }
}

static void free_units(char which)
{
    for (int i = 0; i < UNITS; i++) {
        if (state[i] != which)
            continue;
        tz_heap_span_free(span[i]);
        span[i] = NULL;
    }
}

// Brings all units into the states of `want`.
static void set_up(const char *want)
{
    use_all();
    memcpy(state, want, UNITS);
    free_units(GONE);
    tz_scavenge_all();
    free_units(IDLE);
    for (int i = 0; i < UNITS; i++)
        if (is_gone(i) != (state[i] == GONE))
            ck_abort_msg("unit %d is not %c", i, state[i]);
}

// What the model gives back for `units`: from the top, a half of a chunk that is
// idle as a whole at once, else no more than what is missing.
static size_t model_scavenge(size_t units)
{
    size_t sum = 0;
    for (int top = UNITS - 1; top >= 0 && sum < units; top--) {
        if (state[top] != IDLE)
            continue;
        int half = top / 32 * 32, chunk = top / 64 * 64, n = 0;
        bool whole = true;
        for (int i = half; i < half + 32; i++)
            whole &= state[i] == IDLE;
        if (whole)
            n = 32; // top is its last
        else
            while (top - n >= chunk && state[top - n] == IDLE &&
                   (size_t)n < units - sum)
                n++;
        memset(state + top + 1 - n, GONE, (size_t)n);
        sum += (size_t)n;
    }
    return sum;
}

static void scavenge(const char *name, size_t bytes, size_t *sum)
{
    size_t units = (bytes + TZ_UNIT_BYTES - 1) / TZ_UNIT_BYTES;
    size_t want = model_scavenge(units) * TZ_UNIT_BYTES;
    size_t got = tz_scavenge(bytes);
    if (got != want)
        ck_abort_msg("%s: %zu units for %zu, not %zu", name,
                     got / TZ_UNIT_BYTES, units, want / TZ_UNIT_BYTES);
    for (int i = 0; i < UNITS; i++)
        if (is_gone(i) != (state[i] == GONE))
            ck_abort_msg("%s: unit %d should be %c", name, i, state[i]);
    *sum = got / TZ_UNIT_BYTES;
}

// --- tables: states by runs, asks in units, and what comes

struct row {
    const char *name;
    const char *states; // "64u3i…": counts and letters, repeated to the end
    struct {
        size_t ask, got;
    } asks[4];
};

static const struct row rows[] = {
    { "all idle", "1i", { { 1, 32 }, { 32, 32 }, { 33, 64 }, { 999, 64 } } },
    { "all gone", "1r", { { 1, 0 }, { 999, 0 } } },
    { "all in use", "1u", { { 1, 0 }, { 999, 0 } } },
    { "one, the first", "1i191u", { { 1, 1 }, { 1, 0 } } },
    { "one, the last", "191u1i", { { 999, 1 }, { 1, 0 } } },
    { "one of two, idle", "1u1i", { { 1, 1 }, { 5, 5 }, { 999, 90 } } },
    { "one of two, gone", "1r1i", { { 1, 1 }, { 5, 5 }, { 999, 90 } } },
    { "31 in a half", "1u31i", { { 1, 1 }, { 30, 30 }, { 31, 31 } } },
    { "32 across the middle", "16u32i16u", { { 1, 1 }, { 16, 16 },
                                             { 999, 79 } } },
    { "32 across two chunks", "48u32i112u", { { 1, 1 }, { 16, 16 },
                                              { 999, 15 } } },
    { "a whole half is not divided", "160u32i", { { 1, 32 }, { 1, 0 } } },
    { "the upper half first", "64u32i32u64i",
      { { 1, 32 }, { 1, 32 }, { 1, 32 }, { 1, 0 } } },
    { "between those that are gone", "40r8i16r", { { 3, 3 }, { 999, 21 } } },
    { "seven", "57u7i", { { 2, 2 }, { 6, 6 }, { 999, 13 } } },
};

static void spell_out(const char *text, char *states)
{
    const char *s = text;
    for (int i = 0; i < UNITS;) {
        char *end;
        long n = strtol(*s ? s : (s = text), &end, 10);
        for (; n > 0 && i < UNITS; n--)
            states[i++] = *end;
        s = end + 1;
    }
}

START_TEST(the_highest_idle_units_go_first_in_every_shape)
{
    char states[UNITS];
    heap_start();
    for (size_t i = 0; i < tz_countof(rows); i++) {
        spell_out(rows[i].states, states);
        set_up(states);
        for (size_t k = 0; k < 4 && rows[i].asks[k].ask; k++) {
            size_t got;
            scavenge(rows[i].name, rows[i].asks[k].ask * TZ_UNIT_BYTES, &got);
            if (got != rows[i].asks[k].got)
                ck_abort_msg("%s, ask %zu: %zu", rows[i].name, k, got);
        }
    }
}
END_TEST

START_TEST(random_states_and_amounts_agree_with_the_model)
{
    uint64_t seed = seed_start("go_scavenge");
    char states[UNITS];
    heap_start();
    for (int round = 0; round < 150; round++) {
        uint64_t r = tz_rand_next(&seed);
        for (int i = 0; i < UNITS; i++) { // runs of 1 to 40
            uint64_t s = tz_rand_next(&seed);
            int n = 1 + (int)(s >> 8) % (r & 1 ? 40 : 5);
            for (int k = 0; k < n && i < UNITS; k++, i++)
                states[i] = "uuiir"[s % 5];
            i--;
        }
        set_up(states);
        for (int k = 0; k < 6; k++) {
            size_t got;
            scavenge("random", 1 + tz_rand_next(&seed) % (2 * TZ_MIB), &got);
        }
    }
}
END_TEST

// Whichever page of a unit is the one in use.
START_TEST(a_unit_goes_when_its_last_page_is_free)
{
    struct tz_span *page[TZ_UNIT_PAGES];
    char states[UNITS];
    heap_start();
    for (int i = 0; i < TZ_UNIT_PAGES; i++) {
        memset(states, USE, UNITS);
        states[100] = IDLE;
        set_up(states);
        for (int k = 0; k < TZ_UNIT_PAGES; k++)
            page[k] = tz_heap_span_alloc(NULL, 1, 0);
        ck_assert_uint_eq(page[i]->base, region()->base +
                                             100 * TZ_UNIT_BYTES +
                                             (size_t)i * TZ_PAGE_SIZE);
        for (int k = 0; k < TZ_UNIT_PAGES; k++)
            if (k != i)
                tz_heap_span_free(page[k]);
        ck_assert_uint_eq(tz_scavenge_all(), 0);
        tz_heap_span_free(page[i]);
        ck_assert_uint_eq(tz_scavenge_all(), TZ_UNIT_BYTES);
    }
}
END_TEST

// --- ScavengeIndex: chunks with nothing to give are not looked into

static uint64_t maybe(void) { return region()->scav.maybe[0] & 7; }

START_TEST(a_chunk_is_looked_into_when_something_was_freed_there)
{
    char states[UNITS + 1];
    heap_start();
    memset(states, USE, UNITS);
    set_up(states);
    tz_scavenge_all();
    ck_assert_uint_eq(maybe(), 0);
    static const int units[] = { 0, 63, 64, 127, 128, 191 };
    for (size_t i = 0; i < tz_countof(units); i++) {
        tz_heap_span_free(span[units[i]]);
        span[units[i]] = NULL;
        ck_assert_uint_eq(maybe(), 1u << units[i] / 64);
        ck_assert_uint_eq(tz_scavenge(1), TZ_UNIT_BYTES);
        ck_assert_uint_eq(tz_scavenge(1), 0);
        ck_assert_uint_eq(maybe(), 0);
    }
    // A span across two chunks is in both.
    use_all();
    tz_heap_span_free(span[62]);
    tz_heap_span_free(span[63]);
    tz_heap_span_free(span[64]);
    span[62] = span[63] = span[64] = NULL;
    struct tz_span *s = tz_heap_span_alloc(NULL, 3 * TZ_UNIT_PAGES, 0);
    ck_assert_uint_eq(s->base, region()->base + 62 * TZ_UNIT_BYTES);
    tz_scavenge_all();
    ck_assert_uint_eq(maybe(), 0);
    tz_heap_span_free(s);
    ck_assert_uint_eq(maybe(), 3);
    ck_assert_uint_eq(tz_scavenge_all(), 3 * TZ_UNIT_BYTES);
}
END_TEST

// --- mpagecache_test: pages that were given back, by way of a cache

static struct tz_heap_stats stats(void)
{
    struct tz_heap_stats s;
    tz_heap_stats_read(&s);
    ck_assert_uint_eq(s.sys, s.inuse + s.cached + s.idle + s.untouched +
                                 s.released);
    return s;
}

START_TEST(s2_26_a_cache_knows_which_of_its_pages_are_zero)
{
    struct tz_pagecache pc = { 0 };
    char states[UNITS];
    heap_start();
    memset(states, USE, UNITS);
    memcpy(states + 64, "riirriri", 8); // one cache's 64 pages
    use_all();
    for (int i = 64; i < 72; i++)
        memset((void *)span[i]->base, 0xa5, TZ_UNIT_BYTES);
    set_up(states);
    uint64_t before = stats().released;
    ck_assert_uint_eq(before, 4 * TZ_UNIT_BYTES);
    for (int p = 0; p < 64; p++) {
        struct tz_span *s = tz_heap_span_alloc(&pc, 1, 0);
        bool gone = state[64 + p / 8] == GONE;
        ck_assert_uint_eq(s->base, region()->base + 64 * TZ_UNIT_BYTES +
                                       (size_t)p * TZ_PAGE_SIZE);
        ck_assert_uint_eq(s->needzero, !gone);
        const uint64_t *w = (const uint64_t *)s->base;
        for (size_t i = 0; gone && i < TZ_PAGE_SIZE / sizeof *w; i++)
            if (w[i])
                ck_abort_msg("page %d is not zero", p);
        ck_assert_uint_eq(stats().released, 0);
        ck_assert_uint_eq(stats().cached, (size_t)(63 - p) * TZ_PAGE_SIZE);
    }
}
END_TEST

// What a cache gives back is idle, not released, and goes as such.
START_TEST(what_a_cache_gives_back_is_idle)
{
    struct tz_pagecache pc = { 0 };
    char states[UNITS];
    heap_start();
    memset(states, USE, UNITS);
    memset(states + 8, GONE, 8);
    set_up(states);
    struct tz_span *s = tz_heap_span_alloc(&pc, 1, 0);
    ck_assert_uint_eq(s->base, region()->base + 8 * TZ_UNIT_BYTES);
    ck_assert_uint_eq(stats().released, 0);
    ck_assert_uint_eq(stats().idle, 0);
    ck_assert_uint_eq(tz_scavenge(1), 0); // the cache's are no one else's
    tz_heap_pagecache_flush(&pc);
    ck_assert_uint_eq(stats().idle, 63 * TZ_PAGE_SIZE);
    ck_assert_uint_eq(tz_scavenge_all(), 7 * TZ_UNIT_BYTES);
    tz_heap_span_free(s);
    ck_assert_uint_eq(tz_scavenge_all(), TZ_UNIT_BYTES);
    ck_assert_uint_eq(stats().released, 8 * TZ_UNIT_BYTES);
}
END_TEST

int main(void)
{
    return os_check("mem/go_scavenge",
                    (const TTest *const[]){
                        the_highest_idle_units_go_first_in_every_shape,
                        random_states_and_amounts_agree_with_the_model,
                        a_unit_goes_when_its_last_page_is_free,
                        a_chunk_is_looked_into_when_something_was_freed_there,
                        s2_26_a_cache_knows_which_of_its_pages_are_zero,
                        what_a_cache_gives_back_is_idle, NULL });
}
