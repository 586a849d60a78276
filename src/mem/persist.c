// SPDX-License-Identifier: BSD-3-Clause
// mem/persist.c: memory the runtime keeps for as long as it runs.
//
// Gs, Ms, Ps and span headers live here. They are never freed, so a stale
// pointer to one still points at an object of that type, and the scheduler and
// the collector may follow it without a lock [mem.I1].
//
// Requests are cut from the front of a chunk: the P's own, without a lock, or
// one that all threads without a P share. When a chunk runs out its tail is
// abandoned: with 256 KiB chunks and a 64 KiB limit on what is cut from them,
// a quarter of a chunk at worst. Larger requests are mappings of their own.
//
//     lists: PLAIN -> [range|blocks...|unused] -> [range|...]    chunks
//                         -> (range) -> ...                      large blocks
//            ROOTS -> likewise; what the collector scans
//
// Each range of addresses is on one list, once, pushed by a CAS and never taken
// off, so that a walk needs no lock and works in a signal handler [mem.I1]. A
// chunk's entry is its own first words; that of a large block, which begins on
// its page, is a block of a plain chunk.
//
// A chunk is charged as OTHER; what is cut from it, to what it is for.
//
// Cutting from a chunk takes a few words of stack; all else happens on the
// system stack, so that a goroutine may come here with its own nearly used up.
//
// Go keeps this in malloc.go (persistentalloc). Ours returns NULL where Go
// throws, because a library may not end its caller's process for want of
// memory; its large blocks are known to tz_persist_contains; and it has chunks
// that are roots.

#include "mem/persist.h"

#include "mem/malloc.h"
#include "os/lock.h"
#include "os/port.h"

struct tz_persist_range {
    struct tz_persist_range *next; // const once it is on its list
    uintptr_t lo, hi;              // likewise
    uintptr_t pos; // first byte not handed out; atomic, written by the owner
};

static struct {
    // Atomic; release by push, acquire by whoever walks.
    struct tz_persist_range *list[TZ_PERSIST_KINDS];
    struct tz_lock lock;
    // For threads without a P, and for roots; guarded by lock.
    struct tz_persist_local shared[TZ_PERSIST_KINDS];
    uint64_t used; // bytes handed out; atomic
} persist = { .lock = TZ_LOCK_INIT(TZ_RANK_PERSIST) };

struct request {
    size_t n, align;
    enum tz_vm_use use;
    enum tz_persist_kind kind;
    struct tz_persist_local *local; // NULL: the shared one
    void *result;
};

// Cuts n bytes from the chunk of `from`, which the caller owns. NULL: they do
// not fit.
static void *cut(struct tz_persist_local *from, size_t n, size_t align)
{
    struct tz_persist_range *c = from->chunk;
    if (!c)
        return NULL;
    uintptr_t p = tz_align_up(c->pos, align);
    if (p > c->hi || n > c->hi - p)
        return NULL;
    tz_store_rlx(&c->pos, p + n); // only a bound to a walk
    return (void *)p;
}

// Release: a walk that finds r finds what is in it.
static void push(enum tz_persist_kind kind, struct tz_persist_range *r)
{
    struct tz_persist_range **list = &persist.list[kind], *first;
    do {
        first = tz_load_rlx(list); // followed only by those who walk
        r->next = first;
    } while (!tz_cas_rel(list, first, r));
}

static bool new_chunk(struct tz_persist_local *to, enum tz_persist_kind kind)
{
    struct tz_persist_range *c = tz_vm_alloc(TZ_PERSIST_CHUNK, TZ_VM_OTHER);
    if (!c)
        return false;
    c->lo = (uintptr_t)c;
    c->hi = c->lo + TZ_PERSIST_CHUNK;
    c->pos = c->lo + sizeof *c;
    push(kind, c);
    to->chunk = c;
    return true;
}

static void *cut_or_grow(struct tz_persist_local *from, const struct request *r)
{
    void *p = cut(from, r->n, r->align);
    if (p || !new_chunk(from, r->kind))
        return p;
    return cut(from, r->n, TZ_DEFECT(TZ_D6) ? 1 : r->align);
}

