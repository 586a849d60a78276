// SPDX-License-Identifier: BSD-3-Clause
// bench/alloc32_bench.c: allocating an object of 32 bytes that is scanned
// conservatively, with the collector on. The last 1000 live; each is looked at
// when it makes room for another.

#include <tuza.h>

#include "bench.h"

enum { LIVE = 1000 };
static const uint64_t OBJECTS = 10000000;

struct object {
    struct object *self;
    uint64_t number;
    uint64_t rest[2];
};
static struct object *ring[LIVE];

TUZA_MAIN
{
    int ok = 1;
    int64_t start = bench_cpu_ns();
    for (uint64_t i = 0; i < OBJECTS; i++) {
        struct object **at = &ring[i % LIVE];
        if (*at)
            ok &= (*at)->self == *at && (*at)->number == i - LIVE;
        struct object *x = tuza_alloc(sizeof *x);
        x->self = x;
        x->number = i;
        *at = x;
    }
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
