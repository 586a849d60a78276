// SPDX-License-Identifier: BSD-3-Clause
// test/stack/stack_check.h: what the tests of stack/ share: a system that
// refuses or places mappings on demand.
#ifndef TEST_STACK_STACK_CHECK_H
#define TEST_STACK_STACK_CHECK_H

#include <inttypes.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "base/rand.h"
#include "mem/persist.h"
#include "os/os_check.h"
#include "os/vm.h"
#include "os/vm_hook.h"
#include "stack/slab.h"
#include "stack/stack.h"

// How the system behaves from now on. Each test is a process of its own.
static struct {
    size_t mmap_max;  // larger mappings are refused; 0: none
    size_t refuse;    // mappings of exactly this size are refused
    bool (*refuses)(size_t n); // and those of which this says so
    bool no_protect;  // mprotect is refused
    bool no_madvise;  // madvise is refused
    uintptr_t place;  // where the next slab goes; 0: anywhere
    int64_t balance;  // bytes mapped
} sys;

static inline int sys_mmap(void *addr, size_t n, int prot, int flags,
                           void **out)
{
    if ((sys.mmap_max && n > sys.mmap_max) || n == sys.refuse ||
        (sys.refuses && sys.refuses(n)))
        return ENOMEM;
    if (sys.place && n > TZ_PERSIST_CHUNK) {
        addr = (void *)sys.place;
        flags |= MAP_FIXED_NOREPLACE;
        sys.place = 0;
    }
    void *p = mmap(addr, n, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    if (!(flags & MAP_FIXED)) // which replaces
        tz_xadd(&sys.balance, (int64_t)n);
    *out = p;
    return 0;
}

static inline int sys_munmap(void *addr, size_t n)
{
    tz_xadd(&sys.balance, -(int64_t)n);
    return munmap(addr, n) ? errno : 0;
}

static inline int sys_mprotect(void *addr, size_t n, int prot)
{
    if (sys.no_protect)
        return ENOMEM;
    return mprotect(addr, n, prot) ? errno : 0;
}

static inline int sys_madvise(void *addr, size_t n, int advice)
{
    if (sys.no_madvise)
        return EINVAL;
    return madvise(addr, n, advice) ? errno : 0;
}

static inline void sys_install(void)
{
    struct tz_vm_hooks h = { sys_mmap, sys_munmap, sys_mprotect, sys_madvise };
    ck_assert_int_eq(tz_vm_set_hooks(&h), 0);
}

static inline struct tz_stack stack_get(struct tz_stackcache *c, size_t size,
                                        void *owner)
{
    struct tz_stack st = { 0, 0 };
    ck_assert_int_eq(tz_stack_get(c, size, owner, &st), 0);
    ck_assert_uint_gt(st.hi, st.lo);
    return st;
}

static inline struct tz_stack_stats stack_stats(void)
{
    struct tz_stack_stats s;
    tz_stack_stats_read(&s);
    ck_assert_uint_eq(s.sys,
                      s.inuse + s.cached + s.hot + s.cold + s.unused);
    return s;
}

static inline uint64_t stack_inuse(void) { return stack_stats().inuse; }
static inline uint64_t stack_sys(void) { return stack_stats().sys; }

static inline struct tz_slab *slab_at(uintptr_t p)
{
    struct tz_slab *s = tz_slab_of(p);
    ck_assert_ptr_nonnull(s);
    return s;
}

#endif
