// SPDX-License-Identifier: BSD-3-Clause
// gc/trace.c: gctrace in the line format of Go (package runtime, GODEBUG
// gctrace=1), so that the tools that read it can read ours:
//
//   gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#-># MB, # MB goal,
//   # MB stacks, # MB globals, # P
//
// The three clock times are: a stop, the mark, a stop. A mark beside the program has
// two stops before the last, and the marking of that is in the third time; else the
// second time is inside of one stop, and what it takes to stop and to start again are
// the others. The cpu times are the same by the number of threads in them: assists,
// workers beside the program, and workers in the pause as idle ones. "stacks" is all
// that was scanned as roots. Behind it stand the mode, and why it is not a better one.

#include "gc/trace.h"

#include "base/atomic.h"
#include "base/print.h"
#include "gc/beside.h"

// ns as milliseconds with three digits behind the point.
static const char *ms(char buf[24], int64_t ns)
{
    int64_t us = (ns + 500) / 1000;
    tz_format(buf, 24, "%lld.%03lld", (long long)us / 1000,
              (long long)us % 1000);
    return buf;
}

static unsigned long long mb(uint64_t bytes)
{
    return (unsigned long long)((bytes + (1 << 19)) >> 20);
}

// ns as seconds with three digits behind the point.
static const char *seconds(char buf[24], int64_t ns)
{
    return ms(buf, ns / 1000);
}

// What the numbers are made of, in nanoseconds.
struct times {
    int64_t first, mark, last;      // of the clock
    int64_t assist, workers, pause; // of processors, while it marks
};

static int64_t marked_beside(const struct tz_gctrace *t)
{
    return t->stopping - t->beginning - t->stopped_beside;
}

struct tz_marktime tz_gctrace_marktime(const struct tz_gctrace *t)
{
    struct tz_marktime x = { 0, 0, (t->marked - t->marking) * t->workers };
    if (t->mode) {
        (void)tz_beside_assisted(&x.assist);
        x.beside = marked_beside(t) * t->workers_beside;
    }
    return x;
}

static struct times times_of(const struct tz_gctrace *t)
{
    int64_t marking = t->marked - t->marking;
    struct tz_marktime x = tz_gctrace_marktime(t);
    if (!t->mode)
        return (struct times){ t->marking - t->stopping, marking,
                               t->end - t->marked, 0, x.stopped, 0 };
    return (struct times){ t->stopped_beside, marked_beside(t),
                           t->end - t->stopping, x.assist, x.beside,
                           x.stopped - marking };
}

void tz_gctrace_print(const struct tz_gctrace *t, uint32_t nprocs)
{
    static int64_t gc_cpu; // all collections' time; atomic
    struct times x = times_of(t);
    int64_t own = x.first + x.assist + x.workers + x.pause + x.last;
    int64_t all = tz_xadd_rlx(&gc_cpu, own) + own;
    int64_t began = t->mode ? t->beginning : t->stopping;
    // Of what the Ps could have computed since the start, as Go counts it.
    int64_t could = (t->since_start + t->end - began) * nprocs + 1;
    static const char *const mode[] = { "m0", "m1", "m2", "m3" };
    char at[24], a[24], b[24], c[24], d[24], e[24], f[24];
    tz_print("gc %llu @%ss %lld%%: %s+%s+%s ms clock, %s+%s/%s/%s+%s ms cpu, "
             "%llu->%llu->%llu MB, %llu MB goal, %llu MB stacks, 0 MB globals, "
             "%u P%s, %s%s%s\n",
             (unsigned long long)t->cycle, seconds(at, t->since_start),
             (long long)(all * 100 / could), ms(a, x.first), ms(b, x.mark),
             ms(c, x.last), a, ms(d, x.assist), ms(e, x.workers), ms(f, x.pause),
             c, mb(t->heap_start), mb(t->heap_before), mb(t->heap_after),
             t->goal == UINT64_MAX ? 0 : mb(t->goal), mb(t->roots), nprocs,
             t->forced ? " (forced)" : "", mode[t->mode],
             t->missing ? ": " : "", t->missing ? t->missing : "");
}
