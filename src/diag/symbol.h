// SPDX-License-Identifier: BSD-3-Clause
// diag/symbol.h: what the code at an address is called.
#ifndef TZ_DIAG_SYMBOL_H
#define TZ_DIAG_SYMBOL_H

#include "base/base.h"

// Writes "name+0x12 (module)", "module+0x1234" or "0x1234" to text: of the pc
// of a frame whose code is at `place` (tz_unwind_place). One thread at a time,
// on the way to the process's end; allocates nothing and takes no lock.
void tz_symbol_format(uintptr_t pc, uintptr_t place, char *text, size_t size);

#endif
