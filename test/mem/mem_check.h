// SPDX-License-Identifier: BSD-3-Clause
// test/mem/mem_check.h: what the tests of mem/ share: a system that refuses
// memory on demand, a heap without a scheduler, collections made by hand.
#ifndef TEST_MEM_MEM_CHECK_H
#define TEST_MEM_MEM_CHECK_H

#include <inttypes.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "base/bits.h"
#include "base/rand.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/persist.h"
#include "os/os_check.h"
#include "os/vm.h"
#include "os/vm_hook.h"

// How the system behaves from now on. Each test is a process of its own.
static struct {
    int64_t calls;     // of mmap and mprotect, since it was set to 0
    int64_t fail_at;   // this call fails, counted from 1; 0: none
    bool fail_on;      // and all that follow
    size_t mmap_max;   // larger mappings are refused; 0: none
    size_t protect_max; // the same for mprotect
    bool no_place;     // no address is granted: hints go elsewhere
    uintptr_t below;   // all mappings end below this; 0: anywhere
    bool shift;        // what comes is one page above what was mapped
    uint64_t largest;  // mmap that was granted
} sys;

static inline bool sys_refuses(void)
{
    int64_t n = tz_xadd(&sys.calls, 1) + 1;
    return sys.fail_at &&
           (n == sys.fail_at || (sys.fail_on && n > sys.fail_at));
}

static inline int sys_mmap(void *addr, size_t n, int prot, int flags,
                           void **out)
{
    if (sys_refuses() || (sys.mmap_max && n > sys.mmap_max))
        return ENOMEM;
    unsigned char in; // what replaces a mapping of ours is where it was
    bool replaces = flags & MAP_FIXED && mincore(addr, 1, &in) == 0;
    if (sys.no_place && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) &&
        !replaces)
        return EEXIST;
    if (sys.no_place && !replaces)
        addr = NULL;
    if (sys.below && (uintptr_t)addr + n > sys.below)
        return ENOMEM;
    if (sys.below && !addr)
        flags |= MAP_32BIT;
    size_t page = sys.shift ? 4096 : 0;
    char *p = mmap(addr, n + page, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    if (page)
        munmap(p, page);
    p += page;
    if (n > sys.largest)
        sys.largest = n;
    *out = p;
    return 0;
}

static inline int sys_munmap(void *addr, size_t n)
{
    return munmap(addr, n) ? errno : 0;
}

static inline int sys_mprotect(void *addr, size_t n, int prot)
{
    if (sys_refuses() || (sys.protect_max && n > sys.protect_max))
        return ENOMEM;
    return mprotect(addr, n, prot) ? errno : 0;
}

static inline void sys_install(void)
{
    struct tz_vm_hooks hooks = { sys_mmap, sys_munmap, sys_mprotect, NULL };
    ck_assert_int_eq(tz_vm_set_hooks(&hooks), 0);
}

static inline void heap_start(void)
{
    ck_assert_int_eq(tz_heap_init(), 0);
    tz_central_init();
}

// A cache for this thread: it may allocate from now on.
static inline struct tz_mcache *cache_start(void)
{
    struct tz_mcache *c = tz_mcache_make();
    ck_assert_ptr_nonnull(c);
    tz_tls_get()->cache = c;
    return c;
}

static inline uint64_t seed_start(const char *name)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed =
        given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
    printf("%s: TEST_SEED=%" PRIu64 "\n", name, seed);
    fflush(stdout);
    return seed;
}

static inline struct tz_object object_at(const void *p)
{
    struct tz_object o;
    ck_assert(tz_heap_find((uintptr_t)p, &o));
    return o;
}

static inline bool is_object(const void *p)
{
    struct tz_object o;
    return tz_heap_find((uintptr_t)p, &o);
}

// Marks one object, as a collection would.
static inline void mark(const void *p)
{
    struct tz_object o = object_at(p);
    o.bits->word[o.index / 64].mark |= UINT64_C(1) << (o.index % 64);
}

// A collection that keeps what is marked; nothing is swept yet.
static inline void collect(struct tz_mcache *c)
{
    while (tz_central_sweep_one())
        ;
    tz_mcache_flush(c);
    tz_central_flip();
}

static inline void sweep_all(void)
{
    while (tz_central_sweep_one())
        ;
    ck_assert(tz_central_swept());
    tz_central_trim();
}

#endif
