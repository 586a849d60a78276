// SPDX-License-Identifier: BSD-3-Clause
// os/vm_fixed.c: memory at a wished-for address, on any kernel.
//
// Three steps, each tried where the one before has not placed the mapping:
//
//     hint            a plain mmap; kernels that randomize (grsecurity), tools
//                     and sanitizers put it elsewhere
//     no-replace      MAP_FIXED_NOREPLACE; kernels before 4.17, gVisor and some
//                     emulators take it for a hint, so the address that comes
//                     is compared whatever was said; EEXIST ends it here
//     look, replace   only where no-replace is a hint or unknown: each page is
//                     asked about, one by one, and only if all are unmapped is
//                     the mapping forced there (MAP_FIXED)
//
// What came elsewhere is given back before anything else is done: it must not
// cost memory twice, and it may itself lie in the range that is looked at. The
// third step alone has a gap between look and call, into which another thread
// could map; it is taken on no kernel that has a better way (which includes one
// that has taken a hint before: there a missed one means busy), and never where
// the look cannot be trusted. Sanitizers own addresses that look free and let
// MAP_FIXED destroy them, so under one only the hint is tried.
//
// Cost: one call. The first hint that is ignored costs two more, the first
// no-replace that is ignored two more; both are remembered.
//
// Go keeps this in mem_linux.go (mmap_fixed and addrspace_free until 1.10); it
// asked mincore about many pages at once, which fails if only one is unmapped.

#include <errno.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/san.h"
#include "os/port.h"
#include "os/vm_fixed.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum {
    ELSEWHERE = -1, // beside errnos: it came at another address
    PROBE_BYTES = 64 * 1024,
    LOOK_PAGES = TZ_DEFECT(TZ_D2) ? 4096 : 1, // a call of mincore
};

static struct {
    uint32_t hints_taken;       // atomic; set once: a missed one means busy
    uint32_t hints_ignored;     // atomic; set once, a shortcut only
    uint32_t noreplace_ignored; // the same
} fixed;

// Whether the kernel tells mapped from unmapped: of a stack's page it must say
// that it is there.
static bool look_works(void)
{
    unsigned char in[LOOK_PAGES];
    size_t page = tz_vm_page();
    void *here = (void *)tz_align_down((uintptr_t)in, page);
    return tz_vmsys_mincore(here, page, in) == 0;
}

static bool is_free(const void *p, size_t n)
{
    unsigned char in[LOOK_PAGES];
    if (!p || !tz_vmown_whole_pages(p, n) || !look_works())
        return false;
    size_t step = LOOK_PAGES * tz_vm_page();
    for (size_t i = 0; i < n; i += step) {
        void *at = (char *)p + i;
        if (tz_vmsys_mincore(at, tz_min(step, n - i), in) != ENOMEM)
            return false;
    }
    return true;
}

// One mmap that must come at p. 0, ELSEWHERE with nothing left, or an errno.
static int try_at(void *p, size_t n, int prot, int flags)
{
    void *got;
    int err = tz_vmown_map(p, n, prot, flags, &got);
    if (err || got == p)
        return err;
    bool in_the_way = TZ_DEFECT(TZ_D17) && !is_free(p, n);
    if (!TZ_DEFECT(TZ_D3))
        tz_vmown_unmap(got, n);
    return in_the_way ? EEXIST : ELSEWHERE;
}

// The third step.
static int look_and_replace(void *p, size_t n, int prot, int flags)
{
    bool busy = tz_load_rlx(&fixed.hints_taken); // and this one was not
    if ((busy && !TZ_DEFECT(TZ_D8)) || !is_free(p, n))
        return EEXIST;
    return try_at(p, n, prot, flags | MAP_FIXED);
}

static int without_hint(void *p, size_t n, int prot, int flags)
{
    int noreplace = tz_vmsys_noreplace();
    if (TZ_DEFECT(TZ_D8) || noreplace == 0 ||
        tz_load_rlx(&fixed.noreplace_ignored)) // only a shortcut
        return look_and_replace(p, n, prot, flags);
    int err = try_at(p, n, prot, flags | noreplace);
    if (err != ELSEWHERE && err != EINVAL && err != EOPNOTSUPP)
        return err;
    if (err == ELSEWHERE)
        tz_store_rlx(&fixed.noreplace_ignored, 1);
    int last = look_and_replace(p, n, prot, flags);
    if (last == 0) // so it was the flag that the EINVAL was about
        tz_store_rlx(&fixed.noreplace_ignored, 1);
    return last;
}

// All of the ladder. 0, ELSEWHERE or an errno.
static int place_at(void *p, size_t n, int prot, int flags)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return try_at(p, n, prot, flags);
    bool hint = !tz_load_rlx(&fixed.hints_ignored); // only a shortcut
    int hinted = hint ? try_at(p, n, prot, flags) : ELSEWHERE;
    if (hinted == 0) {
        tz_store_rlx(&fixed.hints_taken, 1);
        return 0;
    }
    int err = without_hint(p, n, prot, flags);
    if (err == EEXIST && hinted != ELSEWHERE)
        return hinted; // refused, whether busy or not
    if (err == 0 && hint && !tz_load_rlx(&fixed.hints_taken)) {
        // It was free, and the hint had not been taken.
        tz_store_rlx(&fixed.hints_ignored, 1);
        tz_vmown_no_hints();
    }
    return err;
}

static int answer(int err)
{
    switch (err) {
    case 0:
        return 0;
    case ELSEWHERE:
    case EEXIST:
    case EINVAL: // a sanitizer, of addresses that it keeps for itself
    case EPERM:  // below vm.mmap_min_addr
        return -EEXIST;
    }
    return -ENOMEM;
}

// A call on its way to the system stack, as in vm.c.
struct op {
    void *p;
    size_t n;
    enum tz_vm_use use;
    int result;
};

static void map_at(void *arg)
{
    struct op *o = arg;
    o->result = -EINVAL;
    if (!o->p || !tz_vmown_whole_pages(o->p, o->n))
        return;
    int flags = tz_vmsys_flags(TZ_VMSYS_ALLOC);
    o->result = answer(place_at(o->p, o->n, PROT_READ | PROT_WRITE, flags));
    if (o->result)
        return;
    tz_vmown_charge(TZ_VM_READY, o->use, o->n);
    tz_vmown_name(o->p, o->n, o->use);
    tz_san_fresh(o->p, o->n);
}

int tz_vm_map_at(void *p, size_t n, enum tz_vm_use use)
{
    struct op o = { .p = p, .n = n, .use = use };
    tz_port_system_stack(map_at, &o);
    return o.result;
}

static void probe(void *arg)
{
    struct op *o = arg;
    o->result = -EINVAL;
    if (!o->p || !tz_vmown_whole_pages(o->p, o->n))
        return;
    size_t part = tz_min(o->n, PROBE_BYTES);
    int flags = tz_vmsys_flags(TZ_VMSYS_RESERVE);
    o->result = answer(place_at(o->p, part, PROT_NONE, flags));
    if (o->result == 0)
        tz_vmown_unmap(o->p, part);
}

int tz_vm_probe(void *hint, size_t n)
{
    struct op o = { .p = hint, .n = n };
    tz_port_system_stack(probe, &o);
    return o.result;
}

static void look(void *arg)
{
    struct op *o = arg;
    o->result = is_free(o->p, o->n);
}

bool tz_vm_is_free(const void *p, size_t n)
{
    struct op o = { .p = (void *)p, .n = n };
    tz_port_system_stack(look, &o);
    return o.result != 0;
}
