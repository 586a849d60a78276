// SPDX-License-Identifier: BSD-3-Clause
// test/support/api_check.h: what the tests of the public face share.
//
// libcheck runs each test in a child process, so each test may start the
// runtime once. An assertion that fails in a goroutine ends that child.
#ifndef TEST_API_CHECK_H
#define TEST_API_CHECK_H

#include <check.h>
#include <stdbool.h>

#include "tuza.h"

// Runs the tests (a list that ends with NULL) as a suite; main's value. Each is
// a case of its own: CK_EXCLUDE_TAGS="<test>..." runs all but these,
// CK_RUN_CASE=<test> runs it alone, and CK_FORK=no then
// keeps it in this process, for a debugger.
int api_check(const char *name, const TTest *const tests[]);

// Runs fn as the first goroutine on `maxprocs` threads (0: the default), with
// TUZAMAXPROCS out of the way, and asserts that it returns 0.
void api_run(int (*fn)(int argc, char **argv), int maxprocs);
// As a program that promises to tell the collector of all its stores.
void api_run_telling(int (*fn)(int argc, char **argv), int maxprocs);

// How a process ended and what it had printed to stdout and stderr.
struct api_ended {
    int status; // exit status, or minus the signal that killed it
    size_t length;
    char text[256 * 1024]; // terminated
};

// Runs body in a process of its own, killed by SIGALRM after `seconds`; a body
// that returns exits with 0. The result lives until the next call.
struct api_ended *api_child(void (*body)(void), int seconds);

// Asserts that the process exited with `status` and printed all the texts (a
// list that ends with NULL); shows what it did otherwise.
void api_ended_with(const struct api_ended *e, int status,
                    const char *const texts[]);

// How many lines of the text match the extended regular expression.
int api_count_lines(const char *text, const char *regex);

// The kernel's number of this thread, asked anew at every call.
long api_thread(void);

// "file.c:12" of the line where it stands, as spawn sites are written.
#define API_HERE __FILE__ ":" API_STR(__LINE__)
#define API_STR(x) API_STR_(x)
#define API_STR_(x) #x

#endif
