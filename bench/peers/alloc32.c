// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/alloc32.c: alloc32_bench.c with another allocator, as bench/run
// names it: MALLOC(size), and FREE(p) where freeing is somebody's work.

#include "../bench.h"

enum { LIVE = 1000 };
static const uint64_t OBJECTS = 10000000;

struct object {
    struct object *self;
    uint64_t number;
    uint64_t rest[2];
};
static struct object *ring[LIVE];

int main(void)
{
    int ok = 1;
    int64_t start = bench_cpu_ns();
    for (uint64_t i = 0; i < OBJECTS; i++) {
        struct object **at = &ring[i % LIVE];
        if (*at) {
            ok &= (*at)->self == *at && (*at)->number == i - LIVE;
            FREE(*at);
        }
        struct object *x = MALLOC(sizeof *x);
        x->self = x;
        x->number = i;
        *at = x;
    }
    return bench_report(bench_cpu_ns() - start, OBJECTS, ok);
}
