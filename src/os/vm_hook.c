// SPDX-License-Identifier: BSD-3-Clause
// os/vm_hook.c: the table of functions for memory, and what it has counted.
//
// A tool that must see every mapping (an interceptor, a sanitizer, an embedder
// with its own address plan) sees each one unmapped as well: there is no way
// around the table, and mmap and munmap are replaced together or not at all
// [os.I1]. Every call keeps errno [os.I5].
//
// The route is chosen at the first call and never changes: what the user has
// given, and for the rest libc's functions, or with TUZADEBUG=oscalls=raw the
// system calls themselves, which no interposer sees (os/vm_route.c).
//
// Under ThreadSanitizer each call is bracketed by acquire and release of one
// object, so that memory which goes back to the system on one thread and comes
// out on another does not look like a race. Both are done at both ends: a range
// may come out on the other thread before the call that gave it back has
// returned, so the giver releases before its call and the taker acquires after
// its own. (Go only acquires before and releases after, which leaves that gap.)
// TZ_VM_BRACKET=0 leaves the bracket out, for a test that sees it missed.
//
// Go keeps this in cgo_mmap.go, for mmap and munmap only, where an address and
// an errno share one word; here they never do.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/san.h"
#include "base/tls.h"
#include "os/thread.h"
#include "os/vm_route.h"
#include "os/vm_sys.h"
#include "tuza/os.h"

#ifndef TZ_VM_BRACKET
#define TZ_VM_BRACKET 1
#endif

enum { MADVISE_TRIES = 16 };

// Whether the table may still be changed.
enum { OPEN, CHANGING, CHOSEN };

static struct {
    uint32_t state;           // atomic; release by who changes, acquire by all
    struct tz_vm_hooks table; // written while CHANGING; const when CHOSEN
    tuza_os_hooks user;       // the same
    tuza_os_counts counts;    // each atomic
    char bracket;             // what ThreadSanitizer sees acquired
} hook;

// --- the user's functions

static int user_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    void *p = hook.user.mmap(addr, n, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    *out = p;
    return 0;
}

static int user_munmap(void *addr, size_t n)
{
    return hook.user.munmap(addr, n) ? errno : 0;
}

static int user_mprotect(void *addr, size_t n, int prot)
{
    return hook.user.mprotect(addr, n, prot) ? errno : 0;
}

static int user_madvise(void *addr, size_t n, int advice)
{
    return hook.user.madvise(addr, n, advice) ? errno : 0;
}

// --- choosing

// From OPEN to CHANGING; false if all is CHOSEN.
static bool begin_change(void)
{
    uint32_t state;
    while (!tz_cas_acq(&hook.state, OPEN, CHANGING)) {
        state = tz_load_acq(&hook.state); // with choose
        if (state == CHOSEN)
            return false;
        tz_thread_yield();
    }
    return true;
}

static void end_change(uint32_t state)
{
    tz_store_rel(&hook.state, state); // with begin_change and enter
}

// Members that are given replace those of `to`.
static void merge(struct tz_vm_hooks *to, const struct tz_vm_hooks *given)
{
    if (given->mmap) {
        to->mmap = given->mmap;
        to->munmap = given->munmap;
    }
    if (given->mprotect)
        to->mprotect = given->mprotect;
    if (given->madvise)
        to->madvise = given->madvise;
}

int tz_vm_set_hooks(const struct tz_vm_hooks *hooks)
{
    if (!hooks || !hooks->mmap != !hooks->munmap)
        return -EINVAL;
    if (!begin_change())
        return -EBUSY;
    merge(&hook.table, hooks);
    end_change(OPEN);
    return 0;
}

int tuza_os_set_hooks(const tuza_os_hooks *hooks)
{
    tuza_os_hooks given = { 0 };
    if (!hooks || hooks->size > sizeof given ||
        hooks->size < offsetof(tuza_os_hooks, mprotect))
        return -EINVAL;
    memcpy(&given, hooks, hooks->size);
    if (!given.mmap != !given.munmap)
        return -EINVAL;
    if (!begin_change())
        return -EBUSY;
    hook.user = given;
    hook.table = (struct tz_vm_hooks){
        given.mmap ? user_mmap : NULL,
        given.munmap ? user_munmap : NULL,
        given.mprotect ? user_mprotect : NULL,
        given.madvise ? user_madvise : NULL,
    };
    end_change(OPEN);
    return 0;
}