static void *map_large(struct tz_persist_local *local, const struct request *r)
{
    size_t page = tz_vm_page();
    if (r->n > SIZE_MAX - page)
        return NULL;
    size_t size = tz_align_up(r->n, page);
    void *p = tz_vm_alloc(size, r->use);
    if (!p || TZ_DEFECT(TZ_D7))
        return p;
    const struct request node = { .n = sizeof(struct tz_persist_range),
                                  .align = sizeof(void *) };
    struct tz_persist_range *range = cut_or_grow(local, &node);
    if (!range) {
        tz_vm_free(p, size, r->use, true);
        return NULL;
    }
    tz_vm_charge(TZ_VM_OTHER, TZ_VM_META, node.n);
    range->lo = (uintptr_t)p;
    range->hi = range->lo + size;
    range->pos = range->lo + r->n;
    push(r->kind, range);
    return p;
}

// On the system stack.
static void alloc_slow(void *arg)
{
    struct request *r = arg;
    bool shared = !r->local;
    if (shared)
        tz_lock_acquire(&persist.lock);
    if (r->n < TZ_PERSIST_LARGE)
        r->result = cut_or_grow(shared ? &persist.shared[r->kind] : r->local, r);
    else
        r->result = map_large(
            shared ? &persist.shared[TZ_PERSIST_PLAIN] : r->local, r);
    if (shared)
        tz_lock_release(&persist.lock);
}

static void check_request(size_t n, size_t align)
{
    if (n == 0)
        tz_fatal("persistent memory: 0 bytes were asked for");
    if (!tz_is_pow2(align) || align > tz_vm_page())
        tz_fatal("persistent memory: an alignment of %zu, which is no power of "
                 "two up to the page's %zu",
                 align, tz_vm_page());
}

static void *alloc(size_t n, size_t align, enum tz_vm_use use,
                   enum tz_persist_kind kind)
{
    align = align ? align : 16;
    check_request(n, align);
    tz_crit_enter();
    struct tz_tls *t = tz_tls_get();
    struct tz_persist_local *local =
        t->cache && kind == TZ_PERSIST_PLAIN ? &t->cache->persist : NULL;
    void *p = NULL;
    if (tz_likely(local && n < TZ_PERSIST_LARGE))
        p = cut(local, n, align);
    if (tz_unlikely(!p)) {
        struct request r = { n, align, use, kind, local, NULL };
        tz_port_system_stack(alloc_slow, &r);
        p = r.result;
    }
    if (p)
        tz_xadd_rlx(&persist.used, n); // a statistic: orders nothing
    if (p && n < TZ_PERSIST_LARGE)
        tz_vm_charge(TZ_VM_OTHER, use, n);
    // Without a look for stops, which may not fit on this stack: whoever stops
    // the world signals again.
    tz_compiler_barrier();
    t->locks--;
    return p;
}

void *tz_persist_alloc_for(size_t n, size_t align, enum tz_vm_use use)
{
    return alloc(n, align, use, TZ_PERSIST_PLAIN);
}

void *tz_persist_alloc(size_t n, size_t align)
{
    return alloc(n, align, TZ_VM_META, TZ_PERSIST_PLAIN);
}

void *tz_persist_alloc_roots(size_t n, size_t align)
{
    return alloc(n, align, TZ_VM_META, TZ_PERSIST_ROOTS);
}

bool tz_persist_contains(const void *p)
{
    uintptr_t at = (uintptr_t)p;
    for (int kind = 0; kind < TZ_PERSIST_KINDS; kind++) {
        struct tz_persist_range *r = tz_load_acq(&persist.list[kind]);
        for (; r; r = r->next)
            if (at - r->lo < r->hi - r->lo)
                return true;
    }
    return false;
}

void tz_persist_each(enum tz_persist_kind kind,
                     void (*fn)(void *arg, uintptr_t lo, uintptr_t hi),
                     void *arg)
{
    struct tz_persist_range *r = tz_load_acq(&persist.list[kind]);
    for (; r; r = r->next) {
        bool is_chunk = r->lo == (uintptr_t)r;
        fn(arg, r->lo + (is_chunk ? sizeof *r : 0), tz_load_rlx(&r->pos));
    }
}

uint64_t tz_persist_used(void) { return tz_load_rlx(&persist.used); }
