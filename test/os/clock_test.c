// SPDX-License-Identifier: BSD-3-Clause
// test/os/clock_test.c: time goes on, forward.

#include <time.h>

#include "os_check.h"
#include "os/clock.h"

START_TEST(now_never_decreases)
{
    int64_t last = tz_clock_now();
    for (int i = 0; i < 100000; i++) {
        int64_t now = tz_clock_now();
        ck_assert_int_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(now_is_the_monotonic_clock_in_nanoseconds)
{
    struct timespec ts;
    int64_t before = tz_clock_now();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t at = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    ck_assert_int_le(before, at);
    ck_assert_int_le(at, tz_clock_now());
}
END_TEST

START_TEST(cpu_time_counts_work_of_user_and_system)
{
    clock_t before = clock(); // the same, in microseconds
    int64_t cpu = tz_clock_cpu();
    while (tz_clock_cpu() - cpu < 20 * TZ_NSEC_PER_MSEC)
        ck_assert_int_ge(write(-1, "", 0), -1);
    int64_t us = (clock() - before) * (1000000 / CLOCKS_PER_SEC);
    ck_assert_int_ge(us, 20000 - 1);
    ck_assert_int_ge(tz_clock_cpu() / 1000, cpu / 1000 + 20000);
}
END_TEST

START_TEST(cpu_time_stands_still_while_asleep)
{
    struct timespec ts = { 0, 50000000 };
    int64_t cpu = tz_clock_cpu(), wall = tz_clock_now();
    nanosleep(&ts, NULL);
    ck_assert_int_ge(tz_clock_now() - wall, 50 * TZ_NSEC_PER_MSEC);
    ck_assert_int_lt(tz_clock_cpu() - cpu, 40 * TZ_NSEC_PER_MSEC);
}
END_TEST

START_TEST(errno_is_kept)
{
    errno = 77;
    tz_clock_now();
    tz_clock_cpu();
    ck_assert_int_eq(errno, 77);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        now_never_decreases,
        now_is_the_monotonic_clock_in_nanoseconds,
        cpu_time_counts_work_of_user_and_system,
        cpu_time_stands_still_while_asleep,
        errno_is_kept,
        NULL,
    };
    return os_check("os/clock", tests);
}
