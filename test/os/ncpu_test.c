// SPDX-License-Identifier: BSD-3-Clause
// test/os/ncpu_test.c: the number of processors is that of the affinity mask.

#include "os_check.h"
#include "os/ncpu.h"

static cpu_set_t mask(void)
{
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    return set;
}

START_TEST(it_counts_the_affinity_mask)
{
    cpu_set_t set = mask();
    errno = 77;
    ck_assert_int_eq(tz_ncpu(), CPU_COUNT(&set));
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(a_mask_of_one_counts_one)
{
    cpu_set_t set = mask(), one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(tz_ncpu(), 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        it_counts_the_affinity_mask,
        a_mask_of_one_counts_one,
        NULL,
    };
    return os_check("os/ncpu", tests);
}
