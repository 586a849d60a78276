// SPDX-License-Identifier: BSD-3-Clause
// bench/spawn_bench.c: a goroutine's spawn, run and exit, in batches of 1000
// that are waited for. Each leaves the number of its batch in its own slot.

#include <tuza.h>

#include "bench.h"

enum { BATCH = 1000, BATCHES = 2000 };
static uint32_t slot[BATCH];

tuza_fn(child, tuza_waitgroup *, group, uint32_t *, mine, uint32_t, batch)
{
    *mine = batch;
    tuza_waitgroup_done(group);
}

static int run(uint32_t first, uint32_t batches)
{
    static tuza_waitgroup group;
    int ok = 1;
    for (uint32_t b = first; b < first + batches; b++) {
        tuza_waitgroup_add(&group, BATCH);
        for (int i = 0; i < BATCH; i++)
            ok &= tuza_go(child, &group, &slot[i], b) == 0;
        tuza_waitgroup_wait(&group);
        for (int i = 0; i < BATCH; i++)
            ok &= slot[i] == b;
    }
    return ok;
}

TUZA_MAIN
{
    int ok = run(1, 100); // to warm up
    int64_t start = bench_cpu_ns();
    ok &= run(101, BATCHES);
    return bench_report(bench_cpu_ns() - start, (uint64_t)BATCH * BATCHES, ok);
}
