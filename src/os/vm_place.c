// SPDX-License-Identifier: BSD-3-Clause
// os/vm_place.c: new mappings at any address, aligned.
//
// A mapping is made in up to two steps: at the wanted size, which the kernel
// often aligns well enough; else with room to align, and what hangs over is
// given back. A hint is only a wish: the address that came is what counts
// [os.I2], and after two hints in a row that were ignored the first step is
// left out, so that a kernel without hints costs no extra calls. Two, because
// one may have found somebody else at the address.
//
// Go keeps this in malloc.go (sysReserveAligned).

#include <errno.h>

#include "base/atomic.h"
#include "os/vm_own.h"

enum { HINT_MISSES_MAX = 2 }; // in a row, before hints are taken for ignored

static struct {
    uint32_t hint_misses; // in a row; atomic, only a guess
} place;

static bool hints_work(void)
{
    return tz_load_rlx(&place.hint_misses) < HINT_MISSES_MAX; // only a guess
}

void tz_vmown_no_hints(void)
{
    tz_store_rlx(&place.hint_misses, HINT_MISSES_MAX); // only a guess
}

static void learn_hint(const void *hint, const void *got)
{
    if (!hint)
        return;
    if (got == hint)
        tz_store_rlx(&place.hint_misses, 0);
    else if (hints_work())
        tz_xadd_rlx(&place.hint_misses, 1);
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

int tz_vmown_place(void *hint, size_t n, size_t align, int prot, int flags,
                   void **out)
{
    align = tz_max(align, tz_vm_page());
    if (!tz_vmown_whole_pages(hint, n) || !tz_is_pow2(align) ||
        n > SIZE_MAX - align)
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
