// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_fixed_test.c: wished-for addresses, on kernels that do not grant
// them.

#include <dlfcn.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "vm_rig.h"

static size_t page_of_the_day; // what the system says, if not 0

#if !TZ_TSAN // whose start-up asks it before a function of ours can run
// Stands before libc's.
long sysconf(int name)
{
    if (name == _SC_PAGESIZE && page_of_the_day)
        return (long)page_of_the_day;
    static long (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}
#endif

enum { PAGES = 16 };

static size_t size(void)
{
    return PAGES * tz_vm_page();
}

// n bytes that nobody has, with as much of nobody's on both sides.
static char *a_hole_of(size_t n)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *p = mmap(NULL, 3 * n, PROT_NONE, flags, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    ck_assert_int_eq(munmap(p, 3 * n), 0);
    return (char *)tz_align_up((uintptr_t)p + n, tz_vm_page());
}

static char *a_hole(void)
{
    return a_hole_of(size());
}

// A page of somebody else's.
static char *occupy(char *p)
{
    p = mmap(p, tz_vm_page(), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    strcpy(p, "mine");
    return p;
}

// From here on mincore fails with err, for this process.
static void break_mincore(int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mincore, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { tz_countof(code), code };
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// What the calls were: h hint, n no-replace, f fixed, u munmap.
static const char *calls(void)
{
    static char text[LOG_MAX + 1];
    int n = 0;
    for (int i = 0; i < k.calls; i++) {
        char what = k.log[i].what;
        if (what == 'm')
            what = k.log[i].flags & MAP_FIXED             ? 'f'
                   : k.log[i].flags & MAP_FIXED_NOREPLACE ? 'n'
                                                          : 'h';
        text[n++] = what;
    }
    text[n] = 0;
    return text;
}

static void check_mapped(char *p)
{
    for (size_t i = 0; i < size(); i++)
        ck_assert_int_eq(p[i], 0);
    memset(p, 1, size());
    ck_assert_int_eq(k.balance, (int64_t)size());
    ck_assert_int_eq(believed(), k.balance);
    ck_assert_uint_eq(stats().ready[TZ_VM_HEAP], size());
}

static void check_nothing_mapped(void)
{
    ck_assert_int_eq(k.balance, 0);
    ck_assert_int_eq(believed(), 0);
}

START_TEST(s2_01_free_means_every_page_is_unmapped)
{
    char *p = a_hole();
    size_t page = tz_vm_page();
    ck_assert(tz_vm_is_free(p, size()));
    occupy(p + 7 * page);
    ck_assert(!tz_vm_is_free(p, size()));
    ck_assert(tz_vm_is_free(p, 7 * page));
    ck_assert(tz_vm_is_free(p + 8 * page, 8 * page));
    // Without access it is as busy.
    ck_assert_int_eq(mprotect(p + 7 * page, page, PROT_NONE), 0);
    ck_assert(!tz_vm_is_free(p, size()));
    ck_assert_int_eq(munmap(p + 7 * page, page), 0);
    ck_assert(tz_vm_is_free(p, size()));
}
END_TEST

START_TEST(s2_01_part_pages_are_not_free)
{
    char *p = a_hole();
    ck_assert(!tz_vm_is_free(p + 1, size()));
    ck_assert(!tz_vm_is_free(p, size() - 1));
    ck_assert(!tz_vm_is_free(p, 0));
    ck_assert(!tz_vm_is_free(NULL, tz_vm_page()));
    ck_assert(!tz_vm_is_free((void *)(UINTPTR_MAX - tz_vm_page() + 1),
                             tz_vm_page()));
}
END_TEST

START_TEST(s2_01_a_kernel_that_cannot_tell_is_not_believed)
{
    static const int errs[] = { ENOSYS, EINVAL, ENOMEM, EPERM };
    char *p = a_hole();
    for (size_t i = 0; i < tz_countof(errs); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            break_mincore(errs[i]);
            _exit(tz_vm_is_free(p, size()));
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

START_TEST(s2_02_a_hint_that_is_taken_is_one_call)
{
    char *p = a_hole();
    install();
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    ck_assert_str_eq(calls(), "h");
    check_mapped(p);
    tz_vm_free(p, size(), TZ_VM_HEAP, TZ_VM_READY);
    check_nothing_mapped();
}
END_TEST

START_TEST(s2_02_an_ignored_hint_is_given_back_first)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return; // s2_21
    char *p = a_hole();
    install();
    k.ignore_hints = true;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    ck_assert_str_eq(calls(), "hun");
    check_mapped(p);
}
END_TEST

// A kernel before 4.17: the flag is unknown, and what comes is elsewhere.
START_TEST(s2_02_a_kernel_without_noreplace_is_looked_at)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    char *p = a_hole();
    install();
    k.ignore_hints = k.no_noreplace = true;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    ck_assert_str_eq(calls(), "hunuf");
    check_mapped(p);
}
END_TEST

START_TEST(s2_02_a_busy_page_stops_every_step)
{
    char *p = a_hole(), *theirs = occupy(p + 7 * tz_vm_page());
    install();
    for (int old = 0; old < 2; old++) {
        for (int deaf = 0; deaf < 2; deaf++) {
            k.no_noreplace = old;
            k.ignore_hints = deaf;
            ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), -EEXIST);
            check_nothing_mapped();
            ck_assert_str_eq(theirs, "mine");
            ck_assert_ptr_null(strchr(calls(), 'f'));
        }
    }
}
END_TEST

START_TEST(s2_02_a_refusal_is_tried_twice_and_told)
{
    char *p = a_hole();
    install();
    k.fail_mmap = FOREVER;
    k.mmap_err = ENOMEM;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), -ENOMEM);
    ck_assert_str_eq(calls(), TZ_SAN_OWNS_ADDRESSES ? "h" : "hn");
    check_nothing_mapped();
    // Somebody who refuses the wish alone.
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    k.fail_mmap = k.calls = 0;
    k.deny_hints = true;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    ck_assert_str_eq(calls(), "hn");
    check_mapped(p);
}
END_TEST

