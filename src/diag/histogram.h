// SPDX-License-Identifier: BSD-3-Clause
// diag/histogram.h: how often something took how long.
#ifndef TZ_DIAG_HISTOGRAM_H
#define TZ_DIAG_HISTOGRAM_H

#include "base/base.h"
#include "tuza/metrics.h"

struct tz_histogram {
    uint64_t count[TUZA_HISTOGRAM_BUCKETS]; // atomic
};

// Counts a time; the lowest bucket is for those below 0. Any thread, any
// context; no lock.
void tz_histogram_add(struct tz_histogram *h, int64_t ns);

// Copies the counts and returns their sum.
uint64_t tz_histogram_read(const struct tz_histogram *h, tuza_histogram *out);

// Which bucket a time belongs to.
uint32_t tz_histogram_bucket(int64_t ns);

// Computes the bounds; once, before the first read.
void tz_histogram_init(void);

#endif
