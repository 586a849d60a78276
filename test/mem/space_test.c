// SPDX-License-Identifier: BSD-3-Clause
// test: no-asan no-tsan
// test/mem/space_test.c: where the heap lies, what lies around it, and how it
// gets by with little address space. Sanitizers have plans of their own.

#include "mem_check.h"

#include <sys/personality.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "tuza.h"

// --- addresses that nobody can guess

// The program of each run, started as `space_test base`.
static int print_base(void)
{
    if (tz_heap_init() != 0)
        return 1;
    uint64_t base = tz_mem.region[0].base;
    return write(STDOUT_FILENO, &base, sizeof base) != sizeof base;
}

static uint64_t base_of_a_run(void)
{
    int fd[2];
    uint64_t base = 0;
    ck_assert_int_eq(pipe(fd), 0);
    pid_t pid = vfork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        execl("/proc/self/exe", "space_test", "base", (char *)NULL);
        _exit(1);
    }
    close(fd[1]);
    ck_assert_int_eq(read(fd[0], &base, sizeof base), sizeof base);
    close(fd[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return base;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(heap_base_differs_in_990_of_1000_runs)
{
    enum { RUNS = 1000 };
    static uint64_t base[RUNS];
    uint64_t ones = 0, zeros = 0;
    int different = 1;
    // The kernel's own randomness is off, as under `setarch -R`.
    ck_assert_int_ge(personality(ADDR_NO_RANDOMIZE), 0);
    for (int i = 0; i < RUNS; i++) {
        base[i] = base_of_a_run();
        ck_assert_uint_eq(base[i] % (4 * TZ_MIB), 0);
        ones |= base[i];
        zeros |= ~base[i];
    }
    qsort(base, RUNS, sizeof base[0], by_value);
    for (int i = 1; i < RUNS; i++)
        different += base[i] != base[i - 1];
    ck_assert_int_ge(different, 990);
    ck_assert_uint_ge(base[0], (uint64_t)1 << 40); // no small number
    // 24 bits and more take either value.
    ck_assert_int_ge(tz_popcount64(ones & zeros), 24);
}
END_TEST

// --- nothing is executable

static int alloc_a_little(void)
{
    for (int i = 0; i < 2000; i++)
        if (!tuza_alloc(16 + (size_t)i % 3000))
            return 1;
    return 0;
}

static void in_goroutine(void *arg)
{
    (void)arg;
    alloc_a_little();
}

static int bad_mappings;

static void count_bad_mappings(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        const char *perms = strchr(line, ' ') + 1, *path = strchr(line, '/');
        bool w = perms[1] == 'w', x = perms[2] == 'x';
        bool kernels = strstr(line, "[vdso]") || strstr(line, "[vsyscall]");
        if ((w && x) || (x && !path && !kernels)) {
            printf("%s", line);
            bad_mappings++;
        }
    }
    fclose(f);
}

static int program(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 100; i++)
        tuza_spawn(in_goroutine, NULL);
    alloc_a_little();
    tuza_gc();
    tz_scavenge_all();
    alloc_a_little();
    count_bad_mappings();
    return 0;
}

START_TEST(s2_12_nothing_is_executable_in_a_running_program)
{
    ck_assert_int_eq(tuza_run(program, 0, NULL, NULL), 0);
    ck_assert_int_eq(bad_mappings, 0);
}
END_TEST

// --- words that look like addresses of a region

static uint32_t regions;

// Objects of many regions, in each of which words point into every region, its
// part that is not grown and behind its end.
static int many_regions(int argc, char **argv)
{
    enum { OBJECTS = 100 };
    uintptr_t *object[OBJECTS];
    (void)argc, (void)argv;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < OBJECTS; i++) {
            object[i] = tuza_alloc(3 * TZ_MIB);
            if (!object[i])
                return 1;
            for (uint32_t k = 0; k < tz_mem.nregions; k++) {
                const struct tz_region *r = &tz_mem.region[k];
                uintptr_t *w = object[i] + k * 4;
                w[0] = r->base + r->limit;
                w[1] = r->base + r->size - 8;
                w[2] = r->base + r->pages.npages * TZ_PAGE_SIZE;
                w[3] = w[2] - 8;
            }
        }
        tuza_gc();
        for (int i = 0; i < OBJECTS; i++)
            if (tuza_object_of(object[i], NULL) < 3 * TZ_MIB)
                return 2;
    }
    regions = tz_mem.nregions;
    return 0;
}

