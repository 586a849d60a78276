// SPDX-License-Identifier: BSD-3-Clause
// gc/markroot.h: where marking starts.
#ifndef TZ_GC_MARKROOT_H
#define TZ_GC_MARKROOT_H

#include "gc/work.h"
#include "sched/g.h"

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

// M2. With the world stopped, instead of all jobs: reads all but objects that are not
// collected, records, and the goroutines that none of the threads holds. Until tz_markroot_all_scanned these are
// entered by way of tz_port_scan_first. Which job is the first that is left.
uint32_t tz_markroot_held(struct tz_gcwork *w);
// Beside the program: that job; of goroutines those that have not run since.
void tz_markroot_left(struct tz_gcwork *w, uint32_t i);
// Of g, if nobody has or does. By who is about to run it: afterwards, it may be that
// another still does, until g->scanned is tz_sched.scanned.
void tz_markroot_parked(struct tz_gcwork *w, struct tz_g *g);
void tz_markroot_all_scanned(void);

// Job i while the program runs: what can be seen from outside. Nothing that it
// finds is sure, nor that it finds all. buf: TZ_EARLY_BUF bytes.
enum { TZ_EARLY_BUF = 64 * 1024 };
void tz_markroot_early(struct tz_gcwork *w, uint32_t i, void *buf);
// With the world stopped, before that: what runs now. After it: of the goroutines
// that ran when a job came to them, all or very many.
void tz_markroot_running(struct tz_gcwork *w);
void tz_markroot_missed(struct tz_gcwork *w);

#endif