static void map_where_nothing_can_be_looked_up(void)
{
    char *p = a_hole();
    install();
    break_mincore(ENOSYS);
    k.ignore_hints = k.no_noreplace = true;
    if (tz_vm_map_at(p, size(), TZ_VM_HEAP) != -EEXIST || k.balance != 0 ||
        strcmp(calls(), TZ_SAN_OWNS_ADDRESSES ? "hu" : "hunu") != 0)
        _exit(1);
}

START_TEST(s2_02_without_mincore_nothing_is_forced)
{
    struct os_ended e = os_child(map_where_nothing_can_be_looked_up);
    ck_assert_msg(e.status == 0, "%s", e.text);
}
END_TEST

// As under a sanitizer: no wish is granted and no force allowed.
START_TEST(s2_02_where_force_is_refused_the_address_is_busy)
{
    char *p = a_hole();
    install();
    k.ignore_hints = true;
    k.noreplace_err = k.fixed_err = EINVAL;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), -EEXIST);
    ck_assert_str_eq(calls(), TZ_SAN_OWNS_ADDRESSES ? "hu" : "hunf");
    check_nothing_mapped();
    // An EINVAL that was not about the flag is not remembered.
    k.noreplace_err = k.fixed_err = k.calls = 0;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP),
                     TZ_SAN_OWNS_ADDRESSES ? -EEXIST : 0);
    ck_assert_str_eq(calls(), TZ_SAN_OWNS_ADDRESSES ? "hu" : "hun");
}
END_TEST

START_TEST(s2_02_what_came_elsewhere_is_not_in_its_own_way)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    char *p = a_hole();
    install();
    k.ignore_hints = k.no_noreplace = true;
    k.elsewhere = p + 4 * tz_vm_page(); // overlaps what is wanted
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    ck_assert_str_eq(calls(), "hunuf");
    ck_assert_ptr_eq(k.log[1].p, p + 4 * tz_vm_page());
    check_mapped(p);
}
END_TEST

