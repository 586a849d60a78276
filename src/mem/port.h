// SPDX-License-Identifier: BSD-3-Clause
// mem/port.h: what the heap needs from rooms to its right. Weak no-ops by
// default.
#ifndef TZ_MEM_PORT_H
#define TZ_MEM_PORT_H

#include "base/base.h"

// The heap has reached its trigger: collects, unless another thread does so
// at this moment, in which case it waits for that. On a goroutine, outside
// critical sections.
void tz_port_gc_trigger(void);

// Memory was refused: a full collection, as above.
void tz_port_gc_emergency(void);

// p is freed by hand, if it is an object: nothing is known about it any more.
// Called when tz_mem.specials is set; any thread, no locks held.
void tz_port_object_freed(void *p);
// While the collector marks beside the program: what n bytes at p hold is gone.
void tz_port_overwritten(const void *p, size_t n);

// The heap profile keeps the new object p (mem/sample.c); returns: where the
// innermost call that is not of the allocation's own returns to, or one a few
// further in. Locks may be held, of rank FOREIGN or below; any thread.
void tz_port_alloc_sampled(void *p, uint64_t rate, const void *returns);

// p, of a span with nsampled, is freed by hand. Likewise.
void tz_port_sampled_freed(void *p);

#endif
