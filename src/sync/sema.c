// SPDX-License-Identifier: BSD-3-Clause
// sync/sema.c: sleeping and waking on the address of a counter.
//
// The place of the futex, for goroutines: locks of any kind keep 32 bits in
// their own memory, and who has to wait for them is known here. Addresses are
// hashed to buckets. A bucket is a treap: a search tree by address that is
// also a heap by random tickets, so it stays shallow whatever the addresses
// are. A node of the tree is the first waiter of its address, and the others
// form a list behind it:
//
//     bucket -> [0x40 G7] -> G9 -> G3      the first in line is in the tree
//               /      .
//        [0x10 G2]   [0x80 G5] -> G8
//
// So neither many addresses in a bucket nor many waiters of an address make
// anything linear. A waiter's record lies on its own stack, is touched by
// others only under the bucket's lock [sync.I2], and is gone once its
// goroutine has been readied.
//
// A release adds to the counter first and looks for waiters second; a waiter
// announces itself first and looks at the counter second. One of the two sees
// the other, so no wake-up is lost.
//
// Go keeps this in runtime/sema.go; its idea is from Mullender and Cox,
// "Semaphores in Plan 9". Ours has no profile of contention yet, and does not
// yield the processor to the goroutine that a hand-off readied.

#include "sync/sema.h"

#include "base/rand.h"
#include "os/lock.h"

struct waiter {
    struct tz_g *g;
    uint32_t *addr;
    bool handed; // the releaser has already taken the count for it

    // Of the first waiter of an address: its place in the tree.
    struct waiter *parent, *left, *right;
    uint32_t ticket; // smaller ones are nearer to the root

    // The line of waiters of one address.
    struct waiter *next;
    struct waiter *tail; // of the first: the last, itself included
};

enum { NBUCKETS = 251 };

struct bucket {
    TZ_ALIGNED(TZ_CACHE_LINE) struct tz_lock lock; // TZ_RANK_SEMA
    uint32_t nwait;      // atomic; waiters here, changed under lock
    struct waiter *root; // guarded by lock
};

static struct bucket table[NBUCKETS] = {
    [0 ... NBUCKETS - 1] = { .lock = TZ_LOCK_INIT(TZ_RANK_SEMA) }
};

static struct bucket *bucket_of(uint32_t *addr)
{
    return &table[((uintptr_t)addr >> 3) % NBUCKETS];
}

// Where the pointer to w is kept.
static struct waiter **link_to(struct bucket *b, struct waiter *w)
{
    if (!w->parent)
        return &b->root;
    return w->parent->left == w ? &w->parent->left : &w->parent->right;
}

// Puts `with` in w's place, below w's parent. NULL leaves the place empty.
static void replace(struct bucket *b, struct waiter *w, struct waiter *with)
{
    *link_to(b, w) = with;
    if (with)
        with->parent = w->parent;
}

// Turns w, a child, and its parent around: w is above afterwards.
static void rotate_up(struct bucket *b, struct waiter *w)
{
    struct waiter *p = w->parent;
    struct waiter *moved;
    replace(b, p, w);
    if (p->left == w) {
        p->left = moved = w->right;
        w->right = p;
    } else {
        p->right = moved = w->left;
        w->left = p;
    }
    if (moved)
        moved->parent = p;
    p->parent = w;
}

// Makes `with` the first waiter of w's address instead of w.
static void take_place(struct bucket *b, struct waiter *w, struct waiter *with)
{
    with->ticket = w->ticket;
    with->left = w->left;
    with->right = w->right;
    replace(b, w, with);
    if (with->left)
        with->left->parent = with;
    if (with->right)
        with->right->parent = with;
}

// The first waiter of addr; without one, *at is where it would be linked and
// *parent below whom.
static struct waiter *find(struct bucket *b, uint32_t *addr,
                           struct waiter **parent, struct waiter ***at)
{
    struct waiter *w, *above = NULL;
    struct waiter **link = &b->root;
    while ((w = *link) != NULL && w->addr != addr) {
        above = w;
        link = (uintptr_t)addr < (uintptr_t)w->addr ? &w->left : &w->right;
    }
    *parent = above;
    *at = link;
    return w;
}

