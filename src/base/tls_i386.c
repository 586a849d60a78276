// SPDX-License-Identifier: BSD-3-Clause
// base/tls_i386.c: the address of the thread-local object, where finding it takes
// more than two instructions.

#include "base/tls.h"

struct tz_tls *tz_tls_address(void)
{
    struct tz_tls *t = &tz_tls;
    __asm__ volatile("" : "+r"(t)); // not a function of nothing
    return t;
}
