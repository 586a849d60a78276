// SPDX-License-Identifier: BSD-3-Clause
// test/emul/parked.c: parked N [maps]: N goroutines that wait at the same time,
// each after a printf; then they go on and are counted. For small address
// spaces. With `maps` it shows what is mapped while they wait; with `reserve`
// 120 MiB are taken once 450 wait, as libc does for the mallocs of threads.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tuza.h"

static tuza_waitgroup parked, done;
static tuza_chan(int) gate;
static int waiting, passed;

tuza_fn(waiter, int, i)
{
    char text[64];
    snprintf(text, sizeof text, "goroutine %d of %s\n", i, "many");
    __atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&parked);
    int got = 0;
    tuza_recv(gate, &got); // until it is closed
    __atomic_fetch_add(&passed, text[0] == 'g', __ATOMIC_RELAXED);
    tuza_waitgroup_done(&done);
}

static bool reserved(void)
{
    size_t size = (size_t)120 << 20;
    return mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static void show_maps(void)
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        fputs(line, stderr);
    if (f)
        fclose(f);
}

TUZA_MAIN
{
    int n = argc > 1 ? atoi(argv[1]) : 1000;
    gate = tuza_chan_make(int, 0);
    if (!gate) {
        fputs("parked: no memory for a channel\n", stderr);
        return 1;
    }
    tuza_waitgroup_add(&parked, n);
    tuza_waitgroup_add(&done, n);
    bool reserve = argc > 2 && !strcmp(argv[2], "reserve");
    for (int i = 0; i < n; i++) {
        if (reserve && i == 450) {
            while (__atomic_load_n(&waiting, __ATOMIC_RELAXED) < i)
                tuza_yield();
            if (!reserved()) {
                perror("parked");
                return 1;
            }
        }
        if (tuza_go(waiter, i) != 0) {
            fprintf(stderr, "parked: goroutine %d is refused\n", i);
            return 1;
        }
    }
    tuza_waitgroup_wait(&parked);
    tuza_gc();
    if (argc > 2 && !strcmp(argv[2], "maps"))
        show_maps();
    tuza_close(gate);
    tuza_waitgroup_wait(&done);
    printf("hello from %d goroutines\n", passed);
    return 0;
}
