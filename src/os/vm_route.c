// SPDX-License-Identifier: BSD-3-Clause
// os/vm_route.c: the default route of calls for memory; their counts at exit.
//
//     TUZADEBUG=oscalls=libc    through libc's functions, which an interposer
//                               (LD_PRELOAD) may have replaced: the default
//     TUZADEBUG=oscalls=raw     system calls, where there is such a way
//     TUZADEBUG=oscount=X       at exit, a line with the counts is added to the
//                               file X, or written to the descriptor X
//
// The line, which strace's counts can be compared with:
//
//     tuza-oscount mmap=N munmap=N mprotect=N madvise=N mremap=0 brk=0
//
// It is written once, by the process that made the first call and not by its
// children, at exit or after a fatal line; not after a signal or _exit.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/port.h"
#include "base/print.h"
#include "os/env.h"
#include "os/vm_route.h"
#include "os/vm_sys.h"
#include "tuza/os.h"

static struct {
    char target[256]; // const once counting has begun
    pid_t pid;        // 0: no line is wanted; the same
    uint32_t told;    // atomic
} count;

static int libc_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    void *p = mmap(addr, n, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    *out = p;
    return 0;
}

static int libc_munmap(void *addr, size_t n)
{
    return munmap(addr, n) ? errno : 0;
}

static int libc_mprotect(void *addr, size_t n, int prot)
{
    return mprotect(addr, n, prot) ? errno : 0;
}

static int libc_madvise(void *addr, size_t n, int advice)
{
    return madvise(addr, n, advice) ? errno : 0;
}

const struct tz_vm_hooks *tz_vmroute_default(void)
{
    static const struct tz_vm_hooks libc = { libc_mmap, libc_munmap,
                                             libc_mprotect, libc_madvise };
    char how[8];
    if (tz_env_debug("oscalls", how, sizeof how) && !strcmp(how, "raw") &&
        tz_vmsys_raw())
        return tz_vmsys_raw();
    return &libc;
}

void tz_vmroute_count_begin(void)
{
    if (tz_env_debug("oscount", count.target, sizeof count.target) &&
        count.target[0])
        count.pid = getpid();
}

// The descriptor that target names, or a newly opened file's.
static int open_target(bool *opened)
{
    int fd = 0;
    const char *s = count.target;
    while (*s >= '0' && *s <= '9' && fd < 100000)
        fd = fd * 10 + (*s++ - '0');
    *opened = *s != 0;
    if (!*opened)
        return fd;
    return open(count.target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

static void tell_counts(void)
{
    if (count.pid != getpid() || tz_xchg(&count.told, 1))
        return;
    tuza_os_counts c = { .size = sizeof c };
    tuza_os_counts_read(&c);
    char line[256];
    size_t n = tz_format(
        line, sizeof line,
        "tuza-oscount mmap=%llu munmap=%llu mprotect=%llu madvise=%llu"
        " mremap=0 brk=0\n",
        (unsigned long long)c.mmap, (unsigned long long)c.munmap,
        (unsigned long long)c.mprotect, (unsigned long long)c.madvise);
    bool opened;
    int fd = open_target(&opened);
    if (fd < 0 || write(fd, line, n) < 0)
        tz_print("tuza: TUZADEBUG: oscount: %s: %s\n", count.target,
                 tz_strerror(errno));
    if (fd >= 0 && opened)
        close(fd);
}

// Needs no memory, unlike atexit.
__attribute__((destructor)) static void at_exit(void)
{
    tell_counts();
}

void tz_port_end(void)
{
    tell_counts();
}
