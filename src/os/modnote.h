// SPDX-License-Identifier: BSD-3-Clause
// os/modnote.h: notes in the loaded objects.
#ifndef TZ_OS_MODNOTE_H
#define TZ_OS_MODNOTE_H

#include "base/base.h"

// Whether each loaded object has a note of this owner and type whose first word
// is `word`, but for those whose file's name begins with one of `exempt` (a list
// that ends with NULL). Else *missing is the first one's path, "" for the
// program, until the next call. May wait for the dynamic linker's lock; cheap when
// nothing was loaded or unloaded since the last call. The same question by one
// thread at a time.
bool tz_modnote_all(const char *owner, uint32_t type, uint32_t word,
                    const char *const *exempt, const char **missing);

// How many objects had ever been loaded at that question.
uint64_t tz_modnote_loads(void);

#endif
