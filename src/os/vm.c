// SPDX-License-Identifier: BSD-3-Clause
// os/vm.c: the states of memory, the same on every system.
//
// os/vm.h draws the states. A mapping is made in up to two steps: at the wanted
// size, which the kernel often aligns well enough; else with room to align, and
// what hangs over is given back. A hint is only a wish: the address that came
// is what counts [os.I2], and after two hints in a row that were ignored the
// first step is left out, so that a kernel without hints costs no extra calls.
//
// munmap can fail with ENOMEM: cutting a piece out of a mapping makes two of
// it, and their number is limited. Such a range loses its memory and its
// access at once and its addresses later, when a neighbour's going has made
// the cut free [os.I4]. The list of them is a fixed table, since there may be
// no memory for a longer one; what does not fit stays mapped for good.
//
// Statistics move after success only [os.I3]. No fork handling: a child has
// copies of everything here.
//
// Go keeps this in mem_linux.go and malloc.go (sysReserveAligned); ours returns
// errors where Go throws, and survives ENOMEM from munmap.

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/print.h"
#include "os/lock.h"
#include "os/vm.h"
#include "os/vm_sys.h"

enum {
    READ_WRITE = PROT_READ | PROT_WRITE,
    DEFERRED_MAX = 1024,
    RETRIES_A_FREE = 8,   // deferred ranges tried again by each free
    HINT_MISSES_MAX = 2,  // in a row, before hints are taken for ignored
};

static struct {
    uint64_t ready[TZ_VM_USES];    // bytes; atomic
    uint64_t reserved[TZ_VM_USES]; // bytes; atomic
    uint32_t hint_misses;          // in a row; atomic, only a guess
    uint32_t guard;                // enum answer; atomic
    uint32_t unused;               // enum answer; atomic
    uint32_t told;                 // bit set of enum hint; atomic
} vm;

// What a probe found out; finding it out twice gives the same.
enum answer { UNKNOWN, NO, YES };

struct range {
    uintptr_t lo, hi;
};

static struct {
    struct tz_lock lock;
    size_t count;                    // guarded by lock
    size_t next;                     // tried next; guarded by lock
    uint64_t bytes;                  // atomic; those for good included
    struct range list[DEFERRED_MAX]; // guarded by lock; no two touch
} deferred = { .lock = TZ_LOCK_INIT(TZ_RANK_VM) };

size_t tz_vm_page(void)
{
    static size_t cached; // atomic; const once known
    size_t page = tz_load_rlx(&cached);
    if (tz_unlikely(page == 0)) {
        page = (size_t)sysconf(_SC_PAGESIZE);
        TZ_CHECK(tz_is_pow2(page) && page >= 4096 && page <= 65536);
        tz_store_rlx(&cached, page);
    }
    return page;
}

// Whether [p, p+n) is some whole OS pages.
static bool whole_pages(const void *p, size_t n)
{
    size_t page = tz_vm_page();
    return n != 0 && (((uintptr_t)p | n) & (page - 1)) == 0 &&
           (uintptr_t)p <= UINTPTR_MAX - n;
}

// --- failures that need words

enum hint { TOLD_DENIED = 1, TOLD_LOCKED = 2, TOLD_FULL = 4 };

static bool tell_once(enum hint what)
{
    return !(tz_xor_bits_rlx(&vm.told, (uint32_t)what) & (uint32_t)what);
}

// The two refusals that users take for a bug of ours.
static void explain(const char *call, size_t n, int err)
{
    if ((err == EACCES || err == EPERM) && tell_once(TOLD_DENIED))
        tz_print("tuza: %s: %zu bytes (%s): a security policy such as SELinux"
                 " forbids anonymous memory to this program\n",
                 call, n, tz_strerror(err));
    else if (err == EAGAIN && tell_once(TOLD_LOCKED))
        tz_print("tuza: %s: %zu bytes (%s): too much locked memory, see"
                 " `ulimit -l` and mlockall\n",
                 call, n, tz_strerror(err));
}

TZ_NORETURN static void munmap_failed(void *p, size_t n, int err)
{
    tz_fatal("munmap: %p, %zu bytes (%s): a system call filter or an"
             " interceptor may forbid it; the runtime cannot go on without",
             p, n, tz_strerror(err));
}

// --- ranges that munmap refused for now

// Joins [lo, hi) to a range that it touches, or adds it.
static bool deferred_add(uintptr_t lo, uintptr_t hi)
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

