// SPDX-License-Identifier: BSD-3-Clause
// bench/alloc.h: the loops of the benchmarks of allocation, the same for all
// who allocate. Who includes it has defined ALLOC(size), and FREE(p) for where
// freeing is somebody's work. Each function says whether all objects were what
// had been written into them.
#ifndef BENCH_ALLOC_H
#define BENCH_ALLOC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "stores.h"

// 32 bytes with a pointer. The last ALLOC32_LIVE live, in the ring; the loop
// can be done in parts, object `first` up to `end`.
enum { ALLOC32_LIVE = 1000 };
struct alloc32 {
    struct alloc32 *self;
    uint64_t number;
    uint64_t rest[2];
};

static inline bool alloc32_part(struct alloc32 **ring, uint64_t first,
                                uint64_t end)
{
    bool ok = true;
    for (uint64_t i = first; i < end; i++) {
        struct alloc32 **at = &ring[i % ALLOC32_LIVE];
        if (*at) {
            ok &= (*at)->self == *at && (*at)->number == i - ALLOC32_LIVE;
            FREE(*at);
        }
        struct alloc32 *x = ALLOC(sizeof *x);
        FIRST(&x->self, x);
        x->number = i;
        *at = x;
    }
    return ok;
}

// 32 bytes without a pointer. The last NOSCAN32_LIVE live, in the ring.
enum { NOSCAN32_LIVE = 100000 };
struct noscan32 {
    uint64_t number;
    uint64_t rest[2];
    uint64_t again;
};

static inline bool noscan32_part(struct noscan32 **ring, uint64_t first,
                                 uint64_t end)
{
    bool ok = true;
    for (uint64_t i = first; i < end; i++) {
        struct noscan32 **at = &ring[i % NOSCAN32_LIVE];
        if (*at) {
            ok &= (*at)->number == i - NOSCAN32_LIVE &&
                  (*at)->again == ~(*at)->number;
            FREE(*at);
        }
        struct noscan32 *x = ALLOC(sizeof *x);
        x->number = i;
        x->again = ~i;
        *at = x;
    }
    return ok;
}

// Many sizes. An object is an array of at least two words: a pointer to itself,
// in [1] and in the last one its number << 10 | words.
enum { MIXED_LIVE = 300000 };

// xorshift64*: all programs get the same numbers from the same state.
static inline uint64_t mixed_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1d;
}

// From four times 16 random bits: for one in a hundred anything from 1024 to
// 8184 bytes. For others a power of two from 16 to 512, the smaller one of two
// draws, and up to as much again.
static inline uint32_t mixed_words(uint64_t random)
{
    uint32_t a = random & 0xffff, b = random >> 16 & 0xffff;
    uint32_t within = random >> 32 & 0xffff, large = random >> 48;
    if (large * 100 >> 16 == 0)
        return 128 + (within * 896 >> 16);
    uint32_t power = 1 + ((a < b ? a : b) * 6 >> 16);
    return (1u << power) + (within << power >> 16);
}

static inline bool mixed_run(uint64_t **live, uint64_t objects)
{
    uint64_t state = 88172645463325252, sum = 0;
    bool ok = true;
    for (uint64_t i = 0; i < objects; i++) {
        uint64_t slot = (mixed_random(&state) >> 32) * MIXED_LIVE >> 32;
        uint32_t words = mixed_words(mixed_random(&state));
        uint64_t *old = live[slot];
        if (old) {
            uint64_t number = old[1];
            ok &= old[0] == (uintptr_t)old;
            ok &= old[(number & 1023) - 1] == number;
            sum -= number;
            FREE(old);
        }
        uint64_t *x = ALLOC(words * sizeof *x);
        FIRST(&x[0], (uintptr_t)x);
        x[1] = x[words - 1] = i << 10 | words;
        sum += x[1];
        live[slot] = x;
    }
    for (int slot = 0; slot < MIXED_LIVE; slot++)
        sum -= live[slot] ? live[slot][1] : 0;
    return ok && sum == 0;
}

#endif
