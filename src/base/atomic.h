// SPDX-License-Identifier: BSD-3-Clause
// base/atomic.h: atomic access to ordinary variables.
//
// Every racing access goes through these names; the suffix is the memory
// order, none means sequentially consistent. There is no fence: where a store
// must be seen before a later load, the store is tz_xchg (ThreadSanitizer
// understands read-modify-writes, and on amd64 a fence costs twice as much).
#ifndef TZ_BASE_ATOMIC_H
#define TZ_BASE_ATOMIC_H

#include "base/base.h"

#define tz_load_rlx(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define tz_load_acq(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define tz_load(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define tz_store_rlx(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define tz_store_rel(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define tz_store(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define tz_xchg(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define tz_xchg_acq(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define tz_xchg_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)

// Each returns the value before the operation.
#define tz_xadd(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define tz_xadd_rlx(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define tz_xor_bits(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define tz_xor_bits_rlx(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define tz_xand_bits(p, v) __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)

// True when *p was `old` and is now `val`.
#define tz_cas(p, old, val)                                                    \
    __extension__({                                                            \
        __typeof__(*(p)) tz_old_ = (old);                                      \
        __atomic_compare_exchange_n((p), &tz_old_, (val), false,               \
                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);       \
    })
#define tz_cas_acq(p, old, val)                                                \
    __extension__({                                                            \
        __typeof__(*(p)) tz_old_ = (old);                                      \
        __atomic_compare_exchange_n((p), &tz_old_, (val), false,               \
                                    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);       \
    })
#define tz_cas_rel(p, old, val)                                                \
    __extension__({                                                            \
        __typeof__(*(p)) tz_old_ = (old);                                      \
        __atomic_compare_exchange_n((p), &tz_old_, (val), false,               \
                                    __ATOMIC_RELEASE, __ATOMIC_RELAXED);       \
    })

// Keeps the compiler from moving memory accesses across; no code.
TZ_INLINE void tz_compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }

#endif
