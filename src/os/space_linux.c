// SPDX-License-Identifier: BSD-3-Clause
// os/space_linux.c: limits of address space and data, less what is in use.
//
// RLIMIT_AS is tz_vm_room's. What RLIMIT_DATA limits is the sixth number of
// /proc/self/statm, in pages, and a little less (the main thread's stack is in
// it too). Read by plain system calls: stdio would allocate.

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/space.h"
#include "os/vm.h"

enum { DATA = 5 };

// Bytes of data in use; 0 when there is no /proc.
static uint64_t data_in_use(void)
{
    char text[256];
    ssize_t n = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, sizeof text);
        close(fd);
    }
    uint64_t pages = 0;
    for (ssize_t at = 0, word = 0; at < n && word <= DATA; at++) {
        if (text[at] == ' ')
            word++;
        else if (word == DATA && text[at] >= '0' && text[at] <= '9')
            pages = 10 * pages + (uint64_t)(text[at] - '0');
    }
    return pages * tz_vm_page();
}

static uint64_t data_left(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_DATA, &l) != 0 || l.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    uint64_t used = data_in_use();
    return l.rlim_cur > used ? l.rlim_cur - used : 0;
}

uint64_t tz_space_left(void)
{
    int saved = errno;
    uint64_t room = tz_vm_room(), data = data_left();
    errno = saved;
    return tz_min(room, data);
}
