// SPDX-License-Identifier: BSD-3-Clause
// os/vm_route.h: what the environment says about calls for memory.
#ifndef TZ_OS_VM_ROUTE_H
#define TZ_OS_VM_ROUTE_H

#include "os/vm_hook.h"

// The table without hooks: libc's functions or, for debugging, system calls.
const struct tz_vm_hooks *tz_vmroute_default(void);

// Remembers where the counts are to be written at the end of the process.
void tz_vmroute_count_begin(void);

#endif
