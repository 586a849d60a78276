// SPDX-License-Identifier: BSD-3-Clause
// bench/pause_told_bench.c: pause_bench.c as a program that tells the collector of
// all its stores.

#include <tuza.h>

TUZA_CONFIG(.barrier = TUZA_BARRIER_COMPLETE);

#define STORE(p, v) tuza_store(p, v)
#include "pause_bench.c"
