// SPDX-License-Identifier: BSD-3-Clause
// os/vm_stack_openbsd.c: the mark of stack memory on OpenBSD.
//
// The kernel polices the stack pointer from version 6.4 on, which calls itself
// 201805 while it is made. Before, mmap refuses the mark, so there is none. A
// system that does not tell its version counts as an old one. It is asked once:
// the answer cannot change while a process lives.

#include <sys/types.h>

#include <sys/mman.h>
#include <sys/sysctl.h>

#include "base/atomic.h"
#include "os/vm_sys.h"

enum { FIRST_POLICED = 201805 };

_Static_assert(CTL_KERN == 1 && KERN_OSREV == 3, "what sysctl is asked");
_Static_assert(MAP_STACK == 0x4000, "not another system's number");
_Static_assert(MAP_ANON == 0x1000 && MAP_PRIVATE == 2 && MAP_FIXED == 0x10,
               "what stands beside the mark");
_Static_assert(MADV_FREE == 6, "not another system's number");

static uint32_t osrev(void)
{
    static uint64_t cached; // atomic; the version and 1, 0: not asked yet
    uint64_t known = tz_load_rlx(&cached); // idempotent: no partner
    if (known == 0) {
        const int name[2] = { CTL_KERN, KERN_OSREV };
        uint32_t rev = 0;
        size_t n = sizeof rev;
        if (sysctl(name, 2, &rev, &n, NULL, 0) != 0)
            rev = 0;
        known = (uint64_t)rev + 1;
        tz_store_rlx(&cached, known);
    }
    return (uint32_t)(known - 1);
}

bool tz_vmsys_stack_policed(void)
{
    return osrev() >= FIRST_POLICED;
}

int tz_vmsys_stack_flag(void)
{
    return tz_vmsys_stack_policed() ? MAP_STACK : 0;
}
