// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/alloc2t.c: alloc2t_bench.c with threads and another allocator, as
// bench/run names it: ALLOC(size), and FREE(p) where freeing is somebody's
// work.

#include <pthread.h>
#include <sched.h>

#define YIELD() sched_yield()
#include "../alloc2t.h"
#include "../bench.h"

static void *work(void *arg)
{
    worker_run(arg, worker_count());
    return NULL;
}

int main(void)
{
    int count = worker_count();
    bool ok = true;
    pthread_t thread[WORKERS_MAX];
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < count; i++) {
        if (pthread_create(&thread[i], NULL, work, &workers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < count; i++)
        ok &= pthread_join(thread[i], NULL) == 0;
    return bench_report(bench_cpu_ns() - start, (uint64_t)count * PARTS * PART,
                        ok && workers_did_well(count));
}
