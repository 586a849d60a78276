// SPDX-License-Identifier: BSD-3-Clause
// gc/words_generic.c: CPUs without vectors that are worth it, or not tried.

#include "gc/words.h"

bool tz_words_way(unsigned i, const char **name, tz_words_fn **fn)
{
    (void)i, (void)name, (void)fn;
    return false;
}
