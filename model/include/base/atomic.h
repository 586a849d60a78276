// SPDX-License-Identifier: BSD-3-Clause
// model/include/base/atomic.h: the door to atomics, for sources that are
// compiled against the explorer. Stands before src/ on the include path; the
// names and their orders are those of src/base/atomic.h.
#ifndef TZ_BASE_ATOMIC_H
#define TZ_BASE_ATOMIC_H

#include "base/base.h"

enum model_order { MODEL_RLX, MODEL_ACQ, MODEL_REL, MODEL_ACQ_REL, MODEL_SC };
enum model_rmw { MODEL_XCHG, MODEL_ADD, MODEL_OR, MODEL_AND };

// Where an access stands: the expression and the function.
struct model_site {
    const char *expr, *fn;
};

// Explored atomic accesses to *p, of `size` bytes: explore.h has the model.
// cas: whether *p was old; value: what was there before.
uint64_t model_load(const void *p, size_t size, enum model_order order,
                    const struct model_site *at);
void model_store(void *p, size_t size, uint64_t v, enum model_order order,
                 const struct model_site *at);
uint64_t model_rmw(void *p, size_t size, enum model_rmw op, uint64_t v,
                   enum model_order order, const struct model_site *at);
bool model_cas(void *p, size_t size, uint64_t old, uint64_t val,
               enum model_order order, const struct model_site *at);

#define MODEL_SITE_(p) static const struct model_site at_ = { #p, __func__ }

#define MODEL_LOAD_(p, order)                                                  \
    __extension__({                                                            \
        MODEL_SITE_(p);                                                        \
        (__typeof__(*(p)))(uintptr_t)model_load((p), sizeof *(p), order, &at_); \
    })
#define MODEL_STORE_(p, v, order)                                              \
    __extension__({                                                            \
        MODEL_SITE_(p);                                                        \
        __typeof__(*(p)) v_ = (v);                                             \
        model_store((p), sizeof *(p), (uint64_t)(uintptr_t)v_, order, &at_);   \
    })
#define MODEL_RMW_(p, op, v, order)                                            \
    __extension__({                                                            \
        MODEL_SITE_(p);                                                        \
        __typeof__(*(p)) v_ = (v);                                             \
        (__typeof__(*(p)))(uintptr_t)model_rmw((p), sizeof *(p), op,           \
                                               (uint64_t)(uintptr_t)v_, order, \
                                               &at_);                          \
    })
#define MODEL_CAS_(p, old, val, order)                                         \
    __extension__({                                                            \
        MODEL_SITE_(p);                                                        \
        __typeof__(*(p)) o_ = (old), v_ = (val);                               \
        model_cas((p), sizeof *(p), (uint64_t)(uintptr_t)o_,                   \
                  (uint64_t)(uintptr_t)v_, order, &at_);                       \
    })

#define tz_load_rlx(p) MODEL_LOAD_(p, MODEL_RLX)
#define tz_load_acq(p) MODEL_LOAD_(p, MODEL_ACQ)
#define tz_load(p) MODEL_LOAD_(p, MODEL_SC)
#define tz_store_rlx(p, v) MODEL_STORE_(p, v, MODEL_RLX)
#define tz_store_rel(p, v) MODEL_STORE_(p, v, MODEL_REL)
#define tz_store(p, v) MODEL_STORE_(p, v, MODEL_SC)
#define tz_xchg(p, v) MODEL_RMW_(p, MODEL_XCHG, v, MODEL_SC)
#define tz_xchg_acq(p, v) MODEL_RMW_(p, MODEL_XCHG, v, MODEL_ACQ)
#define tz_xchg_rel(p, v) MODEL_RMW_(p, MODEL_XCHG, v, MODEL_REL)
#define tz_xadd(p, v) MODEL_RMW_(p, MODEL_ADD, v, MODEL_SC)
#define tz_xadd_rlx(p, v) MODEL_RMW_(p, MODEL_ADD, v, MODEL_RLX)
#define tz_xor_bits(p, v) MODEL_RMW_(p, MODEL_OR, v, MODEL_SC)
#define tz_xor_bits_rlx(p, v) MODEL_RMW_(p, MODEL_OR, v, MODEL_RLX)
#define tz_xand_bits(p, v) MODEL_RMW_(p, MODEL_AND, v, MODEL_SC)
#define tz_cas(p, old, val) MODEL_CAS_(p, old, val, MODEL_SC)
#define tz_cas_acq(p, old, val) MODEL_CAS_(p, old, val, MODEL_ACQ)
#define tz_cas_rel(p, old, val) MODEL_CAS_(p, old, val, MODEL_REL)
#define tz_cas_rlx(p, old, val) MODEL_CAS_(p, old, val, MODEL_RLX)

TZ_INLINE void tz_compiler_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

#endif
