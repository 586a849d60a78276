// SPDX-License-Identifier: BSD-3-Clause
// diag/symbol.h: what the code at an address is called.
#ifndef TZ_DIAG_SYMBOL_H
#define TZ_DIAG_SYMBOL_H

#include "base/base.h"

enum { TZ_SYMBOL_NAME = 64 };

struct tz_symbol {
    char name[TZ_SYMBOL_NAME]; // empty: not known
    uintptr_t start;           // its first instruction; 0: not known
    char module[32]; // "main" for the program, "libc"; empty: in no file
    uintptr_t base;  // where the module was loaded
};

// Takes the tables of names for the calling thread; false: another has them.
// With `anyway`, waits a second at most and takes them away from it. Signal-safe.
bool tz_symbol_begin(bool anyway);
void tz_symbol_end(void);

// What the code at `place` is (tz_unwind_place of a frame). Between begin and
// end; allocates nothing and takes no lock, but reads files.
void tz_symbol_find(uintptr_t place, struct tz_symbol *out);

#endif
