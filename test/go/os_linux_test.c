// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/os_linux_test.c: Go's tests of what lies between the runtime and the
// system, retold: src/runtime/runtime_linux_test.go, runtime_mmap_test.go,
// norace_linux_test.go, nbpipe_test.go, semasleep_test.go, lfstack_test.go and
// lockrank_test.go.

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/san.h"
#include "os/lock.h"
#include "os/note.h"
#include "os/vm.h"
#include "sched/template.h"
#include "support/goroutines.h"

static uint32_t stop; // atomic
static tuza_waitgroup group;

// runtime_linux_test.go: TestLockOSThread. A program's main begins on the
// thread that the process began with.

static int main_is_on_the_first_thread(int argc, char **argv)
{
    (void)argc, (void)argv;
    return api_thread() == getpid() ? 5 : 6;
}

static void run_on_first_thread(void)
{
    unsetenv("TUZAMAXPROCS");
    tuza_config c = { .size = sizeof c, .maxprocs = 1 };
    tuza_run_main(main_is_on_the_first_thread, 0, NULL, &c);
}

START_TEST(main_begins_on_the_first_thread)
{
    const char *const texts[] = { NULL };
    api_ended_with(api_child(run_on_first_thread, 25), 5, texts);
}
END_TEST

// TestMincoreErrorSign, and the answer on which finding free addresses rests:
// what is not mapped is ENOMEM.

IN_GOROUTINES(mincore_error_sign, 1)
{
    size_t page = tz_vm_page();
    unsigned char in;
    char *p = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p != MAP_FAILED);
    need_eq(TUZA_SYSCALL(mincore(p, page, &in)), 0);
    need_eq(TUZA_SYSCALL(mincore(p + 1, 1, &in)), -EINVAL);
    need_eq(munmap(p, page), 0);
    need_eq(TUZA_SYSCALL(mincore(p, page, &in)), -ENOMEM);
}

// runtime_mmap_test.go: TestMmapErrorSign. The errno comes back negative, in
// place of an address, from a declared call, and no address from the layer.

IN_GOROUTINES(mmap_error_sign, 1)
{
    size_t all = ~(size_t)0 & ~(tz_vm_page() - 1);
    void *p = TUZA_SYSCALL(
        mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    need_eq((intptr_t)p, -ENOMEM);
    need(tz_vm_alloc(all, TZ_VM_META) == NULL);
    need(tz_vm_reserve(NULL, all, 0, TZ_VM_META) == NULL);
}

// TestPhysPageSize: a mapping in the middle of a page is refused, one at the
// next page is not: so what we take for the page is it.

START_TEST(phys_page_size)
{
    size_t page = tz_vm_page();
    int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    char *p = mmap(NULL, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
    need(p != MAP_FAILED);
    need(mmap(p + page / 2, page, PROT_NONE, fixed, -1, 0) == MAP_FAILED);
    need_eq(errno, EINVAL);
    need(mmap(p + page, page, PROT_NONE, fixed, -1, 0) == p + page);
    munmap(p, 2 * page);
}
END_TEST

// norace_linux_test.go: TestNewOSProc0. A thread that the kernel made, without
// libc, runs beside goroutines and collections and is left alone.

static uint32_t raw_count; // atomic
static uint32_t raw_ended; // atomic

// Has its creator's thread-local variables: touches none.
static TZ_NO_SANITIZE int raw_thread(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop))
        tz_xadd(&raw_count, 1);
    tz_store(&raw_ended, 1);
    syscall(SYS_exit, 0);
    return 0;
}

