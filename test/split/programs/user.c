// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/user.c: calls a shared library and is called back; each of
// the two may be split code, or not. Arguments: how deep the program goes, and
// the library, and how many segments that makes at least.

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuza.h>

int shared_down(int n, int (*then)(void *), void *arg);

static jmp_buf env;
static int own_down(int n, int (*then)(void *), void *arg)
{
    volatile char frame[100];
    frame[0] = (char)n;
    int r = n ? own_down(n - 1, then, arg) : then(arg);
    return r + (frame[0] != (char)n);
}
static int (*volatile down)(int, int (*)(void *), void *) = own_down;

static int segments(void *arg)
{
    if (*(int *)arg == 7)
        longjmp(env, 9);
    return tuza_split_segments();
}
static int own, shared; // depths
static int again(void *arg)
{
    return shared_down(shared, segments, arg);
}

static int failed;
tuza_fn(run, int, least, tuza_waitgroup *, group)
{
    int arg = 0;
    for (volatile int i = 0; i < 100; i++) {
        int n = down(own, again, &arg);
        if (n < least || (least == 0 && n > 1)) {
            printf("%d segments, at least %d\n", n, least);
            failed = 1;
        }
        if (setjmp(env) == 0) {
            arg = 7;
            down(own, again, &arg);
        }
        arg = 0;
        if (least && tuza_split_segments() != 1)
            failed = 1;
        tuza_gc();
    }
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    if (argc != 4)
        return 2;
    own = atoi(argv[1]);
    shared = atoi(argv[2]);
    tuza_waitgroup_add(&group, 1);
    tuza_go(run, atoi(argv[3]), &group);
    tuza_waitgroup_wait(&group);
    printf("user: %d\n", failed);
    return failed;
}
