// SPDX-License-Identifier: BSD-3-Clause
// os/vm_defer.c: ranges that munmap refused for now.
//
// munmap can fail with ENOMEM: cutting a piece out of a mapping makes two of
// it, and their number is limited. Such a range loses its memory and its
// access at once and its addresses later, when a neighbour's going has made
// the cut free [os.I4]. The list of them is a fixed table, since there may be
// no memory for a longer one; what does not fit stays mapped for good.
//
// Any other failure ends the process, since nobody knows any more what is
// mapped. Go throws on ENOMEM as well.

#include <errno.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/print.h"
#include "os/lock.h"
#include "os/vm_own.h"
#include "os/vm_sys.h"

enum { DEFERRED_MAX = TZ_VMDEFER_ALL };

struct range {
    uintptr_t lo, hi;
};

static struct {
    struct tz_lock lock;
    size_t count;                    // guarded by lock
    size_t next;                     // tried next; guarded by lock
    uint64_t bytes;                  // atomic; those for good included
    uint32_t told;                   // atomic; the list was full once
    struct range list[DEFERRED_MAX]; // guarded by lock; no two touch
} deferred = { .lock = TZ_LOCK_INIT(TZ_RANK_VM) };

void tz_vmdefer_failed(void *p, size_t n, int err)
{
    tz_fatal("munmap: %p, %zu bytes (%s): a system call filter or an"
             " interceptor may forbid it; the runtime cannot go on without",
             p, n, tz_strerror(err));
}

// Joins [lo, hi) to a range that it touches, or adds it.
static bool add(uintptr_t lo, uintptr_t hi)
{
    for (size_t i = 0; i < deferred.count;) {
        struct range *r = &deferred.list[i];
        if (r->hi != lo && r->lo != hi) {
            i++;
            continue;
        }
        lo = lo < r->lo ? lo : r->lo;
        hi = hi > r->hi ? hi : r->hi;
        *r = deferred.list[--deferred.count]; // joined: look at the others
    }
    if (deferred.count == DEFERRED_MAX)
        return false;
    deferred.list[deferred.count++] = (struct range){ lo, hi };
    return true;
}

void tz_vmdefer_add(void *p, size_t n)
{
    // Best effort: both may fail for the reason that munmap did.
    tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_UNUSED));
    tz_vmcall_mprotect(p, n, PROT_NONE);
    tz_xadd_rlx(&deferred.bytes, n);
    tz_lock_acquire(&deferred.lock);
    bool kept = add((uintptr_t)p, (uintptr_t)p + n);
    tz_lock_release(&deferred.lock);
    if (!kept && tz_xchg(&deferred.told, 1) == 0)
        tz_print("tuza: munmap: %zu bytes (%s): too many mappings, see"
                 " vm.max_map_count; address space is lost\n",
                 n, tz_strerror(ENOMEM));
}

bool tz_vmdefer_retry(size_t most)
{
    if (tz_likely(tz_load_rlx(&deferred.bytes) == 0)) // only a hint
        return false;
    if (!tz_lock_try(&deferred.lock))
        return false; // somebody else is at it
    bool any = false;
    for (; most > 0 && deferred.count > 0; most--) {
        if (deferred.next >= deferred.count)
            deferred.next = 0;
        struct range *r = &deferred.list[deferred.next];
        size_t n = r->hi - r->lo;
        int err = tz_vmcall_munmap((void *)r->lo, n);
        if (err && err != ENOMEM)
            tz_vmdefer_failed((void *)r->lo, n, err);
        if (err) {
            deferred.next++;
            continue;
        }
        *r = deferred.list[--deferred.count];
        tz_xadd_rlx(&deferred.bytes, -(uint64_t)n);
        any = true;
    }
    tz_lock_release(&deferred.lock);
    return any;
}

uint64_t tz_vmdefer_bytes(void)
{
    return tz_load_rlx(&deferred.bytes); // a statistic: orders nothing
}