START_TEST(s2_06_no_word_leads_a_collection_out_of_what_is_grown)
{
    sys_install();
    sys.no_place = true;
    sys.mmap_max = 70 * TZ_MIB;
    ck_assert_int_eq(tuza_run(many_regions, 0, NULL, NULL), 0);
    ck_assert_uint_ge(regions, 5);
}
END_TEST

// --- garbage leaves the process while it goes on

static uint64_t most_released;

static int leaves_garbage(int argc, char **argv)
{
    (void)argc, (void)argv;
    void *volatile keep[64];
    for (int i = 0; i < 64; i++)
        memset(keep[i] = tuza_alloc_bytes(TZ_MIB), 1, TZ_MIB);
    for (int i = 0; i < 64; i++)
        keep[i] = NULL;
    tuza_gc();
    tuza_gc();
    for (int i = 0; i < 1000 && most_released < 32 * TZ_MIB; i++) {
        tuza_sleep(10 * TZ_NSEC_PER_MSEC);
        most_released = tz_max(most_released, tz_load_rlx(&tz_mem.released));
    }
    return 0;
}

START_TEST(garbage_goes_back_in_the_background)
{
    ck_assert_int_eq(tuza_run(leaves_garbage, 0, NULL, NULL), 0);
    ck_assert_uint_ge(most_released, 32 * TZ_MIB);
}
END_TEST

// --- guards: a linear write meets one before it meets what we know

static struct {
    uint64_t sum;       // of all metadata, before
    char *expect_lo, *expect_hi; // where the write must end
    uint64_t *persistent;
} seen;

static uint64_t sum_of(const void *p, size_t n, uint64_t sum)
{
    const uint64_t *w = p;
    for (size_t i = 0; i < n / sizeof *w; i++)
        sum = (sum ^ w[i]) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    return sum;
}

static uint64_t sum_of_metadata(void)
{
    uint64_t sum = sum_of(seen.persistent, 4096, 0);
    size_t size;
    for (uint32_t i = 0; i < tz_mem.nregions; i++) {
        const struct tz_region *r = &tz_mem.region[i];
        sum = sum_of(r, sizeof *r, sum);
        for (int t = 0; t < TZ_TABLES; t++)
            sum = sum_of(tz_region_table(r, (enum tz_table)t, &size),
                         r->mapped[t], sum);
    }
    return sum;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    char *at = info->si_addr;
    if (at < seen.expect_lo || at >= seen.expect_hi)
        _exit(21);
    _exit(sum_of_metadata() == seen.sum ? 20 : 22);
}

// Writes from p up or down until it is stopped: ends the process with 20 when
// that is in [lo, hi) and all metadata is as it was.
static void overflow(char *p, int step, void *lo, void *hi)
{
    static char stack[65536] __attribute__((aligned(65536)));
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_sigaction = on_fault,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaltstack(&ss, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    seen.persistent = tz_persist_alloc(4096, 4096);
    memset(seen.persistent, 0x5a, 4096);
    seen.expect_lo = lo;
    seen.expect_hi = hi;
    seen.sum = sum_of_metadata();
    tz_compiler_barrier(); // the handler reads it
    for (volatile char *at = p;; at += step)
        *at = 0x77;
}

static uint32_t heap_pages; // of the heap before the write; 0: a full region
static int direction;
static bool claimed;

static void overflow_body(void)
{
    sys_install();
    if (heap_pages == 0) {
        sys.no_place = true;
        sys.mmap_max = 13 * TZ_MIB;
    } else if (claimed) {
        sys.mmap_max = 3 * TZ_GIB;
    }
    heap_start();
    struct tz_region *r = &tz_mem.region[0];
    struct tz_span *s = tz_heap_span_alloc(
        NULL, heap_pages ? heap_pages : tz_region_npages(r), 0);
    if (!s || r->held == claimed)
        _exit(23);
    // Guards are at least 64 KiB, and ours where the region is held.
    char *base = (char *)r->base, *end = base + r->size;
    char *mapped = base + r->pages.npages * TZ_PAGE_SIZE;
    if (r->held && (r->heap > base - TZ_GUARD_BYTES ||
                    r->heap + r->heap_size < end + TZ_GUARD_BYTES))
        _exit(24);
    char *object = (char *)s->base + s->elem_size / 2;
    if (direction > 0)
        overflow(object, 1, mapped, mapped + 1);
    else
        overflow(object, -1, base - 1, base);
}

START_TEST(overflows_of_objects_meet_no_metadata)
{
    static const uint32_t sizes[] = { 1, 300, 512, 5000, 20000, 0 };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        for (int how = 0; how < 4; how++) {
            heap_pages = sizes[i];
            direction = how % 2 ? 1 : -1;
            claimed = how / 2;
            if (claimed && heap_pages == 0)
                continue;
            struct os_ended e = os_child(overflow_body);
            ck_assert_msg(e.status == 20, "%u pages, %d, %d: %d %s",
                          heap_pages, direction, claimed, e.status, e.text);
        }
    }
}
END_TEST

