// SPDX-License-Identifier: BSD-3-Clause
// stack/slabpool.c: the stacks of slabs that no P's cache holds.
//
// A stack of a slab is free, or in use (in a P's cache, or by a goroutine). Of
// the free ones the slab has three sets of bits:
//
//     never cut --take--> in use --put--> hot --trim--> busy --> cold
//                           ^              |                       |
//                           +---- take ----+--------- take --------+
//
// A slab is on one list of its class at most: HOT if a stack is in use and
// another is hot, SPARE if one is in use and others are cold or never cut; if
// none is in use FREE_HOT or FREE. Hot stacks go first, for their pages are
// there; of slabs on a list the one that came last goes first, so that the
// others grow old and are given back: their addresses too.
//
// They are given back when a whole collection cycle has passed without anybody
// taking a stack of them, or ten seconds; large stacks, each a slab of its own,
// at the end of the collection or after two tenths of a second. So a program
// that churns maps and unmaps nothing. None goes while the collector marks
// [stack.I6].
//
// Go has no such pool: a stack there is a span of the heap.

#include "stack/slabpool.h"

#include "base/san.h"
#include "base/bits.h"
#include "os/lock.h"
#include "os/thread.h"
#include "os/vm.h"
#include "stack/stackcache.h"

enum list { OFF, HOT, SPARE, FREE_HOT, FREE, LISTS };

// Ages at which a free slab goes.
enum { CYCLES = 2, CYCLES_LARGE = 1, STEPS = 100, STEPS_LARGE = 2 };

static struct {
    struct tz_lock lock;
    struct tz_list list[TZ_STACK_CLASSES][LISTS]; // guarded by lock
    bool ready;         // the lists are; guarded by lock, with all but stats
    bool marking;       // the collector is
    uint32_t returning; // threads that give memory back
    uint32_t cycle;     // ends of collections
    uint32_t step;      // tenths of seconds
    uint64_t hot, cold, uncut, trimmed, unmapped; // see the header; atomic
} pool = { .lock = TZ_LOCK_INIT(TZ_RANK_STACKPOOL) };

static void add(uint64_t *count, uint64_t n)
{
    tz_store_rlx(count, *count + n); // written with the lock
}

static void lock(void)
{
    tz_lock_acquire(&pool.lock);
    if (tz_likely(pool.ready))
        return;
    for (unsigned cls = 0; cls < TZ_STACK_CLASSES; cls++)
        for (int i = 0; i < LISTS; i++)
            tz_list_init(&pool.list[cls][i]);
    pool.ready = true;
}

static void unlock(void) { tz_lock_release(&pool.lock); }

// --- lists; all with the lock

static uint32_t free_count(const struct tz_slab *s)
{
    return tz_popcount64(s->hot | s->cold | s->busy) + s->count - s->carved;
}

static enum list where(const struct tz_slab *s)
{
    if (s->busy)
        return OFF; // a thread works on it
    if (free_count(s) == s->count)
        return s->hot ? FREE_HOT : FREE;
    if (s->hot)
        return HOT;
    return s->cold || s->carved < s->count ? SPARE : OFF;
}

static void unlist(struct tz_slab *s)
{
    if (s->on != OFF)
        tz_list_remove(&s->node);
    s->on = OFF;
}

// The slab's bits have changed: on the list where it belongs. What has only
// stacks that were never used comes last.
static void place(struct tz_slab *s)
{
    enum list to = where(s);
    if (to == (enum list)s->on)
        return;
    unlist(s);
    s->on = (uint8_t)to;
    struct tz_list *l = &pool.list[s->cls][to];
    if (to == OFF)
        return;
    if (s->hot | s->cold)
        tz_list_push_front(l, &s->node);
    else
        tz_list_push_back(l, &s->node);
}

static void touch(struct tz_slab *s)
{
    s->cycle = pool.cycle;
    s->step = pool.step;
}

static struct tz_slab *first(unsigned cls, enum list which)
{
    struct tz_list *l = &pool.list[cls][which];
    return tz_list_empty(l) ? NULL
                            : tz_list_entry(l->next, struct tz_slab, node);
}

// A slab with free stacks; if there is none, a new one.
static struct tz_slab *choose(unsigned cls, bool must)
{
    struct tz_slab *s, *spare = first(cls, SPARE);
    if ((s = first(cls, HOT)) || (s = first(cls, FREE_HOT)))
        return s;
    if (spare && spare->cold)
        return spare;
    if ((s = first(cls, FREE)) || (s = spare))
        return s;
    if (must || tz_slab_cheap(cls))
        s = tz_slab_make(cls);
    if (s)
        add(&pool.uncut, (uint64_t)s->count << s->shift);
    return s;
}

static uint32_t take_bit(uint64_t *bits, uint64_t *count, unsigned shift)
{
    uint32_t i = tz_ctz64(*bits);
    *bits &= *bits - 1;
    add(count, -(UINT64_C(1) << shift));
    return i;
}

