// SPDX-License-Identifier: BSD-3-Clause
// mem/types.h: what is known of typed objects, for reports.
#ifndef TZ_MEM_TYPES_H
#define TZ_MEM_TYPES_H

#include "base/bits.h"
#include "mem/span.h"
#include "tuza/mem.h"

// Whether there was ever an object whose type has a trace procedure. Of such an object
// of up to TZ_BITS_MAX bytes no pointer bit is set, and the first word is the type; one
// of larger objects is in the page's record, too.
bool tz_types_any_traced(void);

// The type that the first word of such an object is; NULL: none that was ever given.
const tuza_type *tz_types_traced(uintptr_t word);

// Calls fn for each type of which objects of up to TZ_BITS_MAX bytes were
// allocated; about 500 are remembered. Of a library that is no longer loaded a
// type may be gone.
void tz_types_each(void (*fn)(void *arg, const tuza_type *t), void *arg);

// The pointer bits of object i, of a typed span whose objects have up to
// TZ_BITS_MAX bytes: all that is known of its type. 0: not described yet.
uint64_t tz_types_bits(const struct tz_span *s, uint32_t i);

// The n bits, at most 64, from the bit `at` of a page's record on.
TZ_INLINE uint64_t tz_types_bits_at(const union tz_typerec *rec, uint32_t at,
                                    uint32_t n)
{
    const uint64_t *word = &rec->pointers[at / 64];
    uint64_t bits = word[0] >> (at % 64);
    if (at % 64 + n > 64)
        bits |= word[1] << (64 - at % 64);
    return bits & tz_mask64(n);
}

// Whether an object of elem_size bytes with these bits may be one of t, or
// several. t is of up to 64 words, its mask in `bits`.
bool tz_types_fit(const tuza_type *t, size_t elem_size, uint64_t bits);

// Objects [first, end) of a span whose objects have up to TZ_BITS_MAX bytes have such
// pointer bits, which are of a type that tuza_alloc_typed has had before. By who owns
// the span and those slots; they are zero.
void tz_types_describe(const struct tz_span *s, uint32_t first, uint32_t end,
                       uint64_t bits);

#endif
