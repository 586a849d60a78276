// SPDX-License-Identifier: BSD-3-Clause
// gc/worker.h: threads that help the collector.
#ifndef TZ_GC_WORKER_H
#define TZ_GC_WORKER_H

#include "base/base.h"

enum { TZ_WORKERS_MAX = 31 };

// Asks for n helper threads in all; they come some time later, or never where
// the system refuses.
void tz_worker_want(uint32_t n);
// How many there are.
uint32_t tz_worker_count(void);

// Calls fn(0) here and fn(1) to fn(n - 1) on helpers, all at once, and returns
// when all have returned. n - 1 is at most what tz_worker_count has said.
void tz_worker_run(void (*fn)(uint32_t i), uint32_t n);

// Lets one of the threads sweep in the background.
void tz_worker_sweep(void);

#endif
