// SPDX-License-Identifier: BSD-3-Clause
// os/vm_own.c: single mappings of ours, and the statistics.
//
// What the callers (vm.c, vm_fixed.c) have in common: a mapping that is refused
// for want of memory is tried again after a deferred range has gone, a result
// that is no page is a hook's mistake, and each byte mapped is charged to one
// use in one state after the call that mapped it has succeeded [os.I3].
//
// Go keeps this in mem_linux.go and mstats.go (sysMemStat).

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum { RETRIES_A_FREE = 8 }; // deferred ranges tried again by each free

static struct {
    uint64_t charged[TZ_VM_STATES][TZ_VM_USES]; // bytes; atomic
} own;

size_t tz_vm_page(void)
{
    static size_t cached; // atomic; const once known
    size_t page = tz_load_rlx(&cached);
    if (tz_unlikely(page == 0)) {
        page = TZ_DEFECT(TZ_D9) ? 4096 : (size_t)sysconf(_SC_PAGESIZE);
        TZ_CHECK(tz_is_pow2(page) && page >= 4096 && page <= 65536);
        tz_store_rlx(&cached, page);
    }
    return page;
}

bool tz_vmown_whole_pages(const void *p, size_t n)
{
    size_t page = tz_vm_page();
    return n != 0 && (((uintptr_t)p | n) & (page - 1)) == 0 &&
           (uintptr_t)p <= UINTPTR_MAX - n;
}

int tz_vmown_map(void *hint, size_t n, int prot, int flags, void **out)
{
    void *p = NULL;
    int err = tz_vmcall_mmap(hint, n, prot, flags, &p);
    if (err == ENOMEM && tz_vmdefer_retry(TZ_VMDEFER_ALL))
        err = tz_vmcall_mmap(hint, n, prot, flags, &p);
    if (err) {
        if (err != EEXIST) // there is memory, but not here
            tz_vmrefusal_note(TZ_VM_CALL_MMAP, hint, n, err);
        return err;
    }
    if (!p || !tz_vmown_whole_pages(p, n))
        tz_fatal("mmap: %p, %zu bytes: not whole pages (a hook's mistake)", p,
                 n);
    *out = p;
    return 0;
}

int tz_vmown_protect(void *p, size_t n, int prot)
{
    int err = tz_vmcall_mprotect(p, n, prot);
    if (err == ENOMEM && tz_vmdefer_retry(TZ_VMDEFER_ALL))
        err = tz_vmcall_mprotect(p, n, prot);
    if (err)
        tz_vmrefusal_note(TZ_VM_CALL_MPROTECT, p, n, err);
    return err;
}

void tz_vmown_unmap(void *p, size_t n)
{
    int err = tz_vmcall_munmap(p, n);
    if (tz_likely(err == 0))
        tz_vmdefer_retry(RETRIES_A_FREE);
    else if (err == ENOMEM && !TZ_DEFECT(TZ_D13))
        tz_vmdefer_add(p, n);
    else
        tz_vmdefer_failed(p, n, err);
}

void tz_vmown_name(void *p, size_t n, enum tz_vm_use use)
{
    static const char *const names[TZ_VM_USES] = {
        [TZ_VM_HEAP] = "tuza heap", [TZ_VM_STACK] = "tuza stacks",
        [TZ_VM_META] = "tuza meta", [TZ_VM_GC] = "tuza collector",
        [TZ_VM_OTHER] = "tuza other",
    };
    tz_vmsys_name(p, n, names[use]);
}

void tz_vmown_charge(enum tz_vm_state state, enum tz_vm_use use, size_t n)
{
    tz_xadd_rlx(&own.charged[state][use], n); // a statistic: orders nothing
}

void tz_vmown_discharge(enum tz_vm_state state, enum tz_vm_use use, size_t n)
{
    uint64_t had = tz_xadd_rlx(&own.charged[state][use], -(uint64_t)n);
    TZ_CHECK(had >= n); // given back twice, or as what it was not
}

void tz_vm_stats_read(struct tz_vm_stats *out)
{
    for (int i = 0; i < TZ_VM_USES; i++) {
        out->ready[i] = tz_load_rlx(&own.charged[TZ_VM_READY][i]);
        out->reserved[i] = tz_load_rlx(&own.charged[TZ_VM_RESERVED][i]);
        out->released[i] = tz_load_rlx(&own.charged[TZ_VM_RELEASED][i]);
    }
    out->calls = tz_vmcall_count();
    out->unmap_deferred = tz_vmdefer_bytes();
}
