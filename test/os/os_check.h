// SPDX-License-Identifier: BSD-3-Clause
// test/os/os_check.h: what the tests of os/ share.
#ifndef TEST_OS_CHECK_H
#define TEST_OS_CHECK_H

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/san.h"

// Runs the tests (a list that ends with NULL), each in a process of its own;
// main's value. Each is a case of its own: CK_RUN_CASE=<test> runs it alone,
// CK_EXCLUDE_TAGS="<test>..." all but these.
static inline int os_check(const char *name, const TTest *const tests[])
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; tests[i]; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_tags(tc, tests[i]->name);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

// How a process ended and what it had printed to standard error.
struct os_ended {
    int status; // exit status, or minus the signal that killed it
    char text[4096];
};

// Runs body in a process of its own; a body that returns exits with 0.
static inline struct os_ended os_child(void (*body)(void))
{
    struct os_ended e = { 0 };
    int fd[2], status;
    ck_assert_int_eq(pipe(fd), 0);
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(fd[1], STDERR_FILENO);
        alarm(20);
        body();
        _exit(0);
    }
    close(fd[1]);
    size_t len = 0;
    for (ssize_t n = 1; n > 0; len += n > 0 ? (size_t)n : 0)
        n = read(fd[0], e.text + len, sizeof e.text - 1 - len);
    close(fd[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    e.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    return e;
}

// How often word stands in text.
static inline int os_count(const char *text, const char *word)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, word)); s++)
        n++;
    return n;
}

#define os_assert_has(text, word)                                              \
    ck_assert_msg(strstr((text), (word)), "\"%s\" is not in: %s", (word),      \
                  (text))

// Reads a file of /proc, cut to the buffer.
static inline void os_read_file(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    buf[fread(buf, 1, size - 1, f)] = 0;
    fclose(f);
}

// Waits until the kernel says that thread tid of this process sleeps.
static inline void os_wait_asleep(int tid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    do {
        sched_yield();
        os_read_file(path, text, sizeof text);
    } while (!strstr(text, ") S"));
}

#endif
