// SPDX-License-Identifier: BSD-3-Clause
// test: whole
// test/go/signal_test.c: Go's src/runtime/crash_unix_test.go, and what
// crash_cgo_test.go and src/cmd/cgo/internal/test observe without calls back
// into Go, retold: signals, faults, forks and threads beside goroutines.

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/san.h"
#include "support/goroutines.h"

static uint32_t stop; // atomic
static tuza_waitgroup group;

tuza_fn(spin)
{
    while (!tz_load_rlx(&stop))
        ;
    tuza_waitgroup_done(&group);
}

tuza_fn(collect_for_ever)
{
    while (!tz_load_rlx(&stop)) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void begin_spinner_and_collector(void)
{
    tuza_waitgroup_add(&group, 2);
    tuza_go(spin);
    tuza_go(collect_for_ever);
}

static void end_them(void)
{
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
}

// The body in a process of its own, which has to end so.
#define ENDS(claim, maxprocs, status)                                          \
    GOROUTINE_MAIN_(claim)                                                     \
    static void claim##_child(void)                                            \
    {                                                                          \
        api_run(claim##_main, maxprocs);                                       \
    }                                                                          \
    START_TEST(claim)                                                          \
    {                                                                          \
        const char *const texts[] = { NULL };                                  \
        api_ended_with(api_child(claim##_child, 25), status, texts);           \
    }                                                                          \
    END_TEST                                                                   \
    static void claim##_body(void)

// TestBadOpen

IN_GOROUTINES(bad_open, 2)
{
    char buf[32] = "";
    for (int i = 0; i < 2; i++) {
        need_eq(TUZA_SYSCALL(open("/notreallyafile", O_RDONLY)), -ENOENT);
        need_eq(TUZA_SYSCALL(read(-1, buf, sizeof buf)), -EBADF);
        need_eq(TUZA_SYSCALL(write(-1, buf, sizeof buf)), -EBADF);
        need_eq(TUZA_BLOCKING(close(-1)), -EBADF);
        need_eq(tuza_errno(), EBADF);
    }
}

// TestSignalExitStatus

ENDS(signal_exit_status, 4, -SIGTERM)
{
    signal(SIGTERM, SIG_DFL); // libcheck's handler would end its own process
    begin_spinner_and_collector();
    tuza_sleep(TUZA_MS(10));
    kill(getpid(), SIGTERM);
    for (;;)
        tuza_sleep(TUZA_SEC(1));
}

// TestSignalIgnoreSIGTRAP

ENDS(signal_ignore_sigtrap, 2, 0)
{
    signal(SIGTRAP, SIG_IGN);
    begin_spinner_and_collector();
    for (int i = 0; i < 100; i++) {
        kill(getpid(), SIGTRAP);
        tuza_yield();
    }
    end_them();
}

// TestSignalDuringExec: signals for the whole process group while children are
// between fork and exec.

tuza_fn(signal_the_group)
{
    while (!tz_load_rlx(&stop)) {
        kill(0, SIGWINCH);
        kill(0, SIGURG); // what the runtime stops threads with
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void on_signal(int sig) { (void)sig; }

static void run_with_success(const char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], (char **)argv);
        _exit(98);
    }
    need(pid > 0);
    int status;
    need_eq(TUZA_BLOCKING(waitpid(pid, &status, 0)), pid);
    need_eq(status, 0);
}

ENDS(signal_during_exec, 3, 0)
{
    if (TZ_TSAN)
        return; // its own threads do not outlive a fork
    static const char *const nop[] = { "/bin/true", NULL };
    struct sigaction sa = { .sa_handler = on_signal,
                            .sa_flags = SA_ONSTACK | SA_RESTART };
    need_eq(setpgid(0, 0), 0);
    need_eq(sigaction(SIGWINCH, &sa, NULL), 0);
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 1);
    tuza_go(signal_the_group);
    for (int i = 0; i < 20; i++)
        run_with_success(nop);
    end_them();
}

// TestCgoExecSignalMask: what a child executes has no signal blocked, whatever
// happened in its parent at the fork.

ENDS(exec_signal_mask, 3, 0)
{
    if (TZ_TSAN)
        return;
    static const char *const grep[] = { "/bin/grep", "-q",
                                        "^SigBlk:.0*$", "/proc/self/status",
                                        NULL };
    begin_spinner_and_collector();
    for (int i = 0; i < 20; i++)
        run_with_success(grep);
    end_them();
}

// TestEINTR: calls that the kernel restarts are not disturbed by signals to the
// process, be they the runtime's own.

static int pipe_fd[2];

// Each thread: the kernel would choose one that waits for nothing.
static void signal_each_thread(void)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    need(d != NULL);
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            syscall(SYS_tgkill, getpid(), atoi(e->d_name), SIGURG);
    closedir(d);
}

static void *signal_the_process(void *arg)
{
    const struct timespec us = { 0, 200 * 1000 };
    (void)arg;
    while (!tz_load_rlx(&stop)) {
        signal_each_thread();
        nanosleep(&us, NULL);
    }
    return NULL;
}

tuza_fn(write_slowly, int, n)
{
    for (int i = 0; i < n; i++) {
        tuza_sleep(TUZA_US(500));
        need_eq(TUZA_SYSCALL(write(pipe_fd[1], "x", 1)), 1);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(eintr, 3)
{
    int n = scaled(200);
    char c;
    pthread_t thread;
    need_eq(pipe(pipe_fd), 0);
    need_eq(pthread_create(&thread, NULL, signal_the_process, NULL), 0);
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 1);
    tuza_go(write_slowly, n);
    for (int i = 0; i < n; i++)
        if (i % 2)
            need_eq(TUZA_SYSCALL(read(pipe_fd[0], &c, 1)), 1);
        else
            need_eq(TUZA_BLOCKING(read(pipe_fd[0], &c, 1)), 1);
    if (!TZ_TSAN) {
        static const char *const sleeps[] = { "/bin/sleep", "0.05", NULL };
        run_with_success(sleeps);
    }
    end_them();
    pthread_join(thread, NULL);
}

// TestCgoExternalThreadSIGPROF, TestCgoExternalThreadSignal: signals that meet
// threads which the runtime has never seen, in calls and outside of them.

static int handled; // atomic

static void count_signal(int sig)
{
    (void)sig;
    __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *spin_outside(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop))
        ;
    return NULL;
}

static void *nap_outside(void *arg)
{
    const struct timespec us = { 0, 50 * 1000 };
    (void)arg;
    while (!tz_load_rlx(&stop))
        nanosleep(&us, NULL);
    return NULL;
}

IN_GOROUTINES(external_thread_signal, 3)
{
    struct sigaction sa = { .sa_handler = count_signal,
                            .sa_flags = SA_ONSTACK | SA_RESTART };
    pthread_t thread[2];
    need_eq(sigaction(SIGPROF, &sa, NULL), 0);
    need_eq(pthread_create(&thread[0], NULL, spin_outside, NULL), 0);
    need_eq(pthread_create(&thread[1], NULL, nap_outside, NULL), 0);
    begin_spinner_and_collector();
    for (int i = 0, n = scaled(500); i < n; i++) {
        need_eq(pthread_kill(thread[i % 2], SIGURG), 0);
        need_eq(pthread_kill(thread[i % 2], SIGPROF), 0);
        tuza_yield();
    }
    while (!__atomic_load_n(&handled, __ATOMIC_RELAXED))
        tuza_yield();
    end_them();
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
}

// TestSegv, TestAbortInCgo: a fault ends the process by its signal, in a
// goroutine, in a declared call and on a thread that is none of ours.

static int *volatile nowhere = (int *)16;

static void fault(void) { *(volatile int *)nowhere = 1; }

static void *fault_outside(void *arg)
{
    fault();
    return arg;
}

ENDS(segv_in_goroutine, 2, TZ_ASAN || TZ_TSAN ? 0 : -SIGSEGV)
{
    if (!TZ_ASAN && !TZ_TSAN) // they tell a fault in their own words
        fault();
}

ENDS(segv_in_call, 2, TZ_ASAN || TZ_TSAN ? 0 : -SIGSEGV)
{
    if (!TZ_ASAN && !TZ_TSAN)
        (void)TUZA_BLOCKING((fault(), 0));
}

ENDS(segv_on_external_thread, 2, TZ_ASAN || TZ_TSAN ? 0 : -SIGSEGV)
{
    pthread_t thread;
    if (TZ_ASAN || TZ_TSAN)
        return;
    need_eq(pthread_create(&thread, NULL, fault_outside, NULL), 0);
    (void)TUZA_BLOCKING(pthread_join(thread, NULL));
}

static void *abort_outside(void *arg)
{
    (void)arg;
    abort();
}

ENDS(abort_on_external_thread, 2, -SIGABRT)
{
    pthread_t thread;
    need_eq(pthread_create(&thread, NULL, abort_outside, NULL), 0);
    (void)TUZA_BLOCKING(pthread_join(thread, NULL));
}

// test/fixedbugs/issue8158.go, issue8048.go, issue8132.go, issue10486.go: a
// collection walks stacks on which faults were survived, while others fault.

static __thread sigjmp_buf *after_fault;

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(*after_fault, 1);
}

