// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/shared.c: the library that user.c calls.

int shared_down(int n, int (*then)(void *), void *arg);

static int (*volatile call)(int, int (*)(void *), void *) = shared_down;

int shared_down(int n, int (*then)(void *), void *arg)
{
    volatile char frame[100];
    frame[0] = (char)n;
    int r = n ? call(n - 1, then, arg) : then(arg);
    return r + (frame[0] != (char)n);
}
