// SPDX-License-Identifier: BSD-3-Clause
// os/peek_generic.c: systems without such a call.

#include "os/peek.h"

bool tz_peek(void *to, uintptr_t from, size_t n)
{
    (void)to, (void)from, (void)n;
    return false;
}

bool tz_peek_ranges(void *to, const struct tz_range *ranges, size_t n)
{
    (void)to, (void)ranges, (void)n;
    return false;
}
