// SPDX-License-Identifier: BSD-3-Clause
// test/api/syscall_test.c: declared calls that block the thread.

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/api_check.h"

enum { CALLERS = 12 };
static pthread_barrier_t barrier;
static tuza_waitgroup group;
static int reached;

tuza_fn(meet_blocking)
{
    TUZA_BLOCKING(pthread_barrier_wait(&barrier));
    __atomic_fetch_add(&reached, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&group);
}

tuza_fn(meet_in_syscall)
{
    TUZA_SYSCALL(pthread_barrier_wait(&barrier));
    __atomic_fetch_add(&reached, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&group);
}

static int all_meet(int argc, char **argv)
{
    (void)argv;
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, CALLERS), 0);
    tuza_waitgroup_add(&group, CALLERS);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(
            argc ? tuza_go(meet_blocking) : tuza_go(meet_in_syscall), 0);
    tuza_waitgroup_wait(&group);
    ck_assert_int_eq(reached, CALLERS);
    tuza_schedstats st = { .size = sizeof st };
    ck_assert_int_eq(tuza_schedstats_read(&st), 0);
    ck_assert_uint_eq(st.maxprocs, 1);
    ck_assert_uint_ge(st.threads, CALLERS);
    ck_assert_uint_ge(st.handoffs, CALLERS - 1);
    return 0;
}

// Each call returns only when all the others have been made.
START_TEST(blocking_calls_overlap_on_one_proc)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 1 };
    unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(tuza_run(all_meet, 1, NULL, &config), 0);
}
END_TEST

START_TEST(syscalls_that_last_overlap_on_one_proc)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 1 };
    unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(tuza_run(all_meet, 0, NULL, &config), 0);
}
END_TEST

static int pipe_fd[2];

tuza_fn(write_one, char, byte)
{
    ck_assert_int_eq(TUZA_SYSCALL(write(pipe_fd[1], &byte, 1)), 1);
}

static int read_from_goroutine(int argc, char **argv)
{
    (void)argc, (void)argv;
    char got = 0;
    ck_assert_int_eq(pipe(pipe_fd), 0);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(tuza_go(write_one, (char)i), 0);
        ck_assert_int_eq(TUZA_SYSCALL(read(pipe_fd[0], &got, 1)), 1);
        ck_assert_int_eq(got, (char)i);
    }
    return 0;
}

START_TEST(a_read_waits_for_what_a_goroutine_writes)
{
    api_run(read_from_goroutine, 1);
}
END_TEST

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int read_after_idleness(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { ROUNDS = 15 };
    int64_t took[ROUNDS];
    char got;
    ck_assert_int_eq(pipe(pipe_fd), 0);
    for (int i = 0; i < ROUNDS; i++) {
        tuza_sleep(TUZA_MS(3)); // nothing runs, nobody watches
        ck_assert_int_eq(tuza_go(write_one, (char)i), 0);
        int64_t start = tuza_now();
        ck_assert_int_eq(TUZA_SYSCALL(read(pipe_fd[0], &got, 1)), 1);
        took[i] = tuza_now() - start;
    }
    qsort(took, ROUNDS, sizeof took[0], compare);
    ck_assert_int_lt(took[ROUNDS / 2], TUZA_MS(40)); // should be 10 at most
    return 0;
}

START_TEST(a_call_that_lasts_is_noticed_soon_after_idleness)
{
    api_run(read_after_idleness, 1);
}
END_TEST

static int wrapped(int value, int err)
{
    errno = err;
    return value;
}

static int convert(int argc, char **argv)
{
    (void)argc, (void)argv;
    char byte;
    ck_assert_int_eq(TUZA_SYSCALL(read(-1, &byte, 1)), -EBADF);
    ck_assert_int_eq(TUZA_BLOCKING(read(-1, &byte, 1)), -EBADF);
    ck_assert_int_eq(TUZA_SYSCALL(open("/nowhere/at all", O_RDONLY)), -ENOENT);
    ck_assert_int_eq(tuza_errno(), ENOENT);
    // A value that is not -1 is the value, whatever errno.
    ck_assert_int_eq(TUZA_SYSCALL(wrapped(0, EIO)), 0);
    ck_assert_int_eq(TUZA_SYSCALL(wrapped(-2, EIO)), -2);
    ck_assert_int_eq(TUZA_SYSCALL(wrapped(77, EIO)), 77);
    ck_assert_int_eq(tuza_errno(), EIO);
    // Types stay: 64 bits of an offset, a pointer.
    off_t far = (off_t)1 << 40;
    int fd = TUZA_SYSCALL(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(TUZA_SYSCALL(lseek(fd, far, SEEK_SET)) < 0, 0);
    void *p = TUZA_SYSCALL(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0));
    ck_assert_ptr_eq(p, (void *)(intptr_t)-EINVAL);
    ck_assert_int_eq(TUZA_SYSCALL(close(fd)), 0);
    // NULL is no -1: the errno is to be had from tuza_errno.
    ck_assert_ptr_null(TUZA_SYSCALL(fopen("/nowhere/at all", "r")));
    ck_assert_int_eq(tuza_errno(), ENOENT);
    return 0;
}

