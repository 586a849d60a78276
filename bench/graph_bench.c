// SPDX-License-Identifier: BSD-3-Clause
// bench/graph_bench.c: graph.h with the collector on. What marking took is what the
// runtime's metrics say, of the same names as Go's.

#include "graph_collected.h"
#include "graph_main.h"

static int64_t collected_ns(void)
{
    tuza_metric m[] = {
        {.name = "/cpu/classes/gc/mark/assist:cpu-seconds"},
        {.name = "/cpu/classes/gc/mark/dedicated:cpu-seconds"}};
    if (tuza_metrics_read(m, 2) != 0)
        return 0;
    return (int64_t)((m[0].value.f64 + m[1].value.f64) * 1e9);
}

TUZA_MAIN
{
    tuza_lock_thread(); // for the clock of the thread
    return graph_main(argc, argv);
}