IN_GOROUTINES(newosproc0, 2)
{
    enum { SIZE = 64 * 1024 };
    static char stack[SIZE] __attribute__((aligned(16)));
    sigset_t all, old;
    if (TZ_ASAN || TZ_TSAN)
        return; // they have to see every thread begin
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    need(clone(raw_thread, stack + SIZE,
               CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                   CLONE_SYSVSEM | CLONE_THREAD,
               NULL) > 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    while (tz_load(&raw_count) < 1000)
        tuza_yield();
    for (int i = 0; i < 20; i++)
        tuza_gc();
    uint32_t seen = tz_load(&raw_count);
    while (tz_load(&raw_count) == seen)
        tuza_yield();
    tz_store(&stop, 1);
    while (!tz_load(&raw_ended))
        tuza_yield();
}

// nbpipe_test.go: TestNonblockingPipe

IN_GOROUTINES(nonblocking_pipe, 2)
{
    int fd[2];
    char c = 0;
    need_eq(TUZA_SYSCALL(pipe2(fd, O_NONBLOCK | O_CLOEXEC)), 0);
    for (int i = 0; i < 2; i++) {
        need(TUZA_SYSCALL(fcntl(fd[i], F_GETFL)) & O_NONBLOCK);
        need(TUZA_SYSCALL(fcntl(fd[i], F_GETFD)) & FD_CLOEXEC);
    }
    need_eq(TUZA_SYSCALL(read(fd[0], &c, 1)), -EAGAIN);
    need_eq(TUZA_SYSCALL(write(fd[1], "y", 1)), 1);
    need_eq(TUZA_BLOCKING(read(fd[0], &c, 1)), 1);
    need_eq(c, 'y');
    need_eq(TUZA_SYSCALL(close(fd[1])), 0);
    need_eq(TUZA_SYSCALL(read(fd[0], &c, 1)), 0);
    need_eq(TUZA_SYSCALL(close(fd[0])), 0);
}

// semasleep_test.go: TestSpuriousWakeupsNeverHangSemasleep. Signals to each
// thread end its waits in the kernel before their time, faster than these last;
// a sleep takes no less and not much more for that.

static void on_io(int sig) { (void)sig; }

static void signal_each_thread(void)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    need(d != NULL);
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            syscall(SYS_tgkill, getpid(), atoi(e->d_name), SIGIO);
    closedir(d);
}

static void *signal_all_the_time(void *arg)
{
    const struct timespec ms = { 0, 1000 * 1000 };
    (void)arg;
    while (!tz_load_rlx(&stop)) {
        signal_each_thread();
        nanosleep(&ms, NULL);
    }
    return NULL;
}

tuza_fn(await_value, tuza_chan(int), c)
{
    need_eq(tuza_recv(c, NULL), 1);
    tuza_waitgroup_done(&group);
}

static pthread_t begin_signals(void)
{
    pthread_t thread;
    struct sigaction sa = { .sa_handler = on_io, .sa_flags = SA_ONSTACK };
    need_eq(sigaction(SIGIO, &sa, NULL), 0);
    need_eq(pthread_create(&thread, NULL, signal_all_the_time, NULL), 0);
    return thread;
}

// The thread's sleep by itself. A goroutine's has sysmon besides, which wakes
// who has overslept.
START_TEST(spurious_wake_ups_of_a_thread)
{
    struct tz_note n;
    pthread_t thread = begin_signals();
    tz_note_clear(&n);
    int64_t t = tuza_now();
    need(!tz_note_sleep_for(&n, TUZA_MS(300)));
    t = tuza_now() - t;
    need(t >= TUZA_MS(300) && t < TUZA_SEC(10));
    tz_store(&stop, 1);
    pthread_join(thread, NULL);
}
END_TEST

static void spurious_wake_ups(void)
{
    tuza_chan(int) c = tuza_chan_make(int, 0);
    pthread_t thread = begin_signals();
    tuza_waitgroup_add(&group, 1);
    tuza_go(await_value, c);
    int64_t t = tuza_now();
    tuza_sleep(TUZA_MS(300));
    t = tuza_now() - t;
    need(t >= TUZA_MS(300) && t < TUZA_SEC(10));
    t = tuza_now();
    need_eq(tuza_select(TUZA_SEND((tuza_chan(int))NULL, &(int){ 0 }),
                        TUZA_AFTER(TUZA_MS(100))),
            1);
    need(tuza_now() - t >= TUZA_MS(100));
    tuza_send(c, 1);
    tuza_waitgroup_wait(&group);
    tz_store(&stop, 1);
    (void)TUZA_BLOCKING(pthread_join(thread, NULL));
}

