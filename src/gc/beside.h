// SPDX-License-Identifier: BSD-3-Clause
// gc/beside.h: marking beside the running program.
#ifndef TZ_GC_BESIDE_H
#define TZ_GC_BESIDE_H

#include "gc/work.h"

// How the mark gets to know what the program changes meanwhile: it stands still (M0),
// the kernel tells what was written (M1), its stores tell what they overwrite (M2);
// M3 is M2, and what a store has not told is looked for.
enum tz_gc_mode { TZ_GC_M0, TZ_GC_M1, TZ_GC_M2, TZ_GC_M3 };

// What a collection of a heap of so many bytes is to do. Looks once what the machine
// offers. urgent: memory was refused.
enum tz_gc_mode tz_beside_wanted(uint64_t live, bool urgent);
// By who collects, before that: whether stores are told may have changed. May wait for
// the dynamic linker's lock.
void tz_beside_ask(void);

// Why it is not a better mode: a reason, or NULL.
const char *tz_beside_missing(void);

// Of a collection that is to be M1: whether it had better mark in its stop.
bool tz_beside_in_vain(void);
// Whether what was said of this collection holds for the next, which comes in its
// place.
void tz_beside_put_off(bool off);
// M1: whether this mark was left to its last stop, as too much was written.
bool tz_beside_gave_up(void);
// M1: looks for 40 ms at a sample of a large heap that a mark will take so long for:
// whether half of it would be written before half was marked; then it had better be
// marked in a stop, too. Without a P.
bool tz_beside_probe(uint64_t live, uint64_t mark_ns);
// What it decides by: of `all` so many were written in the first of so many equal
// times, and in the first two.
bool tz_beside_foresee(uint32_t once, uint32_t twice, uint32_t all, int64_t times);
// M1: so many eighths of the heap were written beside the mark.
void tz_beside_met(uint32_t eighths);

// The order of a collection, by who collects. Without a P: from now on it is known
// what is written, which has to be so before the first object counts as reached. The
// first worker, and the collection's number.
void tz_beside_arm(enum tz_gc_mode mode, struct tz_gcwork *w, uint64_t cycle);
// With the world stopped, njobs of roots listed and all caches flushed:
void tz_beside_begin(struct tz_gcwork *w, uint32_t njobs, uint64_t expected);
// Then without a P: marks, with n - 1 workers to help.
void tz_beside_mark(struct tz_gcwork *w, uint32_t n);
// M1: with the world stopped: finds roots that could not be looked at.
void tz_beside_stop(struct tz_gcwork *w);
// M1: without a P: marks what these have brought, and what was written meanwhile.
void tz_beside_more(struct tz_gcwork *w);
// With a P again: the little that was written since.
void tz_beside_last(struct tz_gcwork *w);
// Before each attempt at a stop: whether stores are still told.
void tz_beside_ask_again(void);
// With the world stopped and caches flushed. Then by each worker that marks in this
// stop: false: all must be looked at again.
void tz_beside_over(void);
bool tz_beside_end(struct tz_gcwork *w);

// Bytes that the program's goroutines have marked since the beginning, and the
// nanoseconds that took them.
uint64_t tz_beside_assisted(int64_t *ns);

// The current goroutine has allocated so many bytes: marks what it owes for that, 0.2
// ms at most. Does nothing unless the collector marks beside.
void tz_beside_assist(uint64_t allocated);

#endif
