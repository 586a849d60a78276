// SPDX-License-Identifier: BSD-3-Clause
// gc/collector.h: the goroutine that collects when the heap has grown.
#ifndef TZ_GC_COLLECTOR_H
#define TZ_GC_COLLECTOR_H

#include "base/base.h"

// Asks it to, and lets it run at once if it can. False: there is none, for want of
// memory. On a goroutine, which may run on another thread afterwards.
bool tz_collector_wake(void);

// It was asked and has not done so yet.
bool tz_collector_asked(void);

#endif
