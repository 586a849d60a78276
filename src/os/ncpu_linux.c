// SPDX-License-Identifier: BSD-3-Clause
// os/ncpu_linux.c: counts the bits of the affinity mask.
//
// The kernel answers EINVAL when its own mask is longer than the buffer, so the
// buffer doubles until it fits. A machine that hides the call counts as what
// sysconf says. A quota of a control group takes nothing from how many threads
// run at once, which is what a lock that spins asks; but when more of them are
// busy than its time is for, all stand still at the end of each period.
//
// Go keeps this in os_linux.go (getproccount) and, since 1.25, cgroup_linux.go,
// where a quota below two counts as two.

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "base/bits.h"
#include "os/ncpu.h"

enum {
    FIRST_WORDS = 16, // 1024 processors
    MAX_WORDS = 256,  // 16384: twice the kernel's largest NR_CPUS
};

int tz_ncpu(void)
{
    uint64_t mask[MAX_WORDS];
    int saved = errno;
    long n = -1;
    for (size_t words = FIRST_WORDS; words <= MAX_WORDS && n < 0; words *= 2) {
        n = syscall(SYS_sched_getaffinity, 0, words * sizeof mask[0], mask);
        if (n < 0 && errno != EINVAL)
            break;
    }
    unsigned count = 0;
    // The kernel writes n bytes, whole longs; the rest of the buffer is junk.
    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof mask[0]; i++)
        count += tz_popcount64(mask[i]);
    if (count == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (unsigned)online : 1;
    }
    errno = saved;
    return (int)count;
}

int tz_ncpu_within(uint64_t granted)
{
    return (int)tz_min(granted, (uint64_t)tz_ncpu());
}
