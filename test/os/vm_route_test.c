// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_route_test.c: libc's functions can be stood before, and only they.
// test: no-asan no-tsan
//
// This program's own mmap and the others stand before libc's, as an interposer
// that was loaded before it would.

#include <sys/mman.h>
#include <sys/syscall.h>

#include "os_check.h"
#include "os/env.h"
#include "os/vm.h"
#include "tuza/os.h"

static struct {
    bool counting;
    unsigned mmap, munmap, mprotect, madvise;
} seen;

void *mmap(void *p, size_t n, int prot, int flags, int fd, off_t offset)
{
    seen.mmap += seen.counting;
    return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, offset);
}

int munmap(void *p, size_t n)
{
    seen.munmap += seen.counting;
    return (int)syscall(SYS_munmap, p, n);
}

int mprotect(void *p, size_t n, int prot)
{
    seen.mprotect += seen.counting;
    return (int)syscall(SYS_mprotect, p, n, prot);
}

int madvise(void *p, size_t n, int advice)
{
    seen.madvise += seen.counting;
    return (int)syscall(SYS_madvise, p, n, advice);
}

// Every kind of call; what fails is told too.
static void use(void)
{
    size_t n = 4 * tz_vm_page();
    seen.counting = true;
    char *p = tz_vm_reserve(NULL, n, 16 * n, TZ_VM_HEAP);
    ck_assert_ptr_nonnull(p);
    ck_assert_int_eq(tz_vm_map(p, n, TZ_VM_HEAP), 0);
    memset(p, 1, n);
    tz_vm_unused(p, n, TZ_VM_HEAP);
    ck_assert_int_eq(p[0], 0);
    tz_vm_free(p, n, TZ_VM_HEAP, TZ_VM_RELEASED);
    ck_assert_ptr_null(tz_vm_alloc((size_t)1 << 60, TZ_VM_META));
    ck_assert_int_ne(tz_vm_protect(p, n), 0);
    char text[256];
    os_assert_has(tz_vm_refusal(text, sizeof text), "Cannot allocate memory");
    seen.counting = false;
}

static tuza_os_counts counts(void)
{
    tuza_os_counts c = { .size = sizeof c };
    ck_assert_int_eq(tuza_os_counts_read(&c), 0);
    return c;
}

static void check_seen(bool all)
{
    tuza_os_counts c = counts();
    ck_assert_uint_ge(c.mmap, 3);
    ck_assert_uint_ge(c.munmap, 1);
    ck_assert_uint_ge(c.mprotect, 2);
    ck_assert_uint_ge(c.madvise, 1);
    ck_assert_uint_eq(seen.mmap, all ? c.mmap : 0);
    ck_assert_uint_eq(seen.munmap, all ? c.munmap : 0);
    ck_assert_uint_eq(seen.mprotect, all ? c.mprotect : 0);
    ck_assert_uint_eq(seen.madvise, all ? c.madvise : 0);
}

START_TEST(s0_02_an_interposer_sees_every_call)
{
    unsetenv("TUZADEBUG");
    use();
    check_seen(true);
}
END_TEST

START_TEST(s0_02_libc_can_be_asked_for)
{
    setenv("TUZADEBUG", "oscalls=libc", 1);
    use();
    check_seen(true);
}
END_TEST

START_TEST(s0_02_raw_calls_pass_it_by)
{
    setenv("TUZADEBUG", "gctrace=0,oscalls=raw", 1);
    use(); // before tz_env_init
    check_seen(false);
}
END_TEST

START_TEST(s0_02_the_route_is_chosen_once)
{
    unsetenv("TUZADEBUG");
    use();
    setenv("TUZADEBUG", "oscalls=raw", 1);
    tz_env_init();
    use();
    check_seen(true);
}
END_TEST

static void *user_mmap(void *p, size_t n, int prot, int flags, int fd,
                       off_t offset)
{
    return (void *)syscall(SYS_mmap, p, n, prot, flags, fd, offset);
}

static int user_munmap(void *p, size_t n)
{
    return (int)syscall(SYS_munmap, p, n);
}

START_TEST(s0_02_a_users_function_goes_before_either_route)
{
    setenv("TUZADEBUG", "oscalls=libc", 1);
    tuza_os_hooks h = { .size = sizeof h, .mmap = user_mmap,
                        .munmap = user_munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    use();
    ck_assert_uint_eq(seen.mmap + seen.munmap, 0);
    ck_assert_uint_eq(seen.mprotect, counts().mprotect);
    ck_assert_uint_eq(seen.madvise, counts().madvise);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_02_an_interposer_sees_every_call,
        s0_02_libc_can_be_asked_for,
        s0_02_raw_calls_pass_it_by,
        s0_02_the_route_is_chosen_once,
        s0_02_a_users_function_goes_before_either_route,
        NULL,
    };
    return os_check("os/vm_route", tests);
}