static void enqueue(struct bucket *b, struct waiter *w, bool lifo)
{
    struct waiter *parent, **at;
    struct waiter *first = find(b, w->addr, &parent, &at);
    w->left = w->right = w->next = NULL;
    w->tail = w;
    if (first && !lifo) {
        first->tail->next = w;
        first->tail = w;
    } else if (first) {
        take_place(b, first, w);
        w->next = first;
        w->tail = first->tail;
    } else {
        w->parent = parent;
        w->ticket = (uint32_t)tz_rand();
        *at = w;
        while (w->parent && w->parent->ticket > w->ticket)
            rotate_up(b, w);
    }
}

// Takes the first waiter of addr out, or returns NULL.
static struct waiter *dequeue(struct bucket *b, uint32_t *addr)
{
    struct waiter *parent, **at;
    struct waiter *w = find(b, addr, &parent, &at);
    if (!w)
        return NULL;
    if (w->next) {
        w->next->tail = w->tail;
        take_place(b, w, w->next);
        return w;
    }
    while (w->left && w->right)
        rotate_up(b, w->left->ticket < w->right->ticket ? w->left : w->right);
    replace(b, w, w->left ? w->left : w->right);
    return w;
}

// Takes one from *addr if there is one. The load is sequentially consistent
// for the caller that has just announced itself [sync.I1].
static bool take(uint32_t *addr)
{
    for (;;) {
        uint32_t v = tz_load(addr);
        if (v == 0)
            return false;
        if (tz_cas(addr, v, v - 1))
            return true;
    }
}

void tz_sema_acquire(uint32_t *addr, bool lifo, enum tz_wait why)
{
    if (take(addr))
        return;
    struct bucket *b = bucket_of(addr);
    struct waiter w = { .g = tz_getg(), .addr = addr };
    TZ_CHECK(w.g);
    do {
        tz_lock_acquire(&b->lock);
        tz_xadd(&b->nwait, 1); // before the look at the counter [sync.I1]
        if (take(addr)) {
            tz_xadd_rlx(&b->nwait, (uint32_t)-1);
            tz_lock_release(&b->lock);
            return;
        }
        enqueue(b, &w, lifo);
        tz_park_unlock(&b->lock, why);
    } while (!w.handed && !take(addr));
}

void tz_sema_release(uint32_t *addr, bool handoff)
{
    struct bucket *b = bucket_of(addr);
    tz_xadd(addr, 1);
    if (tz_load(&b->nwait) == 0) // after the addition [sync.I1]
        return;
    tz_lock_acquire(&b->lock);
    struct waiter *w = dequeue(b, addr);
    struct tz_g *g = NULL;
    if (w) {
        TZ_CHECK(w->addr == addr);
        tz_xadd_rlx(&b->nwait, (uint32_t)-1); // lock orders it
        w->handed = handoff && take(addr);
        g = w->g; // w is on g's stack, which may go once g is readied
    }
    tz_lock_release(&b->lock);
    if (g)
        tz_ready(g);
}

size_t tz_sema_waiters(uint32_t *addr)
{
    struct bucket *b = bucket_of(addr);
    struct waiter *parent, **at;
    size_t n = 0;
    tz_lock_acquire(&b->lock);
    for (struct waiter *w = find(b, addr, &parent, &at); w; w = w->next)
        n++;
    tz_lock_release(&b->lock);
    return n;
}

// Checks the line behind w, which is in the tree; returns its length.
static size_t check_line(const struct waiter *w)
{
    size_t n = 1;
    const struct waiter *last = w;
    for (; last->next; last = last->next, n++)
        TZ_CHECK(last->next->addr == w->addr);
    TZ_CHECK(w->tail == last);
    return n;
}

void tz_sema_check(uint32_t *addr)
{
    struct bucket *b = bucket_of(addr);
    size_t n = 0;
    tz_lock_acquire(&b->lock);
    TZ_CHECK(!b->root || !b->root->parent);
    // In order, by parent links: from the leftmost to its successors.
    const struct waiter *w = b->root, *before = NULL;
    while (w && w->left)
        w = w->left;
    while (w) {
        TZ_CHECK(!before || (uintptr_t)before->addr < (uintptr_t)w->addr);
        TZ_CHECK(!w->left || (w->left->parent == w &&
                              w->left->ticket >= w->ticket)); // [sync.I3]
        TZ_CHECK(!w->right ||
                 (w->right->parent == w && w->right->ticket >= w->ticket));
        n += check_line(w);
        before = w;
        if (w->right) {
            for (w = w->right; w->left;)
                w = w->left;
            continue;
        }
        while (w->parent && w->parent->right == w)
            w = w->parent;
        w = w->parent;
    }
    TZ_CHECK(n == tz_load(&b->nwait));
    tz_lock_release(&b->lock);
}
