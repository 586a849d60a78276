// SPDX-License-Identifier: BSD-3-Clause
// emul/beside.c: a program that hangs when a wake-up is lost.
//
//     beside [ROUNDS]
//
// On two Ps one goroutine makes others runnable and then waits for them in a
// loop without calls, so that nobody but the second P can run them. How long it
// waits before that is random, so that the second thread is met everywhere on
// its way to sleep and back.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuza.h>

enum { PAUSE_MOST = 20000 };

static uint32_t done; // atomic; of this round
static uint32_t seed = 1;
static tuza_chan(int) start;

static void run_once(void *arg)
{
    (void)arg;
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
}

static void run_when_told(void *arg)
{
    (void)arg;
    while (tuza_recv(start, NULL))
        __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
}

static void be_about(void)
{
    seed = seed * 1664525 + 1013904223;
    for (volatile uint32_t i = seed >> 8; (i & 0xffffff) % PAUSE_MOST; i++)
        ;
}

static void wait_beside(void)
{
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        ;
    __atomic_store_n(&done, 0, __ATOMIC_RELAXED);
}

static int program(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 300;
    start = tuza_chan_make(int, 0);
    tuza_spawn(run_when_told, NULL);
    for (int i = 0; i < rounds; i++) {
        be_about();
        if (i % 2)
            tuza_send(start, i);
        else
            tuza_spawn(run_once, NULL);
        wait_beside();
    }
    return 0;
}

int main(int argc, char **argv)
{
    tuza_config two = { .size = sizeof two, .maxprocs = 2 };
    unsetenv("TUZAMAXPROCS");
    int r = tuza_run(program, argc, argv, &two);
    printf("done\n");
    return r;
}
