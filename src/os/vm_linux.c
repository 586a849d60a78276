// SPDX-License-Identifier: BSD-3-Clause
// os/vm_linux.c: flags, advice and names of mappings on Linux.
//
// MAP_NORESERVE: reservations cost no commit charge, and stacks only what they
// touch (RLIMIT_DATA and overcommit mode 2 charge writable memory all the
// same). A huge page would turn a 64 KiB stack into 64 KiB of memory: newer
// kernels take the mark of stack memory (vm_stack_linux.c) for "no huge pages",
// older ones need the advice too.

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "os/vm.h"
#include "os/vm_sys.h"

#ifdef SYS_mmap2 // where registers have 32 bits; offset 0 in either unit
enum { MMAP_CALL = SYS_mmap2 };
#else
enum { MMAP_CALL = SYS_mmap };
#endif

enum {
    // Names that libc's headers may not have yet.
    ADVICE_GUARD_INSTALL = 102, // Linux 6.13
    ADVICE_POPULATE_WRITE = 23, // 5.14
    SET_VMA = 0x53564d41,       // 5.17, if configured
    SET_VMA_ANON_NAME = 0,
    FIXED_NOREPLACE = 0x100000, // 4.17
    CALL_PROCESS_MADVISE = 440, // 5.10; the same number on every CPU
    PIDFD_OF_THIS = -10000,     // 6.14; no descriptor, so a fork keeps its own
};

int tz_vmsys_flags(enum tz_vmsys_map kind)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    switch (kind) {
    case TZ_VMSYS_ALLOC:
        break;
    case TZ_VMSYS_RESERVE:
    case TZ_VMSYS_STACK:
        flags |= MAP_NORESERVE;
        break;
    }
    return flags;
}

int tz_vmsys_advice(enum tz_vmsys_advice what)
{
    switch (what) {
    case TZ_VMSYS_UNUSED:
        return MADV_DONTNEED;
    case TZ_VMSYS_LAZY:
        return MADV_FREE;
    case TZ_VMSYS_NO_HUGEPAGE:
        return MADV_NOHUGEPAGE;
    case TZ_VMSYS_PREFAULT:
        return ADVICE_POPULATE_WRITE;
    case TZ_VMSYS_GUARD:
        return ADVICE_GUARD_INSTALL;
    }
    return -1;
}

int tz_vmsys_noreplace(void)
{
    return FIXED_NOREPLACE;
}

int tz_vmsys_mincore(void *p, size_t n, unsigned char *in)
{
    int saved = errno;
    int err = mincore(p, n, in) ? errno : 0;
    errno = saved;
    return err;
}

int tz_vmsys_unused_many(const struct tz_vm_range *ranges, size_t n)
{
    enum { BATCH = 64 };
    struct iovec v[BATCH];
    int saved = errno, err = 0;
    for (size_t i = 0; i < n && !err;) {
        size_t k = 0;
        ssize_t bytes = 0;
        for (; k < BATCH && i < n; k++, i++) {
            v[k] = (struct iovec){ ranges[i].p, ranges[i].n };
            bytes += (ssize_t)ranges[i].n;
        }
        ssize_t done = syscall(CALL_PROCESS_MADVISE, PIDFD_OF_THIS, v, k,
                               MADV_DONTNEED, 0);
        err = done < 0 ? errno : done == bytes ? 0 : EINVAL;
    }
    errno = saved;
    return err;
}

// The number in a file of one line; 0 when there is none.
static uint64_t number_in(const char *path)
{
    char text[32];
    int saved = errno;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    errno = saved;
    uint64_t n = 0;
    for (ssize_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    return n;
}

size_t tz_vmsys_mappings_max(void)
{
    enum { USUAL = 65530 };
    uint64_t n = number_in("/proc/sys/vm/max_map_count");
    return n ? (size_t)tz_min(n, INT32_MAX) : USUAL;
}

// By the kernel's own count, which is what RLIMIT_AS is compared with.
// By plain system calls: stdio would allocate.
uint64_t tz_vmsys_mapped(enum tz_vmsys_size what)
{
    const int field = what == TZ_VMSYS_DATA ? 5 : 0; // of numbers, in pages
    char text[256];
    int saved = errno;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    errno = saved;
    uint64_t pages = 0;
    for (ssize_t i = 0, at = 0; i < len && at <= field; i++) {
        if (text[i] == ' ')
            at++;
        else if (at == field && text[i] >= '0' && text[i] <= '9')
            pages = pages * 10 + (uint64_t)(text[i] - '0');
    }
    return pages * tz_vm_page();
}

static int raw_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    long p = syscall(MMAP_CALL, addr, n, prot, flags, -1, 0);
    if (p == -1)
        return errno;
    *out = (void *)p;
    return 0;
}

static int raw_munmap(void *addr, size_t n)
{
    return syscall(SYS_munmap, addr, n) ? errno : 0;
}

static int raw_mprotect(void *addr, size_t n, int prot)
{
    return syscall(SYS_mprotect, addr, n, prot) ? errno : 0;
}

static int raw_madvise(void *addr, size_t n, int advice)
{
    return syscall(SYS_madvise, addr, n, advice) ? errno : 0;
}

const struct tz_vm_hooks *tz_vmsys_raw(void)
{
    static const struct tz_vm_hooks raw = {raw_mmap, raw_munmap, raw_mprotect,
                                           raw_madvise};
    return &raw;
}

bool tz_vmsys_faults(void *p)
{
    // uname stores at p what nobody needs. It wants no descriptor, so that the
    // answer does not depend on how many are open.
    int saved = errno;
    bool faults = syscall(SYS_uname, p) < 0 && errno == EFAULT;
    errno = saved;
    return faults;
}

void tz_vmsys_name(void *p, size_t n, const char *text)
{
    static uint32_t refused; // atomic; set once, orders nothing
    if (tz_load_rlx(&refused))
        return;
    int saved = errno;
    if (prctl(SET_VMA, SET_VMA_ANON_NAME, p, n, text) && errno == EINVAL)
        tz_store_rlx(&refused, 1);
    errno = saved;
}