START_TEST(s2_02_part_pages_are_refused_before_any_call)
{
    if (TZ_TSAN)
        return;
    page_of_the_day = 65536; // before it is asked for
    install();
    char *p = a_hole() + 4096;
    ck_assert_int_eq(tz_vm_map_at(p, 65536, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_map_at(p - 4096, 4096, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_map_at(NULL, 65536, TZ_VM_HEAP), -EINVAL);
    ck_assert_int_eq(tz_vm_probe(p, 65536), -EINVAL);
    ck_assert_int_eq(k.calls, 0);
    ck_assert_uint_eq(tz_vm_page(), 65536);
}
END_TEST

// At no moment is more mapped than was asked for.
START_TEST(s2_03_never_twice_the_memory)
{
    char *p = a_hole();
    install();
    k.ignore_hints = k.no_noreplace = true;
    tz_vm_map_at(p, size(), TZ_VM_HEAP);
    int64_t now = 0;
    for (int i = 0; i < k.calls; i++) {
        const struct call *c = &k.log[i];
        now += c->err ? 0 : c->what == 'm' ? (int64_t)c->n : -(int64_t)c->n;
        ck_assert_int_le(now, (int64_t)size());
    }
    ck_assert_int_eq(now, TZ_SAN_OWNS_ADDRESSES ? 0 : (int64_t)size());
    ck_assert_int_eq(now, k.balance);
}
END_TEST

START_TEST(s2_04_a_failed_map_is_never_unmapped)
{
    static const int errs[] = { ENOMEM, EINVAL, EEXIST, EPERM,
                                EACCES, EAGAIN, ENOSYS, EOPNOTSUPP };
    char *p = a_hole();
    install();
    for (size_t i = 0; i < tz_countof(errs); i++) {
        k.fail_mmap = FOREVER;
        k.mmap_err = errs[i];
        int err = tz_vm_map_at(p, size(), TZ_VM_HEAP);
        ck_assert(err == -ENOMEM || err == -EEXIST);
        ck_assert_int_ne(tz_vm_probe(p, size()), 0);
    }
    ck_assert_int_eq(count_calls('u'), 0);
    check_nothing_mapped();
}
END_TEST

START_TEST(s2_05_a_probe_takes_64k_and_gives_it_back)
{
    char *p = a_hole();
    install();
    ck_assert_int_eq(tz_vm_probe(p, 16 * TZ_GIB), 0);
    ck_assert_str_eq(calls(), "hu");
    ck_assert_uint_eq(k.log[0].n, 64 * TZ_KIB);
    ck_assert_int_eq(k.log[0].prot, PROT_NONE);
    check_nothing_mapped();
    k.calls = 0;
    ck_assert_int_eq(tz_vm_probe(p, tz_vm_page()), 0); // no more than asked
    ck_assert_uint_eq(k.log[0].n, tz_vm_page());
    occupy(p);
    ck_assert_int_eq(tz_vm_probe(p, 16 * TZ_GIB), -EEXIST);
    check_nothing_mapped();
    k.fail_mmap = FOREVER;
    k.mmap_err = ENOMEM;
    ck_assert_int_eq(tz_vm_probe(a_hole(), 16 * TZ_GIB), -ENOMEM);
    check_nothing_mapped();
}
END_TEST

START_TEST(s2_05_a_probe_fits_where_the_range_does_not)
{
    if (TZ_ASAN || TZ_TSAN)
        return; // they have more mapped than any limit
    char *p = a_hole_of(16 * TZ_GIB);
    struct rlimit limit = { 64 * TZ_MIB, 64 * TZ_MIB };
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    uint64_t before = tz_vmsys_mapped(TZ_VMSYS_ALL);
    ck_assert_int_eq(tz_vm_probe(p, 16 * TZ_GIB), 0);
    ck_assert_uint_eq(tz_vmsys_mapped(TZ_VMSYS_ALL), before);
    ck_assert_int_eq(tz_vm_map_at(p, 16 * TZ_GIB, TZ_VM_HEAP), -ENOMEM);
    ck_assert_uint_eq(tz_vmsys_mapped(TZ_VMSYS_ALL), before);
}
END_TEST

START_TEST(s2_08_a_probe_that_comes_elsewhere_leaks_nothing)
{
    char *p = a_hole();
    occupy(p + tz_vm_page());
    install();
    k.ignore_hints = true;
    for (int old = 0; old < 2; old++) {
        k.no_noreplace = old;
        ck_assert_int_eq(tz_vm_probe(p, size()), -EEXIST);
        ck_assert_int_eq(k.balance, 0);
    }
}
END_TEST

START_TEST(s2_17_ignored_hints_are_found_out_once)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    enum { N = 20 };
    char *p = a_hole();
    install();
    k.ignore_hints = true;
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
        tz_vm_free(p, size(), TZ_VM_HEAP, TZ_VM_READY);
    }
    ck_assert_int_le(k.calls, 2 * N + 3);
    // A kernel that does not know the second step either: as much again.
    k.no_noreplace = true;
    k.calls = 0;
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
        tz_vm_free(p, size(), TZ_VM_HEAP, TZ_VM_READY);
    }
    ck_assert_int_le(k.calls, 2 * N + 3);
}
END_TEST

