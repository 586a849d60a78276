// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/libc.c: functions without checks, called with as little
// left as there can be; and frames found through segments.

#include <execinfo.h>
#include <fnmatch.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuza.h>

#define NOINLINE __attribute__((noinline, noclone))

static int failed;
#define NEED(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("line %d: %s\n", __LINE__, #cond);                          \
            failed = 1;                                                        \
        }                                                                      \
    } while (0)

static NOINLINE int compare(const void *a, const void *b)
{
    volatile char frame[2000];
    frame[0] = 1;
    return *(const int *)a - *(const int *)b + frame[0] - 1;
}
static int (*volatile by)(const void *, const void *) = compare;

static void *thread_main(void *arg)
{
    volatile char frame[200 * 1024];
    frame[0] = 1;
    *(int *)arg = tuza_split_segments() + frame[0];
    return arg;
}

static char text[16384];
static int (*volatile print)(char *, size_t, const char *, ...) = snprintf;

static NOINLINE void calls(void)
{
    NEED(print(text, sizeof text, "%.4000Lf", 1.25L) == 4002);
    int v[300];
    for (int i = 0; i < 300; i++)
        v[i] = i * 77 % 300;
    qsort(v, 300, sizeof *v, by);
    for (int i = 0; i < 300; i++)
        NEED(v[i] == i);
    regex_t r;
    NEED(regcomp(&r, "^(a|b|[c-z]+)*(x{1,20}|y+)$", REG_EXTENDED) == 0);
    NEED(regexec(&r, "abcdefxxxxyyy", 0, NULL, 0) == 0);
    regfree(&r);
    NEED(fnmatch("*.c", "libc.c", 0) == 0);
}

static NOINLINE void start_thread(void)
{
    pthread_t t;
    int result = -1;
    NEED(pthread_create(&t, NULL, thread_main, &result) == 0);
    NEED(pthread_join(t, NULL) == 0 && result == 1);
}

// The frames of `down` that backtrace finds, in all segments.
static NOINLINE int frames(void)
{
    static void *pc[20000];
    return backtrace(pc, 20000);
}
static NOINLINE int down(int n)
{
    volatile char frame[40];
    frame[0] = (char)n;
    if (n % 16 == 0)
        calls();
    if (n % 500 == 0)
        start_thread();
    int r = n ? down(n - 1) : frames();
    NEED(frame[0] == (char)n);
    return r;
}

tuza_fn(run, tuza_waitgroup *, group)
{
    int found = down(4000);
    // Twice as many where the linker has converted `down`.
    NEED(found >= 4000 && found < 8200);
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    tuza_waitgroup_add(&group, 1);
    tuza_go(run, &group);
    tuza_waitgroup_wait(&group);
    printf("libc: %d\n", failed);
    return failed;
}
