// SPDX-License-Identifier: BSD-3-Clause
// cache [-m MIB] [-w N] [-s SECONDS] [-n N] [-r PERCENT] [-q N]: a cache under
// load, and how long each operation took.
//
//   main --> fills the cache --> workers --> get, put --> cache (lru.c)
//    ^                              |
//    +---------- tallies -----------+    each with a histogram of its own
//
// A server that holds a gigabyte in millions of objects, and drops and makes
// thousands a second, is the hard case for a collector: what it has to do grows
// with what lives, and who asks meanwhile waits. The longest bars of the plot
// say what the cache costs, the last ones what the collector does.
//
//     TUZADEBUG=gctrace=1 cache -m 1024 -s 20 -q 100000
//
// prints a line for each collection beside; TUZAGC=50 makes twice as many.

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"

enum {
    MIB = 1024 * 1024,
    DEFAULT_MIB = 64,
    DEFAULT_SECONDS = 2,
    MOST_WORKERS = 10000,
    MOST_MIB = sizeof(void *) == 4 ? 2048 : 1024 * 1024
};

// Several workers may come here at once, which exit() would not bear; one speaks.
void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    flockfile(stderr); // for good
    fputs("cache: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(stdout);
    _exit(1);
}

void must(int err)
{
    if (err < 0)
        die("%s", strerror(-err));
}

void *need(void *p)
{
    must(p ? 0 : -ENOMEM);
    return p;
}

static void usage(FILE *to)
{
    fputs("usage: cache [-m MIB] [-w N] [-s SECONDS] [-n N] [-r PERCENT] "
          "[-q N]\n"
          "Fills a cache, reads and writes it, and plots how long that took.\n"
          "  -m MIB      the cache's limit (64)\n"
          "  -w N        workers (as many as processors)\n"
          "  -s SECONDS  for so long (2, unless there is -n)\n"
          "  -n N        so many operations, of all workers\n"
          "  -r PERCENT  so many of them read (90)\n"
          "  -q N        so many are due a second, of all workers, and count\n"
          "              from then (0: one after the other)\n",
          to);
}

__attribute__((format(printf, 1, 2))) TUZA_NORETURN static void
misused(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("cache: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    usage(stderr);
    exit(2);
}

static uint64_t number(int option, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(optarg, &end, 10);
    if (end == optarg || *end || errno || *optarg == '-' || n < least ||
        n > most)
        misused("-%c: %s is not a number from %" PRIu64 " to %" PRIu64, option,
                optarg, least, most);
    return n;
}

static double decimal(int option, double least, double most)
{
    char *end;
    double x = strtod(optarg, &end);
    if (end == optarg || *end || !(x >= least && x <= most))
        misused("-%c: %s is not a number from %g to %.0f", option, optarg,
                least, most);
    return x;
}

struct options {
    struct load load;
    size_t limit;
};

static struct options parse(int argc, char **argv)
{
    tuza_schedstats sched = { .size = sizeof sched };
    must(tuza_schedstats_read(&sched));
    struct options o = { .limit = (size_t)DEFAULT_MIB * MIB,
                         .load = { .workers = sched.maxprocs,
                                   .read_percent = 90,
                                   .ops = UINT64_MAX } };
    opterr = 0; // misused() says it
    for (int c; (c = getopt(argc, argv, ":m:w:s:n:r:q:h")) != -1;) {
        if (c == 'm') {
            // A shard holds the largest value; the keys' numbers have 32 bits.
            o.limit = (size_t)(decimal(c, 0.25, MOST_MIB) * MIB);
        } else if (c == 'w') {
            o.load.workers = number(c, 1, MOST_WORKERS);
        } else if (c == 's') {
            o.load.duration = (int64_t)(decimal(c, 0.001, 1e6) * 1e9);
        } else if (c == 'n') {
            o.load.ops = number(c, 1, INT64_MAX);
        } else if (c == 'r') {
            o.load.read_percent = number(c, 0, 100);
        } else if (c == 'q') {
            o.load.per_second = number(c, 0, 1000000000);
        } else if (c == 'h') {
            usage(stdout);
            exit(fflush(stdout) ? 1 : 0);
        } else {
            misused(c == ':' ? "-%c: of what?" : "what is -%c?", optopt);
        }
    }
    if (optind < argc)
        misused("what is %s?", argv[optind]);
    if (o.load.duration == 0)
        o.load.duration = o.load.ops == UINT64_MAX ? TUZA_SEC(DEFAULT_SECONDS)
                                                   : INT64_MAX;
    return o;
}

static int64_t cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return TUZA_SEC(t.tv_sec) + t.tv_nsec;
}

