// SPDX-License-Identifier: BSD-3-Clause
// os/vm_hook.c: the table of functions for memory, libc's by default.
//
// A tool that must see every mapping (an interceptor, a sanitizer, an embedder
// with its own address plan) sees each one unmapped as well: there is no way
// around the table, and mmap and munmap are replaced together or not at all
// [os.I1]. Every call keeps errno [os.I5].
//
// Under ThreadSanitizer each call is bracketed by acquire and release of one
// object, so that memory which goes back to the system on one thread and comes
// out on another does not look like a race.
//
// Go keeps this in cgo_mmap.go, for mmap and munmap only, where an address and
// an errno share one word; here they never do.

#include <errno.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/san.h"
#include "os/port.h"
#include "os/thread.h"
#include "os/vm_hook.h"
#include "os/vm_sys.h"

enum { MADVISE_TRIES = 16 };

TZ_WEAK void tz_port_system_stack(void (*fn)(void *), void *arg)
{
    fn(arg);
}

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

static struct {
    struct tz_vm_hooks table; // const after the first call
    uint64_t calls;           // atomic
    char bracket;             // what ThreadSanitizer sees acquired
} hook = {
    .table = { libc_mmap, libc_munmap, libc_mprotect, libc_madvise },
};

int tz_vm_set_hooks(const struct tz_vm_hooks *hooks)
{
    if (!hooks || !hooks->mmap != !hooks->munmap)
        return -EINVAL;
    if (tz_vmcall_count() != 0)
        return -EBUSY;
    if (hooks->mmap) {
        hook.table.mmap = hooks->mmap;
        hook.table.munmap = hooks->munmap;
    }
    if (hooks->mprotect)
        hook.table.mprotect = hooks->mprotect;
    if (hooks->madvise)
        hook.table.madvise = hooks->madvise;
    return 0;
}

// Each call begins and ends with these; the value between them is errno's.
static int enter(void)
{
    tz_xadd_rlx(&hook.calls, 1); // a statistic: orders nothing
    tz_san_acquire(&hook.bracket);
    return errno;
}

static void leave(int saved)
{
    errno = saved;
    tz_san_release(&hook.bracket);
}

int tz_vmcall_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    int saved = enter();
    int err = hook.table.mmap(addr, n, prot, flags, out);
    leave(saved);
    return err;
}

int tz_vmcall_munmap(void *addr, size_t n)
{
    int saved = enter();
    int err = hook.table.munmap(addr, n);
    leave(saved);
    return err;
}

int tz_vmcall_mprotect(void *addr, size_t n, int prot)
{
    int saved = enter();
    int err = hook.table.mprotect(addr, n, prot);
    leave(saved);
    return err;
}

int tz_vmcall_madvise(void *addr, size_t n, int advice)
{
    int err = EAGAIN;
    for (int i = 0; i < MADVISE_TRIES && err == EAGAIN; i++) {
        if (i > 0)
            tz_thread_yield();
        int saved = enter();
        err = hook.table.madvise(addr, n, advice);
        leave(saved);
    }
    return err;
}

uint64_t tz_vmcall_count(void)
{
    return tz_load_rlx(&hook.calls); // a statistic: orders nothing
}
