// SPDX-License-Identifier: BSD-3-Clause
// stack/stackpool.h: fixed small stacks without guards, cut from the heap.
#ifndef TZ_STACK_STACKPOOL_H
#define TZ_STACK_STACKPOOL_H

#include "base/base.h"

struct tz_stackcache;

// Order o is a stack of 1024 << o bytes. They are cut from spans of 32 KiB,
// rounded up to whole OS pages.
enum {
    TZ_STACK_ORDERS = 4,
    TZ_STACK_ORDER_MIN = 1024,
    TZ_STACKPOOL_SPAN = 32 * 1024
};

TZ_INLINE size_t tz_stackpool_size(unsigned order)
{
    return (size_t)TZ_STACK_ORDER_MIN << order;
}

// The order of stacks of exactly `size` bytes; another size is fatal.
unsigned tz_stackpool_order(size_t size);

// Takes a stack: its lowest address, a multiple of its size. Nobody knows what
// it holds. c: the P's cache, by its owner, or NULL. On the system stack, with
// no lock above STACKPOOL; another order, or a stack of goroutines below the
// caller, is fatal. Does not park. 0, or -ENOMEM with *lo untouched.
int tz_stackpool_get(struct tz_stackcache *c, unsigned order, uintptr_t *lo);

// Puts one back that nobody runs on. Its first word is written.
void tz_stackpool_put(struct tz_stackcache *c, unsigned order, uintptr_t lo);

// Bytes of stacks handed out past caches, less those put so; of spans; how
// often a cache was filled or emptied, or passed by.
struct tz_stackpool_stats {
    uint64_t inuse, sys, exchanges;
};
void tz_stackpool_stats(struct tz_stackpool_stats *out);

// Checks what must hold of the first `most` spans on each list; fatal otherwise.
// For tests and debugging; takes the lock.
void tz_stackpool_check(uint32_t most);

// --- for stack.c

// Empties a cache; by its owner, or with the world stopped.
void tz_stackpool_flush(struct tz_stackcache *c);

// What tz_stack_gc_begin and tz_stack_gc_end mean for these spans.
void tz_stackpool_gc_begin(void);
void tz_stackpool_gc_end(void);

#endif
