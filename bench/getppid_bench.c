// SPDX-License-Identifier: BSD-3-Clause
// bench/getppid_bench.c: the shortest system call, declared.

#include <sys/syscall.h>
#include <tuza.h>
#include <unistd.h>

#include "bench.h"

enum { CALLS = 2000000 };

TUZA_MAIN
{
    long parent = syscall(SYS_getppid);
    int ok = 1;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= TUZA_SYSCALL(syscall(SYS_getppid)) == parent;
    return bench_report(bench_cpu_ns() - start, CALLS, ok);
}