static void report_load(const struct tally *t, int64_t wall, int64_t cpu,
                        int64_t fill)
{
    printf("ops=%" PRIu64 " wall_ms=%" PRId64 " cpu_ms=%" PRId64
           " ops_per_s=%.0f fill_ms=%" PRId64 "\n",
           t->ops, wall / TUZA_MS(1), cpu / TUZA_MS(1),
           (double)t->ops * 1e9 / (double)wall, fill / TUZA_MS(1));
    printf("reads=%" PRIu64 " hits=%" PRIu64 " hit_percent=%.2f\n", t->reads,
           t->hits,
           t->reads ? 100.0 * (double)t->hits / (double)t->reads : 0);
}

static void report_memory(struct cache_totals c, size_t limit)
{
    struct rusage self;
    getrusage(RUSAGE_SELF, &self);
    printf("entries=%" PRIu64 " live_mib=%.2f limit_mib=%.2f peak_rss_mib=%ld"
           "\n",
           c.entries, (double)c.bytes / MIB, (double)limit / MIB,
           self.ru_maxrss / 1024);
}

// Of the load alone, but for the longest pause, which the fill may have had.
static void report_collector(const tuza_memstats *before)
{
    tuza_memstats mem = { .size = sizeof mem };
    must(tuza_memstats_read(&mem));
    printf("collections=%" PRIu64 " pause_total_us=%" PRIu64
           " longest_pause_us=%" PRIu64 "\n",
           mem.num_gc - before->num_gc,
           (mem.pause_total_ns - before->pause_total_ns) / 1000,
           mem.pause_max_ns / 1000);
}

static void report_latency(const struct histogram *h)
{
    printf("p50_ns=%" PRId64 " p90_ns=%" PRId64 " p99_ns=%" PRId64 "\n"
           "p999_ns=%" PRId64 " p9999_ns=%" PRId64 " max_ns=%" PRId64 "\n\n",
           histogram_quantile(h, 50, 100), histogram_quantile(h, 90, 100),
           histogram_quantile(h, 99, 100), histogram_quantile(h, 999, 1000),
           histogram_quantile(h, 9999, 10000), histogram_max(h));
    histogram_plot(h);
}

TUZA_MAIN
{
    struct options o = parse(argc, argv);
    uint64_t entries = load_entries(o.limit);
    o.load.keys = 2 * entries;
    o.load.cache = cache_new(o.limit, entries);

    int64_t start = tuza_now();
    load_fill(&o.load, entries + entries / 8);
    int64_t fill = tuza_now() - start;

    tuza_memstats before = { .size = sizeof before };
    must(tuza_memstats_read(&before));
    struct tally total = { .latency = histogram_new() };
    int64_t cpu = cpu_now();
    start = tuza_now();
    load_run(&o.load, &total);
    int64_t wall = tuza_now() - start;
    cpu = cpu_now() - cpu;

    report_load(&total, wall, cpu, fill);
    report_memory(cache_audit(o.load.cache), o.limit);
    report_collector(&before);
    report_latency(total.latency);
    int err = TUZA_SYSCALL(fflush(stdout));
    if (err || ferror(stdout))
        die("standard output: %s", strerror(err ? -err : EIO));
    return 0;
}
