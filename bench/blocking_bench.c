// SPDX-License-Identifier: BSD-3-Clause
// bench/blocking_bench.c: what TUZA_BLOCKING costs a call that turns out to be
// short: the P goes to another thread, which looks for work, and comes back.

#include <sys/syscall.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { CALLS = 20000 };

TUZA_MAIN
{
    long parent = syscall(SYS_getppid);
    int ok = 1;
    int64_t wall = bench_wall_ns(), start = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= TUZA_BLOCKING(syscall(SYS_getppid)) == parent;
    double ns = (double)(bench_cpu_ns() - start) / CALLS;
    wall = (bench_wall_ns() - wall) / CALLS;
    printf("value=%.3f check=%s wall=%lld\n", ns, ok ? "ok" : "fail",
           (long long)wall);
    return ok ? 0 : 1;
}
