// SPDX-License-Identifier: BSD-3-Clause
// os/vm_stack_generic.c: no mark of stack memory.
//
// FreeBSD and DragonFly have a MAP_STACK that means another thing, memory that
// grows downward and is short at first: it is not for what is cut into stacks.
// NetBSD's does nothing.

#include "os/vm_sys.h"

int tz_vmsys_stack_flag(void)
{
    return 0;
}

bool tz_vmsys_stack_policed(void)
{
    return false;
}