TZ_COLD static void choose(void)
{
    if (!begin_change())
        return;
    struct tz_vm_hooks table = *tz_vmroute_default();
    merge(&table, &hook.table);
    hook.table = table;
    tz_vmroute_count_begin();
    end_change(CHOSEN);
}

// --- calls

static void bracket(void)
{
    if (TZ_VM_BRACKET) {
        tz_san_acquire(&hook.bracket);
        tz_san_release(&hook.bracket);
    }
}

// Each call begins and ends with these; the value between them is errno's.
static int enter(uint64_t *count)
{
    int saved = errno;
    if (tz_unlikely(tz_load_acq(&hook.state) != CHOSEN)) // with end_change
        choose();
    tz_xadd_rlx(count, 1); // a statistic: orders nothing
    if (TZ_DEBUG)
        tz_hook_enter();
    bracket();
    if (hook.user.acquire)
        hook.user.acquire();
    errno = ENOMEM; // for a hook that fails and does not say why
    return saved;
}

static void leave(int saved)
{
    if (hook.user.release)
        hook.user.release();
    bracket();
    if (TZ_DEBUG)
        tz_hook_leave();
    errno = saved;
}

int tz_vmcall_remap(void *addr, size_t n, int prot, int flags, void **out)
{
    int saved = enter(&hook.counts.mmap);
    int err = hook.table.mmap(addr, n, prot, flags, out);
    leave(saved);
    return err;
}

int tz_vmcall_mmap(void *addr, size_t n, int prot, int flags, void **out)
{
    int err = tz_vmcall_remap(addr, n, prot, flags, out);
    if (!err)
        tz_xadd_rlx(&hook.counts.bytes_mapped, n);
    return err;
}

int tz_vmcall_munmap(void *addr, size_t n)
{
    int saved = enter(&hook.counts.munmap);
    int err = hook.table.munmap(addr, n);
    leave(saved);
    if (!err)
        tz_xadd_rlx(&hook.counts.bytes_unmapped, n);
    return err;
}

int tz_vmcall_mprotect(void *addr, size_t n, int prot)
{
    int saved = enter(&hook.counts.mprotect);
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
        int saved = enter(&hook.counts.madvise);
        err = hook.table.madvise(addr, n, advice);
        leave(saved);
    }
    return err;
}

bool tz_vmcall_madvise_replaced(void)
{
    if (tz_unlikely(tz_load_acq(&hook.state) != CHOSEN)) // with end_change
        choose();
    return hook.table.madvise != tz_vmroute_default()->madvise;
}

// --- counts

static tuza_os_counts read_counts(void)
{
    return (tuza_os_counts){
        .mmap = tz_load_rlx(&hook.counts.mmap), // statistics: order nothing
        .munmap = tz_load_rlx(&hook.counts.munmap),
        .mprotect = tz_load_rlx(&hook.counts.mprotect),
        .madvise = tz_load_rlx(&hook.counts.madvise),
        .bytes_mapped = tz_load_rlx(&hook.counts.bytes_mapped),
        .bytes_unmapped = tz_load_rlx(&hook.counts.bytes_unmapped),
    };
}

uint64_t tz_vmcall_count(void)
{
    tuza_os_counts c = read_counts();
    return c.mmap + c.munmap + c.mprotect + c.madvise;
}

int tuza_os_counts_read(tuza_os_counts *counts)
{
    size_t head = offsetof(tuza_os_counts, mmap);
    if (!counts || counts->size < offsetof(tuza_os_counts, munmap))
        return -EINVAL;
    tuza_os_counts c = read_counts();
    memcpy((char *)counts + head, (char *)&c + head,
           tz_min(counts->size, sizeof c) - head);
    return 0;
}