static void defer(void *p, size_t n)
{
    // Best effort: both may fail for the reason that munmap did.
    tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_UNUSED));
    tz_vmcall_mprotect(p, n, PROT_NONE);
    tz_xadd_rlx(&deferred.bytes, n);
    tz_lock_acquire(&deferred.lock);
    bool kept = deferred_add((uintptr_t)p, (uintptr_t)p + n);
    tz_lock_release(&deferred.lock);
    if (!kept && tell_once(TOLD_FULL))
        tz_print("tuza: munmap: %zu bytes (%s): too many mappings, see"
                 " vm.max_map_count; address space is lost\n",
                 n, tz_strerror(ENOMEM));
}

// Tries up to `most` deferred ranges again; true if one went.
static bool retry_deferred(size_t most)
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
            munmap_failed((void *)r->lo, n, err);
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

// Any mapping of ours back to the system; charges nothing.
static void give_back(void *p, size_t n)
{
    int err = tz_vmcall_munmap(p, n);
    if (tz_likely(err == 0))
        retry_deferred(RETRIES_A_FREE);
    else if (err == ENOMEM)
        defer(p, n);
    else
        munmap_failed(p, n, err);
}

// --- placing

// One mmap, at any address. 0, or an errno.
static int map_once(void *hint, size_t n, int prot, int flags, void **out)
{
    void *p = NULL;
    int err = tz_vmcall_mmap(hint, n, prot, flags, &p);
    if (err == ENOMEM && retry_deferred(DEFERRED_MAX))
        err = tz_vmcall_mmap(hint, n, prot, flags, &p);
    if (err) {
        explain("mmap", n, err);
        return err;
    }
    if (!p || !whole_pages(p, n))
        tz_fatal("mmap: %p, %zu bytes: not whole pages (a hook's mistake)", p,
                 n);
    *out = p;
    return 0;
}

static bool hints_work(void)
{
    return tz_load_rlx(&vm.hint_misses) < HINT_MISSES_MAX; // only a guess
}

static void learn_hint(const void *hint, const void *got)
{
    if (!hint)
        return;
    if (got == hint)
        tz_store_rlx(&vm.hint_misses, 0);
    else if (hints_work())
        tz_xadd_rlx(&vm.hint_misses, 1);
}

// Maps n bytes aligned to `align`, a power of two above the page, by mapping
// more and giving back what hangs over.
static int map_trimmed(void *hint, size_t n, size_t align, int prot, int flags,
                       void **out)
{
    size_t room = n + align - tz_vm_page();
    void *p;
    int err = map_once(hint, room, prot, flags, &p);
    if (err)
        return err;
    learn_hint(hint, p);
    char *lo = p, *hi = lo + room;
    char *start = (char *)tz_align_up((uintptr_t)p, align);
    TZ_CHECK(start >= lo && start + n <= hi);
    if (start > lo)
        give_back(lo, (size_t)(start - lo));
    if (start + n < hi)
        give_back(start + n, (size_t)(hi - (start + n)));
    *out = start;
    return 0;
}

// Maps n bytes aligned to `align`, preferably at hint. 0, or an errno.
static int place(void *hint, size_t n, size_t align, int prot, int flags,
                 void **out)
{
    align = tz_max(align, tz_vm_page());
    if (!whole_pages(hint, n) || !tz_is_pow2(align) || n > SIZE_MAX - align)
        return EINVAL;
    if (align > tz_vm_page() && hint && !hints_work())
        return map_trimmed(hint, n, align, prot, flags, out);
    void *p;
    int err = map_once(hint, n, prot, flags, &p);
    if (err)
        return err;
    learn_hint(hint, p);
    if (((uintptr_t)p & (align - 1)) == 0) {
        *out = p;
        return 0;
    }
    give_back(p, n);
    return map_trimmed(NULL, n, align, prot, flags, out);
}

static void name(void *p, size_t n, enum tz_vm_use use)
{
    static const char *const names[TZ_VM_USES] = {
        [TZ_VM_HEAP] = "tuza heap",
        [TZ_VM_STACK] = "tuza stacks",
        [TZ_VM_META] = "tuza meta",
    };
    tz_vmsys_name(p, n, names[use]);
}

// --- probes

