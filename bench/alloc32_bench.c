// SPDX-License-Identifier: BSD-3-Clause
// bench/alloc32_bench.c: allocating an object of 32 bytes that is scanned
// conservatively, with the collector on. The last 1000 live; each is looked at
// when it makes room for another.

#include <tuza.h>

#define ALLOC(size) tuza_alloc(size)
#define FREE(p) ((void)(p))
#include "alloc.h"
#include "bench.h"

static const uint64_t OBJECTS = 10000000;
static struct alloc32 *ring[ALLOC32_LIVE];

TUZA_MAIN
{
    int64_t start = bench_cpu_ns();
    bool ok = alloc32_part(ring, 0, OBJECTS);
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
