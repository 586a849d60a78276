// SPDX-License-Identifier: BSD-3-Clause
// os/vm_room.c: how much address space a limit leaves.
//
// `ulimit -v` counts all that is mapped, the program and its libraries
// included, and a mapping that would pass it is refused whole. What is mapped
// is subtracted once. Where it cannot be found out, the limit itself is the
// answer, and the mapping that is refused tells.

#include <sys/resource.h>

#include "os/vm.h"
#include "os/vm_sys.h"

uint64_t tz_vm_room(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    uint64_t mapped = tz_vmsys_mapped(TZ_VMSYS_ALL);
    if (TZ_DEFECT(TZ_D18))
        mapped *= 2;
    return limit.rlim_cur > mapped ? limit.rlim_cur - mapped : 0;
}