// Runs a probe on a scratch page, once; it answers by effect, since a call that
// returned 0 may have done nothing (qemu-user). Not remembered when there is no
// page to try it on.
static bool ask(uint32_t *known, bool (*probe)(char *page, size_t n))
{
    uint32_t a = tz_load_rlx(known); // idempotent: no partner
    if (tz_likely(a != UNKNOWN))
        return a == YES;
    size_t n = tz_vm_page();
    void *p;
    if (map_once(NULL, n, READ_WRITE, tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return false;
    bool yes = probe(p, n);
    give_back(p, n);
    tz_store_rlx(known, yes ? YES : NO);
    return yes;
}

static bool guard_probe(char *page, size_t n)
{
    int advice = tz_vmsys_advice(TZ_VMSYS_GUARD);
    return advice >= 0 && !tz_vmsys_faults(page) &&
           tz_vmcall_madvise(page, n, advice) == 0 && tz_vmsys_faults(page);
}

static bool unused_probe(char *page, size_t n)
{
    volatile char *byte = page;
    *byte = 1;
    int advice = tz_vmsys_advice(TZ_VMSYS_UNUSED);
    return advice >= 0 && tz_vmcall_madvise(page, n, advice) == 0 && *byte == 0;
}

// --- the contract

void *tz_vm_alloc(size_t n, enum tz_vm_use use)
{
    void *p;
    if (place(NULL, n, 0, READ_WRITE, tz_vmsys_flags(TZ_VMSYS_ALLOC), &p))
        return NULL;
    tz_xadd_rlx(&vm.ready[use], n);
    name(p, n, use);
    return p;
}

void *tz_vm_reserve(void *hint, size_t n, size_t align, enum tz_vm_use use)
{
    void *p;
    if (place(hint, n, align, PROT_NONE, tz_vmsys_flags(TZ_VMSYS_RESERVE), &p))
        return NULL;
    tz_xadd_rlx(&vm.reserved[use], n);
    return p;
}

// By mprotect, not by a fixed mmap: the pages were never writable, so they are
// zero; a failure leaves no hole for others to fall into (kernels before 6.12
// unmap first and fail then); and it alone respects RLIMIT_DATA, which a
// mapping that replaces another one slips past (seen on Linux 6.18).
int tz_vm_map(void *p, size_t n, enum tz_vm_use use)
{
    if (!p || !whole_pages(p, n))
        return -EINVAL;
    int err = tz_vmcall_mprotect(p, n, READ_WRITE);
    if (err == ENOMEM && retry_deferred(DEFERRED_MAX))
        err = tz_vmcall_mprotect(p, n, READ_WRITE);
    if (err) {
        explain("mprotect", n, err);
        tz_vmcall_mprotect(p, n, PROT_NONE); // it may have done a part
        return -ENOMEM;
    }
    tz_xadd_rlx(&vm.reserved[use], -(uint64_t)n);
    tz_xadd_rlx(&vm.ready[use], n);
    name(p, n, use);
    return 0;
}

void tz_vm_unused(void *p, size_t n)
{
    TZ_CHECK(p && whole_pages(p, n)); // madvise would round outward
    if (!ask(&vm.unused, unused_probe) ||
        tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_UNUSED)) != 0)
        memset(p, 0, n); // locked memory, or a sandbox
}

void *tz_vm_alloc_stacks(size_t n, size_t align)
{
    void *p;
    int flags = tz_vmsys_flags(TZ_VMSYS_STACK);
    if (place(NULL, n, align, READ_WRITE, flags, &p))
        return NULL;
    int advice = tz_vmsys_advice(TZ_VMSYS_NO_HUGEPAGE);
    if (advice >= 0)
        tz_vmcall_madvise(p, n, advice); // EINVAL: there are none here
    tz_xadd_rlx(&vm.ready[TZ_VM_STACK], n);
    name(p, n, TZ_VM_STACK);
    return p;
}

bool tz_vm_guard_works(void)
{
    return ask(&vm.guard, guard_probe);
}

int tz_vm_guard(void *p, size_t n)
{
    if (!p || !whole_pages(p, n))
        return -EINVAL;
    if (!tz_vm_guard_works())
        return -EOPNOTSUPP;
    return -tz_vmcall_madvise(p, n, tz_vmsys_advice(TZ_VMSYS_GUARD));
}

int tz_vm_protect(void *p, size_t n)
{
    if (!p || !whole_pages(p, n))
        return -EINVAL;
    return -tz_vmcall_mprotect(p, n, PROT_NONE);
}

void tz_vm_free(void *p, size_t n, enum tz_vm_use use, bool was_ready)
{
    TZ_CHECK(p && whole_pages(p, n));
    uint64_t *charged = was_ready ? &vm.ready[use] : &vm.reserved[use];
    uint64_t before = tz_xadd_rlx(charged, -(uint64_t)n);
    TZ_CHECK(before >= n); // freed twice, or as what it was not
    give_back(p, n);
}

void tz_vm_stats_read(struct tz_vm_stats *out)
{
    for (int i = 0; i < TZ_VM_USES; i++) {
        out->ready[i] = tz_load_rlx(&vm.ready[i]);
        out->reserved[i] = tz_load_rlx(&vm.reserved[i]);
    }
    out->calls = tz_vmcall_count();
    out->unmap_deferred = tz_load_rlx(&deferred.bytes);
}