// Another thread maps a page between our look and our call.
START_TEST(s2_18_who_comes_between_keeps_his_page)
{
    char *p = a_hole(), *theirs = p + 5 * tz_vm_page();
    install();
    k.ignore_hints = true;
    k.intruder = theirs;
    if (TZ_SAN_OWNS_ADDRESSES)
        intrude();
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), -EEXIST);
    ck_assert_str_eq(theirs, "mine");
    check_nothing_mapped();
}
END_TEST

// Nor is anything forced where hints are taken: a missed one means busy.
START_TEST(s2_18_an_old_kernel_that_takes_hints_needs_no_force)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return;
    char *p = a_hole();
    install();
    k.no_noreplace = true;
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    tz_vm_free(p, size(), TZ_VM_HEAP, TZ_VM_READY);
    occupy(p);
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), -EEXIST);
    ck_assert_int_eq(munmap(p, tz_vm_page()), 0);
    ck_assert_int_eq(tz_vm_map_at(p, size(), TZ_VM_HEAP), 0);
    k.ignore_hints = true; // just now somebody was there
    char *q = a_hole();
    ck_assert_int_eq(tz_vm_map_at(q, size(), TZ_VM_HEAP), -EEXIST);
    ck_assert_ptr_null(strchr(calls(), 'f'));
}
END_TEST

static struct {
    char *lo;      // atomic; set when both threads have their memory
    uint32_t stop; // atomic
    uint64_t theirs; // atomic
    uint64_t ours;
} race;

// Maps single pages in the range, and sees that they stay its own.
static void *other_thread(void *arg)
{
    unsigned seed = 1;
    size_t page = tz_vm_page();
    while (!tz_load_acq(&race.lo))
        sched_yield();
    while (!tz_load_acq(&race.stop)) {
        char *p = tz_load_acq(&race.lo) + (size_t)(rand_r(&seed) % PAGES) * page;
        char *q = mmap(p, page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                       0);
        if (q == MAP_FAILED)
            continue;
        *(volatile char *)q = 7;
        sched_yield();
        ck_assert_int_eq(*(volatile char *)q, 7);
        ck_assert_int_eq(munmap(q, page), 0);
        tz_store_rlx(&race.theirs, race.theirs + 1);
    }
    return arg;
}

START_TEST(s2_18_no_page_of_another_thread_is_overwritten)
{
    enum { CALLS = TZ_SAN_OWNS_ADDRESSES ? 5000 : 100000 };
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
    bool both = false;
    for (int i = 0; i < CALLS || !both; i++) {
        if (i % CALLS == 0)
            tz_store_rel(&race.lo, a_hole());
        if (i && i % CALLS == 0)
            usleep(1000); // one had no luck so far
        int err = tz_vm_map_at(race.lo, size(), TZ_VM_HEAP);
        ck_assert(err == 0 || err == -EEXIST);
        both = race.ours && tz_load_rlx(&race.theirs);
        if (err)
            continue;
        race.ours++;
        ck_assert_int_eq(race.lo[(size_t)i % size()], 0);
        tz_vm_free(race.lo, size(), TZ_VM_HEAP, TZ_VM_READY);
    }
    tz_store_rel(&race.stop, 1);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(race.ours, 0);
    ck_assert_uint_gt(race.theirs, 0);
}
END_TEST

