// SPDX-License-Identifier: BSD-3-Clause
// test/diag/metrics_test.c: metrics by name, and the histogram behind some.

#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "diag/histogram.h"
#include "sched/port.h"
#include "support/goroutines.h"

static uint64_t u64_of(const char *name)
{
    tuza_metric m = { .name = name };
    need_eq(tuza_metrics_read(&m, 1), 0);
    need_eq(m.kind, TUZA_METRIC_UINT64);
    return m.value.u64;
}

// --- the histogram

START_TEST(each_time_is_within_the_bounds_of_its_bucket)
{
    static struct tz_histogram h;
    static tuza_histogram out;
    tz_histogram_init();
    ck_assert_uint_eq(tz_histogram_read(&h, &out), 0);
    const double *b = out.bounds;
    ck_assert(isinf(b[0]) && b[0] < 0);
    ck_assert(isinf(b[TUZA_HISTOGRAM_BUCKETS]));
    for (int i = 0; i < TUZA_HISTOGRAM_BUCKETS; i++)
        ck_assert(b[i] < b[i + 1]);
    uint64_t n = 0;
    for (int e = 0; e < 63; e++)
        for (int64_t d = -3; d <= 3; d++) {
            int64_t ns = (INT64_C(1) << e) + d * ((INT64_C(1) << e) / 7 + 1);
            uint32_t i = tz_histogram_bucket(ns);
            double s = (double)ns / 1e9;
            ck_assert_uint_lt(i, TUZA_HISTOGRAM_BUCKETS);
            ck_assert_msg(s >= b[i] && s < b[i + 1], "%lld in bucket %u",
                          (long long)ns, i);
            tz_histogram_add(&h, ns);
            n++;
        }
    ck_assert_uint_eq(tz_histogram_read(&h, &out), n);
    ck_assert_uint_eq(tz_histogram_bucket(-1), 0);
    ck_assert_uint_eq(tz_histogram_bucket(INT64_MIN), 0);
    ck_assert_uint_eq(tz_histogram_bucket(0), 1);
    ck_assert_uint_eq(tz_histogram_bucket(512), 5);
    ck_assert_uint_eq(tz_histogram_bucket(INT64_MAX),
                      TUZA_HISTOGRAM_BUCKETS - 1);
    // A quarter of the value at most.
    for (int i = 5; i < TUZA_HISTOGRAM_BUCKETS - 1; i++)
        ck_assert(b[i + 1] / b[i] <= 1.25 + 1e-9);
}
END_TEST

static struct tz_histogram shared;
static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++)
        tz_histogram_add(&shared, i);
    return arg;
}

START_TEST(no_count_of_several_threads_is_lost)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, add_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_eq(tz_histogram_read(&shared, NULL), 400000);
}
END_TEST

// --- the names

START_TEST(descriptions_are_sorted_and_complete)
{
    size_t n;
    const tuza_metric_description *d = tuza_metrics_all(&n);
    ck_assert_uint_gt(n, 30);
    for (size_t i = 0; i < n; i++) {
        ck_assert(d[i].name[0] == '/' && strchr(d[i].name, ':'));
        ck_assert(d[i].description[0] && d[i].kind != TUZA_METRIC_BAD);
        ck_assert(i == 0 || strcmp(d[i - 1].name, d[i].name) < 0);
    }
    tuza_metric m = { .name = d[0].name };
    ck_assert_int_eq(tuza_metrics_read(&m, 1), -EINVAL); // nothing runs yet
}
END_TEST

IN_GOROUTINES(every_name_can_be_read_and_no_other, 2)
{
    size_t n;
    const tuza_metric_description *d = tuza_metrics_all(&n);
    static tuza_metric m[100];
    need(n + 3 <= 100);
    for (size_t i = 0; i < n; i++)
        m[i].name = d[i].name;
    m[n].name = "/sched/goroutines:threads";
    m[n + 1].name = "";
    m[n + 2].name = NULL;
    for (size_t i = 0; i < n + 3; i++) {
        m[i].kind = -1;
        m[i].value.u64 = 12345678901234567;
    }
    need_eq(tuza_metrics_read(m, n + 3), 0);
    for (size_t i = 0; i < n; i++) {
        need_eq(m[i].kind, d[i].kind);
        need(m[i].value.u64 != 12345678901234567);
    }
    for (size_t i = n; i < n + 3; i++) {
        need_eq(m[i].kind, TUZA_METRIC_BAD);
        need_eq(m[i].value.u64, 12345678901234567);
    }
}

tuza_fn(receiver, tuza_chan(int), c)
{
    tuza_recv(c, NULL);
}

