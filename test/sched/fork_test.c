// SPDX-License-Identifier: BSD-3-Clause
// test/sched/fork_test.c: the program forks wherever it is (in goroutines, in
// declared calls, in a plain thread) while others run and collect. Not on the
// system stack: a goroutine that is stopped may hold libc's lock of forks. The child only calls exec; what runs there finds no descriptor but
// 0 to 2, and the program's own signal mask and dispositions. Some hundred
// forks; TEST_SCALE=3400 makes ten thousand.

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/san.h"
#include "support/goroutines.h"

enum {
    FORKERS = 4,
    FORKS = 300, // of all together
    WAYS = 3,
    PROCS = 3,
    TIMEOUT_S = 240,
    FDS_MOST = 4096,
    LOOK_FAILED = 64
};

static tuza_waitgroup group;
static uint32_t left; // atomic; forks to be made
static uint32_t made[WAYS + 1];

// --- what is executed

static int complain(const char *what, int which)
{
    fprintf(stderr, "in the child: %s %d\n", what, which);
    return LOOK_FAILED;
}

static int look_at_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        int fd = atoi(e->d_name);
        if (fd > 2 && fd != dirfd(d))
            return complain("descriptor", fd);
    }
    return d ? closedir(d) : complain("no descriptors", 0);
}

static int look(void)
{
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s <= SIGRTMAX; s++) {
        struct sigaction now;
        bool fault = s == SIGSEGV || s == SIGBUS || s == SIGFPE;
        if ((s > SIGSYS && s < SIGRTMIN) || (TZ_SAN_OWNS_ADDRESSES && fault))
            continue; // libc's own, a sanitizer's own
        if (sigismember(&mask, s) != (s == SIGTERM))
            return complain("mask of signal", s);
        if (sigaction(s, NULL, &now) ||
            now.sa_handler != (s == SIGPIPE ? SIG_IGN : SIG_DFL))
            return complain("disposition of signal", s);
    }
    return look_at_descriptors();
}

// --- the program

static pid_t fork_and_exec(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "fork_test", "--look", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static void fork_somehow(int way)
{
    pid_t pid = -1;
    switch (way) {
    case 0:
        pid = fork_and_exec();
        break;
    case 1:
        pid = TUZA_SYSCALL(fork_and_exec());
        break;
    case 2:
        pid = TUZA_BLOCKING(fork_and_exec());
        break;
    }
    need(pid > 0);
    int status = TUZA_BLOCKING(wait_for(pid));
    need_eq(status, 0);
    tz_xadd(&made[way], 1);
}

static bool one_more(void)
{
    uint32_t n = tz_load(&left);
    while (n > 0 && !tz_cas(&left, n, n - 1))
        n = tz_load(&left);
    return n > 0;
}

static void fork_often(void *arg)
{
    uint64_t random = (uint64_t)(uintptr_t)arg + 1;
    while (one_more()) {
        fork_somehow((int)rnd(&random, WAYS));
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static void *fork_in_a_thread(void *arg)
{
    (void)arg;
    while (one_more()) {
        need_eq(wait_for(fork_and_exec()), 0);
        tz_xadd(&made[WAYS], 1);
    }
    return NULL;
}

static void allocate(void *arg)
{
    (void)arg;
    for (int i = 0; tz_load_rlx(&left) > 0; i++) {
        need(tuza_alloc((size_t)i % 1000 * 10 + 1) != NULL);
        if (i % 1000 == 0)
            tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

static int fork_everywhere(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, FORKERS + 1);
    for (uintptr_t i = 0; i < FORKERS; i++)
        tuza_spawn(fork_often, (void *)i);
    tuza_spawn(allocate, NULL);
    tuza_waitgroup_wait(&group);
    for (int i = 0; i <= WAYS; i++)
        need(__atomic_load_n(&made[i], __ATOMIC_SEQ_CST) > 0);
    return 0;
}

static void ignore(int signo) { (void)signo; }

// What libcheck, and who started it, have open is not to be seen.
static void close_on_exec(void)
{
    for (int fd = 3; fd < FDS_MOST; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

START_TEST(a_fork_from_anywhere_finds_the_programs_own_signals)
{
    pthread_t t;
    sigset_t term;
    close_on_exec();
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &term, NULL);
    signal(SIGPIPE, SIG_IGN);
    for (int s = 1; s <= SIGRTMAX; s++) // what the test's program was given
        if (s != SIGPIPE && s != SIGKILL && s != SIGSTOP &&
            (s <= SIGSYS || s >= SIGRTMIN))
            signal(s, SIG_DFL);
    signal(SIGUSR1, ignore);
    tz_store(&left, (uint32_t)scaled(FORKS));
    ck_assert_int_eq(pthread_create(&t, NULL, fork_in_a_thread, NULL), 0);
    api_run(fork_everywhere, PROCS);
    pthread_join(t, NULL);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--look") == 0)
        return look();
    Suite *suite = suite_create("fork");
    TCase *tc = tcase_create("fork");
    tcase_set_tags(tc, "a_fork_from_anywhere_finds_the_programs_own_signals");
    tcase_set_timeout(tc, TIMEOUT_S);
    tcase_add_test(tc, a_fork_from_anywhere_finds_the_programs_own_signals);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
