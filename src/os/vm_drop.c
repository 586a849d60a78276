// SPDX-License-Identifier: BSD-3-Clause
// os/vm_drop.c: memory of ranges that stay in use goes back.
//
// Stacks that wait for their next goroutine keep their addresses and their
// state; what they hold is dropped, many ranges in one process_madvise where
// the kernel takes that for the caller itself (Linux 6.15), which costs a
// third of as many calls of madvise. That call is not in the hook table, so it
// is made only while madvise in the table is nobody's: who replaced it sees
// every range [os.I1].

#include <errno.h>
#include <sys/mman.h>

#include "os/port.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

// An emulator of large pages (qemu-user -p) has mincore tell of those of its
// host, which are more.
enum { PAGE_MIN = 4096, PAGE_MAX = 65536 };

static bool many_works(void)
{
    return !tz_vmcall_madvise_replaced() && tz_vmask_many();
}

static void ask_many(void *arg)
{
    bool *yes = arg;
    *yes = many_works();
}

bool tz_vm_drops_many(void)
{
    bool yes;
    tz_port_system_stack(ask_many, &yes);
    return yes;
}

struct drop {
    const struct tz_vm_range *range;
    size_t n;
    bool taken;
};

static void drop(void *arg)
{
    struct drop *d = arg;
    const struct tz_vm_range *r = d->range;
    for (size_t i = 0; i < d->n; i++)
        TZ_CHECK(tz_vmown_whole_pages(r[i].p, r[i].n)); // it rounds outward
    d->taken = d->n > 1 && many_works() && tz_vmsys_unused_many(r, d->n) == 0;
    if (d->taken)
        return;
    d->taken = true;
    int advice = tz_vmsys_advice(TZ_VMSYS_UNUSED);
    for (size_t i = 0; i < d->n && d->taken; i++)
        d->taken =
            advice >= 0 && tz_vmcall_madvise(r[i].p, r[i].n, advice) == 0;
}

bool tz_vm_drop(const struct tz_vm_range *ranges, size_t n)
{
    struct drop d = { ranges, n, true };
    if (n)
        tz_port_system_stack(drop, &d);
    return d.taken;
}

int tz_vm_resident(void *p, size_t n, unsigned char *in)
{
    if (!tz_vmown_whole_pages(p, n))
        return -EINVAL;
    if (tz_vm_page() > PAGE_MIN)
        return -ENOSYS;
    return -tz_vmsys_mincore(p, n, in);
}

bool tz_vmown_in_memory(void *page)
{
    unsigned char in[PAGE_MAX / PAGE_MIN] = { 0 };
    return tz_vmsys_mincore(page, tz_vm_page(), in) == 0 && (in[0] & 1);
}

static void populates(void *arg)
{
    bool *yes = arg;
    size_t n = tz_vm_page();
    void *p;
    if (tz_vmown_map(NULL, n, PROT_READ | PROT_WRITE,
                     tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return;
    *yes = tz_vmown_in_memory(p);
    tz_vmown_unmap(p, n);
}

bool tz_vm_populates(void)
{
    bool yes = false;
    tz_port_system_stack(populates, &yes);
    return yes;
}

size_t tz_vm_mappings_max(void)
{
    return tz_vmsys_mappings_max();
}
