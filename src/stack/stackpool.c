// SPDX-License-Identifier: BSD-3-Clause
// stack/stackpool.c: fixed small stacks without guards, cut from the heap.
//
// Four orders, 1 to 8 KiB. A span of 32 KiB comes from the page heap as a
// manual span, which the collector never looks at, and is cut into stacks of
// one order. What is free of a span is a list through the stacks' first words:
//
//     page heap --take--> span, all free --get--> some free --> none free
//         ^                 |    ^  on its order's list  |       on no list
//         |                 |    +---------- put --------+-- put ---+
//         +-- not marking --+
//
// While the collector marks, a span stays here though it is free: what points
// into it would point at objects that nobody has made [stack.I6]. The end of
// the marking gives such spans back.
//
// Each P keeps a list an order, which is filled to a half, 16 KiB, and emptied
// to a half when it holds 32 KiB, so that the lock is taken once in 16 KiB of
// stacks at most. Without a P, and while the collector marks, it is passed by.
//
// A kernel that polices the stack pointer hears of a span after it was taken
// and before anything is written to it, and just before it goes back. It does
// so by whole OS pages: where those are larger than 32 KiB or than the heap's,
// the span is larger, and the part of it that is whole pages is used.
//
// Go keeps this in stack.go (stackpoolalloc, stackcacherefill), with 2 to
// 16 KiB and one lock an order.

#include "stack/stackpool.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/san.h"
#include "mem/mheap.h"
#include "os/lock.h"
#include "os/vm.h"
#include "stack/stackcache.h"

enum { CACHE_BYTES = TZ_STACKPOOL_SPAN, HALF = CACHE_BYTES / 2 };

static struct {
    struct tz_lock lock;
    struct tz_list spans[TZ_STACK_ORDERS]; // with a free stack; guarded by lock
    bool marking;                          // atomic; written with the lock
    uint64_t got, put;  // bytes, without a cache; guarded by lock; atomic
    uint64_t sys;       // bytes of spans; atomic, written with the lock
    uint64_t exchanges; // with caches, or past them; as sys
} pool = {
    .lock = TZ_LOCK_INIT(TZ_RANK_STACKPOOL),
    .spans = { TZ_LIST_INIT(pool.spans[0]), TZ_LIST_INIT(pool.spans[1]),
               TZ_LIST_INIT(pool.spans[2]), TZ_LIST_INIT(pool.spans[3]) },
};
_Static_assert(TZ_STACK_ORDERS == 4, "one initializer a list");

// A free stack's first word: the next one of its list. The stack was others',
// who may have left its bytes poisoned.
static uintptr_t *link_of(uintptr_t lo) { return (uintptr_t *)lo; }

unsigned tz_stackpool_order(size_t size)
{
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++)
        if (tz_stackpool_size(order) == size)
            return order;
    tz_throw("a fixed stack of %zu bytes: there are 1, 2, 4 and 8 KiB", size);
}

static void check_order(unsigned order)
{
    if (tz_unlikely(order >= TZ_STACK_ORDERS))
        tz_throw("fixed stacks have no order %u", order);
}

// --- spans; with the lock

// The part of a span that is cut, as long as a span should be.
static uintptr_t usable(const struct tz_span *s, size_t *bytes)
{
    size_t page = tz_max(tz_vm_page(), TZ_PAGE_SIZE);
    *bytes = tz_align_up(TZ_STACKPOOL_SPAN, page);
    return tz_align_up(s->base, page);
}

static uint32_t pages_of_span(void)
{
    size_t page = tz_max(tz_vm_page(), TZ_PAGE_SIZE);
    size_t bytes = tz_align_up(TZ_STACKPOOL_SPAN, page) + page - TZ_PAGE_SIZE;
    return (uint32_t)(bytes >> TZ_PAGE_SHIFT);
}

