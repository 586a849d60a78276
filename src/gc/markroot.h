// SPDX-License-Identifier: BSD-3-Clause
// gc/markroot.h: where marking starts.
#ifndef TZ_GC_MARKROOT_H
#define TZ_GC_MARKROOT_H

#include "gc/work.h"

// The first list: a first collection may come when there is no more memory. 0, or
// -ENOMEM.
int tz_markroot_init(void);

// With the world stopped: lists the roots and gives how many jobs they are.
uint32_t tz_markroot_prepare(void);
// Job i: pushes what it finds. Any worker, each job once.
void tz_markroot(struct tz_gcwork *w, uint32_t i);

// Before a stop that reads all roots: has the kernel map what there is of static data,
// so that the stop does not wait for each page. buf: TZ_EARLY_BUF bytes.
void tz_markroot_touch(void *buf);

// Job i while the program runs: what can be seen from outside. Nothing that it
// finds is sure, nor that it finds all. buf: TZ_EARLY_BUF bytes.
enum { TZ_EARLY_BUF = 64 * 1024 };
void tz_markroot_early(struct tz_gcwork *w, uint32_t i, void *buf);
// With the world stopped, before that: what runs now. After it: of the goroutines
// that ran when a job came to them, all or very many.
void tz_markroot_running(struct tz_gcwork *w);
void tz_markroot_missed(struct tz_gcwork *w);

#endif
