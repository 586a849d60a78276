// SPDX-License-Identifier: BSD-3-Clause
// gc/words.h: which of many words lie in the heap.
#ifndef TZ_GC_WORDS_H
#define TZ_GC_WORDS_H

#include "base/base.h"

// Of n words, 64 at most, a bit for each in [base, base + limit). Each word is read
// once, as a whole, whoever may be writing it.
typedef uint64_t tz_words_fn(const uintptr_t *p, uint32_t n, uintptr_t base,
                             size_t limit);

// One by one, on every CPU.
uint64_t tz_words_plain(const uintptr_t *p, uint32_t n, uintptr_t base, size_t limit);

// The i-th way of this CPU's kind to do it with vectors, the fastest first: its name to
// *name; *fn is NULL if this one cannot. False: there are no more.
bool tz_words_way(unsigned i, const char **name, tz_words_fn **fn);

// The fastest that this CPU can, NULL if none. TUZADEBUG=vectors=NAME: that one, off:
// none.
tz_words_fn *tz_words_best(void);

#endif