// A stack of s: hot, else cold, else one that has no guard yet.
static uint32_t take_of(struct tz_slab *s)
{
    uint32_t i;
    touch(s);
    if (s->hot) {
        i = take_bit(&s->hot, &pool.hot, s->shift);
    } else if (s->cold) {
        i = take_bit(&s->cold, &pool.cold, s->shift);
        if (!s->cold)
            unlist(s);
    } else {
        TZ_CHECK(s->carved < s->count);
        i = s->carved++;
        // Valgrind tells a switch from a large frame by what it knows as stacks.
        uintptr_t slot = s->base + ((uintptr_t)i << s->shift);
        tz_san_stack(slot, slot + ((uintptr_t)1 << s->shift));
        add(&pool.uncut, -(UINT64_C(1) << s->shift));
    }
    place(s);
    return i;
}

static void put(uintptr_t slot)
{
    struct tz_slab *s = tz_slab_of(slot);
    TZ_CHECK(s);
    uint32_t i = tz_slab_index(s, slot);
    uint64_t bit = UINT64_C(1) << i;
    TZ_CHECK(i < s->carved && !((s->hot | s->cold | s->busy) & bit));
    s->hot |= bit;
    add(&pool.hot, UINT64_C(1) << s->shift);
    touch(s);
    place(s);
}

// --- taking and putting

// Guards a stack that was never used; without the lock, for it is a system
// call. Nobody else knows the stack.
static uintptr_t finish(struct tz_slab *s, uint32_t i)
{
    uintptr_t slot = tz_slab_slot(s, i);
    if (tz_load_rlx(&s->guard[i]) == TZ_GUARD_NONE)
        tz_store_rlx(&s->guard[i],
                     (uint8_t)tz_guard_set(slot, s->guard_size));
    return slot;
}

uintptr_t tz_slabpool_take(unsigned cls, bool must)
{
    lock();
    struct tz_slab *s = choose(cls, must);
    uint32_t i = s ? take_of(s) : 0;
    unlock();
    return s ? finish(s, i) : 0;
}

bool tz_slabpool_fill(struct tz_stackcache *c, unsigned cls, bool must)
{
    uint32_t *n = &c->n[cls];
    lock();
    struct tz_slab *s = choose(cls, must);
    while (s && s->hot && *n < TZ_STACKCACHE_SLOTS / 2) {
        c->slot[cls][(*n)++] = tz_slab_slot(s, take_of(s));
        if (!s->hot)
            s = first(cls, HOT);
    }
    // Others are taken one at a time: they cost memory.
    uint32_t i = *n == 0 && s ? take_of(s) : 0;
    unlock();
    if (*n == 0 && s)
        c->slot[cls][(*n)++] = finish(s, i);
    return *n > 0;
}

void tz_slabpool_put(uintptr_t slot)
{
    lock();
    put(slot);
    unlock();
}

void tz_slabpool_spill(struct tz_stackcache *c, unsigned cls, uint32_t left)
{
    uint32_t n = c->n[cls] - left;
    lock();
    for (uint32_t i = 0; i < n; i++)
        put(c->slot[cls][i]);
    unlock();
    for (uint32_t i = 0; i < left; i++)
        c->slot[cls][i] = c->slot[cls][n + i];
    c->n[cls] = left;
}

// --- the collector

void tz_slabpool_gc_begin(void)
{
    lock();
    pool.marking = true;
    while (pool.returning) { // a system call or two
        unlock();
        tz_thread_yield();
        lock();
    }
    unlock();
}

void tz_slabpool_gc_end(void)
{
    lock();
    pool.marking = false;
    pool.cycle++;
    unlock();
}

// --- giving back

void tz_slabpool_step(void)
{
    lock();
    pool.step++;
    unlock();
}

// Who gives memory back between the two is waited for by the collector, so he
// must not be stopped by it half-way. With the lock.
static void count_in(void)
{
    tz_crit_enter();
    pool.returning++;
}

static void count_out(void)
{
    pool.returning--;
    tz_crit_leave();
}

static bool old(const struct tz_slab *s, bool all)
{
    bool large = s->cls >= TZ_STACK_LARGE;
    uint32_t cycles = pool.cycle - s->cycle, steps = pool.step - s->step;
    return all || cycles >= (large ? CYCLES_LARGE : CYCLES) ||
           steps >= (large ? STEPS_LARGE : STEPS);
}

static struct tz_slab *last(unsigned cls, enum list which)
{
    struct tz_list *l = &pool.list[cls][which];
    return tz_list_empty(l) ? NULL
                            : tz_list_entry(l->prev, struct tz_slab, node);
}

