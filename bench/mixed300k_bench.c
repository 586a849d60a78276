// SPDX-License-Identifier: BSD-3-Clause
// bench/mixed300k_bench.c: allocating objects of 16 to 8184 bytes that are
// scanned conservatively, with the collector on. 300,000 live; each replaces
// one at random, which is looked at before it goes.

#include <tuza.h>

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#include "alloc.h"
#include "bench.h"

static const uint64_t OBJECTS = 4000000;
static uint64_t *live[MIXED_LIVE];

TUZA_MAIN
{
    int64_t start = bench_cpu_ns();
    bool ok = mixed_run(live, OBJECTS);
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
