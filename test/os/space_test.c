// SPDX-License-Identifier: BSD-3-Clause
// test: no-asan no-tsan
// test/os/space_test.c: how much may still be mapped, and what threads take.

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/space.h"
#include "os/thread.h"
#include "os_check.h"

static void limit(int what, uint64_t bytes)
{
    struct rlimit l;
    getrlimit(what, &l);
    l.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(what, &l), 0);
}

// Kilobytes in use, as the kernel tells a user.
static uint64_t in_use(const char *name)
{
    char text[8192];
    os_read_file("/proc/self/status", text, sizeof text);
    const char *line = strstr(text, name);
    ck_assert_ptr_nonnull(line);
    return strtoull(line + strlen(name), NULL, 10) * 1024;
}

static void assert_near(uint64_t got, uint64_t want)
{
    uint64_t off = got > want ? got - want : want - got;
    ck_assert_msg(off <= TZ_MIB, "%llu, not about %llu",
                  (unsigned long long)got, (unsigned long long)want);
}

static void *map(size_t n, int prot)
{
    void *p = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    return p;
}

START_TEST(without_limits_there_is_no_end)
{
    if (!tz_space_strict("/proc/sys/vm/overcommit_memory"))
        ck_assert_uint_eq(tz_space_left(), UINT64_MAX);
}
END_TEST

START_TEST(address_space_that_is_mapped_is_taken_off)
{
    errno = 77;
    limit(RLIMIT_AS, in_use("VmSize:") + 100 * TZ_MIB);
    assert_near(tz_space_left(), 100 * TZ_MIB);
    void *p = map(40 * TZ_MIB, PROT_NONE);
    assert_near(tz_space_left(), 60 * TZ_MIB);
    munmap(p, 40 * TZ_MIB);
    assert_near(tz_space_left(), 100 * TZ_MIB);
    ck_assert_int_eq(errno, 77);
    limit(RLIMIT_AS, TZ_MIB); // less than there is
    ck_assert_uint_eq(tz_space_left(), 0);
}
END_TEST

START_TEST(data_counts_when_it_is_writable)
{
    limit(RLIMIT_DATA, in_use("VmData:") + 50 * TZ_MIB);
    assert_near(tz_space_left(), 50 * TZ_MIB);
    map(20 * TZ_MIB, PROT_NONE);
    assert_near(tz_space_left(), 50 * TZ_MIB);
    map(20 * TZ_MIB, PROT_READ | PROT_WRITE);
    assert_near(tz_space_left(), 30 * TZ_MIB);
    limit(RLIMIT_AS, in_use("VmSize:") + 10 * TZ_MIB); // the lesser of both
    assert_near(tz_space_left(), 10 * TZ_MIB);
}
END_TEST

// The path of a file that goes with the process.
static const char *file_of(const char *text)
{
    static char path[64];
    int fd = memfd_create("text", 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

START_TEST(what_may_be_committed_is_known_on_a_strict_system)
{
    ck_assert(tz_space_strict(file_of("2\n")));
    ck_assert(!tz_space_strict(file_of("0\n")));
    ck_assert(!tz_space_strict(file_of("")));
    ck_assert(!tz_space_strict("/proc/there-is-no-such-file"));
    ck_assert_uint_eq(tz_space_commit_left(file_of(
                          "MemTotal:       24684 kB\n"
                          "CommitLimit:    12342204 kB\n"
                          "Committed_AS:   12341180 kB\n")),
                      TZ_MIB);
    ck_assert_uint_eq(tz_space_commit_left(file_of(
                          "CommitLimit:    10 kB\nCommitted_AS:   11 kB\n")),
                      0);
    ck_assert_uint_eq(tz_space_commit_left(file_of("CommitLimit: 10 kB\n")),
                      UINT64_MAX);
    ck_assert_uint_lt(tz_space_commit_left("/proc/meminfo"), UINT64_MAX);
}
END_TEST

START_TEST(without_proc_it_is_the_limit_itself)
{
    limit(RLIMIT_AS, 500 * TZ_MIB);
    limit(RLIMIT_NOFILE, 0);
    ck_assert_uint_eq(tz_space_left(), 500 * TZ_MIB);
}
END_TEST

static uintptr_t lo, hi;
static int count; // atomic

static void look(void *arg)
{
    (void)arg;
    tz_thread_stack(&lo, &hi);
    tz_store(&count, 1);
}

static uintptr_t stack_of_a_thread(size_t size)
{
    tz_store(&count, 0);
    ck_assert_int_eq(tz_thread_start(look, NULL, size), 0);
    while (tz_load(&count) == 0)
        sched_yield();
    return hi - lo;
}

START_TEST(threads_take_little_where_there_is_little)
{
    limit(RLIMIT_STACK, 8 * TZ_MIB); // read by libc at the start, as a rule
    ck_assert_uint_ge(stack_of_a_thread(0), TZ_MIB);
    limit(RLIMIT_AS, in_use("VmSize:") + 100 * TZ_MIB);
    ck_assert_uint_le(stack_of_a_thread(0), 256 * TZ_KIB);
    ck_assert_uint_ge(stack_of_a_thread(0), 128 * TZ_KIB); // libc has a part
    ck_assert_uint_ge(stack_of_a_thread(2 * TZ_MIB), 2 * TZ_MIB - 65536);
}
END_TEST

static int running, stop; // atomic

static void stay(void *arg)
{
    (void)arg;
    tz_xadd(&running, 1);
    while (tz_load(&stop) == 0)
        tz_thread_sleep(TZ_NSEC_PER_MSEC);
    tz_xadd(&running, -1);
}

START_TEST(eight_threads_fit_into_three_megabytes)
{
    limit(RLIMIT_AS, in_use("VmSize:") + 3 * TZ_MIB);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(tz_thread_start(stay, NULL, 0), 0);
    while (tz_load(&running) < 8)
        sched_yield();
    tz_store(&stop, 1);
    while (tz_load(&running) > 0)
        sched_yield();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        without_limits_there_is_no_end,
        address_space_that_is_mapped_is_taken_off,
        data_counts_when_it_is_writable,
        what_may_be_committed_is_known_on_a_strict_system,
        without_proc_it_is_the_limit_itself,
        threads_take_little_where_there_is_little,
        eight_threads_fit_into_three_megabytes,
        NULL,
    };
    return os_check("os/space", tests);
}
