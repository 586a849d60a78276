// SPDX-License-Identifier: BSD-3-Clause
// os/vm.c: the states of memory, the same on every system.
//
// os/vm.h draws the states. Each function that makes system calls does so on
// the thread's own stack, since libc, a hook or an interposer may need more
// than a goroutine has left: its arguments go into a struct op, and the
// function of the same name without a prefix does the work there. The way to
// it takes less than 256 bytes of the goroutine's stack.
//
// Statistics move after success only [os.I3]. No fork handling: a child has
// copies of everything here.
//
// Go keeps this in mem_linux.go and malloc.go; ours returns errors where Go
// throws, and survives ENOMEM from munmap.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/san.h"
#include "os/port.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum { READ_WRITE = PROT_READ | PROT_WRITE };

TZ_WEAK void tz_port_system_stack(void (*fn)(void *), void *arg)
{
    fn(arg);
}

// A call on its way to the system stack.
struct op {
    void *p; // in, and the result where that is memory
    size_t n, align;
    enum tz_vm_use use;
    enum tz_vm_state was;
    int err; // 0 or -errno
};

static bool good(const struct op *o)
{
    return o->p && tz_vmown_whole_pages(o->p, o->n);
}

static void alloc(void *arg)
{
    struct op *o = arg;
    o->p = NULL;
    if (tz_vmown_place(NULL, o->n, 0, READ_WRITE,
                       tz_vmsys_flags(TZ_VMSYS_ALLOC), &o->p))
        return;
    tz_vmown_charge(TZ_VM_READY, o->use, o->n);
    tz_vmown_name(o->p, o->n, o->use);
    tz_san_fresh(o->p, o->n);
}

void *tz_vm_alloc(size_t n, enum tz_vm_use use)
{
    struct op o = { .n = n, .use = use };
    tz_port_system_stack(alloc, &o);
    return o.p;
}

static void reserve(void *arg)
{
    struct op *o = arg;
    void *hint = o->p;
    o->p = NULL;
    if (tz_vmown_place(hint, o->n, o->align, PROT_NONE,
                       tz_vmsys_flags(TZ_VMSYS_RESERVE), &o->p) == 0)
        tz_vmown_charge(TZ_VM_RESERVED, o->use, o->n);
}

void *tz_vm_reserve(void *hint, size_t n, size_t align, enum tz_vm_use use)
{
    struct op o = { .p = hint, .n = n, .align = align, .use = use };
    tz_port_system_stack(reserve, &o);
    return o.p;
}

// By mprotect, not by a fixed mmap: the pages were never writable, so they are
// zero; a failure leaves no hole for others to fall into (kernels before 6.12
// unmap first and fail then); and it alone respects RLIMIT_DATA, which a
// mapping that replaces another one slips past (seen on Linux 6.18).
static void map(void *arg)
{
    struct op *o = arg;
    if (!good(o)) {
        o->err = -EINVAL;
        return;
    }
    if (tz_vmown_protect(o->p, o->n, READ_WRITE)) {
        tz_vmcall_mprotect(o->p, o->n, PROT_NONE); // it may have done a part
        o->err = -ENOMEM;
        return;
    }
    tz_vmown_discharge(TZ_VM_RESERVED, o->use, o->n);
    tz_vmown_charge(TZ_VM_READY, o->use, o->n);
    tz_vmown_name(o->p, o->n, o->use);
    tz_san_fresh(o->p, o->n);
}

int tz_vm_map(void *p, size_t n, enum tz_vm_use use)
{
    struct op o = { .p = p, .n = n, .use = use };
    tz_port_system_stack(map, &o);
    return o.err;
}

// Gives up the contents: lazily if that is wanted and works, else at once.
static bool drop(void *p, size_t n)
{
    if (tz_vmask_lazy() &&
        tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_LAZY)) == 0)
        return true;
    return tz_vmask_unused() &&
           tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_UNUSED)) == 0;
}

static void unused(void *arg)
{
    struct op *o = arg;
    TZ_CHECK(good(o)); // madvise would round outward
    tz_vmown_discharge(TZ_VM_READY, o->use, o->n);
    if (!drop(o->p, o->n))
        memset(o->p, 0, o->n); // locked memory, or a sandbox
    tz_vmown_charge(TZ_VM_RELEASED, o->use, o->n);
    tz_san_freed(o->p, o->n);
}

void tz_vm_unused(void *p, size_t n, enum tz_vm_use use)
{
    struct op o = { .p = p, .n = n, .use = use };
    tz_port_system_stack(unused, &o);
}

