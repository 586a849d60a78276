// SPDX-License-Identifier: BSD-3-Clause
// base/rand.h: a fast per-thread generator for choices that need no secrecy.
//
// wyrand (Wang Yi, public domain): one multiply a number.
// The thread's state is seeded by os/ at thread start.
#ifndef TZ_BASE_RAND_H
#define TZ_BASE_RAND_H

#include "base/tls.h"

TZ_INLINE uint64_t tz_rand_next(uint64_t *state)
{
    *state += UINT64_C(0xa0761d6478bd642f);
    __extension__ typedef unsigned __int128 u128;
    u128 m = (u128)*state * (*state ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)(m >> 64) ^ (uint64_t)m;
}

TZ_INLINE uint64_t tz_rand(void) { return tz_rand_next(tz_tls_get()->rand); }

// Uniform in [0, n), n > 0, by multiplication (Lemire).
TZ_INLINE uint32_t tz_rand_n(uint32_t n)
{
    return (uint32_t)(((tz_rand() & 0xffffffffu) * n) >> 32);
}

#endif
