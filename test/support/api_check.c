// SPDX-License-Identifier: BSD-3-Clause
// test/support/api_check.c: what the tests of the public face share.

#include "support/api_check.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int api_check(const char *name, const TTest *const tests[])
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; tests[i]; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_tags(tc, tests[i]->name);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

static void run(int (*fn)(int argc, char **argv), int maxprocs, int barrier)
{
    tuza_config config = { .size = sizeof config,
                           .maxprocs = maxprocs,
                           .barrier = barrier };
    if (maxprocs)
        unsetenv("TUZAMAXPROCS");
    ck_assert_int_eq(tuza_run(fn, 0, NULL, &config), 0);
}

void api_run(int (*fn)(int argc, char **argv), int maxprocs)
{
    run(fn, maxprocs, TUZA_BARRIER_NOTES);
}

void api_run_telling(int (*fn)(int argc, char **argv), int maxprocs)
{
    run(fn, maxprocs, TUZA_BARRIER_COMPLETE);
}

static void be_child(void (*body)(void), int out, int seconds)
{
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    close(out);
    alarm((unsigned)seconds);
    body();
    exit(0);
}

struct api_ended *api_child(void (*body)(void), int seconds)
{
    static struct api_ended e;
    int fd[2], status;
    ssize_t n;
    ck_assert_int_eq(pipe(fd), 0);
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(fd[0]);
        be_child(body, fd[1], seconds);
    }
    close(fd[1]);
    e.length = 0;
    // More than fits is read and thrown away, so that the child can end.
    static char rest[4096];
    for (;;) {
        size_t room = sizeof e.text - 1 - e.length;
        n = room ? read(fd[0], e.text + e.length, room)
                 : read(fd[0], rest, sizeof rest);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        e.length += room && n > 0 ? (size_t)n : 0;
    }
    e.text[e.length] = 0;
    close(fd[0]);
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    e.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return &e;
}

void api_ended_with(const struct api_ended *e, int status,
                    const char *const texts[])
{
    ck_assert_msg(e->status == status, "ended with %d, not %d, printing:\n%s",
                  e->status, status, e->text);
    for (size_t i = 0; texts[i]; i++)
        ck_assert_msg(strstr(e->text, texts[i]), "no \"%s\" in:\n%s", texts[i],
                      e->text);
}

int api_count_lines(const char *text, const char *regex)
{
    regex_t re;
    int count = 0;
    ck_assert_int_eq(regcomp(&re, regex, REG_EXTENDED | REG_NOSUB), 0);
    while (*text) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);
        count += regexec(&re, line, 0, NULL, 0) == 0;
        free(line);
        text += n + (text[n] != 0);
    }
    regfree(&re);
    return count;
}

long api_thread(void)
{
    return syscall(SYS_gettid);
}
