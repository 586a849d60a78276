// SPDX-License-Identifier: BSD-3-Clause
// sched/g.c: the Gs themselves.
//
// Gs are made in blocks of persistent memory, are reused from per-P lists and
// never freed, so that a dump or a scan may follow a stale pointer to one
// [sched.I1]. The table of all of them has two levels and only grows: readers
// need no lock, and a small program pays for a page of it.
//
// Dead Gs are kept in chains of 32. A P has one that it takes from and adds
// to, and a full one behind it; whole chains go to the global list and come
// back, so that nobody walks a chain, whose Gs are cold.

#include "sched/g.h"

#include "base/print.h"
#include "mem/persist.h"
#include "sched/proc.h"

enum {
    BLOCK = 64,    // Gs
    LEAF = 512,    // blocks
    LEAVES = 2048, // 67 million Gs in all
    CHAIN = 32,    // Gs in a full chain
    IDS = 16       // numbers that a P takes at once
};

static struct {
    struct tz_lock lock;
    struct tz_g **leaf[LEAVES]; // LEAF pointers to blocks each; const once set
    uint32_t count;    // Gs made; atomic, release after they are complete
    struct tz_g *single; // the rest of a chain, for foreign threads; by lock
    struct tz_g *free; // full chains that no P keeps; guarded by lock
} allgs = { .lock = TZ_LOCK_INIT(TZ_RANK_ALLGS) };

size_t tz_allg_count(void) { return tz_load_acq(&allgs.count); }

struct tz_g *tz_allg_get(size_t i)
{
    size_t block = i / BLOCK;
    return &allgs.leaf[block / LEAF][block % LEAF][i % BLOCK];
}

// With the lock: a full chain to the global list, and from it.
static void push_chain(struct tz_g *chain)
{
    chain->next_chain = allgs.free;
    allgs.free = chain;
}

static struct tz_g *pop_chain(void)
{
    struct tz_g *chain = allgs.free;
    if (chain)
        allgs.free = chain->next_chain;
    return chain;
}

// One more block, as chains in the global list. With the lock.
static bool make_block(void)
{
    uint32_t at = allgs.count / BLOCK;
    if (at == LEAF * LEAVES)
        return false;
    struct tz_g ***leaf = &allgs.leaf[at / LEAF];
    if (!*leaf)
        *leaf = tz_persist_alloc(LEAF * sizeof **leaf, 0);
    if (!*leaf)
        return false;
    struct tz_g *b = tz_persist_alloc(BLOCK * sizeof *b, TZ_CACHE_LINE);
    if (!b)
        return false;
    for (uint32_t i = BLOCK; i-- > 0;) {
        b[i].magic = TZ_G_MAGIC;
        b[i].link = (i + 1) % CHAIN ? &b[i + 1] : NULL;
        if (i % CHAIN == 0)
            push_chain(&b[i]);
    }
    (*leaf)[at % LEAF] = b;
    tz_store_rel(&allgs.count, allgs.count + BLOCK); // with tz_allg_count
    return true;
}

struct tz_g *tz_g_get_foreign(void)
{
    tz_lock_acquire(&allgs.lock);
    struct tz_g *g = NULL;
    if (!allgs.single && (allgs.free || make_block()))
        allgs.single = pop_chain();
    if (allgs.single) {
        g = allgs.single;
        allgs.single = g->link;
    }
    tz_lock_release(&allgs.lock);
    return g;
}

void tz_chan_numbers(struct tz_p *p)
{
    p->chanid = tz_xadd_rlx(&tz_sched.chanid, IDS);
    p->chanid_end = p->chanid + IDS;
}

// Numbers are taken 16 at a time: with one P they are in order of creation.
static TZ_NOINLINE void take_ids(struct tz_p *p)
{
    p->goid = tz_xadd_rlx(&tz_sched.goid, IDS);
    p->goid_end = p->goid + IDS;
}

void tz_sched_system(void) { tz_xadd_rlx(&tz_sched.nsystem, 1); }

