// SPDX-License-Identifier: BSD-3-Clause
// bench/getppid_bench.c: the shortest system call, declared; and without
// that (raw).

#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { CALLS = 600000 };

TUZA_MAIN
{
    pid_t parent = getppid();
    int ok = 1;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= TUZA_SYSCALL(getppid()) == parent;
    int64_t declared = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= getppid() == parent;
    double raw = (double)(bench_cpu_ns() - declared) / CALLS;
    printf("value=%.3f check=%s raw=%.2f\n",
           (double)(declared - start) / CALLS, ok ? "ok" : "fail", raw);
    return ok ? 0 : 1;
}
