// SPDX-License-Identifier: BSD-3-Clause
// os/vm_stack.c: memory for stacks on kernels that police the stack pointer.
//
// OpenBSD ends a process whose stack pointer, at a system call, a trap or a
// switch to an alternate stack, lies in memory that was not mapped with
// MAP_STACK. The mark can only be given, and only be taken away, by mapping
// anew, which loses the contents:
//
//     ready memory --tz_vm_stack_alloc--> stack --tz_vm_stack_free--> ready
//        (any)        mark, zeroes                  no mark, zeroes
//
// So both are done where a range changes its purpose and holds nothing: right
// after it was taken, and right before it becomes memory for data, which must
// not keep the mark: it is there to make it useless to point a stack pointer at
// data. What goes back to the system loses it without a remap.
//
// TUZADEBUG=mapstack=1 does the same on a kernel that polices nothing, so that
// a supervisor (test/emul/police.c) can. Stacks are then mapped without the
// mark at first, and get it here, as everywhere that is policed.
//
// A range must be whole pages of the system, 64 KiB on some, or what lies beside
// it would be lost: who cuts stacks from less takes more and leaves the rest.
// Another range ends the process.
//
// Go keeps this in os_openbsd.go (osStackAlloc, osStackRemap).

#include <sys/mman.h>

#include "base/atomic.h"
#include "base/print.h"
#include "base/san.h"
#include "os/env.h"
#include "os/port.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum { READ_WRITE = PROT_READ | PROT_WRITE };

enum answer { UNKNOWN, NO, YES };

static struct {
    uint32_t policed; // enum answer; atomic; finding out twice gives the same
    uint64_t remaps, remaps_back; // statistics; atomic
} st;

static bool wanted(void)
{
    char value[4];
    return tz_env_debug("mapstack", value, sizeof value) && value[0] == '1' &&
           !value[1];
}

bool tz_vm_stack_policed(void)
{
    uint32_t a = tz_load_rlx(&st.policed); // idempotent: no partner
    if (tz_unlikely(a == UNKNOWN)) {
        a = tz_vmsys_stack_policed() || wanted() ? YES : NO;
        tz_store_rlx(&st.policed, a);
    }
    return a == YES;
}

// A range on its way to the system stack.
struct range {
    void *p; // in, and the result where that is memory
    size_t n;
    bool stack; // what it becomes
};

static void remap(void *arg)
{
    struct range *r = arg;
    if (!r->p || !tz_vmown_whole_pages(r->p, r->n))
        tz_fatal("remapping stack memory: %p, %zu bytes: not whole pages of"
                 " %zu",
                 r->p, r->n, tz_vm_page());
    int flags = tz_vmsys_flags(TZ_VMSYS_ALLOC) | MAP_FIXED;
    if (r->stack)
        flags |= tz_vmsys_stack_flag();
    void *got = MAP_FAILED;
    int err = tz_vmcall_remap(r->p, r->n, READ_WRITE, flags, &got);
    if (err || got != r->p)
        tz_fatal("remapping stack memory failed: base %p, size %zu, result %p,"
                 " errno %d (%s)",
                 r->p, r->n, got, err, tz_strerror(err));
    int advice = tz_vmsys_advice(TZ_VMSYS_NO_HUGEPAGE);
    if (r->stack && advice >= 0)
        tz_vmcall_madvise(r->p, r->n, advice); // EINVAL: there are none here
    tz_vmown_name(r->p, r->n, r->stack ? TZ_VM_STACK : TZ_VM_HEAP);
    tz_san_fresh(r->p, r->n);
    tz_xadd_rlx(r->stack ? &st.remaps : &st.remaps_back, 1); // orders nothing
}

void tz_vm_stack_alloc(void *p, size_t n)
{
    if (tz_likely(!tz_vm_stack_policed()) || TZ_DEFECT(TZ_D12))
        return;
    struct range r = { .p = p, .n = n, .stack = true };
    tz_port_system_stack(remap, &r);
}

void tz_vm_stack_free(void *p, size_t n)
{
    if (tz_likely(!tz_vm_stack_policed()))
        return;
    struct range r = { .p = p, .n = n };
    tz_port_system_stack(remap, &r);
}

void tz_vm_free_stacks(void *p, size_t n)
{
    if (tz_vm_stack_policed())
        tz_xadd_rlx(&st.remaps_back, 1); // a statistic: orders nothing
    tz_vm_free(p, n, TZ_VM_STACK, TZ_VM_READY);
}

void tz_vm_stack_counts(uint64_t *remaps, uint64_t *remaps_back)
{
    *remaps = tz_load_rlx(&st.remaps);
    *remaps_back = tz_load_rlx(&st.remaps_back);
}

static void alloc_signal_stack(void *arg)
{
    struct range *r = arg;
    r->p = NULL;
    int flags = tz_vmsys_flags(TZ_VMSYS_ALLOC) | tz_vmsys_stack_flag();
    if (tz_vmown_place(NULL, r->n, 0, READ_WRITE, flags, &r->p))
        return;
    tz_vmown_charge(TZ_VM_READY, TZ_VM_META, r->n);
    tz_vmown_name(r->p, r->n, TZ_VM_META);
    tz_san_fresh(r->p, r->n);
}

void *tz_vm_alloc_signal_stack(size_t n)
{
    struct range r = { .n = n };
    tz_port_system_stack(alloc_signal_stack, &r);
    return r.p;
}
