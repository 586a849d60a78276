// SPDX-License-Identifier: BSD-3-Clause
// os/space_linux.c: limits of address space, and what is in use of them.
//
// /proc/self/statm counts in pages: its first word is what RLIMIT_AS limits,
// its sixth what RLIMIT_DATA does and a little more (the main thread's stack).
// Read by plain system calls: stdio would allocate.

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/space.h"
#include "os/vm.h"

enum { TOTAL = 0, DATA = 5, WORDS = 6 };

// All zero when there is no /proc.
static void read_statm(uint64_t word[WORDS])
{
    char text[256];
    ssize_t n = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, sizeof text);
        close(fd);
    }
    for (int i = 0; i < WORDS; i++)
        word[i] = 0;
    for (ssize_t at = 0, i = 0; at < n && i < WORDS; at++) {
        if (text[at] >= '0' && text[at] <= '9')
            word[i] = 10 * word[i] + (uint64_t)(text[at] - '0');
        else
            i++;
    }
}

static uint64_t limit_of(int what)
{
    struct rlimit l;
    if (getrlimit(what, &l) != 0 || l.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return l.rlim_cur;
}

static uint64_t left_of(uint64_t limit, uint64_t pages)
{
    uint64_t used = pages * tz_vm_page();
    return limit == UINT64_MAX ? limit : limit > used ? limit - used : 0;
}

uint64_t tz_space_left(void)
{
    int saved = errno;
    uint64_t as = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);
    if (as != UINT64_MAX || data != UINT64_MAX) {
        uint64_t used[WORDS];
        read_statm(used);
        as = left_of(as, used[TOTAL]);
        data = left_of(data, used[DATA]);
    }
    errno = saved;
    return tz_min(as, data);
}