static TZ_NOINLINE int survive(volatile int depth)
{
    sigjmp_buf here;
    if (depth > 0)
        return survive(depth - 1) + 1;
    after_fault = &here;
    if (sigsetjmp(here, 1) == 0)
        fault();
    return 0;
}

tuza_fn(fault_again_and_again, int, n)
{
    int **kept = tuza_new(int *);
    *kept = tuza_new(int);
    **kept = n;
    for (int i = 0; i < 50; i++) {
        need_eq(survive(i), i);
        need_eq(**kept, n);
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static int fault_beside_a_collector(int argc, char **argv)
{
    (void)argc, (void)argv;
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_go(fault_again_and_again, i);
    while (tz_load(&group.state) >> 32 > 2)
        tuza_yield();
    end_them();
    return 0;
}

START_TEST(faults_are_survived)
{
    struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
    ck_assert_int_eq(sigaction(SIGSEGV, &sa, NULL), 0);
    if (!TZ_ASAN && !TZ_TSAN)
        api_run(fault_beside_a_collector, 4);
}
END_TEST

// setgid_linux.go, issue1435.go, issue6997_linux.go: libc changes the identity
// of all threads by a signal to each and waits for them, while the world is
// stopped.

static int threads_of_other_group(unsigned gid)
{
    char command[200];
    snprintf(command, sizeof command,
             "! grep -h ^Gid: /proc/%d/task/*/status | "
             "grep -qv '^Gid:.%u.%u.%u.'",
             (int)getpid(), gid, gid, gid);
    return system(command);
}

tuza_fn(change_identity, int, n)
{
    for (int i = 0; i < n; i++)
        if (i % 2)
            need_eq(TUZA_SYSCALL(setgid(getgid())), 0);
        else
            need_eq(setgid(getgid()), 0);
    tuza_waitgroup_done(&group);
}

ENDS(setgid_stress, 4, 0)
{
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++)
        tuza_go(change_identity, scaled(300));
    while (tz_load(&group.state) >> 32 > 2)
        tuza_yield();
    end_them();
}

ENDS(setgid_reaches_all_threads, 4, 0)
{
    if (getuid() != 0 || TZ_TSAN)
        return;
    for (gid_t gid = 10; gid < 14; gid++) {
        tz_store(&stop, 0);
        begin_spinner_and_collector();
        need_eq(setgid(gid), 0);
        need_eq(threads_of_other_group(gid), 0);
        end_them();
    }
}

// issue18146.go: threads of the program's own and of the runtime's are made at
// the same time, in great number, while the world is stopped again and again.

static void *a_thread(void *arg)
{
    __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
    return arg;
}

tuza_fn(make_threads, int *, count, int, n)
{
    for (int i = 0; i < n; i++) {
        pthread_t t;
        need_eq(pthread_create(&t, NULL, a_thread, count), 0);
        need_eq(TUZA_BLOCKING(pthread_join(t, NULL)), 0);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(thread_storm, 4)
{
    static int count;
    int n = scaled(20);
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 50);
    for (int i = 0; i < 50; i++)
        tuza_go(make_threads, &count, n);
    while (tz_load(&group.state) >> 32 > 2)
        tuza_sleep(TUZA_US(100));
    end_them();
    need_eq(count, 50 * n);
}

// TestSigStackSwapping: code changes the signal stack of its thread and puts
// the old one back, while the thread is stopped by signals.

static TZ_NOINLINE void on_another_signal_stack(void *memory, size_t size)
{
    stack_t mine = { .ss_sp = memory, .ss_size = size }, old, back;
    need_eq(sigaltstack(&mine, &old), 0);
    for (volatile int i = 0; i < 20000; i++)
        ;
    need_eq(sigaltstack(&old, &back), 0);
    need(back.ss_sp == memory);
}

tuza_fn(swap_signal_stacks, int, n)
{
    size_t size = 64 * 1024;
    void *memory = aligned_alloc(4096, size);
    for (int i = 0; i < n; i++) {
        on_another_signal_stack(memory, size);
        tuza_yield();
    }
    free(memory);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(sig_stack_swapping, 4)
{
    begin_spinner_and_collector();
    tuza_waitgroup_add(&group, 2);
    for (int i = 0; i < 2; i++)
        tuza_go(swap_signal_stacks, scaled(1000));
    while (tz_load(&group.state) >> 32 > 2)
        tuza_sleep(TUZA_US(100));
    end_them();
}

int main(void)
{
    const TTest *const tests[] = {
        bad_open,
        signal_exit_status,
        signal_ignore_sigtrap,
        signal_during_exec,
        exec_signal_mask,
        eintr,
        external_thread_signal,
        segv_in_goroutine,
        segv_in_call,
        segv_on_external_thread,
        abort_on_external_thread,
        faults_are_survived,
        setgid_stress,
        setgid_reaches_all_threads,
        thread_storm,
        sig_stack_swapping,
        NULL,
    };
    return api_check("go/signal", tests);
}