// The wishes that others have been seen to make, and some of their own.
START_TEST(s2_21_no_address_is_forced_on_a_sanitizer)
{
    static const uint64_t wishes[] = {
        0xc000000000,   0xf800000000,   0x100000000000, 0x200000000000,
        0x600000000000, 0x7b0000000000, 0x7fff8000,     0x10007fff8000,
    };
    install();
    for (size_t i = 0; i < tz_countof(wishes); i++) {
        char *p = (char *)(uintptr_t)wishes[i];
        int err = tz_vm_map_at(p, size(), TZ_VM_HEAP);
        ck_assert(err == 0 || err == -EEXIST || err == -ENOMEM);
        if (err == 0) {
            memset(p, 1, size());
            tz_vm_free(p, size(), TZ_VM_HEAP, TZ_VM_READY);
        }
        free(malloc(1000)); // the sanitizer still works
    }
    check_nothing_mapped();
    if (TZ_SAN_OWNS_ADDRESSES)
        for (int i = 0; i < k.calls; i++)
            ck_assert_int_eq(k.log[i].flags & RIG_FORCE, 0);
}
END_TEST

START_TEST(s2_22_the_room_is_the_limit_less_what_is_mapped)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    if (limit.rlim_cur == RLIM_INFINITY)
        ck_assert_uint_eq(tz_vm_room(), UINT64_MAX);
    if (TZ_ASAN || TZ_TSAN)
        return;
    uint64_t mapped = tz_vmsys_mapped(TZ_VMSYS_ALL);
    ck_assert_uint_gt(mapped, TZ_MIB);
    limit.rlim_cur = mapped + 256 * TZ_MIB;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    uint64_t room = tz_vm_room();
    ck_assert_uint_le(room, 256 * TZ_MIB);
    ck_assert_uint_ge(room, 255 * TZ_MIB);
    // And that is what can be had.
    ck_assert_ptr_null(tz_vm_reserve(NULL, room + TZ_MIB, 0, TZ_VM_HEAP));
    ck_assert_ptr_nonnull(tz_vm_reserve(NULL, room - TZ_MIB, 0, TZ_VM_HEAP));
    ck_assert_uint_le(tz_vm_room(), TZ_MIB);
    limit.rlim_cur = TZ_MIB;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_uint_eq(tz_vm_room(), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s2_01_free_means_every_page_is_unmapped,
        s2_01_part_pages_are_not_free,
        s2_01_a_kernel_that_cannot_tell_is_not_believed,
        s2_02_a_hint_that_is_taken_is_one_call,
        s2_02_an_ignored_hint_is_given_back_first,
        s2_02_a_kernel_without_noreplace_is_looked_at,
        s2_02_a_busy_page_stops_every_step,
        s2_02_a_refusal_is_tried_twice_and_told,
        s2_02_without_mincore_nothing_is_forced,
        s2_02_where_force_is_refused_the_address_is_busy,
        s2_02_what_came_elsewhere_is_not_in_its_own_way,
        s2_02_part_pages_are_refused_before_any_call,
        s2_03_never_twice_the_memory,
        s2_04_a_failed_map_is_never_unmapped,
        s2_05_a_probe_takes_64k_and_gives_it_back,
        s2_05_a_probe_fits_where_the_range_does_not,
        s2_08_a_probe_that_comes_elsewhere_leaks_nothing,
        s2_17_ignored_hints_are_found_out_once,
        s2_18_who_comes_between_keeps_his_page,
        s2_18_an_old_kernel_that_takes_hints_needs_no_force,
        s2_18_no_page_of_another_thread_is_overwritten,
        s2_21_no_address_is_forced_on_a_sanitizer,
        s2_22_the_room_is_the_limit_less_what_is_mapped,
        NULL,
    };
    return os_check("os/vm_fixed", tests);
}