START_TEST(minus_one_becomes_the_negative_errno)
{
    api_run(convert, 2);
}
END_TEST

static int stop;

tuza_fn(keep_the_proc_busy)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        tuza_yield();
}

// Both calls stand in one function, as in any program: there a compiler is
// free to take the address of errno once and keep it. A handed-off goroutine
// resumes on another thread, where that address is wrong.
static int fail_in_turn(int argc, char **argv)
{
    (void)argc, (void)argv;
    long before = api_thread();
    int moves = 0;
    tuza_go(keep_the_proc_busy);
    for (int i = 0; i < 200000 && moves < 100; i++) {
        ck_assert_int_eq(TUZA_BLOCKING(close(-1)), -EBADF);
        ck_assert_int_eq(TUZA_BLOCKING(chdir("/nowhere")), -ENOENT);
        ck_assert_int_eq(TUZA_BLOCKING(chdir("/dev/null")), -ENOTDIR);
        long now = api_thread();
        moves += now != before;
        before = now;
    }
    stop = 1;
    ck_assert_int_eq(moves, 100);
    return 0;
}

START_TEST(errno_is_that_of_the_thread_that_made_the_call)
{
    api_run(fail_in_turn, 1);
}
END_TEST

tuza_fn(fail_with, int, i)
{
    static const struct {
        const char *path;
        int err;
    } cases[] = { { "/nowhere", ENOENT },
                  { "/dev/null", ENOTDIR },
                  { "", ENOENT } };
    for (int n = 0; n < 300; n++) {
        ck_assert_int_eq(TUZA_SYSCALL(chdir(cases[i].path)), -cases[i].err);
        tuza_yield();
        ck_assert_int_eq(tuza_errno(), cases[i].err);
    }
    tuza_waitgroup_done(&group);
}

static int fail_at_once(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 30);
    for (int i = 0; i < 30; i++)
        tuza_go(fail_with, i % 3);
    tuza_waitgroup_wait(&group);
    return 0;
}

START_TEST(tuza_errno_belongs_to_the_goroutine)
{
    api_run(fail_at_once, 2);
}
END_TEST

// What a goroutine in a call holds is found by a collection meanwhile.
static int release_fd[2];

tuza_fn(hold_in_call, tuza_chan(int *), back)
{
    int *object = tuza_alloc_bytes(sizeof *object);
    char byte;
    *object = 0x600d;
    ck_assert_int_eq(TUZA_BLOCKING(read(release_fd[0], &byte, 1)), 1);
    tuza_send(back, object);
}

static int collect_during_calls(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int *) back = tuza_chan_make(int *, 0);
    tuza_schedstats st = { .size = sizeof st };
    ck_assert_int_eq(pipe(release_fd), 0);
    for (int i = 0; i < CALLERS; i++)
        tuza_go(hold_in_call, back);
    do { // until each has its own thread and waits there
        tuza_yield();
        tuza_schedstats_read(&st);
    } while (st.handoffs < CALLERS);
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        for (int j = 0; j < 1000; j++)
            memset(tuza_alloc_bytes(sizeof(int)), 0xbb, sizeof(int));
    }
    for (int i = 0; i < CALLERS; i++) {
        int *object = NULL;
        ck_assert_int_eq(write(release_fd[1], "", 1), 1);
        ck_assert_int_eq(tuza_recv(back, &object), 1);
        ck_assert_int_eq(*object, 0x600d);
    }
    return 0;
}

START_TEST(a_collection_neither_waits_for_a_call_nor_misses_its_stack)
{
    api_run(collect_during_calls, 1);
}
END_TEST

int main(void)
{
    return api_check(
        "syscall",
        (const TTest *const[]){
            blocking_calls_overlap_on_one_proc,
            syscalls_that_last_overlap_on_one_proc,
            a_read_waits_for_what_a_goroutine_writes,
            a_call_that_lasts_is_noticed_soon_after_idleness,
            minus_one_becomes_the_negative_errno,
            errno_is_that_of_the_thread_that_made_the_call,
            tuza_errno_belongs_to_the_goroutine,
            a_collection_neither_waits_for_a_call_nor_misses_its_stack,
            NULL });
}
