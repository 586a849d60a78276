// SPDX-License-Identifier: BSD-3-Clause
// gc/track.h: what the program has written since it was scanned.
#ifndef TZ_GC_TRACK_H
#define TZ_GC_TRACK_H

#include "gc/work.h"

// Once; whether the kernel can tell. *why: what it lacks, in words.
bool tz_track_open(const char **why);

// Arms some pages of those to scan, as a sample. False: refused. Then how many of *all
// were written since.
enum { TZ_TRACK_SAMPLE = 256 };
bool tz_track_sample(void);
uint32_t tz_track_sampled(uint32_t *all);

// Before anything is marked: what there is to scan is armed. False: refused; then
// nothing may be left to later.
bool tz_track_begin(void);

// Beside the program: of what was armed at first the part that was written since, in
// eighths.
uint32_t tz_track_written(void);

// Beside the program: scans what was written since it was armed, and spans that
// are new and nobody allocates from now, all of which is armed again. Bytes of it;
// UINT64_MAX when refused.
uint64_t tz_track_round(struct tz_gcwork *w);

// With the world stopped, alloc bits exact: scans what was written, and all of the
// spans that are new; by any number of workers, who share it. False: refused; nothing
// is known.
bool tz_track_end(struct tz_gcwork *w);

// Beside the program, after that: what was armed and not written costs its first
// write nothing any more.
void tz_track_forget(void);

#endif
