// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_user_test.c: the table as a user sees it (tuza/os.h): libc's
// calling shape, failures in errno, counts.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "os_check.h"
#include "os/lock.h"
#include "os/vm.h"
#include "os/vm_sys.h"
#include "tuza/os.h"

static struct {
    int maps, unmaps, protects, advices;
    int depth;         // acquires less releases
    int acquires;      // in all
    bool unbracketed;  // a call was made outside
    int fail;          // errno of the next mmap
    bool silent;       // it does not set errno
    void *place;       // where the next mmap is, whatever was asked
    int fd;            // as last seen
    off_t offset;
} u;

static void *my_mmap(void *p, size_t n, int prot, int flags, int fd, off_t off)
{
    u.maps++;
    u.unbracketed |= u.depth != 1;
    u.fd = fd;
    u.offset = off;
    if (u.fail) {
        if (!u.silent)
            errno = u.fail;
        u.fail = 0;
        return MAP_FAILED;
    }
    if (u.place) {
        p = u.place;
        u.place = NULL;
        return p;
    }
    return mmap(p, n, prot, flags, fd, off);
}

static int my_munmap(void *p, size_t n)
{
    u.unmaps++;
    u.unbracketed |= u.depth != 1;
    return munmap(p, n);
}

static int my_mprotect(void *p, size_t n, int prot)
{
    u.protects++;
    u.unbracketed |= u.depth != 1;
    return mprotect(p, n, prot);
}

static int my_madvise(void *p, size_t n, int advice)
{
    u.advices++;
    u.unbracketed |= u.depth != 1;
    return madvise(p, n, advice);
}

static void my_acquire(void)
{
    u.depth++;
    u.acquires++;
}

static void my_release(void)
{
    u.depth--;
    errno = 99; // careless
}

static const tuza_os_hooks mine = {
    .size = sizeof mine,
    .mmap = my_mmap,
    .munmap = my_munmap,
    .mprotect = my_mprotect,
    .madvise = my_madvise,
    .acquire = my_acquire,
    .release = my_release,
};

static tuza_os_counts counts(void)
{
    tuza_os_counts c = { .size = sizeof c };
    ck_assert_int_eq(tuza_os_counts_read(&c), 0);
    return c;
}

// Every kind of call.
static void use(void)
{
    size_t n = 4 * tz_vm_page();
    char *p = tz_vm_reserve(NULL, n, 4 * n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(tz_vm_map(p, n, TZ_VM_HEAP), 0);
    memset(p, 1, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    tz_vm_free(p, n, TZ_VM_HEAP, TZ_VM_RELEASED);
}

START_TEST(s0_01_mmap_and_munmap_come_together)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = my_mmap };
    ck_assert_int_eq(tuza_os_set_hooks(&h), -EINVAL);
    h = (tuza_os_hooks){ .size = sizeof h, .munmap = my_munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&h), -EINVAL);
    ck_assert_int_eq(tuza_os_set_hooks(NULL), -EINVAL);
    h = mine;
    for (size_t size = 0; size < offsetof(tuza_os_hooks, mprotect); size++) {
        h.size = size;
        ck_assert_int_eq(tuza_os_set_hooks(&h), -EINVAL);
    }
    h.size = sizeof h + 8; // of a version to come
    ck_assert_int_eq(tuza_os_set_hooks(&h), -EINVAL);
    use();
    ck_assert_int_eq(u.maps + u.unmaps, 0);
}
END_TEST

START_TEST(s0_01_a_shorter_struct_keeps_the_rest)
{
    tuza_os_hooks h = mine;
    h.acquire = NULL;
    h.release = NULL;
    h.size = offsetof(tuza_os_hooks, mprotect);
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    use();
    ck_assert_int_gt(u.maps, 0);
    ck_assert_int_gt(u.unmaps, 0);
    ck_assert_int_eq(u.protects + u.advices, 0);
}
END_TEST

START_TEST(s0_01_hooks_that_come_late_are_refused)
{
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0); // still in time
    use();
    ck_assert_int_eq(tuza_os_set_hooks(&mine), -EBUSY);
}
END_TEST

START_TEST(s0_02_the_users_table_sees_every_call)
{
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    for (int i = 0; i < 5; i++)
        use();
    tuza_os_counts c = counts();
    ck_assert_uint_eq(c.mmap, (uint64_t)u.maps);
    ck_assert_uint_eq(c.munmap, (uint64_t)u.unmaps);
    ck_assert_uint_eq(c.mprotect, (uint64_t)u.protects);
    ck_assert_uint_eq(c.madvise, (uint64_t)u.advices);
    ck_assert_uint_gt(c.bytes_mapped, 0);
    ck_assert_uint_eq(c.bytes_mapped, c.bytes_unmapped);
}
END_TEST

