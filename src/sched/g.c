// SPDX-License-Identifier: BSD-3-Clause
// sched/g.c: the Gs themselves.
//
// Gs are made in blocks of persistent memory, are reused from per-P lists and
// never freed, so that a dump or a scan may follow a stale pointer to one
// [sched.I1]. The table of all of them has two levels and only grows: readers
// need no lock, and a small program pays for a page of it.

#include "sched/g.h"

#include "base/print.h"
#include "mem/persist.h"
#include "sched/proc.h"

enum {
    BLOCK = 64,    // Gs
    LEAF = 512,    // blocks
    LEAVES = 2048, // 67 million Gs in all
    KEEP = 64      // Gs in a P's list
};

static struct {
    struct tz_lock lock;
    struct tz_g **leaf[LEAVES]; // LEAF pointers to blocks each; const once set
    uint32_t count;    // Gs made; atomic, release after they are complete
    struct tz_g *free; // dead Gs that no P keeps; guarded by lock
} allgs = { .lock = TZ_LOCK_INIT(TZ_RANK_ALLGS) };

size_t tz_allg_count(void) { return tz_load_acq(&allgs.count); }

struct tz_g *tz_allg_get(size_t i)
{
    size_t block = i / BLOCK;
    return &allgs.leaf[block / LEAF][block % LEAF][i % BLOCK];
}

// One more block, onto the free list. With the lock.
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
        b[i].link = allgs.free;
        allgs.free = &b[i];
    }
    (*leaf)[at % LEAF] = b;
    tz_store_rel(&allgs.count, allgs.count + BLOCK); // with tz_allg_count
    return true;
}

struct tz_g *tz_g_get(struct tz_p *p)
{
    if (!p->gfree) {
        tz_lock_acquire(&allgs.lock);
        while (p->ngfree < KEEP / 2) {
            if (!allgs.free && (p->ngfree || !make_block()))
                break;
            struct tz_g *g = allgs.free;
            allgs.free = g->link;
            g->link = p->gfree;
            p->gfree = g;
            p->ngfree++;
        }
        tz_lock_release(&allgs.lock);
        if (!p->gfree)
            return NULL;
    }
    struct tz_g *g = p->gfree;
    p->gfree = g->link;
    p->ngfree--;
    TZ_DCHECK(g->magic == TZ_G_MAGIC && g->status == TZ_G_DEAD);
    return g;
}

void tz_g_put(struct tz_p *p, struct tz_g *g)
{
    g->link = p->gfree;
    p->gfree = g;
    if (++p->ngfree < KEEP)
        return;
    tz_lock_acquire(&allgs.lock);
    while (p->ngfree > KEEP / 2) {
        g = p->gfree;
        p->gfree = g->link;
        p->ngfree--;
        g->link = allgs.free;
        allgs.free = g;
    }
    tz_lock_release(&allgs.lock);
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
        [TZ_WAIT_YIELD] = "yield",
    };
    return name[why];
}

struct tz_g *tz_need_g(const char *what)
{
    struct tz_g *g = tz_getg();
    if (tz_unlikely(!g))
        tz_fatal("%s outside of a goroutine", what);
    return g;
}
