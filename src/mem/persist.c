// SPDX-License-Identifier: BSD-3-Clause
// mem/persist.c: memory the runtime keeps for as long as it runs.
//
// Gs, Ms, Ps and span headers live here. They are never freed, so a stale
// pointer to one still points at an object of that type, and the scheduler and
// the collector may follow it without a lock [mem.I1].
//
// Requests are cut from the front of one chunk. When the chunk runs out its
// tail is abandoned: with 256 KiB chunks and a 64 KiB limit on what is cut
// from them, a quarter of a chunk at worst. Larger requests go to the system.
//
// Go keeps this in malloc.go (persistentalloc); ours returns NULL where Go
// throws, because a library may not end its caller's process for want of
// memory.

#include "mem/persist.h"
#include "os/lock.h"
#include "os/vm.h"

static struct {
    struct tz_lock lock;
    uintptr_t pos, end; // unused part of the chunk; guarded by lock
    uint64_t used;      // bytes handed out; atomic
} persist = {.lock = TZ_LOCK_INIT(TZ_RANK_PERSIST)};

// Cuts n bytes from the chunk, or from a new one. With the lock.
static void *cut(size_t n, size_t align)
{
    uintptr_t p = tz_align_up(persist.pos, align);
    if (persist.pos == 0 || p + n > persist.end) {
        char *chunk = tz_vm_alloc(TZ_PERSIST_CHUNK, TZ_VM_META);
        if (!chunk)
            return NULL;
        persist.end = (uintptr_t)chunk + TZ_PERSIST_CHUNK;
        p = (uintptr_t)chunk;
    }
    persist.pos = p + n;
    tz_xadd_rlx(&persist.used, n);
    return (void *)p;
}

void *tz_persist_alloc(size_t n, size_t align)
{
    if (align == 0)
        align = 16;
    TZ_CHECK(n > 0 && tz_is_pow2(align) && align <= 4096);
    if (n >= TZ_PERSIST_LARGE) {
        size_t page = tz_vm_page();
        if (n > SIZE_MAX - page)
            return NULL;
        void *p = tz_vm_alloc(tz_align_up(n, page), TZ_VM_META);
        if (p)
            tz_xadd_rlx(&persist.used, n);
        return p;
    }
    tz_lock_acquire(&persist.lock);
    void *p = cut(n, align);
    tz_lock_release(&persist.lock);
    return p;
}

uint64_t tz_persist_used(void)
{
    return tz_load_rlx(&persist.used);
}
