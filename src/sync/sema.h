// SPDX-License-Identifier: BSD-3-Clause
// sync/sema.h: sleeping and waking on the address of a counter.
#ifndef TZ_SYNC_SEMA_H
#define TZ_SYNC_SEMA_H

#include "sched/sched.h"

// Waits until *addr > 0 and takes one from it. `lifo` queues in front of the
// other waiters of this address instead of behind them. May park; `why` is
// what the goroutine's dump says meanwhile.
void tz_sema_acquire(uint32_t *addr, bool lifo, enum tz_wait why);

// Adds one to *addr and wakes one waiter, if there is any. With `handoff` the
// count goes to that waiter directly, and nobody who comes by can take it
// first. Does not park; any thread.
void tz_sema_release(uint32_t *addr, bool handoff);

// Goroutines queued on addr now: for tests.
size_t tz_sema_waiters(uint32_t *addr);

// Walks the bucket that addr belongs to and throws where it is out of order.
void tz_sema_check(uint32_t *addr);

#endif
