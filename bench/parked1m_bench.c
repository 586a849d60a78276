// SPDX-License-Identifier: BSD-3-Clause
// bench/parked1m_bench.c: what a parked goroutine costs in memory, a million of
// them at once: growth of what is resident and of page tables, in bytes for
// each. Each has some 600 bytes of frame, all written, when it waits for the
// channel to close; then each says that its bytes are still there.
//
// With less memory free than that takes, fewer: the line says how many (n), and
// how many mappings the process had (vmas) and the CPU time of one spawn, first
// run and park (ns).

#include <tuza.h>

#include "bench.h"

enum { MOST = 1000000, FRAME = 600, BYTES_EACH = 6144 };

static tuza_chan(char) gate;
static tuza_waitgroup started, ended;
static uint32_t intact;

tuza_fn(parked, uint32_t, number)
{
    volatile unsigned char frame[FRAME];
    for (uint32_t i = 0; i < FRAME; i++)
        frame[i] = (unsigned char)(number + i);
    tuza_waitgroup_done(&started);
    tuza_recv(gate, NULL);
    uint32_t same = 0;
    for (uint32_t i = 0; i < FRAME; i++)
        same += frame[i] == (unsigned char)(number + i);
    __atomic_fetch_add(&intact, same == FRAME, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&ended);
}

static uint64_t bytes_now(void)
{
    return 1024 * (bench_kb_of("/proc/self/status", "VmRSS") +
                   bench_kb_of("/proc/self/status", "VmPTE"));
}

static uint32_t mappings(void)
{
    uint32_t lines = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    for (int c; f && (c = fgetc(f)) != EOF;)
        lines += c == '\n';
    if (f)
        fclose(f);
    return lines;
}

// As many as leave a quarter of what is free now, in thousands.
static uint32_t how_many(void)
{
    uint64_t kb = bench_kb_of("/proc/meminfo", "MemAvailable");
    uint64_t n = kb * 1024 / 4 * 3 / BYTES_EACH;
    return n < MOST ? (uint32_t)(n / 1000 * 1000) : MOST;
}

TUZA_MAIN
{
    uint32_t n = how_many();
    int ok = n > 0;
    gate = tuza_chan_make(char, 0);
    uint64_t before = bytes_now();
    int64_t start = bench_cpu_ns();
    tuza_waitgroup_add(&started, (int32_t)n);
    tuza_waitgroup_add(&ended, (int32_t)n);
    for (uint32_t i = 0; i < n; i++)
        ok &= tuza_go(parked, i) == 0;
    tuza_waitgroup_wait(&started); // with one P, all have parked then
    double ns = (double)(bench_cpu_ns() - start) / n;
    uint64_t grown = bytes_now() - before;
    uint32_t vmas = mappings();
    tuza_close(gate);
    tuza_waitgroup_wait(&ended);
    ok &= intact == n;
    printf("value=%.1f check=%s n=%u vmas=%u ns=%.0f\n", (double)grown / n,
           ok ? "ok" : "fail", n, vmas, ns);
    return ok ? 0 : 1;
}
