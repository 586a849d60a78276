// SPDX-License-Identifier: BSD-3-Clause
// os/space_linux.c: limits of address space and data, less what is in use.
//
// RLIMIT_AS is tz_vm_room's. Of RLIMIT_DATA a little less is told than is left:
// the main thread's stack is in the number that the system gives.
//
// Under vm.overcommit_memory=2 all that is writable counts when it is mapped,
// whatever MAP_NORESERVE says, for all processes together.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
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

// By plain system calls: stdio would allocate. Text that ends in a 0.
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

bool tz_space_strict(const char *mode_path)
{
    char text[16];
    return read_text(mode_path, text, sizeof text) && text[0] == '2';
}

// The number of KiB behind NAME; false without it.
static bool find_size(const char *text, const char *name, uint64_t *bytes)
{
    const char *at = strstr(text, name);
    if (!at)
        return false;
    uint64_t n = 0;
    for (at += strlen(name); *at == ' '; at++)
        ;
    for (; *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    *bytes = n * TZ_KIB;
    return true;
}

uint64_t tz_space_commit_left(const char *meminfo_path)
{
    char text[4096];
    uint64_t limit, used;
    if (!read_text(meminfo_path, text, sizeof text) ||
        !find_size(text, "CommitLimit:", &limit) ||
        !find_size(text, "Committed_AS:", &used))
        return UINT64_MAX;
    return limit > used ? limit - used : 0;
}

static uint64_t commit_left(void)
{
    enum { UNKNOWN, LENIENT, STRICT };
    static uint32_t mode; // atomic; set once, orders nothing
    uint32_t m = tz_load_rlx(&mode);
    if (tz_unlikely(m == UNKNOWN)) {
        m = tz_space_strict("/proc/sys/vm/overcommit_memory") ? STRICT
                                                               : LENIENT;
        tz_store_rlx(&mode, m);
    }
    return m == STRICT ? tz_space_commit_left("/proc/meminfo") : UINT64_MAX;
}

uint64_t tz_space_left(void)
{
    int saved = errno;
    uint64_t room = tz_vm_room(), data = data_left(), commit = commit_left();
    errno = saved;
    return tz_min(tz_min(room, data), commit);
}