// A slab that has been free for long enough, and whose addresses may go.
static struct tz_slab *to_unmap(bool all)
{
    for (unsigned cls = 0; cls < TZ_STACK_CLASSES; cls++)
        for (int i = FREE_HOT; i <= FREE; i++) {
            struct tz_slab *s = last(cls, (enum list)i);
            if (s && old(s, all))
                return s;
        }
    return NULL;
}

// The slab is nobody's any more; with the lock.
static void forget(struct tz_slab *s, uintptr_t *base, size_t *size)
{
    if (pool.marking)
        tz_throw("stack memory %p freed while the collector marks",
                 (void *)s->base);
    TZ_CHECK(free_count(s) == s->count && s->busy == 0);
    unlist(s);
    add(&pool.hot, -((uint64_t)tz_popcount64(s->hot) << s->shift));
    add(&pool.cold, -((uint64_t)tz_popcount64(s->cold) << s->shift));
    add(&pool.uncut, -((uint64_t)(s->count - s->carved) << s->shift));
    uint32_t gone[TZ_GUARDS] = { 0 };
    for (uint32_t i = 0; i < s->carved; i++)
        gone[s->guard[i]]++;
    for (int kind = 0; kind < TZ_GUARDS; kind++)
        tz_guard_gone((enum tz_stack_guard)kind, gone[kind]);
    tz_slab_hide(s, base, size);
    count_in();
}

bool tz_slabpool_unmap(bool all)
{
    uintptr_t base;
    size_t size;
    lock();
    struct tz_slab *s = NULL;
    if (!pool.marking || TZ_DEFECT(TZ_D20))
        s = to_unmap(all);
    if (s)
        forget(s, &base, &size);
    unlock();
    if (!s)
        return false;
    tz_slab_unmap(base, size);
    lock();
    count_out();
    add(&pool.unmapped, size);
    tz_slab_keep(s);
    uint64_t slabs, ahead;
    tz_slab_stats(&slabs, &ahead);
    if (!pool.marking)
        tz_slab_unmap_ahead(slabs); // it was worth it when there were more
    unlock();
    return true;
}

// A slab with hot stacks that nobody has used since the last step. Of a list
// the few that came first are looked at.
static struct tz_slab *to_trim(bool all)
{
    enum { LOOKS = 8 };
    for (unsigned cls = 0; cls < TZ_STACK_CLASSES; cls++)
        for (int i = HOT; i <= FREE_HOT; i += FREE_HOT - HOT) {
            struct tz_list *l = &pool.list[cls][i], *n = l->prev;
            for (int k = 0; k < LOOKS && n != l; k++, n = n->prev) {
                struct tz_slab *s = tz_list_entry(n, struct tz_slab, node);
                if (all || s->step != pool.step)
                    return s;
            }
        }
    return NULL;
}

struct tz_slab *tz_slabpool_begin_trim(bool all)
{
    lock();
    struct tz_slab *s = pool.marking ? NULL : to_trim(all);
    if (s) {
        s->busy = s->hot;
        s->hot = 0;
        place(s);
        count_in();
    }
    unlock();
    return s;
}

void tz_slabpool_end_trim(struct tz_slab *s)
{
    lock();
    uint64_t bytes = (uint64_t)tz_popcount64(s->busy) << s->shift;
    add(&pool.hot, -bytes);
    add(&pool.cold, bytes);
    add(&pool.trimmed, tz_popcount64(s->busy));
    s->cold |= s->busy;
    s->busy = 0;
    count_out();
    place(s);
    unlock();
}

// --- looking at it

static void check(const struct tz_slab *s, enum list on)
{
    uint64_t cut = tz_mask64(s->carved);
    TZ_CHECK(tz_slab_of(s->base) == s && s->count <= TZ_SLAB_MAX);
    TZ_CHECK(s->on == on && where(s) == on && s->carved <= s->count);
    TZ_CHECK(!(s->hot & s->cold) && !((s->hot | s->cold) & ~cut));
    for (uint32_t i = 0; i < s->carved; i++)
        if ((s->hot | s->cold) >> i & 1)
            TZ_CHECK(s->guard[i] && !tz_load_rlx(&s->owner[i]));
}

void tz_slabpool_check(uint32_t most)
{
    lock();
    for (unsigned cls = 0; cls < TZ_STACK_CLASSES; cls++)
        for (int i = HOT; i < LISTS; i++) {
            uint32_t k = 0;
            tz_list_for(n, &pool.list[cls][i]) {
                if (k++ == most)
                    break;
                check(tz_list_entry(n, struct tz_slab, node), (enum list)i);
            }
        }
    unlock();
}

void tz_slabpool_stats(struct tz_slabpool_stats *out)
{
    lock();
    *out = (struct tz_slabpool_stats){ .hot = pool.hot,
                                       .cold = pool.cold,
                                       .uncut = pool.uncut,
                                       .trimmed = pool.trimmed,
                                       .unmapped = pool.unmapped };
    tz_slab_stats(&out->slabs, &out->ahead);
    unlock();
}
