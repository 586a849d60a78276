// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/mixed300k.c: mixed300k_bench.c with another allocator, as
// bench/run names it: ALLOC(size), and FREE(p) where freeing is somebody's
// work.

#include "../alloc.h"
#include "../bench.h"

static const uint64_t OBJECTS = 4000000;
static uint64_t *live[MIXED_LIVE];

int main(void)
{
    int64_t start = bench_cpu_ns();
    bool ok = mixed_run(live, OBJECTS);
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
