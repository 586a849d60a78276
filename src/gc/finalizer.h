// SPDX-License-Identifier: BSD-3-Clause
// gc/finalizer.h: the goroutines that run finalizers and cleanups.
#ifndef TZ_GC_FINALIZER_H
#define TZ_GC_FINALIZER_H

#include "gc/special.h"

// Something was put into this queue. Any thread, without locks; does not park.
void tz_finalizer_wake(enum tz_special_kind queue);

#endif
