// SPDX-License-Identifier: BSD-3-Clause
// test/mem/sizeclass_test.c: the table of size classes, every size and every
// offset [mem.I3].

#include "mem/span.h"
#include "os/os_check.h"

START_TEST(every_size_gets_the_smallest_class_that_holds_it)
{
    for (size_t size = 0; size <= TZ_SMALL_MAX; size++) {
        unsigned cls = tz_sizeclass_of(size);
        ck_assert_uint_ge(cls, 1);
        ck_assert_uint_lt(cls, TZ_CLASS_COUNT);
        ck_assert_uint_ge(tz_sizeclass[cls].size, size);
        if (cls > 1)
            ck_assert_uint_lt(tz_sizeclass[cls - 1].size, size);
    }
}
END_TEST

START_TEST(no_size_above_128_wastes_a_sixth_of_its_object)
{
    for (size_t size = 1; size <= TZ_SMALL_MAX; size++) {
        size_t have = tz_sizeclass[tz_sizeclass_of(size)].size;
        size_t waste = have - size;
        if (size <= 128)
            ck_assert_uint_lt(waste, 16);
        else
            ck_assert_msg(waste * 6 < have, "%zu bytes in %zu", size, have);
    }
}
END_TEST

START_TEST(spans_are_filled_but_for_a_quarter)
{
    for (unsigned i = 1; i < TZ_CLASS_COUNT; i++) {
        const struct tz_sizeclass *c = &tz_sizeclass[i];
        size_t bytes = (size_t)c->npages * TZ_PAGE_SIZE;
        ck_assert_uint_eq(c->size % 16, 0);
        ck_assert_uint_eq(c->npages, c->size <= TZ_ONE_PAGE_MAX
                                         ? 1
                                         : TZ_BIG_SPAN_PAGES);
        ck_assert_uint_eq(c->nelems, bytes / c->size);
        ck_assert_uint_ge(c->nelems, 2);
        ck_assert_uint_le(c->nelems, 8 * 64);
        ck_assert_uint_le((bytes - c->nelems * c->size) * 4, bytes);
    }
    ck_assert_uint_eq(tz_sizeclass[TZ_CLASS_COUNT - 1].size, TZ_SMALL_MAX);
}
END_TEST

START_TEST(the_sizes_are_gos_without_8_and_24)
{
    static const uint16_t sizes[] = {
        0,     16,    32,    48,    64,    80,    96,    112,   128,   144,
        160,   176,   192,   208,   224,   240,   256,   288,   320,   352,
        384,   416,   448,   480,   512,   576,   640,   704,   768,   896,
        1024,  1152,  1280,  1408,  1536,  1792,  2048,  2304,  2688,  3072,
        3200,  3456,  4096,  4864,  5120,  5376,  6144,  6528,  6784,  6912,
        8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384, 18432,
        19072, 20480, 21760, 24576, 27264, 28672, 32768
    };
    ck_assert_uint_eq(tz_countof(sizes), TZ_CLASS_COUNT);
    for (size_t i = 0; i < TZ_CLASS_COUNT; i++)
        ck_assert_uint_eq(tz_sizeclass[i].size, sizes[i]);
}
END_TEST

START_TEST(the_index_by_magic_is_the_quotient_for_every_offset)
{
    for (unsigned i = 1; i < TZ_CLASS_COUNT; i++)
        for (uint32_t off = 0; off < 1u << 16; off++)
            if (tz_sizeclass_index(i, off) != off / tz_sizeclass[i].size)
                ck_abort_msg("class %u, offset %u", i, off);
}
END_TEST

START_TEST(a_span_class_names_class_and_kind)
{
    for (unsigned i = 0; i < TZ_CLASS_COUNT; i++)
        for (unsigned kind = 0; kind < TZ_KINDS; kind++) {
            unsigned sc = tz_spanclass(i, kind);
            struct tz_span s = { .spanclass = (uint8_t)sc };
            ck_assert_uint_lt(sc + 1, 255); // not what a free page says
            ck_assert_uint_eq(s.spanclass, sc);
            ck_assert_int_eq(tz_span_noscan(&s), kind == TZ_NOSCAN);
            ck_assert_int_eq(tz_span_large(&s), i == 0);
            ck_assert_uint_eq(tz_sizeclass[sc].kind, kind);
            ck_assert_uint_eq(tz_sizeclass[sc].size, tz_sizeclass[i].size);
            ck_assert_uint_eq(tz_sizeclass[sc].magic, tz_sizeclass[i].magic);
        }
}
END_TEST

int main(void)
{
    return os_check(
        "mem/sizeclass",
        (const TTest *const[]){
            every_size_gets_the_smallest_class_that_holds_it,
            no_size_above_128_wastes_a_sixth_of_its_object,
            spans_are_filled_but_for_a_quarter,
            the_sizes_are_gos_without_8_and_24,
            the_index_by_magic_is_the_quotient_for_every_offset,
            a_span_class_names_class_and_kind, NULL });
}
