// SPDX-License-Identifier: BSD-3-Clause
// os/vm_stack_linux.c: the mark of stack memory on Linux, which polices none.
//
// Newer kernels take it for "no huge pages" (6.7), older ones ignore it; what
// was mapped with it does not grow.

#include <sys/mman.h>

#include "os/vm_sys.h"

_Static_assert(MAP_STACK == 0x20000, "as on every CPU this is built for");
_Static_assert(MAP_GROWSDOWN == 0x100, "a mark of its own, never used");

int tz_vmsys_stack_flag(void)
{
    return MAP_STACK;
}

bool tz_vmsys_stack_policed(void)
{
    return false;
}
