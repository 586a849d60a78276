// SPDX-License-Identifier: BSD-3-Clause
// base/rand.h: a fast per-thread generator for choices that need no secrecy.
//
// wyrand (Wang Yi, public domain): one multiply a number.
// The thread's state is seeded by os/ at thread start.
#ifndef TZ_BASE_RAND_H
#define TZ_BASE_RAND_H

#include "base/tls.h"

// The halves of the product, one over the other.
TZ_INLINE uint64_t tz_rand_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 u128;
    u128 m = (u128)a * b;
    return (uint64_t)(m >> 64) ^ (uint64_t)m;
#else
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t low = al * bl, one = al * bh, other = ah * bl;
    uint64_t middle = (low >> 32) + (uint32_t)one + (uint32_t)other;
    return (ah * bh + (one >> 32) + (other >> 32) + (middle >> 32)) ^ (a * b);
#endif
}

TZ_INLINE uint64_t tz_rand_next(uint64_t *state)
{
    *state += UINT64_C(0xa0761d6478bd642f);
    return tz_rand_fold(*state, *state ^ UINT64_C(0xe7037ed1a0b428db));
}

TZ_INLINE uint64_t tz_rand(void) { return tz_rand_next(tz_tls_get()->rand); }

// Uniform in [0, n), n > 0, by multiplication (Lemire).
TZ_INLINE uint32_t tz_rand_n(uint32_t n)
{
    return (uint32_t)(((tz_rand() & 0xffffffffu) * n) >> 32);
}

#endif
