// SPDX-License-Identifier: BSD-3-Clause
// bench/getppid_bench.c: the shortest system call, declared, by its number; libc's
// function declared (libc), and without that (raw).

#include <sys/syscall.h>
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
        ok &= tuza_syscall(SYS_getppid) == parent;
    int64_t by_number = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= TUZA_SYSCALL(getppid()) == parent;
    int64_t declared = bench_cpu_ns();
    for (int i = 0; i < CALLS; i++)
        ok &= getppid() == parent;
    int64_t end = bench_cpu_ns();
    printf("value=%.3f check=%s libc=%.2f raw=%.2f\n",
           (double)(by_number - start) / CALLS, ok ? "ok" : "fail",
           (double)(declared - by_number) / CALLS,
           (double)(end - declared) / CALLS);
    return ok ? 0 : 1;
}
