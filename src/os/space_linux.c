// SPDX-License-Identifier: BSD-3-Clause
// os/space_linux.c: limits of address space and data, less what is in use.
//
// RLIMIT_AS is tz_vm_room's. Of RLIMIT_DATA a little less is told than is left:
// the main thread's stack is in the number that the system gives.

#include <errno.h>
#include <sys/resource.h>

#include "os/space.h"
#include "os/vm.h"
#include "os/vm_sys.h"

static uint64_t data_left(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_DATA, &l) != 0 || l.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    uint64_t used = tz_vmsys_mapped(TZ_VMSYS_DATA);
    return l.rlim_cur > used ? l.rlim_cur - used : 0;
}

uint64_t tz_space_left(void)
{
    int saved = errno;
    uint64_t room = tz_vm_room(), data = data_left();
    errno = saved;
    return tz_min(room, data);
}