static struct tz_span *span_make(unsigned order)
{
    struct tz_span *s = tz_heap_manual_alloc(pages_of_span(), TZ_VM_STACK);
    if (!s)
        return NULL;
    if (s->nalloc != 0 || s->cut != 0)
        tz_throw("stack span %p is fresh, with %u stacks in use and a list "
                 "of free ones at %p",
                 (void *)s->base, s->nalloc, (void *)s->cut);
    size_t bytes, size = tz_stackpool_size(order);
    uintptr_t lo = usable(s, &bytes);
    tz_vm_stack_alloc((void *)lo, bytes);
    s->elem_size = size;
    s->nelems = (uint32_t)(bytes / size);
    for (uintptr_t at = lo + bytes; at > lo;) {
        at -= size;
        *link_of(at) = s->cut;
        s->cut = at;
    }
    tz_list_push_front(&pool.spans[order], &s->node);
    tz_store_rlx(&pool.sys, pool.sys + ((uint64_t)s->npages << TZ_PAGE_SHIFT));
    return s;
}

// The span holds no stack in use; it is on its list.
static void span_free(struct tz_span *s)
{
    if (pool.marking)
        tz_throw("stack memory %p freed while the collector marks",
                 (void *)s->base);
    size_t bytes;
    uintptr_t lo = usable(s, &bytes);
    tz_list_remove(&s->node);
    s->cut = 0;
    tz_store_rlx(&pool.sys, pool.sys - ((uint64_t)s->npages << TZ_PAGE_SHIFT));
    tz_vm_stack_free((void *)lo, bytes);
    bool all = bytes == (size_t)s->npages << TZ_PAGE_SHIFT;
    tz_heap_manual_free(s, TZ_VM_STACK, all && tz_vm_stack_policed());
}

// 0 when memory is refused.
static uintptr_t take(unsigned order)
{
    struct tz_list *l = &pool.spans[order];
    struct tz_span *s = tz_list_empty(l)
                            ? span_make(order)
                            : tz_list_entry(l->next, struct tz_span, node);
    if (!s)
        return 0;
    uintptr_t lo = s->cut;
    if (tz_unlikely(lo == 0))
        tz_throw("stack span %p is on its list and has no free stack",
                 (void *)s->base);
    s->cut = *link_of(lo);
    s->nalloc++;
    if (s->cut == 0)
        tz_list_remove(&s->node);
    return lo;
}

static void give(unsigned order, uintptr_t lo)
{
    struct tz_span *s = tz_heap_manual_of(lo);
    if (tz_unlikely(!s || s->elem_size != tz_stackpool_size(order) ||
                    lo % s->elem_size || s->nalloc == 0))
        tz_throw("%p is no stack of %zu bytes in use", (void *)lo,
                 tz_stackpool_size(order));
    if (s->cut == 0)
        tz_list_push_front(&pool.spans[order], &s->node);
    *link_of(lo) = s->cut;
    s->cut = lo;
    if (--s->nalloc == 0 && (!pool.marking || TZ_DEFECT(TZ_D20)))
        span_free(s);
}

// --- caches

// Fills c's list to a half, as far as memory is granted.
static void fill(struct tz_stackcache *c, unsigned order)
{
    tz_lock_acquire(&pool.lock);
    tz_store_rlx(&pool.exchanges, pool.exchanges + 1);
    while (c->order[order].bytes < HALF) {
        uintptr_t lo = take(order);
        if (!lo)
            break;
        *link_of(lo) = c->order[order].list;
        c->order[order].list = lo;
        c->order[order].bytes += (uint32_t)tz_stackpool_size(order);
    }
    tz_lock_release(&pool.lock);
}

// Empties c's list down to `left` bytes.
static void spill(struct tz_stackcache *c, unsigned order, uint32_t left)
{
    tz_lock_acquire(&pool.lock);
    tz_store_rlx(&pool.exchanges, pool.exchanges + 1);
    while (c->order[order].bytes > left) {
        uintptr_t lo = c->order[order].list;
        c->order[order].list = *link_of(lo);
        c->order[order].bytes -= (uint32_t)tz_stackpool_size(order);
        give(order, lo);
    }
    tz_lock_release(&pool.lock);
}

static bool pass_by(const struct tz_stackcache *c)
{
    return !c || tz_load_rlx(&pool.marking); // a stale answer does no harm
}

