// SPDX-License-Identifier: BSD-3-Clause
// os/vm.c: the states of memory, the same on every system.
//
// os/vm.h draws the states. A mapping is made in up to two steps: at the wanted
// size, which the kernel often aligns well enough; else with room to align, and
// what hangs over is given back. A hint is only a wish: the address that came
// is what counts [os.I2], and after two hints in a row that were ignored the
// first step is left out, so that a kernel without hints costs no extra calls.
//
// Statistics move after success only [os.I3]. No fork handling: a child has
// copies of everything here.
//
// Go keeps this in mem_linux.go and malloc.go (sysReserveAligned); ours returns
// errors where Go throws, and survives ENOMEM from munmap.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum {
    READ_WRITE = PROT_READ | PROT_WRITE,
    HINT_MISSES_MAX = 2, // in a row, before hints are taken for ignored
};

static struct {
    uint32_t hint_misses; // in a row; atomic, only a guess
    uint32_t guard;       // enum answer; atomic
    uint32_t unused;      // enum answer; atomic
} vm;

// What a probe found out; finding it out twice gives the same.
enum answer { UNKNOWN, NO, YES };

// --- placing

static bool hints_work(void)
{
    return tz_load_rlx(&vm.hint_misses) < HINT_MISSES_MAX; // only a guess
}

static void learn_hint(const void *hint, const void *got)
{
    if (!hint)
        return;
    if (got == hint)
        tz_store_rlx(&vm.hint_misses, 0);
    else if (hints_work())
        tz_xadd_rlx(&vm.hint_misses, 1);
}

// Maps n bytes aligned to `align`, a power of two above the page, by mapping
// more and giving back what hangs over.
static int map_trimmed(void *hint, size_t n, size_t align, int prot, int flags,
                       void **out)
{
    size_t room = n + align - tz_vm_page();
    void *p;
    int err = tz_vmown_map(hint, room, prot, flags, &p);
    if (err)
        return err;
    learn_hint(hint, p);
    char *lo = p, *hi = lo + room;
    char *start = (char *)tz_align_up((uintptr_t)p, align);
    TZ_CHECK(start >= lo && start + n <= hi);
    if (start > lo)
        tz_vmown_unmap(lo, (size_t)(start - lo));
    if (start + n < hi)
        tz_vmown_unmap(start + n, (size_t)(hi - (start + n)));
    *out = start;
    return 0;
}

// Maps n bytes aligned to `align`, preferably at hint. 0, or an errno.
static int place(void *hint, size_t n, size_t align, int prot, int flags,
                 void **out)
{
    align = tz_max(align, tz_vm_page());
    if (!tz_vmown_whole_pages(hint, n) || !tz_is_pow2(align) || n > SIZE_MAX - align)
        return EINVAL;
    if (align > tz_vm_page() && hint && !hints_work())
        return map_trimmed(hint, n, align, prot, flags, out);
    void *p;
    int err = tz_vmown_map(hint, n, prot, flags, &p);
    if (err)
        return err;
    learn_hint(hint, p);
    if (((uintptr_t)p & (align - 1)) == 0) {
        *out = p;
        return 0;
    }
    tz_vmown_unmap(p, n);
    return map_trimmed(NULL, n, align, prot, flags, out);
}

// --- probes

