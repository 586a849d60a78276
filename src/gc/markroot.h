// SPDX-License-Identifier: BSD-3-Clause
// gc/markroot.h: where marking starts.
#ifndef TZ_GC_MARKROOT_H
#define TZ_GC_MARKROOT_H

#include "gc/work.h"

// With the world stopped: lists the roots and gives how many jobs they are.
uint32_t tz_markroot_prepare(void);
// Job i: pushes what it finds. Any worker, each job once.
void tz_markroot(struct tz_gcwork *w, uint32_t i);

#endif
