/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/metrics.h: figures by name, as in Go's runtime/metrics.
 *
 *     tuza_metric m[] = { { "/sched/goroutines:goroutines" },
 *                         { "/gc/heap/live:bytes" } };
 *     tuza_metrics_read(m, 2);
 *     printf("%llu\n", (unsigned long long)m[0].value.u64);
 *
 * A name is a path and, behind the colon, the unit. Names that Go has mean here
 * what they mean there; those below /tuza/ are ours.
 */
#ifndef TUZA_METRICS_H
#define TUZA_METRICS_H

#include "tuza/base.h"

TUZA_BEGIN

enum tuza_metric_kind {
    TUZA_METRIC_BAD, /* there is no such name */
    TUZA_METRIC_UINT64,
    TUZA_METRIC_FLOAT64,
    TUZA_METRIC_HISTOGRAM
};

/* Bucket i counts values in [bounds[i], bounds[i + 1]). The first bound is
 * -infinity, the last infinity; between them, each power of two from 512 ns to
 * 2^48 ns (three days) in four equal parts. */
enum { TUZA_HISTOGRAM_BUCKETS = 162 };
typedef struct tuza_histogram {
    uint64_t count[TUZA_HISTOGRAM_BUCKETS];
    const double *bounds; /* TUZA_HISTOGRAM_BUCKETS + 1, for ever */
} tuza_histogram;

typedef struct tuza_metric {
    const char *name;          /* in */
    tuza_histogram *histogram; /* in: where one is put; NULL: not wanted */
    int kind;                  /* out: enum tuza_metric_kind */
    union {
        uint64_t u64;
        double f64;
    } value;                   /* out; of a histogram: all of its counts */
} tuza_metric;

/* Fills in n metrics; of a name that there is not, only the kind. All that are
 * read in one call fit each other: the parts of /memory/classes make the total.
 * 0; -EINVAL before the runtime is started. Does not park;
 * from any thread. Metrics of goroutines by state walk over all goroutines. */
TUZA_API int tuza_metrics_read(tuza_metric *m, size_t n);

typedef struct tuza_metric_description {
    const char *name, *description;
    int kind;
    int cumulative; /* it only grows */
} tuza_metric_description;

/* All that there are, sorted by name, and how many. */
TUZA_API const tuza_metric_description *tuza_metrics_all(size_t *n);

TUZA_END

#endif
