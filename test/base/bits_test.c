// SPDX-License-Identifier: BSD-3-Clause
// test/base/bits_test.c: counting bits, rounding.

#include "base/bits.h"
#include "os/os_check.h"

START_TEST(zero_has_64_zeros_on_both_sides)
{
    ck_assert_uint_eq(tz_ctz64(0), 64);
    ck_assert_uint_eq(tz_clz64(0), 64);
    ck_assert_uint_eq(tz_popcount64(0), 0);
    ck_assert_uint_eq(tz_popcount64(~UINT64_C(0)), 64);
}
END_TEST

START_TEST(each_bit_is_found_from_both_ends)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        ck_assert_uint_eq(tz_ctz64(bit), i);
        ck_assert_uint_eq(tz_ctz64(-bit), i);
        ck_assert_uint_eq(tz_clz64(bit), 63 - i);
        ck_assert_uint_eq(tz_clz64(bit | (bit - 1)), 63 - i);
        ck_assert_uint_eq(tz_log2(bit), i);
        ck_assert_uint_eq(tz_log2(bit | (bit - 1)), i);
        ck_assert_uint_eq(tz_popcount64(bit - 1), i);
    }
}
END_TEST

START_TEST(a_mask_has_its_lowest_n_bits)
{
    for (unsigned n = 0; n <= 64; n++) {
        ck_assert_uint_eq(tz_popcount64(tz_mask64(n)), n);
        ck_assert_uint_eq(tz_ctz64(~tz_mask64(n)), n);
    }
}
END_TEST

START_TEST(rounding_goes_to_the_nearest_multiple_on_its_side)
{
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t n = 0; n < 3 * align + 2; n++) {
            size_t down = n / align * align;
            ck_assert_uint_eq(tz_align_down(n, align), down);
            ck_assert_uint_eq(tz_align_up(n, align),
                              down == n ? n : down + align);
        }
    }
}
END_TEST

START_TEST(powers_of_two_are_known)
{
    ck_assert(!tz_is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t p = (size_t)1 << i;
        ck_assert(tz_is_pow2(p));
        ck_assert(i < 2 || !tz_is_pow2(p - 1));
        ck_assert(i < 1 || !tz_is_pow2(p + 1));
    }
    ck_assert_uint_eq(tz_min(3, 5), 3);
    ck_assert_uint_eq(tz_max(3, 5), 5);
}
END_TEST

int main(void)
{
    return os_check("base/bits",
                    (const TTest *const[]){
                        zero_has_64_zeros_on_both_sides,
                        each_bit_is_found_from_both_ends,
                        a_mask_has_its_lowest_n_bits,
                        rounding_goes_to_the_nearest_multiple_on_its_side,
                        powers_of_two_are_known, NULL });
}
