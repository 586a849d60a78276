// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/gc/words_test.c: every way of finding words in the heap finds the same.

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rand.h"
#include "gc/words.h"
#include "os/os_check.h"

enum { MOST = 64 };

static const struct {
    uintptr_t base;
    size_t limit;
} heaps[] = {
    { UINT64_C(0x1af300000000), 64 << 20 },
    { 4096, UINT64_C(1) << 46 },
    { UINT64_C(1) << 46, 8192 },
    { UINT64_C(0x1af300000000), 0 },
};

// At the ends of the range, and far away from it.
static uintptr_t any_word(uint64_t *seed, uintptr_t base, size_t limit)
{
    uint64_t r = tz_rand_next(seed);
    switch (r % 12) {
    case 0: return base;
    case 1: return base - 1;
    case 2: return base + limit;
    case 3: return base + limit - 1;
    case 4: return 0;
    case 5: return UINTPTR_MAX;
    case 6: return base ^ (UINT64_C(1) << 63); // differs in the sign
    case 7: return (base + limit) ^ (UINT64_C(1) << 63);
    case 8: return UINT64_C(1) << 63;
    case 9: return limit ? base + (r >> 8) % limit : base;
    case 10: return base + (uintptr_t)(r >> 40);
    default: return tz_rand_next(seed);
    }
}

static void compare(const char *name, tz_words_fn *fn)
{
    static uintptr_t words[MOST + 8];
    uint64_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        uintptr_t base = heaps[round % tz_countof(heaps)].base;
        size_t limit = heaps[round % tz_countof(heaps)].limit;
        for (size_t i = 0; i < tz_countof(words); i++)
            words[i] = any_word(&seed, base, limit);
        const uintptr_t *p = words + round % 8; // of a vector's alignment or not
        for (uint32_t n = 0; n <= MOST; n++) {
            uint64_t want = 0;
            for (uint32_t i = 0; i < n; i++)
                want |= (uint64_t)(p[i] >= base && p[i] < base + limit) << i;
            ck_assert_uint_eq(tz_words_plain(p, n, base, limit), want);
            ck_assert_msg(fn(p, n, base, limit) == want, "%s: %u words", name, n);
        }
    }
}

START_TEST(all_ways_find_the_same)
{
    const char *name;
    tz_words_fn *fn;
    compare("plain", tz_words_plain);
    for (unsigned i = 0; tz_words_way(i, &name, &fn); i++) {
        printf("%s: %s\n", name, fn ? "tried" : "not on this CPU");
        if (fn)
            compare(name, fn);
    }
}
END_TEST

START_TEST(the_fastest_is_taken_unless_another_is_asked_for)
{
    const char *name;
    tz_words_fn *fn, *fastest = NULL;
    for (unsigned i = 0; !fastest && tz_words_way(i, &name, &fastest); i++)
        ;
    ck_assert(tz_words_best() == fastest);
    ck_assert(tz_words_best() == fastest);
    (void)fn;
}
END_TEST

static void off(void)
{
    setenv("TUZADEBUG", "vectors=off", 1);
    if (tz_words_best())
        _exit(1);
}

static void unknown(void)
{
    setenv("TUZADEBUG", "vectors=mmx", 1);
    if (tz_words_best())
        _exit(1);
}

START_TEST(they_can_be_left_out)
{
    ck_assert_int_eq(os_child(off).status, 0);
    struct os_ended e = os_child(unknown);
    ck_assert_int_eq(e.status, 0);
    os_assert_has(e.text, "vectors: \"mmx\"");
}
END_TEST

int main(void)
{
    return os_check("gc/words", (const TTest *const[]){
                                    all_ways_find_the_same,
                                    the_fastest_is_taken_unless_another_is_asked_for,
                                    they_can_be_left_out, NULL });
}
