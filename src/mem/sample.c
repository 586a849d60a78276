// SPDX-License-Identifier: BSD-3-Clause
// mem/sample.c: which objects the heap profile keeps.
//
// As in Go's malloc.go (profilealloc, nextSample), sampled bytes lie on the line
// of all that are allocated at exponentially distributed distances, `rate` on
// average, and an object with such a byte in it is sampled: one of n bytes with
// the probability 1 - exp(-n / rate), each independently of all others. So a
// count divided by that is an estimate without a bias (diag/memprof.c).
//
// The fast path of an allocation knows nothing of it. Bytes are counted when a
// free run is taken, all of the run at once, and a run with a sampled byte in it
// ends before the object that has it. The allocation for which it ends takes the
// slow way, gets that object alone, and it is its stack that is recorded:
//
//     free slots  |  |  |  |  |* |  |  |  |       *: the sampled byte
//     runs        |<---------->|<>|<------>
//
// Whose run the byte lies in is decided when the run is taken, not by who comes
// next: else classes that take many short runs would get the samples of those
// that take few long ones. What a flush takes back of a run is counted although
// it was not allocated; a line from which stretches are left out is still one of
// the same kind, since distances have no memory. For the same reason each flush
// may draw anew, which is how another rate reaches all caches: it is set while
// the world is stopped. With rate 1 each object is a run of its own.
//
// Off, it costs a comparison and a subtraction a run.

#include "mem/sample.h"

#include "base/rand.h"
#include "mem/mheap.h"
#include "mem/port.h"
#include "os/env.h"

TZ_WEAK void tz_port_alloc_sampled(void *p, uint64_t rate, const void *returns)
{
    (void)p, (void)rate, (void)returns;
}
TZ_WEAK void tz_port_sampled_freed(void *p)
{
    (void)p;
}

#define NEVER 0x1p62 // bytes that nobody allocates

// In [0, 1).
static double uniform(struct tz_sampler *p)
{
    return (double)(tz_rand_next(&p->rand) >> 11) * 0x1p-53;
}

// Exponentially distributed, 1 on average, by comparisons alone (von Neumann,
// Various techniques used in connection with random digits, 1951): the first of
// a falling sequence of an odd length, and 1 more for each try before. Exact;
// six numbers on average.
static double exponential(struct tz_sampler *p)
{
    for (double whole = 0;; whole++) {
        double first = uniform(p), last = first, next;
        unsigned length = 1;
        while ((next = uniform(p)) < last)
            last = next, length++;
        if (length % 2)
            return whole + first;
    }
}

static void draw(struct tz_sampler *p)
{
    uint64_t seed[2];
    p->drawn = true;
    p->rate = tz_load_rlx(&tz_mem.sample_rate); // changes in a stopped world
    p->until = p->rate ? 0 : UINT64_MAX;
    if (p->rate <= 1)
        return;
    if (!p->rand) {
        tz_env_random(seed);
        p->rand = seed[0] | 1;
    }
    double bytes = exponential(p) * (double)p->rate;
    p->until = bytes < NEVER ? (uint64_t)bytes : UINT64_MAX;
}

TZ_COLD void tz_sample_hit(struct tz_sampler *p, uint64_t bytes)
{
    if (!p->drawn)
        draw(p);
    if (bytes <= p->until) {
        p->until -= bytes;
        return;
    }
    p->hit = p->rate;
    draw(p); // from the end of the object on
}

TZ_COLD uint32_t tz_sample_cut(struct tz_sampler *p, struct tz_span *s,
                               uint32_t n)
{
    if (s->sample_next) { // and counted: it was cut from the last run
        s->sample_next = false;
        p->hit = p->rate;
        return 1;
    }
    if (!p->drawn)
        draw(p);
    uint64_t before = p->until / s->elem_size;
    if (before >= n) {
        p->until -= (uint64_t)n * s->elem_size;
        return n;
    }
    if (before == 0)
        p->hit = p->rate;
    else
        s->sample_next = true;
    draw(p);
    return before ? (uint32_t)before : 1;
}
