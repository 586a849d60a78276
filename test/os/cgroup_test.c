// SPDX-License-Identifier: BSD-3-Clause
// test/os/cgroup_test.c: the limits of control groups, of memory and of
// processors, read from trees of files that look like the kernel's.

#include <sys/stat.h>

#include "os_check.h"
#include "os/cgroup.h"
#include "os/ncpu.h"

#define NONE UINT64_MAX

static char root[64]; // of the tree of this test

static void tree(void)
{
    strcpy(root, "/tmp/tuza-cgroup-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void tree_remove(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

// Writes root/path, and makes the directories that lead there.
static void put(const char *path, const char *text)
{
    char full[8192];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *s = full + strlen(root) + 1; (s = strchr(s, '/')); *s++ = '/') {
        *s = 0;
        ck_assert(mkdir(full, 0700) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(full, "w");
    ck_assert_msg(f != NULL, "%s: %s", full, strerror(errno));
    fputs(text, f);
    fclose(f);
}

static void group(const char *text) { put("/proc/self/cgroup", text); }
static void mounts(const char *text) { put("/proc/self/mountinfo", text); }

#define V2(root, at)                                                           \
    "20 1 0:20 / / rw shared:1 - ext4 /dev/sda rw\n"                           \
    "30 20 0:30 " root " " at " rw,nosuid shared:4 master:5 - cgroup2 cgroup2" \
    " rw,nsdelegate\n"
#define V1(root, at)                                                           \
    "33 20 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"              \
    "35 20 0:32 " root " " at " rw,relatime - cgroup cgroup rw,memory\n"

static uint64_t limit(void)
{
    errno = 77;
    uint64_t n = tz_cgroup_limits(root).memory;
    ck_assert_int_eq(errno, 77);
    return n;
}

START_TEST(v2_is_the_lowest_of_max_and_high_up_to_the_top)
{
    group("0::/a/b/c\n");
    mounts(V2("/", "/sys/fs/cgroup"));
    ck_assert_uint_eq(limit(), NONE); // no files
    put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put("/sys/fs/cgroup/a/b/c/memory.high", "max\n");
    ck_assert_uint_eq(limit(), NONE);
    put("/sys/fs/cgroup/a/memory.max", "9000000\n");
    ck_assert_uint_eq(limit(), 9000000);
    put("/sys/fs/cgroup/a/b/memory.high", "8000000\n");
    ck_assert_uint_eq(limit(), 8000000);
    put("/sys/fs/cgroup/a/b/c/memory.max", "10000000\n");
    ck_assert_uint_eq(limit(), 8000000);
    put("/sys/fs/cgroup/memory.max", "7000000\n");
    ck_assert_uint_eq(limit(), 7000000);
    put("/sys/fs/memory.max", "1\n"); // above the mount: no group
    put("/sys/fs/cgroup/a/b/c/d/memory.max", "2\n"); // below us
    ck_assert_uint_eq(limit(), 7000000);
}
END_TEST

START_TEST(v1_reads_its_own_files_and_the_hierarchy)
{
    group("5:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/y\n");
    mounts(V1("/", "/sys/fs/cgroup/memory"));
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        "9223372036854771712\n"); // none, with pages of 4 KiB
    ck_assert_uint_eq(limit(), NONE);
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        "9223372036854710272\n"); // and of 64 KiB
    ck_assert_uint_eq(limit(), NONE);
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "6000000\n");
    ck_assert_uint_eq(limit(), 6000000);
    put("/sys/fs/cgroup/memory/a/b/memory.stat",
        "cache 1\nrss 2\nhierarchical_memory_limit 5000000\n"
        "hierarchical_memsw_limit 3\n");
    ck_assert_uint_eq(limit(), 5000000);
    put("/sys/fs/cgroup/memory/a/b/memory.max", "4\n"); // not v1's
    put("/sys/fs/cgroup/cpu/x/memory.limit_in_bytes", "4\n");
    ck_assert_uint_eq(limit(), 5000000);
}
END_TEST

START_TEST(hybrid_counts_both)
{
    group("4:memory:/a\n0::/b\n");
    mounts(V1("/", "/sys/fs/cgroup/memory") V2("/", "/sys/fs/cgroup/unified"));
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "5000000\n");
    ck_assert_uint_eq(limit(), 5000000);
    put("/sys/fs/cgroup/unified/b/memory.max", "4000000\n");
    ck_assert_uint_eq(limit(), 4000000);
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000000\n");
    ck_assert_uint_eq(limit(), 3000000);
}
END_TEST

