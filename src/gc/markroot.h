// SPDX-License-Identifier: BSD-3-Clause
// gc/markroot.h: where marking starts.
#ifndef TZ_GC_MARKROOT_H
#define TZ_GC_MARKROOT_H

#include "gc/work.h"

// With the world stopped: lists the roots and gives how many jobs they are.
uint32_t tz_markroot_prepare(void);
// Job i: pushes what it finds. Any worker, each job once.
void tz_markroot(struct tz_gcwork *w, uint32_t i);

// Job i while the program runs: what can be seen from outside. Nothing that it
// finds is sure, nor that it finds all. buf: TZ_EARLY_BUF bytes.
enum { TZ_EARLY_BUF = 64 * 1024 };
void tz_markroot_early(struct tz_gcwork *w, uint32_t i, void *buf);
// With the world stopped: of the goroutines that a job could not look at, what runs.
void tz_markroot_running(struct tz_gcwork *w);

#endif
