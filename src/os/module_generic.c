// SPDX-License-Identifier: BSD-3-Clause
// os/module_generic.c: systems that do not tell.

#include "os/module.h"

void tz_module_init(void) {}

bool tz_module_find(uintptr_t addr, struct tz_module *out)
{
    (void)addr, (void)out;
    return false;
}
