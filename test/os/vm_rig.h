// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_rig.h: memory from hostile kernels and tools, played by the hook
// table.
//
// The hooks call the real kernel, keep a count of what is mapped, and misbehave
// as the test says in `k`.
#ifndef TEST_OS_VM_RIG_H
#define TEST_OS_VM_RIG_H

#include <sys/mman.h>

#include "os_check.h"
#include "os/vm_fixed.h"
#include "os/vm_hook.h"
#include "os/vm_sys.h"

enum {
    LOG_MAX = 4096,
    FOREVER = 1 << 30,
    RIG_FORCE = MAP_FIXED | MAP_FIXED_NOREPLACE,
};

struct call {
    char what; // m mmap, u munmap, p mprotect, a madvise
    char *p;
    size_t n;
    int prot, flags;
    int err;
};

static struct {
    // The script: how the next calls misbehave.
    int fail_mmap, mmap_err;     // fail so many, with this
    int fail_mprotect;           // the same, with ENOMEM
    int fail_munmap, munmap_err; // the same
    int fail_madvise, madvise_err;
    bool ignore_hints;   // put everything elsewhere that need not be there
    bool no_noreplace;   // MAP_FIXED_NOREPLACE is no more than a hint
    int noreplace_err;   // fail what has MAP_FIXED_NOREPLACE with this
    int fixed_err;       // fail what has MAP_FIXED with this
    bool fixed_lies;     // MAP_FIXED does nothing and says it is elsewhere
    bool deny_hints;     // fail a mere hint with ENOMEM
    char *elsewhere;     // where that is, if not NULL
    char *intruder;      // a page that another thread maps just before a call
                         // that is more than a hint
    bool part_mprotect;  // a failing mprotect does the first page
    bool offset;         // every result is a page further than the kernel's
    bool madvise_lies;   // returns 0 and does nothing
    bool misaligned;     // returns what is no page
    int fail_at;         // the call with this number fails with ENOMEM; -1
    // What happened.
    int injected; // how often it did
    struct call log[LOG_MAX];
    int calls;
    int64_t balance; // bytes mapped less bytes unmapped
} k = { .fail_at = -1 };

// Whether this call is the one to fail.
static inline bool fails_here(void)
{
    if (k.calls != k.fail_at)
        return false;
    k.injected++;
    return true;
}

static inline void note_call(struct call c)
{
    ck_assert_int_lt(k.calls, LOG_MAX);
    k.log[k.calls++] = c;
}

static inline int real_mmap(void *addr, size_t n, int prot, int flags,
                            void **out)
{
    size_t page = k.offset && !(flags & RIG_FORCE) ? tz_vm_page() : 0;
    void *p = mmap(addr, n + page, prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    if (page)
        munmap(p, page);
    k.balance += (int64_t)n;
    *out = (char *)p + page + (k.misaligned ? 8 : 0);
    return 0;
}

// Another thread is faster: its page lies there, with a word in it.
static inline void intrude(void)
{
    void *p = mmap(k.intruder, tz_vm_page(), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_eq(p, k.intruder);
    strcpy(p, "mine");
    k.intruder = NULL;
}

static inline int hook_mmap_as_told(void *addr, size_t n, int prot, int flags,
                                    void **out)
{
    if (flags & RIG_FORCE && k.intruder)
        intrude();
    if (flags & MAP_FIXED && k.fixed_err)
        return k.fixed_err;
    if (flags & MAP_FIXED_NOREPLACE && k.noreplace_err)
        return k.noreplace_err;
    if (k.no_noreplace)
        flags &= ~MAP_FIXED_NOREPLACE;
    if (flags & MAP_FIXED && k.fixed_lies) {
        *out = k.elsewhere;
        return 0;
    }
    if (!(flags & RIG_FORCE) && k.deny_hints && addr)
        return ENOMEM;
    if (!(flags & RIG_FORCE) && k.ignore_hints)
        addr = k.elsewhere;
    return real_mmap(addr, n, prot, flags, out);
}

static inline int hook_mmap(void *addr, size_t n, int prot, int flags,
                            void **out)
{
    struct call c = { 'm', addr, n, prot, flags, 0 };
    if (fails_here()) {
        c.err = ENOMEM;
    } else if (k.fail_mmap > 0) {
        k.fail_mmap--;
        c.err = k.mmap_err;
    } else {
        c.err = hook_mmap_as_told(addr, n, prot, flags, out);
    }
    note_call(c);
    errno = 33; // what a careless hook leaves behind
    return c.err;
}

static inline int hook_munmap(void *addr, size_t n)
{
    struct call c = { 'u', addr, n, 0, 0, 0 };
    if (fails_here()) {
        c.err = ENOMEM;
    } else if (k.fail_munmap > 0) {
        k.fail_munmap--;
        c.err = k.munmap_err;
    } else {
        c.err = munmap(addr, n) ? errno : 0;
        k.balance -= (int64_t)n;
    }
    note_call(c);
    return c.err;
}

static inline int hook_mprotect(void *addr, size_t n, int prot)
{
    struct call c = { 'p', addr, n, prot, 0, 0 };
    if (fails_here()) {
        c.err = ENOMEM;
    } else if (k.fail_mprotect > 0) {
        k.fail_mprotect--;
        c.err = ENOMEM;
        if (k.part_mprotect)
            mprotect(addr, tz_vm_page(), prot);
    } else {
        c.err = mprotect(addr, n, prot) ? errno : 0;
    }
    note_call(c);
    return c.err;
}

static inline int hook_madvise(void *addr, size_t n, int advice)
{
    struct call c = { 'a', addr, n, 0, advice, 0 };
    if (fails_here()) {
        c.err = ENOMEM;
    } else if (k.fail_madvise > 0) {
        k.fail_madvise--;
        c.err = k.madvise_err;
    } else if (!k.madvise_lies) {
        c.err = madvise(addr, n, advice) ? errno : 0;
    }
    note_call(c);
    return c.err;
}

static const struct tz_vm_hooks hooks = { hook_mmap, hook_munmap, hook_mprotect,
                                          hook_madvise };

static inline void install(void)
{
    ck_assert_int_eq(tz_vm_set_hooks(&hooks), 0);
}

static inline struct tz_vm_stats stats(void)
{
    struct tz_vm_stats s;
    tz_vm_stats_read(&s);
    return s;
}

// What the runtime believes to have mapped.
static inline int64_t believed(void)
{
    struct tz_vm_stats s = stats();
    uint64_t sum = s.unmap_deferred;
    for (int i = 0; i < TZ_VM_USES; i++)
        sum += s.ready[i] + s.reserved[i] + s.released[i];
    return (int64_t)sum;
}

static inline int count_calls(char what)
{
    int n = 0;
    for (int i = 0; i < k.calls; i++)
        n += k.log[i].what == what;
    return n;
}

static inline bool mapped(const void *p)
{
    unsigned char in;
    return mincore((void *)p, tz_vm_page(), &in) == 0;
}

#endif