// A container: the mount shows the part of the tree that begins at its root.
START_TEST(a_mount_of_a_part_leaves_out_its_root)
{
    group("0::/docker/abc/inner\n");
    mounts(V2("/docker/abc", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/inner/memory.max", "5000000\n");
    put("/sys/fs/cgroup/docker/abc/inner/memory.max", "1\n"); // not there
    ck_assert_uint_eq(limit(), 5000000);
    put("/sys/fs/cgroup/memory.max", "4000000\n");
    ck_assert_uint_eq(limit(), 4000000);
    group("0::/docker/abc\n");
    put("/sys/fs/cgroup/inner/memory.max", "1\n");
    ck_assert_uint_eq(limit(), 4000000);
    group("0::/docker/abcd\n"); // another's, though the letters agree
    ck_assert_uint_eq(limit(), NONE);
    group("0::/\n"); // the mount is of a group below ours
    ck_assert_uint_eq(limit(), NONE);
}
END_TEST

START_TEST(in_a_namespace_the_group_is_the_root)
{
    group("0::/\n");
    mounts(V2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/memory.max", "5000000\n");
    ck_assert_uint_eq(limit(), 5000000);
    // Mounted from outside of it: the limit of an ancestor, at least.
    mounts(V2("/../..", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/a/memory.max", "1\n");
    ck_assert_uint_eq(limit(), 5000000);
    group("0::/a\n");
    ck_assert_uint_eq(limit(), 5000000);
    // We are outside of our namespace: told from its root.
    group("0::/../../a\n");
    put("/sys/fs/cgroup/a/memory.max", "4000000\n");
    ck_assert_uint_eq(limit(), 4000000);
    group("0::/../..\n");
    ck_assert_uint_eq(limit(), 5000000);
    group("0::/..\n");
    ck_assert_uint_eq(limit(), 5000000);
    group("0::/../../..\n"); // above what is mounted
    ck_assert_uint_eq(limit(), NONE);
    mounts(V2("/", "/sys/fs/cgroup"));
    group("0::/../a\n");
    ck_assert_uint_eq(limit(), NONE);
    mounts(V2("/../x", "/sys/fs/cgroup")); // a neighbour's
    group("0::/\n");
    ck_assert_uint_eq(limit(), NONE);
}
END_TEST

START_TEST(odd_names_are_unescaped_and_kept)
{
    group("0::/my slice/a:b\n");
    mounts(V2("/my\\040slice", "/run/c\\040g\\134x\\011y"));
    put("/run/c g\\x\ty/a:b/memory.max", "5000000\n");
    ck_assert_uint_eq(limit(), 5000000);
    group("0::/gone (deleted)\n");
    mounts(V2("/", "/"));
    put("/memory.max", "4000000\n");
    ck_assert_uint_eq(limit(), 4000000);
}
END_TEST

START_TEST(every_mount_that_shows_the_group_counts)
{
    group("0::/a/b\n");
    mounts(V2("/a", "/one") V2("/", "/two") V2("/c", "/three"));
    put("/one/memory.max", "5000000\n");
    put("/two/memory.max", "6000000\n");
    put("/three/memory.max", "1\n");
    ck_assert_uint_eq(limit(), 5000000);
    put("/two/a/b/memory.max", "4000000\n");
    ck_assert_uint_eq(limit(), 4000000);
}
END_TEST

START_TEST(what_is_no_number_is_no_limit)
{
    static const struct {
        const char *text;
        uint64_t want;
    } rows[] = {
        { "max\n", NONE },
        { "", NONE },
        { "\n", NONE },
        { "0\n", NONE }, // nobody could run
        { "1", 1 },
        { "4096\nmore\n", 4096 },
        { "-1\n", NONE },
        { " 4096\n", NONE },
        { "4096 \n", NONE },
        { "4k\n", NONE },
        { "0x1000\n", NONE },
        { "1e9\n", NONE },
        { "4611686018427387903\n", NONE }, // about the largest that counts
        { "1000000000000000000\n", UINT64_C(1000000000000000000) },
        { "18446744073709551615\n", NONE },
        { "18446744073709551617\n", NONE }, // would be 1
        { "99999999999999999999999999999999999999999999999999\n", NONE },
        { "00000000000000000000000000000000000000000000000001\n", NONE },
    };
    group("0::/\n");
    mounts(V2("/", "/cg"));
    for (size_t i = 0; i < tz_countof(rows); i++) {
        put("/cg/memory.max", rows[i].text);
        uint64_t got = limit();
        ck_assert_msg(got == rows[i].want, "\"%s\": %llu", rows[i].text,
                      (unsigned long long)got);
    }
}
END_TEST

START_TEST(missing_and_broken_files_are_no_limit)
{
    ck_assert_uint_eq(limit(), NONE); // nothing at all
    group("0::/\n");
    ck_assert_uint_eq(limit(), NONE); // no mounts
    put("/cg/memory.max", "5000000\n");
    static const char *const broken[] = {
        "", "\n", "\n\n\n", "30", "30 20 0:30 / /cg rw\n",
        "30 20 0:30 / /cg rw - cgroup2", "30 20 0:30 / /cg rw -\n",
        "30 20 0:30 x /cg rw - cgroup2 cgroup2 rw\n",
        "30 20 0:30 / cg rw - cgroup2 cgroup2 rw\n",
        "30 20 0:30 / /cg rw - cgroup cgroup rw,memory\n",
    };
    for (size_t i = 0; i < tz_countof(broken); i++) {
        mounts(broken[i]);
        ck_assert_msg(limit() == NONE, "\"%s\"", broken[i]);
    }
    mounts(V2("/", "/cg"));
    ck_assert_uint_eq(limit(), 5000000);
    static const char *const groups[] = { "", "\n", "0\n", "0:\n", "0::\n",
                                          "0::x\n", "1::/\n", "0:cpu:/\n",
                                          "::::\n" };
    for (size_t i = 0; i < tz_countof(groups); i++) {
        group(groups[i]);
        ck_assert_msg(limit() == NONE, "\"%s\"", groups[i]);
    }
    group("garbage\n\n0::/"); // the last line without its end
    ck_assert_uint_eq(limit(), 5000000);
}
END_TEST

// Longer than there is room for: left out, and the lines behind it count.
START_TEST(long_names_and_lines_are_passed_over)
{
    enum { LONG = 6000 };
    static char text[4 * LONG];
    char name[LONG + 1];
    memset(name, 'a', LONG);
    name[LONG] = 0;
    group("0::/\n");
    put("/cg/memory.max", "5000000\n");
    snprintf(text, sizeof text,
             "30 20 0:30 / /over rw - overlay overlay rw,lowerdir=%s\n"
             "31 20 0:30 /%s /%s rw - cgroup2 cgroup2 rw\n%s",
             name, name, name, V2("/", "/cg"));
    mounts(text);
    ck_assert_uint_eq(limit(), 5000000);
    snprintf(text, sizeof text, "0::/%s\n", name);
    group(text);
    ck_assert_uint_eq(limit(), NONE);
    // Far down, where nothing is: what is above counts.
    static char deep[LONG];
    for (int i = 0; i < 500; i++)
        strcat(deep, "/a");
    snprintf(text, sizeof text, "0::%s\n", deep);
    group(text);
    ck_assert_uint_eq(limit(), 5000000);
}
END_TEST

static uint64_t cpus(void)
{
    errno = 77;
    uint64_t n = tz_cgroup_limits(root).cpus;
    ck_assert_int_eq(errno, 77);
    return n;
}

START_TEST(v2_quotas_of_processors_are_rounded_up)
{
    static const struct {
        const char *text;
        uint64_t cpus;
    } row[] = {
        { "max 100000\n", NONE },    { "100000 100000\n", 1 },
        { "1000 100000\n", 1 },      { "100001 100000\n", 2 },
        { "150000 100000\n", 2 },    { "200000 100000\n", 2 },
        { "50000 10000\n", 5 },      { "1 1\n", 1 },
        { "0 100000\n", NONE },      { "100000 0\n", NONE },
        { "100000\n", NONE },        { "", NONE },
        { "100000 x\n", NONE },      { "-1 100000\n", NONE },
        { "300000 100000 7\n", NONE },
    };
    group("0::/a\n");
    mounts(V2("/", "/sys/fs/cgroup"));
    ck_assert_uint_eq(cpus(), NONE); // no file
    for (size_t i = 0; i < tz_countof(row); i++) {
        put("/sys/fs/cgroup/a/cpu.max", row[i].text);
        ck_assert_msg(cpus() == row[i].cpus, "%s: %llu", row[i].text,
                      (unsigned long long)cpus());
    }
}
END_TEST

START_TEST(v2_the_lowest_quota_up_to_the_top_counts)
{
    group("0::/a/b/c\n");
    mounts(V2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "900000 100000\n");
    ck_assert_uint_eq(cpus(), 9);
    put("/sys/fs/cgroup/a/cpu.max", "350000 50000\n"); // another period
    ck_assert_uint_eq(cpus(), 7);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "1000000 100000\n");
    ck_assert_uint_eq(cpus(), 7);
    put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    ck_assert_uint_eq(cpus(), 3);
    put("/sys/fs/cpu.max", "1 100000\n");                // above the mount
    put("/sys/fs/cgroup/a/b/c/d/cpu.max", "1 100000\n"); // below us
    put("/sys/fs/cgroup/a/b/c/cpu.cfs_quota_us", "1\n"); // not v2's
    put("/sys/fs/cgroup/a/b/c/cpu.cfs_period_us", "1\n");
    ck_assert_uint_eq(cpus(), 3);
    ck_assert_uint_eq(limit(), NONE);
}
END_TEST

START_TEST(v1_quotas_are_those_of_the_group_for_processors)
{
    group("5:cpu,cpuacct:/x/y\n4:memory:/a\n3:cpuset:/z\n");
    mounts("33 20 0:30 / /cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
           "34 20 0:31 / /cpuset rw - cgroup cgroup rw,cpuset\n"
           "35 20 0:32 / /memory rw - cgroup cgroup rw,memory\n");
    put("/cpu/x/y/cpu.cfs_quota_us", "-1\n");
    put("/cpu/x/y/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(cpus(), NONE);
    put("/cpu/x/cpu.cfs_quota_us", "250000\n");
    ck_assert_uint_eq(cpus(), NONE); // without a period it is none
    put("/cpu/x/cpu.cfs_period_us", "50000\n");
    ck_assert_uint_eq(cpus(), 5);
    put("/cpu/x/y/cpu.cfs_quota_us", "100001\n");
    ck_assert_uint_eq(cpus(), 2);
    put("/cpu/x/y/cpu.max", "1 1\n"); // not v1's
    put("/cpuset/z/cpu.cfs_quota_us", "1\n");
    put("/cpuset/z/cpu.cfs_period_us", "1\n");
    put("/memory/a/cpu.cfs_quota_us", "1\n");
    put("/memory/a/cpu.cfs_period_us", "1\n");
    ck_assert_uint_eq(cpus(), 2);
}
END_TEST

static int threads(void) { return tz_ncpu_within(tz_cgroup_limits(root).cpus); }

START_TEST(threads_are_as_many_as_quota_and_mask_allow)
{
    int allowed = tz_ncpu();
    ck_assert_int_eq(threads(), allowed); // no files
    group("0::/\n");
    mounts(V2("/", "/sys/fs/cgroup"));
    put("/sys/fs/cgroup/cpu.max", "10000 100000\n");
    ck_assert_int_eq(threads(), 1);
    ck_assert_int_eq(tz_ncpu(), allowed); // what spins does not ask for it
    char text[64];
    snprintf(text, sizeof text, "%d00000 100000\n", allowed + 1);
    put("/sys/fs/cgroup/cpu.max", text);
    ck_assert_int_eq(threads(), allowed);
    put("/sys/fs/cgroup/cpu.max", "4000000000000 1\n"); // no int
    ck_assert_int_eq(threads(), allowed);
}
END_TEST

// Whatever this machine has: an answer, and the same one twice.
START_TEST(the_real_tree_is_read)
{
    uint64_t n = tz_cgroup_limits("").memory;
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(tz_cgroup_limits("").memory, n);
    printf("limit: %llu\n", (unsigned long long)n);
    n = tz_cgroup_limits("").cpus;
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_eq(tz_cgroup_limits("").cpus, n);
    printf("processors: %llu\n", (unsigned long long)n);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        v2_is_the_lowest_of_max_and_high_up_to_the_top,
        v1_reads_its_own_files_and_the_hierarchy,
        hybrid_counts_both,
        a_mount_of_a_part_leaves_out_its_root,
        in_a_namespace_the_group_is_the_root,
        odd_names_are_unescaped_and_kept,
        every_mount_that_shows_the_group_counts,
        what_is_no_number_is_no_limit,
        missing_and_broken_files_are_no_limit,
        long_names_and_lines_are_passed_over,
        v2_quotas_of_processors_are_rounded_up,
        v2_the_lowest_quota_up_to_the_top_counts,
        v1_quotas_are_those_of_the_group_for_processors,
        threads_are_as_many_as_quota_and_mask_allow,
        the_real_tree_is_read,
        NULL,
    };
    Suite *suite = suite_create("os/cgroup");
    TCase *tc = tcase_create("os/cgroup");
    tcase_add_checked_fixture(tc, tree, tree_remove);
    for (size_t i = 0; tests[i]; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
