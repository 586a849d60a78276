// SPDX-License-Identifier: BSD-3-Clause
// bench/noscan32_bench.c: allocating an object of 32 bytes that the collector
// does not look into, with the collector on. The last 100,000 live; each is
// looked at when it makes room for another.

#include <tuza.h>

#define ALLOC(size) tuza_alloc_bytes(size)
#define FREE(p) ((void)(p))
#include "alloc.h"
#include "bench.h"

static const uint64_t OBJECTS = 20000000;
static struct noscan32 *ring[NOSCAN32_LIVE];

TUZA_MAIN
{
    int64_t start = bench_cpu_ns();
    bool ok = noscan32_part(ring, 0, OBJECTS);
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
