// SPDX-License-Identifier: BSD-3-Clause
// gc/trace.c: gctrace in the line format of Go (package runtime, GODEBUG
// gctrace=1), so that the tools that read it can read ours:
//
//   gc # @#s #%: #+#+# ms clock, #+#/#/#+# ms cpu, #->#-># MB, # MB goal,
//   # MB stacks, # MB globals, # P
//
// The three clock times are: stopping the world and preparing, marking,
// starting again. The cpu times are the same by the number of threads in them;
// assists and idle marking, which do not exist here, are 0. "stacks" is all
// that was scanned as roots. The line ends with the mode of the collector.

#include "gc/trace.h"

#include "base/atomic.h"
#include "base/print.h"

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

void tz_gctrace_print(const struct tz_gctrace *t, uint32_t nprocs)
{
    static int64_t gc_cpu; // all collections' time; atomic
    int64_t stop = t->marking - t->stopping, mark = t->marked - t->marking;
    int64_t end = t->end - t->marked;
    int64_t own = stop + mark * t->workers + end;
    int64_t all = tz_xadd_rlx(&gc_cpu, own) + own;
    // Of what the Ps could have computed since the start, as Go counts it.
    int64_t could = (t->since_start + t->end - t->stopping) * nprocs + 1;
    char at[24], a[24], b[24], c[24], d[24];
    tz_print("gc %llu @%ss %lld%%: %s+%s+%s ms clock, %s+0/%s/0+%s ms cpu, "
             "%llu->%llu->%llu MB, %llu MB goal, %llu MB stacks, 0 MB globals, "
             "%u P%s\n",
             (unsigned long long)t->cycle, seconds(at, t->since_start),
             (long long)(all * 100 / could), ms(a, stop),
             ms(b, mark), ms(c, end), a, ms(d, mark * t->workers), c,
             mb(t->heap_before), mb(t->heap_before), mb(t->heap_after),
             t->goal == UINT64_MAX ? 0 : mb(t->goal), mb(t->roots), nprocs,
             t->forced ? " (forced)" : "");
}