void tz_sched_counts(uint64_t *now, uint64_t *started)
{
    uint64_t ended = 0, spawned = 0;
    for (uint32_t i = 0; i < tz_nallp(); i++)
        ended += tz_load_acq(&tz_sched.allp[i]->ended); // before its spawn
    for (uint32_t i = 0; i < tz_nallp(); i++)
        spawned += tz_load_rlx(&tz_sched.allp[i]->spawned);
    spawned -= tz_load_rlx(&tz_sched.nsystem); // on another P, hardly later
    *started = spawned;
    *now = spawned - ended;
}

uint64_t tz_sched_peak(void)
{
    uint64_t now, started;
    tz_sched_counts(&now, &started);
    if (tz_sched.nprocs == 1)
        now = tz_load_rlx(&tz_sched.allp[0]->most);
    uint64_t peak = tz_load_rlx(&tz_sched.peak);
    while (now > peak && !tz_cas(&tz_sched.peak, peak, now))
        peak = tz_load_rlx(&tz_sched.peak);
    return tz_max(now, peak);
}

// A full chain for p, which has none; false: memory is refused.
static TZ_NOINLINE bool refill(struct tz_p *p)
{
    if (p->gfull) {
        p->gfree = p->gfull;
        p->gfull = NULL;
    } else {
        (void)tz_sched_peak();
        tz_lock_acquire(&allgs.lock);
        if (allgs.free || make_block())
            p->gfree = pop_chain();
        tz_lock_release(&allgs.lock);
    }
    p->ngfree = p->gfree ? CHAIN : 0;
    return p->gfree != NULL;
}

// p's chain is full: puts it behind, and what was there into the global list.
static TZ_NOINLINE void spill(struct tz_p *p)
{
    if (p->gfull) {
        tz_lock_acquire(&allgs.lock);
        push_chain(p->gfull);
        tz_lock_release(&allgs.lock);
    }
    p->gfull = p->gfree;
    p->gfree = NULL;
    p->ngfree = 0;
}

struct tz_g *tz_g_get(struct tz_p *p)
{
    if (tz_unlikely(!p->gfree) && !refill(p))
        return NULL;
    struct tz_g *g = p->gfree;
    p->gfree = g->link;
    p->ngfree--;
    __builtin_prefetch(g->link, 1);
    TZ_DCHECK(g->magic == TZ_G_MAGIC && g->status == TZ_G_DEAD);
    if (tz_unlikely(p->goid == p->goid_end))
        take_ids(p);
    g->id = ++p->goid;
    uint64_t spawned = p->spawned + 1;
    tz_store_rlx(&p->spawned, spawned);
    // Fewer than were ended here, when others spawn what ends here.
    if ((int64_t)(spawned - p->ended - p->most) > 0)
        tz_store_rlx(&p->most, spawned - p->ended);
    return g;
}

void tz_g_put(struct tz_p *p, struct tz_g *g)
{
    g->link = p->gfree;
    p->gfree = g;
    tz_store_rel(&p->ended, p->ended + 1); // with tz_sched_counts
    if (++p->ngfree == CHAIN)
        spill(p);
}

const char *tz_wait_name(enum tz_wait why)
{
    static const char *const name[TZ_WAIT_COUNT] = {
        [TZ_WAIT_NONE] = "waiting",
        [TZ_WAIT_CHAN_SEND] = "chan send",
        [TZ_WAIT_CHAN_RECV] = "chan receive",
        [TZ_WAIT_CHAN_SEND_NIL] = "chan send (nil chan)",
        [TZ_WAIT_CHAN_RECV_NIL] = "chan receive (nil chan)",
        [TZ_WAIT_SELECT] = "select",
        [TZ_WAIT_SELECT_NO_CASES] = "select (no cases)",
        [TZ_WAIT_SLEEP] = "sleep",
        [TZ_WAIT_MUTEX] = "mutex lock",
        [TZ_WAIT_WAITGROUP] = "wait group",
        [TZ_WAIT_FINALIZER] = "finalizer wait",
        [TZ_WAIT_CLEANUP] = "cleanup wait",
        [TZ_WAIT_COLLECTOR] = "GC worker (idle)",
    };
    return name[why];
}

void tz_no_g(const char *what) { tz_fatal("%s outside of a goroutine", what); }