IN_GOROUTINES(spurious_wake_ups_on_one_proc, 1) { spurious_wake_ups(); }
IN_GOROUTINES(spurious_wake_ups_on_two_procs, 2) { spurious_wake_ups(); }

// lfstack_test.go: TestLFStackStress. The lock-free stack that is pushed by all
// and popped by one, nodes being pushed again as soon as they come out: the
// asks for threads. Each push comes out once.

enum { NODES = 40, PUSHERS = 4, PUSHES = 2000 };

static struct node {
    struct tz_threadask ask;
    uint32_t out; // atomic; 1 while it is nobody's
} nodes[NODES];

static uint32_t popped; // atomic

static void come_out(void *arg)
{
    struct node *n = arg;
    tz_xadd(&popped, 1);
    need_eq(tz_xchg(&n->out, 1), 0);
}

static void come_out_refused(struct tz_threadask *a) { come_out(a->arg); }

static void *push_some(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg + 1;
    for (int i = 0, n = scaled(PUSHES); i < n;) {
        struct node *k = &nodes[rnd(&seed, NODES)];
        if (!tz_cas(&k->out, 1, 0)) {
            sched_yield();
            continue;
        }
        k->ask = (struct tz_threadask){ come_out, k, come_out_refused, NULL };
        tz_thread_ask(&k->ask);
        i++;
    }
    return NULL;
}

START_TEST(lfstack_stress)
{
    pthread_t pusher[PUSHERS];
    uint32_t pushes = PUSHERS * (uint32_t)scaled(PUSHES), in = 0;
    for (int i = 0; i < NODES; i++)
        nodes[i].out = 1;
    need_eq(tz_template_start(), 0);
    for (uintptr_t i = 0; i < PUSHERS; i++)
        need_eq(pthread_create(&pusher[i], NULL, push_some, (void *)i), 0);
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(pusher[i], NULL);
    while (tz_load(&popped) < pushes)
        sched_yield();
    do { // the last ones are on their way from the count to the mark
        in = 0;
        for (int i = 0; i < NODES; i++)
            in += tz_load(&nodes[i].out);
    } while (in < NODES);
    need_eq(tz_load(&popped), pushes);
}
END_TEST

// lockrank_test.go: the table is an order. Go's is partial and listed edge by
// edge; ours is the line of the ranks, and each pair is asked.

static struct tz_lock held, wanted;

static void take_both(void)
{
    tz_lockrank_acquire(&held);
    held.word = 1;
    tz_lockrank_acquire(&wanted);
}

START_TEST(lock_ranks_are_an_order)
{
    const char *const nothing[] = { NULL };
    const char *const texts[] = { "lock rank: takes ", NULL };
    for (uint32_t a = 0; a < TZ_RANK_COUNT; a++)
        for (uint32_t b = 0; b < TZ_RANK_COUNT; b++) {
            bool again =
                a == b && (a == TZ_RANK_CHAN || a == TZ_RANK_FOREIGN);
            bool fine = a < b || again;
            held.rank = a;
            wanted.rank = b;
            api_ended_with(api_child(take_both, 25), fine ? 0 : -SIGABRT,
                           fine ? nothing : texts);
        }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        main_begins_on_the_first_thread,
        mincore_error_sign,
        mmap_error_sign,
        phys_page_size,
        newosproc0,
        nonblocking_pipe,
        spurious_wake_ups_of_a_thread,
        spurious_wake_ups_on_one_proc,
        spurious_wake_ups_on_two_procs,
        lfstack_stress,
        lock_ranks_are_an_order,
        NULL,
    };
    return api_check("go/os_linux", tests);
}
