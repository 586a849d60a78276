// SPDX-License-Identifier: BSD-3-Clause
// test/base/print_test.c: formatting for reports.

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <time.h>

#include "base/print.h"
#include "base/rand.h"
#include "os/os_check.h"

static char text[256];

#define assert_format(want, ...)                                               \
    do {                                                                       \
        size_t n_ = tz_format(text, sizeof text, __VA_ARGS__);                 \
        ck_assert_str_eq(text, want);                                          \
        ck_assert_uint_eq(n_, strlen(want));                                   \
    } while (0)

START_TEST(strings_are_cut_padded_and_never_null)
{
    const char *volatile none = NULL; // so that no compiler objects
    assert_format("", "%s", "");
    assert_format("plain", "plain");
    assert_format("a b", "a%cb", ' ');
    assert_format("100%", "%d%%", 100);
    assert_format("[abc]", "[%s]", "abc");
    assert_format("[(null)]", "[%s]", none);
    assert_format("[ab]", "[%.*s]", 2, "abc");
    assert_format("[]", "[%.*s]", 0, "abc");
    assert_format("[abc]", "[%.*s]", -1, "abc");
    assert_format("[abc]", "[%.2000s]", "abc");
    assert_format("[a]", "[%.1s]", "abc");
    assert_format("[ab  ]", "[%-4s]", "ab");
    assert_format("[abcdef]", "[%-4s]", "abcdef");
}
END_TEST

START_TEST(numbers_have_widths_zeros_and_lengths)
{
    assert_format("0 -1 1", "%d %i %u", 0, -1, 1u);
    assert_format("-2147483648", "%d", INT_MIN);
    assert_format("-9223372036854775808", "%ld", LONG_MIN);
    assert_format("-9223372036854775808", "%lld", LLONG_MIN);
    assert_format("18446744073709551615", "%lu", ULONG_MAX);
    assert_format("18446744073709551615", "%zu", SIZE_MAX);
    assert_format("-5", "%td", (ptrdiff_t)-5);
    assert_format("ffffffffffffffff", "%llx", ULLONG_MAX);
    assert_format("0", "%x", 0u);
    assert_format("   42", "%5d", 42);
    assert_format("  -42", "%5d", -42);
    assert_format("00042", "%05d", 42);
    assert_format("-0042", "%05d", -42);
    assert_format("123456", "%3d", 123456);
    assert_format("00ff", "%04x", 0xffu);
    assert_format("7", "%hhd", 7);
    assert_format("7", "%hu", (unsigned short)7);
    assert_format("0x0 0x10", "%p %p", (void *)0, (void *)16);
}
END_TEST

// Through a pointer the compiler does not look into the format.
static size_t (*volatile unchecked)(char *, size_t, const char *,
                                    ...) = tz_format;

START_TEST(an_unknown_conversion_is_shown_and_a_lone_percent_ends_the_text)
{
    ck_assert_uint_eq(unchecked(text, sizeof text, "a%qb"), 4);
    ck_assert_str_eq(text, "a%qb");
    ck_assert_uint_eq(unchecked(text, sizeof text, "a%"), 1);
    ck_assert_str_eq(text, "a");
    ck_assert_uint_eq(unchecked(text, sizeof text, "a%5l"), 1);
    ck_assert_str_eq(text, "a");
}
END_TEST

START_TEST(numbers_are_printed_as_libc_prints_them)
{
    uint64_t seed = (uint64_t)time(NULL);
    printf("numbers: seed %" PRIu64 "\n", seed);
    char want[256];
    for (int i = 0; i < 100000; i++) {
        uint64_t v = tz_rand_next(&seed) >> (tz_rand_next(&seed) % 64);
        const char *s = "some text" + v % 10;
        int cut = (int)(v % 12) - 1;
        int n = snprintf(want, sizeof want,
                         "%d %8d %012d %u %x %ld %20ld %025ld %016lx %zu %p "
                         "%.*s",
                         (int)v, (int)v, (int)v, (unsigned)v, (unsigned)v,
                         (long)v, (long)v, (long)v, (unsigned long)v,
                         (size_t)v, (void *)(uintptr_t)(v | 1), cut, s);
        size_t m = tz_format(text, sizeof text,
                             "%d %8d %012d %u %x %ld %20ld %025ld %016lx %zu "
                             "%p %.*s",
                             (int)v, (int)v, (int)v, (unsigned)v, (unsigned)v,
                             (long)v, (long)v, (long)v, (unsigned long)v,
                             (size_t)v, (void *)(uintptr_t)(v | 1), cut, s);
        ck_assert_str_eq(text, want);
        ck_assert_uint_eq(m, (size_t)n);
    }
}
END_TEST

START_TEST(a_text_that_does_not_fit_is_cut_and_its_length_told)
{
    for (size_t size = 0; size < 20; size++) {
        char buf[32];
        memset(buf, '#', sizeof buf);
        ck_assert_uint_eq(tz_format(buf, size, "%s-%d", "012345", 789), 10);
        for (size_t i = 0; i < sizeof buf; i++) {
            size_t last = tz_min(size, 11);
            char want = size == 0 || i >= last ? '#'
                        : i == last - 1        ? 0
                                               : "012345-789"[i];
            ck_assert_int_eq(buf[i], want);
        }
    }
}
END_TEST

// Standard error is a pipe that keeps writes apart.
static int packets(void)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_DIRECT), 0);
    dup2(fd[1], STDERR_FILENO);
    return fd[0];
}

START_TEST(a_line_is_one_write)
{
    char buf[4096];
    int fd = packets();
    tz_print("%s %d\n%s", "first", 1, "more");
    tz_print("second\n");
    ck_assert_int_eq(read(fd, buf, sizeof buf), 12);
    ck_assert_int_eq(memcmp(buf, "first 1\nmore", 12), 0);
    ck_assert_int_eq(read(fd, buf, sizeof buf), 7);
}
END_TEST

START_TEST(a_long_line_is_cut_at_1023_bytes)
{
    char buf[4096], many[2000];
    memset(many, 'x', sizeof many);
    int fd = packets();
    tz_print("%.*s", (int)sizeof many, many);
    ck_assert_int_eq(read(fd, buf, sizeof buf), 1023);
}
END_TEST

START_TEST(printing_to_nobody_returns_and_keeps_errno)
{
    close(STDERR_FILENO);
    errno = 77;
    tz_print("lost\n");
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(errors_have_the_kernels_texts)
{
    ck_assert_str_eq(tz_strerror(ENOMEM), "Cannot allocate memory");
    ck_assert_str_eq(tz_strerror(EAGAIN), "Resource temporarily unavailable");
    ck_assert_str_eq(tz_strerror(-1), "unknown error");
    ck_assert_str_eq(tz_strerror(99999), "unknown error");
}
END_TEST

int main(void)
{
    return os_check(
        "base/print",
        (const TTest *const[]){
            strings_are_cut_padded_and_never_null,
            numbers_have_widths_zeros_and_lengths,
            an_unknown_conversion_is_shown_and_a_lone_percent_ends_the_text,
            numbers_are_printed_as_libc_prints_them,
            a_text_that_does_not_fit_is_cut_and_its_length_told,
            a_line_is_one_write, a_long_line_is_cut_at_1023_bytes,
            printing_to_nobody_returns_and_keeps_errno,
            errors_have_the_kernels_texts, NULL });
}
