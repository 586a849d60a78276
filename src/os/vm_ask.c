// SPDX-License-Identifier: BSD-3-Clause
// os/vm_ask.c: what this kernel can do, found out once and by effect.
//
// A call that returned 0 may have done nothing (qemu-user takes advice and
// drops it), so each question is put to a scratch page that is then looked at.
//
// TUZADEBUG=madvfree=1 has unused memory dropped with MADV_FREE, which is
// cheaper and lets the pages linger until the system needs them; what is read
// until then may be old. Kernels before 4.5 refuse it, and get the other.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "os/env.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

// What a probe found out; finding it out twice gives the same.
enum answer { UNKNOWN, NO, YES };

static struct {
    uint32_t guard;  // enum answer; atomic
    uint32_t unused; // the same
    uint32_t many;   // the same
    uint32_t prefault; // the same
    uint32_t lazy;   // the same: MADV_FREE is wanted and there
} known;

// Runs a probe on a scratch page, once; it answers by effect, since a call that
// returned 0 may have done nothing (qemu-user). Not remembered when there is no
// page to try it on.
static bool ask(uint32_t *answer, bool (*probe)(char *page, size_t n))
{
    uint32_t a = tz_load_rlx(answer); // idempotent: no partner
    if (tz_likely(a != UNKNOWN))
        return a == YES;
    size_t n = tz_vm_page();
    void *p;
    if (tz_vmown_map(NULL, n, PROT_READ | PROT_WRITE,
                     tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return false;
    bool yes = probe(p, n);
    tz_vmown_unmap(p, n);
    tz_store_rlx(answer, yes ? YES : NO);
    return yes;
}

static bool guard_probe(char *page, size_t n)
{
    int advice = tz_vmsys_advice(TZ_VMSYS_GUARD);
    return advice >= 0 && !tz_vmsys_faults(page) &&
           tz_vmcall_madvise(page, n, advice) == 0 && tz_vmsys_faults(page);
}

bool tz_vmask_guard(void)
{
    return ask(&known.guard, guard_probe);
}

static bool unused_probe(char *page, size_t n)
{
    volatile char *byte = page;
    *byte = 1;
    int advice = tz_vmsys_advice(TZ_VMSYS_UNUSED);
    return advice >= 0 && tz_vmcall_madvise(page, n, advice) == 0 && *byte == 0;
}

bool tz_vmask_unused(void)
{
    return ask(&known.unused, unused_probe);
}

static bool many_probe(char *page, size_t n)
{
    volatile char *byte = page;
    *byte = 1;
    struct tz_vm_range r = { page, n };
    return tz_vmsys_unused_many(&r, 1) == 0 && *byte == 0;
}

bool tz_vmask_many(void)
{
    return ask(&known.many, many_probe);
}

static bool prefault_probe(char *page, size_t n)
{
    int advice = tz_vmsys_advice(TZ_VMSYS_PREFAULT);
    return advice >= 0 && tz_vmcall_madvise(page, n, advice) == 0 &&
           tz_vmown_in_memory(page);
}

bool tz_vmask_prefault(void)
{
    return ask(&known.prefault, prefault_probe);
}

static bool lazy_probe(char *page, size_t n)
{
    int advice = tz_vmsys_advice(TZ_VMSYS_LAZY);
    return advice >= 0 && tz_vmcall_madvise(page, n, advice) == 0;
}

bool tz_vmask_lazy(void)
{
    uint32_t a = tz_load_rlx(&known.lazy); // idempotent: no partner
    if (tz_likely(a != UNKNOWN))
        return a == YES;
    char wanted[4];
    if (tz_env_debug("madvfree", wanted, sizeof wanted) &&
        !strcmp(wanted, "1"))
        return ask(&known.lazy, lazy_probe);
    tz_store_rlx(&known.lazy, NO);
    return false;
}
