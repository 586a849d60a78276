// SPDX-License-Identifier: BSD-3-Clause
// diag/histogram.c: a log-linear histogram of times.
//
//   bucket  0        below 0
//           1 … 4    [0, 512) ns, each 128 wide
//           5 … 160  [2^e, 2^(e+1)) ns for e = 9 … 47, each in four parts
//           161      2^48 ns and more
//
// So a value is known to a quarter of itself. Go's histogram.go has the same
// shape (timeHistogram).

#include "diag/histogram.h"

#include "base/atomic.h"

enum { MIN_BITS = 9, MAX_BITS = 48, SUB_BITS = 2, SUB = 1 << SUB_BITS };
_Static_assert(1 + SUB + (MAX_BITS - MIN_BITS) * SUB + 1 ==
                   TUZA_HISTOGRAM_BUCKETS,
               "tuza/metrics.h says how many");

static double bounds[TUZA_HISTOGRAM_BUCKETS + 1]; // seconds; const after init

uint32_t tz_histogram_bucket(int64_t ns)
{
    if (ns < 0)
        return 0;
    if (ns < 1 << MIN_BITS)
        return 1 + (uint32_t)(ns >> (MIN_BITS - SUB_BITS));
    uint32_t e = 63 - (uint32_t)__builtin_clzll((unsigned long long)ns);
    if (e >= MAX_BITS)
        return TUZA_HISTOGRAM_BUCKETS - 1;
    uint32_t part = (uint32_t)(ns >> (e - SUB_BITS)) % SUB;
    return 1 + SUB + (e - MIN_BITS) * SUB + part;
}

void tz_histogram_add(struct tz_histogram *h, int64_t ns)
{
    tz_xadd_rlx(&h->count[tz_histogram_bucket(ns)], 1);
}

uint64_t tz_histogram_read(const struct tz_histogram *h, tuza_histogram *out)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < TUZA_HISTOGRAM_BUCKETS; i++) {
        uint64_t n = tz_load_rlx(&h->count[i]);
        sum += n;
        if (out)
            out->count[i] = n;
    }
    if (out)
        out->bounds = bounds;
    return sum;
}

void tz_histogram_init(void)
{
    uint32_t i = 0;
    bounds[i++] = -__builtin_inf();
    for (uint32_t part = 0; part < SUB; part++)
        bounds[i++] = (double)(part << (MIN_BITS - SUB_BITS)) / 1e9;
    for (uint32_t e = MIN_BITS; e < MAX_BITS; e++)
        for (uint64_t part = 0; part < SUB; part++)
            bounds[i++] = (double)((SUB + part) << (e - SUB_BITS)) / 1e9;
    bounds[i++] = (double)(UINT64_C(1) << MAX_BITS) / 1e9;
    bounds[i] = __builtin_inf();
}