IN_GOROUTINES(goroutines_are_counted_by_state, 2)
{
    enum { N = 100 };
    tuza_chan(int) c = tuza_chan_make(int, 0);
    uint64_t created = u64_of("/sched/goroutines-created:goroutines");
    for (int i = 0; i < N; i++)
        tuza_go(receiver, c);
    until_waiting(N);
    need_eq(u64_of("/sched/goroutines-created:goroutines") - created, N);
    need_eq(u64_of("/sched/goroutines:goroutines"), N + 1);
    need_eq(u64_of("/sched/goroutines/waiting:goroutines"), N);
    need_eq(u64_of("/sched/goroutines/running:goroutines"), 1);
    need_eq(u64_of("/sched/goroutines/not-in-go:goroutines"), 0);
    need_eq(u64_of("/sched/gomaxprocs:threads"), 2);
    need(u64_of("/sched/threads/total:threads") >= 3);
    need(u64_of("/tuza/sched/goroutines-peak:goroutines") + 128 > N);
    uint64_t handoffs = u64_of("/tuza/sched/handoffs:events");
    need_eq(TUZA_BLOCKING(usleep(1000)), 0);
    need(u64_of("/tuza/sched/handoffs:events") > handoffs);
}

static void *keep;

IN_GOROUTINES(memory_adds_up_and_allocations_are_counted, 2)
{
    static const char *const name[] = {
        "/memory/classes/total:bytes",
        "/memory/classes/heap/free:bytes",
        "/memory/classes/heap/objects:bytes",
        "/memory/classes/heap/released:bytes",
        "/memory/classes/heap/stacks:bytes",
        "/memory/classes/heap/unused:bytes",
        "/memory/classes/metadata/other:bytes",
        "/memory/classes/other:bytes",
    };
    enum { N = sizeof name / sizeof name[0] };
    tuza_metric m[N];
    for (int round = 0; round < 100; round++) {
        memset(m, 0, sizeof m);
        for (int i = 0; i < N; i++)
            m[i].name = name[i];
        need_eq(tuza_metrics_read(m, N), 0);
        uint64_t sum = 0;
        for (int i = 1; i < N; i++)
            sum += m[i].value.u64;
        need_eq(m[0].value.u64, sum);
        keep = tuza_alloc(20000);
    }
    uint64_t bytes = u64_of("/gc/heap/allocs:bytes");
    uint64_t count = u64_of("/gc/heap/allocs:objects");
    keep = tuza_alloc(1 << 20);
    need(u64_of("/gc/heap/allocs:bytes") - bytes >= 1 << 20);
    need_eq(u64_of("/gc/heap/allocs:objects") - count, 1);
    need(u64_of("/gc/heap/live:bytes") >= 1 << 20);
}

static tuza_histogram pauses, stopping;

// The sum of lower bounds, in seconds: less than what was counted.
static double at_least(const tuza_histogram *h)
{
    double sum = 0;
    for (int i = 1; i < TUZA_HISTOGRAM_BUCKETS; i++)
        sum += (double)h->count[i] * h->bounds[i];
    return sum;
}

IN_GOROUTINES(each_collection_is_a_pause_in_the_histograms, 2)
{
    tuza_metric m[] = {
        { .name = "/sched/pauses/total/gc:seconds", .histogram = &pauses },
        { .name = "/sched/pauses/stopping/gc:seconds",
          .histogram = &stopping },
        { .name = "/gc/cycles/total:gc-cycles" },
        { .name = "/gc/cycles/forced:gc-cycles" },
        { .name = "/gc/pauses:seconds" }, // not wanted but for its count
        { .name = "/tuza/gc/pauses-total:seconds" },
        { .name = "/cpu/classes/gc/mark/dedicated:cpu-seconds" },
    };
    for (int i = 0; i < 10; i++)
        tuza_gc();
    need_eq(tuza_metrics_read(m, 7), 0);
    need(m[0].kind == TUZA_METRIC_HISTOGRAM && m[2].value.u64 >= 10);
    need_eq(m[0].value.u64, m[2].value.u64);
    need_eq(m[1].value.u64, m[2].value.u64);
    need_eq(m[4].value.u64, m[2].value.u64);
    need_eq(m[3].value.u64, 10);
    need(m[5].kind == TUZA_METRIC_FLOAT64 && m[5].value.f64 > 0);
    need(m[6].value.f64 > 0 && m[6].value.f64 < m[5].value.f64); // all in stops
    need_eq(pauses.count[0], 0); // none took less than no time
    need_eq(stopping.count[0], 0);
    need(at_least(&pauses) > 0 && at_least(&pauses) <= m[5].value.f64);
    need(at_least(&stopping) <= at_least(&pauses) * 1.25 + 1e-6);
}

int main(void)
{
    const TTest *const tests[] = {
        each_time_is_within_the_bounds_of_its_bucket,
        no_count_of_several_threads_is_lost,
        descriptions_are_sorted_and_complete,
        every_name_can_be_read_and_no_other,
        goroutines_are_counted_by_state,
        memory_adds_up_and_allocations_are_counted,
        each_collection_is_a_pause_in_the_histograms,
        NULL,
    };
    return api_check("metrics", tests);
}
