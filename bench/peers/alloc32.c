// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/alloc32.c: alloc32_bench.c with another allocator, as bench/run
// names it: ALLOC(size), and FREE(p) where freeing is somebody's work.

#include "../alloc.h"
#include "../bench.h"

static const uint64_t OBJECTS = 10000000;
static struct alloc32 *ring[ALLOC32_LIVE];

int main(void)
{
    int64_t start = bench_cpu_ns();
    bool ok = alloc32_part(ring, 0, OBJECTS);
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
