// SPDX-License-Identifier: BSD-3-Clause
// bench/alloc2t_bench.c: alloc32's loop in as many goroutines as there are
// processors (TUZAMAXPROCS, 1 or 2), at the same time. The value is the CPU
// time of an object.

#include <tuza.h>

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#define YIELD() tuza_yield()
#include "alloc2t.h"
#include "bench.h"

tuza_fn(work, tuza_waitgroup *, group, struct worker *, me, int, count)
{
    worker_run(me, count);
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    int count = worker_count();
    bool ok = true;
    int64_t start = bench_cpu_ns();
    tuza_waitgroup_add(&group, count);
    for (int i = 0; i < count; i++)
        ok &= tuza_go(work, &group, &workers[i], count) == 0;
    tuza_waitgroup_wait(&group);
    return bench_report(bench_cpu_ns() - start, (uint64_t)count * PARTS * PART,
                        ok && workers_did_well(count));
}
