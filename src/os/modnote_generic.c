// SPDX-License-Identifier: BSD-3-Clause
// os/modnote_generic.c: where nothing is known of the loaded objects.

#include "os/modnote.h"

bool tz_modnote_all(const char *owner, uint32_t type, uint32_t word,
                    const char *const *exempt, const char **missing)
{
    (void)owner, (void)type, (void)word, (void)exempt;
    *missing = "";
    return false;
}

uint64_t tz_modnote_loads(void) { return 0; }