START_TEST(s0_03_a_failure_is_an_errno_and_no_pointer)
{
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    char *unchanged = (char *)&u;
    void *out = unchanged;
    u.fail = ENOMEM;
    int err = tz_vmcall_mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, &out);
    ck_assert_int_eq(err, ENOMEM);
    ck_assert_ptr_eq(out, unchanged);
    u.fail = EPERM;
    ck_assert_ptr_null(tz_vm_alloc(tz_vm_page(), TZ_VM_META));
    errno = 0;
    u.fail = EPERM;
    u.silent = true; // a hook that does not say why
    ck_assert_ptr_null(tz_vm_alloc(tz_vm_page(), TZ_VM_META));
    ck_assert_uint_eq(counts().bytes_mapped, 0);
}
END_TEST

START_TEST(s0_03_a_low_page_is_a_success)
{
    if (tz_vm_page() != 4096)
        return;
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    void *out = NULL;
    u.place = (void *)4096; // where vm.mmap_min_addr may put it
    int err = tz_vmcall_mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, &out);
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_eq(out, (void *)4096);
    u.place = (void *)4096;
    ck_assert_ptr_eq(tz_vm_reserve(NULL, 4096, 0, TZ_VM_HEAP), (void *)4096);
}
END_TEST

// What the collector might look at is a pointer or NULL, never a number.
START_TEST(s0_10_no_errno_stands_where_a_pointer_does)
{
    static const int errs[] = { ENOMEM, EINVAL, EAGAIN, EACCES, 4095 };
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    for (size_t i = 0; i < tz_countof(errs); i++) {
        u.fail = errs[i];
        ck_assert_ptr_null(tz_vm_alloc(tz_vm_page(), TZ_VM_META));
        u.fail = errs[i];
        ck_assert_ptr_null(tz_vm_reserve(NULL, tz_vm_page(), 0, TZ_VM_HEAP));
        u.fail = errs[i];
        ck_assert_ptr_null(tz_vm_alloc_stacks(tz_vm_page(), 0));
    }
    ck_assert_int_eq(u.unmaps, 0);
}
END_TEST

START_TEST(s0_06_hooks_hear_of_both_ends_of_a_call)
{
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    errno = 77;
    use();
    ck_assert_int_eq(errno, 77);
    ck_assert(!u.unbracketed);
    ck_assert_int_eq(u.depth, 0);
    ck_assert_int_eq(u.acquires, u.maps + u.unmaps + u.protects + u.advices);
}
END_TEST

START_TEST(s0_13_anonymous_memory_has_no_file)
{
    _Static_assert(sizeof(u.offset) == sizeof(off_t), "as wide as libc's");
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    u.fd = 5;
    u.offset = 5;
    use();
    ck_assert_int_eq(u.fd, -1);
    ck_assert_int_eq(u.offset, 0);
}
END_TEST

static void *on_a_new_thread(void *arg)
{
    use();
    return arg;
}

// Before anything was started, on a thread nobody has told the runtime of, with
// the highest lock held that a caller may hold.
START_TEST(s0_09_it_works_before_the_start_on_any_thread)
{
    static struct tz_lock lock = TZ_LOCK_INIT(TZ_RANK_PERSIST);
    ck_assert_int_eq(tuza_os_set_hooks(&mine), 0);
    tz_lock_acquire(&lock);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, on_a_new_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    use();
    tz_lock_release(&lock);
    ck_assert_int_gt(u.maps, 2);
}
END_TEST

START_TEST(counts_are_read_by_size)
{
    struct {
        tuza_os_counts c;
        uint64_t after;
    } x = { .c = { .size = sizeof x.c }, .after = 7 };
    ck_assert_int_eq(tuza_os_counts_read(NULL), -EINVAL);
    use();
    ck_assert_int_eq(tuza_os_counts_read(&x.c), 0);
    ck_assert_uint_eq(x.after, 7);
    x.c = (tuza_os_counts){ .size = offsetof(tuza_os_counts, munmap) };
    ck_assert_int_eq(tuza_os_counts_read(&x.c), 0);
    ck_assert_uint_gt(x.c.mmap, 0);
    ck_assert_uint_eq(x.c.munmap, 0);
    x.c.size = sizeof(size_t);
    ck_assert_int_eq(tuza_os_counts_read(&x.c), -EINVAL);
}
END_TEST

