// SPDX-License-Identifier: BSD-3-Clause
// bench/pingpong_bench.c: a hop over an unbuffered channel. Two goroutines send
// a number to and fro, each adds one.

#include <tuza.h>

#include "bench.h"

enum { ROUNDS = 1000000 };

tuza_fn(pong, tuza_chan(uint64_t), there, tuza_chan(uint64_t), back)
{
    tuza_range(v, there)
    {
        tuza_send(back, v + 1);
    }
    tuza_close(back);
}

TUZA_MAIN
{
    tuza_chan(uint64_t) there = tuza_chan_make(uint64_t, 0);
    tuza_chan(uint64_t) back = tuza_chan_make(uint64_t, 0);
    uint64_t v = 0;
    int ok = tuza_go(pong, there, back) == 0;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        tuza_send(there, v + 1);
        ok &= tuza_recv(back, &v);
    }
    int64_t ns = bench_cpu_ns() - start;
    tuza_close(there);
    ok &= v == 2 * (uint64_t)ROUNDS && tuza_recv(back, NULL) == 0;
    return bench_report(ns, 2 * (uint64_t)ROUNDS, ok);
}