// Runs a probe on a scratch page, once; it answers by effect, since a call that
// returned 0 may have done nothing (qemu-user). Not remembered when there is no
// page to try it on.
static bool ask(uint32_t *known, bool (*probe)(char *page, size_t n))
{
    uint32_t a = tz_load_rlx(known); // idempotent: no partner
    if (tz_likely(a != UNKNOWN))
        return a == YES;
    size_t n = tz_vm_page();
    void *p;
    if (tz_vmown_map(NULL, n, READ_WRITE, tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return false;
    bool yes = probe(p, n);
    tz_vmown_unmap(p, n);
    tz_store_rlx(known, yes ? YES : NO);
    return yes;
}

static bool guard_probe(char *page, size_t n)
{
    int advice = tz_vmsys_advice(TZ_VMSYS_GUARD);
    return advice >= 0 && !tz_vmsys_faults(page) &&
           tz_vmcall_madvise(page, n, advice) == 0 && tz_vmsys_faults(page);
}

static bool unused_probe(char *page, size_t n)
{
    volatile char *byte = page;
    *byte = 1;
    int advice = tz_vmsys_advice(TZ_VMSYS_UNUSED);
    return advice >= 0 && tz_vmcall_madvise(page, n, advice) == 0 && *byte == 0;
}

// --- the contract

void *tz_vm_alloc(size_t n, enum tz_vm_use use)
{
    void *p;
    if (place(NULL, n, 0, READ_WRITE, tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return NULL;
    tz_vmown_charge(TZ_VM_READY, use, n);
    tz_vmown_name(p, n, use);
    return p;
}

void *tz_vm_reserve(void *hint, size_t n, size_t align, enum tz_vm_use use)
{
    void *p;
    if (place(hint, n, align, PROT_NONE, tz_vmsys_flags(TZ_VMSYS_RESERVE), &p))
        return NULL;
    tz_vmown_charge(TZ_VM_RESERVED, use, n);
    return p;
}

// By mprotect, not by a fixed mmap: the pages were never writable, so they are
// zero; a failure leaves no hole for others to fall into (kernels before 6.12
// unmap first and fail then); and it alone respects RLIMIT_DATA, which a
// mapping that replaces another one slips past (seen on Linux 6.18).
int tz_vm_map(void *p, size_t n, enum tz_vm_use use)
{
    if (!p || !tz_vmown_whole_pages(p, n))
        return -EINVAL;
    if (tz_vmown_protect(p, n, READ_WRITE)) {
        tz_vmcall_mprotect(p, n, PROT_NONE); // it may have done a part
        return -ENOMEM;
    }
    tz_vmown_discharge(TZ_VM_RESERVED, use, n);
    tz_vmown_charge(TZ_VM_READY, use, n);
    tz_vmown_name(p, n, use);
    return 0;
}

void tz_vm_unused(void *p, size_t n)
{
    TZ_CHECK(p && tz_vmown_whole_pages(p, n)); // madvise would round outward
    if (!ask(&vm.unused, unused_probe) ||
        tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_UNUSED)) != 0)
        memset(p, 0, n); // locked memory, or a sandbox
}

void *tz_vm_alloc_stacks(size_t n, size_t align)
{
    void *p;
    int flags = tz_vmsys_flags(TZ_VMSYS_STACK);
    if (place(NULL, n, align, READ_WRITE, flags, &p))
        return NULL;
    int advice = tz_vmsys_advice(TZ_VMSYS_NO_HUGEPAGE);
    if (advice >= 0)
        tz_vmcall_madvise(p, n, advice); // EINVAL: there are none here
    tz_vmown_charge(TZ_VM_READY, TZ_VM_STACK, n);
    tz_vmown_name(p, n, TZ_VM_STACK);
    return p;
}

bool tz_vm_guard_works(void)
{
    return ask(&vm.guard, guard_probe);
}

int tz_vm_guard(void *p, size_t n)
{
    if (!p || !tz_vmown_whole_pages(p, n))
        return -EINVAL;
    if (!tz_vm_guard_works())
        return -EOPNOTSUPP;
    return -tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_GUARD));
}

int tz_vm_protect(void *p, size_t n)
{
    if (!p || !tz_vmown_whole_pages(p, n))
        return -EINVAL;
    return -tz_vmcall_mprotect(p, n, PROT_NONE);
}

void tz_vm_free(void *p, size_t n, enum tz_vm_use use, enum tz_vm_state was)
{
    TZ_CHECK(p && tz_vmown_whole_pages(p, n));
    tz_vmown_discharge(was, use, n);
    tz_vmown_unmap(p, n);
}