static int which_table;

static void table_body(void)
{
    sys_install();
    if (heap_pages == 0) {
        sys.no_place = true;
        sys.mmap_max = 13 * TZ_MIB;
    }
    heap_start();
    struct tz_region *r = &tz_mem.region[0];
    uint32_t n = heap_pages ? heap_pages : tz_region_npages(r);
    if (!tz_heap_span_alloc(NULL, n, 0))
        _exit(23);
    size_t size;
    char *p = tz_region_table(r, (enum tz_table)which_table, &size);
    char *end = p + r->mapped[which_table];
    if (direction > 0)
        overflow(end, 1, end, end + 1);
    else
        overflow(p - 1, -1, p - 1, p);
}

START_TEST(every_table_has_a_guard_at_both_ends)
{
    static const uint32_t sizes[] = { 1, 1000, 0 };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        for (which_table = 0; which_table < TZ_TABLES; which_table++) {
            for (direction = -1; direction <= 1; direction += 2) {
                heap_pages = sizes[i];
                struct os_ended e = os_child(table_body);
                ck_assert_msg(e.status == 20, "%u pages, table %d, %d: %d %s",
                              heap_pages, which_table, direction, e.status,
                              e.text);
            }
        }
    }
}
END_TEST

// --- little address space

static size_t vm_size(void)
{
    char text[256];
    os_read_file("/proc/self/statm", text, sizeof text);
    return strtoul(text, NULL, 10) * 4096;
}

static void limit(int what, size_t bytes)
{
    struct rlimit r = { bytes, bytes };
    ck_assert_int_eq(setrlimit(what, &r), 0);
}

// Objects of 1 MiB until there is no more; how many.
static int fill(struct tz_span **s, int most)
{
    int n = 0;
    while (n < most && (s[n] = tz_heap_span_alloc(NULL, 128, 0)))
        memset((void *)s[n++]->base, 1, TZ_MIB);
    ck_assert_int_lt(n, most);
    return n;
}

static void give_all_back(struct tz_span **s, int n)
{
    for (int i = 0; i < n; i++)
        tz_heap_span_free(s[i]);
}

START_TEST(s2_22_what_rlimit_as_leaves_is_for_objects)
{
    static const int rooms[] = { 8, 32, 64, 256, 1000 };
    static struct tz_span *s[2000];
    int mib = rooms[_i];
    limit(RLIMIT_AS, vm_size() + (size_t)mib * TZ_MIB);
    size_t before = vm_size();
    heap_start();
    ck_assert_uint_le(vm_size() - before, TZ_MIB / 4); // s2_05: no reservation
    int n = fill(s, 2000);
    ck_assert_int_ge(n, mib - mib / 16 - 2); // 1.8 % are side tables
    give_all_back(s, n);
    ck_assert_int_eq(fill(s, 2000), n);
}
END_TEST

START_TEST(s2_23_rlimit_data_ends_growth_not_the_start)
{
    static struct tz_span *s[200];
    limit(RLIMIT_DATA, 64 * TZ_MIB);
    heap_start();
    ck_assert_uint_ge(tz_mem.region[0].size, 64 * TZ_GIB);
    int n = fill(s, 200);
    ck_assert_int_ge(n, 50);
    ck_assert_int_le(n, 64);
    ck_assert_uint_eq(tz_mem.nregions, 1);
    give_all_back(s, n);
    ck_assert_int_eq(fill(s, 200), n);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "base") == 0)
        return print_base();
    Suite *suite = suite_create("mem/space");
    TCase *tc = tcase_create("space");
    tcase_set_timeout(tc, 120); // a thousand processes
    tcase_add_test(tc, heap_base_differs_in_990_of_1000_runs);
    tcase_add_test(tc, s2_12_nothing_is_executable_in_a_running_program);
    tcase_add_test(tc, s2_06_no_word_leads_a_collection_out_of_what_is_grown);
    tcase_add_test(tc, garbage_goes_back_in_the_background);
    tcase_add_test(tc, overflows_of_objects_meet_no_metadata);
    tcase_add_test(tc, every_table_has_a_guard_at_both_ends);
    tcase_add_loop_test(tc, s2_22_what_rlimit_as_leaves_is_for_objects, 0, 5);
    tcase_add_test(tc, s2_23_rlimit_data_ends_growth_not_the_start);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
