// SPDX-License-Identifier: BSD-3-Clause
// stack/stackcache.h: a P's cache of stacks, which stack.c and stackpool.c
// share.
#ifndef TZ_STACK_STACKCACHE_H
#define TZ_STACK_STACKCACHE_H

#include "stack/slab.h"
#include "stack/stackpool.h"

enum { TZ_STACKCACHE_SLOTS = 64, TZ_STACKCACHE_CLASSES = 5 };

// In persistent memory. Owned by the P, and by the collector while the world is
// stopped.
struct tz_stackcache {
    // Of each class the slots, named by their lowest address.
    uint32_t n[TZ_STACKCACHE_CLASSES];
    uintptr_t slot[TZ_STACKCACHE_CLASSES][TZ_STACKCACHE_SLOTS];
    // Of each order a list through the first words, and its bytes.
    struct {
        uintptr_t list; // 0: empty
        uint32_t bytes;
    } order[TZ_STACK_ORDERS];
    uint64_t got, put;             // bytes of classes; atomic for readers
    uint64_t order_got, order_put; // bytes of orders; likewise
    struct tz_stackcache *next;    // of all caches; const after it is published
};

#endif