// From here on munmap fails with err, for this process.
static void forbid_munmap(int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { tz_countof(code), code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(77);
}

static void unmap_forbidden(int err)
{
    forbid_munmap(err);
    char *p = tz_vm_alloc(3 * tz_vm_page(), TZ_VM_META);
    char line[64];
    snprintf(line, sizeof line, "at %p\n", (void *)p);
    if (write(STDERR_FILENO, line, strlen(line)) > 0)
        tz_vm_free(p, 3 * tz_vm_page(), TZ_VM_META, TZ_VM_READY);
}

static void unmap_einval(void)
{
    unmap_forbidden(EINVAL);
}

static void unmap_eperm(void)
{
    unmap_forbidden(EPERM);
}

START_TEST(s0_05_a_forbidden_munmap_is_told_in_words)
{
    static const struct {
        void (*body)(void);
        const char *words;
    } rows[] = { { unmap_einval, "(Invalid argument)" },
                 { unmap_eperm, "(Operation not permitted)" } };
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = os_child(rows[i].body);
        char address[32], length[32];
        ck_assert_int_eq(e.status, 2);
        ck_assert_int_eq(sscanf(e.text, "at %31s", address), 1);
        snprintf(length, sizeof length, "%zu bytes", 3 * tz_vm_page());
        const char *line = strchr(e.text, '\n') + 1;
        ck_assert(!strncmp(line, "tuza: fatal: munmap: ", 21));
        os_assert_has(line, address);
        os_assert_has(line, length);
        os_assert_has(line, rows[i].words);
        os_assert_has(line, "system call filter");
        ck_assert_int_eq(os_count(line, "\n"), 1);
    }
}
END_TEST

static char target[64];

static void use_and_exit(void)
{
    setenv("TUZADEBUG", target, 1);
    for (int i = 0; i < 3; i++)
        use();
    exit(0);
}

static void use_and_die(void)
{
    setenv("TUZADEBUG", target, 1);
    use();
    tz_fatal("a test");
}

static void fork_and_exit(void)
{
    setenv("TUZADEBUG", target, 1);
    use();
    if (fork() == 0)
        exit(0);
    wait(NULL);
    exit(0);
}

START_TEST(counts_are_told_at_the_end)
{
    static const struct {
        void (*body)(void);
        int status;
    } rows[] = { { use_and_exit, 0 }, { use_and_die, 2 },
                 { fork_and_exit, 0 } };
    strcpy(target, "gctrace=0,oscount=2,oscalls=libc");
    for (size_t i = 0; i < tz_countof(rows); i++) {
        struct os_ended e = os_child(rows[i].body);
        ck_assert_int_eq(e.status, rows[i].status);
        ck_assert_int_eq(os_count(e.text, "tuza-oscount"), 1);
        unsigned map, unmap, protect, advise, remap = 1, brk = 1;
        const char *line = strstr(e.text, "tuza-oscount");
        ck_assert_int_eq(
            sscanf(line,
                   "tuza-oscount mmap=%u munmap=%u mprotect=%u madvise=%u "
                   "mremap=%u brk=%u\n",
                   &map, &unmap, &protect, &advise, &remap, &brk),
            6);
        ck_assert_int_eq(remap + brk, 0);
        ck_assert_uint_ge(map, 2);
        ck_assert_uint_ge(unmap, map);
        ck_assert_uint_gt(protect, 0);
        ck_assert_uint_gt(advise, 0);
        ck_assert(strchr(line, '\n')[1] == 0);
    }
}
END_TEST

START_TEST(counts_are_added_to_a_file)
{
    char path[32] = "/tmp/oscount.XXXXXX", text[512];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    snprintf(target, sizeof target, "oscount=%s", path);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(os_child(use_and_exit).status, 0);
    os_read_file(path, text, sizeof text);
    unlink(path);
    ck_assert_int_eq(os_count(text, "tuza-oscount mmap="), 2);
    ck_assert_int_eq(os_count(text, " brk=0\n"), 2);
    snprintf(target, sizeof target, "oscount=/nowhere/at/all");
    struct os_ended e = os_child(use_and_exit);
    os_assert_has(e.text, "tuza: TUZADEBUG: oscount: /nowhere/at/all: No such");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_01_mmap_and_munmap_come_together,
        s0_01_a_shorter_struct_keeps_the_rest,
        s0_01_hooks_that_come_late_are_refused,
        s0_02_the_users_table_sees_every_call,
        s0_03_a_failure_is_an_errno_and_no_pointer,
        s0_03_a_low_page_is_a_success,
        s0_05_a_forbidden_munmap_is_told_in_words,
        s0_06_hooks_hear_of_both_ends_of_a_call,
        s0_09_it_works_before_the_start_on_any_thread,
        s0_10_no_errno_stands_where_a_pointer_does,
        s0_13_anonymous_memory_has_no_file,
        counts_are_read_by_size,
        counts_are_told_at_the_end,
        counts_are_added_to_a_file,
        NULL,
    };
    return os_check("os/vm_user", tests);
}
