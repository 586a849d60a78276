// SPDX-License-Identifier: BSD-3-Clause
// base/bits.h: counting and finding bits.
#ifndef TZ_BASE_BITS_H
#define TZ_BASE_BITS_H

#include "base/base.h"

// Trailing zeros; 64 for 0.
TZ_INLINE unsigned tz_ctz64(uint64_t x)
{
    return x ? (unsigned)__builtin_ctzll(x) : 64;
}

// Leading zeros; 64 for 0.
TZ_INLINE unsigned tz_clz64(uint64_t x)
{
    return x ? (unsigned)__builtin_clzll(x) : 64;
}

TZ_INLINE unsigned tz_popcount64(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}

// floor(log2(x)), x > 0.
TZ_INLINE unsigned tz_log2(uint64_t x) { return 63 - tz_clz64(x); }

// The lowest n bits set, 0 <= n <= 64.
TZ_INLINE uint64_t tz_mask64(unsigned n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

#endif
