// SPDX-License-Identifier: BSD-3-Clause
// gc/words.c: which way of finding words in the heap is used.

#include "gc/words.h"

#include <string.h>

#include "base/atomic.h"
#include "base/print.h"
#include "base/san.h"
#include "os/env.h"

static tz_words_fn *best; // atomic; once asked. Asking twice gives the same
static uint32_t asked;    // atomic

TZ_NO_SANITIZE uint64_t tz_words_plain(const uintptr_t *p, uint32_t n, uintptr_t base,
                                       size_t limit)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i++)
        bits |= (uint64_t)(tz_load_rlx(&p[i]) - base < limit) << i;
    return bits;
}

static tz_words_fn *choose(void)
{
    char wanted[16] = "";
    bool any = !tz_env_debug("vectors", wanted, sizeof wanted);
    const char *name;
    tz_words_fn *fn;
    for (unsigned i = 0; tz_words_way(i, &name, &fn); i++)
        if (fn && (any || !strcmp(name, wanted)))
            return fn;
    if (!any && strcmp(wanted, "off"))
        tz_print("tuza: TUZADEBUG: vectors: \"%s\" is not off, or this CPU has it "
                 "not\n", wanted);
    return NULL;
}

tz_words_fn *tz_words_best(void)
{
    if (!tz_load_acq(&asked)) {
        tz_store_rlx(&best, choose());
        tz_store_rel(&asked, 1);
    }
    return tz_load_rlx(&best);
}
