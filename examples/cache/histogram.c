// SPDX-License-Identifier: BSD-3-Clause
// histogram.c: counts times from a nanosecond to centuries, each to 3 %.
//
// Each power of two is cut into 32 equal parts, as in Gil Tene's HdrHistogram.
// Below 32 ns a bucket is one nanosecond:
//
//   shift     0            0          1          2
//   times   0…31        32…63     64…127    128…255 ns …
//   wide      1            1          2          4
//
// To count is to find the highest bit, shift and add one, in memory of the
// worker's own; the histograms of all are added up when they have ended.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache.h"

enum {
    PART_BITS = 5,
    PARTS = 1 << PART_BITS,
    BUCKETS = (64 - PART_BITS) * PARTS + PARTS,
    BAR = 40
};

struct histogram {
    uint64_t count[BUCKETS];
    uint64_t total;
    int64_t max;
};

struct histogram *histogram_new(void)
{
    // Numbers only: the collector need not look at them. Such memory comes as
    // it is.
    struct histogram *h = need(tuza_alloc_bytes(sizeof *h));
    return memset(h, 0, sizeof *h);
}

static int highest_bit(uint64_t x)
{
    return 63 - __builtin_clzll(x | 1);
}

static size_t bucket_of(uint64_t ns)
{
    int shift = highest_bit(ns) - PART_BITS;
    return shift <= 0 ? ns : (size_t)shift * PARTS + (ns >> shift);
}

// The first time that is in the bucket.
static uint64_t bucket_start(size_t i)
{
    return i < 2 * PARTS ? i : (PARTS + i % PARTS) << (i / PARTS - 1);
}

void histogram_add(struct histogram *h, int64_t ns)
{
    if (ns < 0)
        die("the clock went back by %" PRId64 " ns", -ns);
    h->count[bucket_of((uint64_t)ns)]++;
    h->total++;
    if (ns > h->max)
        h->max = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < BUCKETS; i++)
        into->count[i] += from->count[i];
    into->total += from->total;
    if (from->max > into->max)
        into->max = from->max;
}

int64_t histogram_max(const struct histogram *h)
{
    return h->max;
}

int64_t histogram_quantile(const struct histogram *h, uint64_t part,
                           uint64_t whole)
{
    // The smallest time that this many did not exceed, rounded up.
    uint64_t wanted = h->total / whole * part +
                      (h->total % whole * part + whole - 1) / whole;
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += h->count[i];
        if (seen >= wanted && seen > 0) {
            uint64_t last = bucket_start(i + 1) - 1;
            return last < (uint64_t)h->max ? (int64_t)last : h->max;
        }
    }
    return h->max;
}

// 256 times the logarithm to base 2 of 1 + n; between powers of two a line.
static uint64_t log_of(uint64_t n)
{
    int bit = highest_bit(++n);
    return (uint64_t)bit * 256 + ((n << (63 - bit)) >> 55) - 256;
}

static void print_time(uint64_t ns)
{
    static const char *const units[] = { "ns", "us", "ms", "s" };
    double t = (double)ns;
    int unit = 0;
    for (; t >= 1000 && unit < 3; unit++)
        t /= 1000;
    printf(unit ? "%7.2f %-2s" : "%7.0f %-2s", t, units[unit]);
}

void histogram_plot(const struct histogram *h)
{
    uint64_t rows[64] = { 0 }, most = 1;
    int first = 63, last = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        if (h->count[i] == 0)
            continue;
        int bit = highest_bit(bucket_start(i));
        rows[bit] += h->count[i];
        most = rows[bit] > most ? rows[bit] : most;
        first = bit < first ? bit : first;
        last = bit > last ? bit : last;
    }
    printf("%10s %12s %9s  logarithm of it\n", "from", "operations", "percent");
    for (int bit = first; bit <= last; bit++) {
        int bar = (int)((log_of(rows[bit]) * BAR + log_of(most) - 1) /
                        log_of(most));
        print_time(UINT64_C(1) << bit);
        printf(" %12" PRIu64 " %9.4f", rows[bit],
               100.0 * (double)rows[bit] / (double)h->total);
        if (bar)
            printf("  %.*s", bar, "########################################");
        putchar('\n');
    }
}