int tz_stackpool_get(struct tz_stackcache *c, unsigned order, uintptr_t *lo)
{
    check_order(order);
    tz_slab_need_system_stack("a fixed stack is taken");
    size_t size = tz_stackpool_size(order);
    uintptr_t got = 0;
    if (pass_by(c)) {
        tz_lock_acquire(&pool.lock);
        got = take(order);
        tz_store_rlx(&pool.exchanges, pool.exchanges + 1);
        tz_store_rlx(&pool.got, pool.got + (got ? size : 0));
        tz_lock_release(&pool.lock);
    } else {
        if (c->order[order].list == 0)
            fill(c, order);
        got = c->order[order].list;
        if (got) {
            c->order[order].list = *link_of(got);
            c->order[order].bytes -= (uint32_t)size;
            tz_store_rlx(&c->order_got, c->order_got + size);
        }
    }
    if (!got)
        return -ENOMEM;
    *lo = got;
    return 0;
}

void tz_stackpool_put(struct tz_stackcache *c, unsigned order, uintptr_t lo)
{
    check_order(order);
    tz_slab_need_system_stack("a fixed stack is put back");
    size_t size = tz_stackpool_size(order);
    tz_san_unpoison((void *)lo, size); // frames left without a return
    if (pass_by(c)) {
        tz_lock_acquire(&pool.lock);
        give(order, lo);
        tz_store_rlx(&pool.exchanges, pool.exchanges + 1);
        tz_store_rlx(&pool.put, pool.put + size);
        tz_lock_release(&pool.lock);
        return;
    }
    if (c->order[order].bytes >= CACHE_BYTES)
        spill(c, order, HALF);
    *link_of(lo) = c->order[order].list;
    c->order[order].list = lo;
    c->order[order].bytes += (uint32_t)size;
    tz_store_rlx(&c->order_put, c->order_put + size);
}

void tz_stackpool_flush(struct tz_stackcache *c)
{
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++)
        if (c->order[order].bytes)
            spill(c, order, 0);
}

void tz_stackpool_gc_begin(void)
{
    tz_lock_acquire(&pool.lock);
    tz_store_rlx(&pool.marking, true);
    tz_lock_release(&pool.lock);
}

void tz_stackpool_gc_end(void)
{
    tz_lock_acquire(&pool.lock);
    tz_store_rlx(&pool.marking, false);
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        struct tz_list *l = &pool.spans[order], *next;
        for (struct tz_list *n = l->next; n != l; n = next) {
            next = n->next;
            struct tz_span *s = tz_list_entry(n, struct tz_span, node);
            if (s->nalloc == 0)
                span_free(s);
        }
    }
    tz_lock_release(&pool.lock);
}

// --- looking at it

static void check_span(const struct tz_span *s, unsigned order)
{
    size_t bytes, size = tz_stackpool_size(order);
    uintptr_t lo = usable(s, &bytes);
    uint32_t nfree = 0;
    for (uintptr_t at = s->cut; at; at = *link_of(at)) {
        TZ_CHECK(at - lo < bytes && at % size == 0);
        TZ_CHECK(++nfree <= s->nelems); // or the list is a ring
    }
    TZ_CHECK(nfree > 0);
    TZ_CHECK(s->state == TZ_SPAN_MANUAL && s->elem_size == size);
    TZ_CHECK(nfree + s->nalloc == s->nelems);
}

void tz_stackpool_check(uint32_t most)
{
    tz_lock_acquire(&pool.lock);
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        uint32_t k = 0;
        tz_list_for(n, &pool.spans[order]) {
            if (k++ == most)
                break;
            check_span(tz_list_entry(n, struct tz_span, node), order);
        }
    }
    tz_lock_release(&pool.lock);
}

void tz_stackpool_stats(struct tz_stackpool_stats *out)
{
    *out = (struct tz_stackpool_stats){
        .inuse = tz_load_rlx(&pool.got) - tz_load_rlx(&pool.put),
        .sys = tz_load_rlx(&pool.sys),
        .exchanges = tz_load_rlx(&pool.exchanges),
    };
}