static void prefault(void *arg)
{
    struct op *o = arg;
    TZ_CHECK(good(o));
    if (tz_vmask_prefault()) // refused: who writes will see what there is to see
        tz_vmcall_madvise(o->p, o->n, tz_vmsys_advice(TZ_VMSYS_PREFAULT));
}

void tz_vm_prefault(void *p, size_t n)
{
    struct op o = { .p = p, .n = n };
    tz_port_system_stack(prefault, &o);
}

bool tz_vm_unused_zeroes(void)
{
    return !tz_vmask_lazy();
}

void tz_vm_used(void *p, size_t n, enum tz_vm_use use)
{
    TZ_CHECK(p && tz_vmown_whole_pages(p, n));
    tz_vmown_discharge(TZ_VM_RELEASED, use, n);
    tz_vmown_charge(TZ_VM_READY, use, n);
    tz_san_fresh(p, n);
}

void tz_vm_charge(enum tz_vm_use from, enum tz_vm_use to, size_t n)
{
    tz_vmown_discharge(TZ_VM_READY, from, n);
    tz_vmown_charge(TZ_VM_READY, to, n);
}

static void alloc_stacks(void *arg)
{
    struct op *o = arg;
    void *hint = o->p;
    o->p = NULL;
    int flags = tz_vmsys_flags(TZ_VMSYS_STACK);
    if (!tz_vm_stack_policed()) // else tz_vm_stack_alloc gives the mark
        flags |= tz_vmsys_stack_flag();
    if (tz_vmown_place(hint, o->n, o->align, READ_WRITE, flags, &o->p))
        return;
    int advice = tz_vmsys_advice(TZ_VMSYS_NO_HUGEPAGE);
    if (advice >= 0)
        tz_vmcall_madvise(o->p, o->n, advice); // EINVAL: there are none here
    tz_vmown_charge(TZ_VM_READY, TZ_VM_STACK, o->n);
    tz_vmown_name(o->p, o->n, TZ_VM_STACK);
    tz_san_fresh(o->p, o->n);
}

void *tz_vm_alloc_stacks_at(void *hint, size_t n, size_t align)
{
    struct op o = { .p = hint, .n = n, .align = align };
    tz_port_system_stack(alloc_stacks, &o);
    return o.p;
}

void *tz_vm_alloc_stacks(size_t n, size_t align)
{
    return tz_vm_alloc_stacks_at(NULL, n, align);
}

static void guard_works(void *arg)
{
    struct op *o = arg;
    o->err = tz_vmask_guard();
}

bool tz_vm_guard_works(void)
{
    struct op o = { 0 };
    tz_port_system_stack(guard_works, &o);
    return o.err != 0;
}

static void guard(void *arg)
{
    struct op *o = arg;
    if (!good(o))
        o->err = -EINVAL;
    else if (!tz_vmask_guard())
        o->err = -EOPNOTSUPP;
    else
        o->err = -tz_vmcall_madvise(o->p, o->n,
                                    tz_vmsys_advice(TZ_VMSYS_GUARD));
}

int tz_vm_guard(void *p, size_t n)
{
    struct op o = { .p = p, .n = n };
    tz_port_system_stack(guard, &o);
    return o.err;
}

static void protect(void *arg)
{
    struct op *o = arg;
    o->err = -EINVAL;
    if (good(o))
        o->err = -tz_vmcall_mprotect(o->p, o->n, PROT_NONE);
}

int tz_vm_protect(void *p, size_t n)
{
    struct op o = { .p = p, .n = n };
    tz_port_system_stack(protect, &o);
    return o.err;
}

static void fault(void *arg)
{
    struct op *o = arg;
    protect(o);
    if (o->err == 0) // best effort: only to save memory
        tz_vmcall_madvise(o->p, o->n, tz_vmsys_advice(TZ_VMSYS_UNUSED));
}

int tz_vm_fault(void *p, size_t n)
{
    struct op o = { .p = p, .n = n };
    tz_port_system_stack(fault, &o);
    return o.err;
}

static void give(void *arg)
{
    struct op *o = arg;
    TZ_CHECK(good(o));
    tz_vmown_discharge(o->was, o->use, o->n);
    if (o->was != TZ_VM_RESERVED)
        tz_san_forget(o->p, o->n);
    tz_vmown_unmap(o->p, o->n);
}

void tz_vm_free(void *p, size_t n, enum tz_vm_use use, enum tz_vm_state was)
{
    struct op o = { .p = p, .n = n, .use = use, .was = was };
    tz_port_system_stack(give, &o);
}
