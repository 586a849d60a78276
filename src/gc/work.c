// SPDX-License-Identifier: BSD-3-Clause
// gc/work.c: mark stacks in pieces of 4 KiB, and sharing them.
//
// A worker pushes and pops on a buffer of its own, keeps a second so that it
// does not go to the list for every word around a buffer's edge, and puts full
// ones on a list where others find them. All are done when every worker waits
// and the list is empty; a worker that waits holds no work, and only one that
// does not wait can make some, so that state is final [gc.I3].
//
// Where the system refuses memory for another buffer, what does not fit is
// dropped and that noted: whoever marks then goes over all marked objects again
// (tz_mark_again). Some buffers are always there, so that makes progress.

#include "gc/work.h"

#include <errno.h>
#include <string.h>

#include "base/san.h"
#include "os/lock.h"
#include "os/thread.h"
#include "os/vm.h"

static struct {
    struct tz_lock lock;
    struct tz_wbuf *full, *empty; // guarded by lock
    struct tz_wbuf *first, *last; // likewise: pages, the oldest first
    struct tz_wbuf *fresh, *end;  // likewise: never used so far
    uint32_t nfull;               // of both; atomic; written with lock
    uint32_t nworkers;            // in this cycle; atomic; 0: it is over
    uint32_t nidle;               // atomic; workers that wait
    bool dropped;                 // atomic; some word was
} work = { .lock = TZ_LOCK_INIT(TZ_RANK_GC_WORK) };

// With the lock. Not static data, which is a root.
static bool grow(void)
{
    enum { BLOCK = 64 * 1024 };
    struct tz_wbuf *b = tz_vm_alloc(BLOCK, TZ_VM_GC);
    if (!b)
        return false;
    work.fresh = b;
    work.end = b + BLOCK / sizeof *b;
    return true;
}

void tz_work_touch(void)
{
    tz_lock_acquire(&work.lock);
    for (struct tz_wbuf *b = work.fresh; b < work.end; b++)
        b->n = 0;
    tz_lock_release(&work.lock);
}

int tz_work_init(void)
{
    tz_lock_acquire(&work.lock);
    bool grown = grow();
    tz_lock_release(&work.lock);
    return grown ? 0 : -ENOMEM;
}

// NULL when memory is refused.
static struct tz_wbuf *get_empty(void)
{
    tz_lock_acquire(&work.lock);
    struct tz_wbuf *b = work.empty;
    if (b)
        work.empty = b->next;
    else if (work.fresh < work.end || grow())
        b = work.fresh++;
    tz_lock_release(&work.lock);
    if (b)
        b->n = 0;
    return b;
}

static void put_empty(struct tz_wbuf *b)
{
    tz_lock_acquire(&work.lock);
    b->next = work.empty;
    work.empty = b;
    tz_lock_release(&work.lock);
}

static void put_full(struct tz_wbuf *b)
{
    tz_lock_acquire(&work.lock);
    b->next = work.full;
    work.full = b;
    tz_store(&work.nfull, work.nfull + 1);
    tz_lock_release(&work.lock);
}

static struct tz_wbuf *get_full(void)
{
    if (tz_load(&work.nfull) == 0)
        return NULL;
    tz_lock_acquire(&work.lock);
    struct tz_wbuf *b = work.full;
    if (b) {
        work.full = b->next;
        tz_store(&work.nfull, work.nfull - 1);
    }
    tz_lock_release(&work.lock);
    return b;
}

static void put_pages(struct tz_wbuf *b)
{
    b->next = NULL;
    tz_lock_acquire(&work.lock);
    if (work.first)
        work.last->next = b;
    else
        work.first = b;
    work.last = b;
    tz_store(&work.nfull, work.nfull + 1);
    tz_lock_release(&work.lock);
}

static struct tz_wbuf *get_pages(void)
{
    if (tz_load(&work.nfull) == 0)
        return NULL;
    tz_lock_acquire(&work.lock);
    struct tz_wbuf *b = work.first;
    if (b) {
        work.first = b->next;
        tz_store(&work.nfull, work.nfull - 1);
    }
    tz_lock_release(&work.lock);
    return b;
}

// The top buffer is full, or there is none: makes another the top.
TZ_NOINLINE bool tz_work_room(struct tz_gcwork *w)
{
    if (w->spare && w->spare->n < TZ_WBUF_WORDS) {
        struct tz_wbuf *b = w->buf;
        w->buf = w->spare;
        w->spare = b;
        return true;
    }
    struct tz_wbuf *b = get_empty();
    if (!b) {
        tz_store_rlx(&work.dropped, true); // read when all workers are done
        return false;
    }
    if (w->spare)
        put_full(w->spare);
    w->spare = w->buf;
    w->buf = b;
    return true;
}

bool tz_work_dropped(void)
{
    return tz_load_rlx(&work.dropped) && tz_xchg(&work.dropped, false);
}

// The top buffer is empty, or there is none: makes another the top.
TZ_NOINLINE bool tz_work_refill(struct tz_gcwork *w)
{
    struct tz_wbuf *b = w->buf;
    if (w->spare && w->spare->n) {
        w->buf = w->spare;
        w->spare = b;
        return true;
    }
    struct tz_wbuf *full = get_full();
    if (!full)
        return false;
    if (b)
        put_empty(b);
    w->buf = full;
    return true;
}

bool tz_work_queue(struct tz_gcwork *w, uintptr_t page)
{
    if (!w->in || w->in->n == TZ_WBUF_WORDS) {
        struct tz_wbuf *b = get_empty();
        if (!b) {
            tz_store_rlx(&work.dropped, true);
            return false;
        }
        if (w->in)
            put_pages(w->in);
        w->in = b;
    }
    w->in->word[w->in->n++] = page;
    return true;
}

bool tz_work_unqueue(struct tz_gcwork *w, uintptr_t *page)
{
    if (!w->out || w->out->n == 0) {
        struct tz_wbuf *b = get_pages(), *old = w->out;
        if (b) {
            w->out = b;
            if (old)
                put_empty(old);
        } else if (w->in && w->in->n) {
            w->out = w->in;
            w->in = old;
        } else {
            return false;
        }
    }
    *page = w->out->word[--w->out->n];
    return true;
}

void tz_work_share(struct tz_gcwork *w)
{
    if (tz_load_rlx(&work.nidle) == 0)
        return;
    if (w->spare && w->spare->n) {
        put_full(w->spare);
        w->spare = NULL;
    } else if (w->buf && w->buf->n >= 16) {
        struct tz_wbuf *half = get_empty();
        if (!half)
            return;
        uint64_t n = w->buf->n / 2;
        for (uint64_t i = 0; i < n; i++)
            half->word[i] = w->buf->word[i];
        for (uint64_t i = n; i < w->buf->n; i++)
            w->buf->word[i - n] = w->buf->word[i];
        half->n = n;
        w->buf->n -= n;
        put_full(half);
    } else if (w->in && w->in->n) {
        put_pages(w->in);
        w->in = NULL;
    }
}

bool tz_work_waiting(void) { return tz_load(&work.nfull) != 0; }

// Nothing waits any more. Static data is a root of the next collection [gc.I6].
static void forget(struct tz_gcwork *w)
{
    for (uint32_t i = 0; i < TZ_WORDS; i++)
        TZ_CHECK(w->word[i] == 0);
    TZ_CHECK(w->pieces.n == 0 && w->pages.n == 0);
    memset(w->piece, 0, sizeof w->piece);
    memset(w->page, 0, sizeof w->page);
}

void tz_work_give(struct tz_gcwork *w)
{
    struct tz_wbuf *of[] = { w->buf, w->spare };
    for (int i = 0; i < 2; i++)
        if (of[i])
            (of[i]->n ? put_full : put_empty)(of[i]);
    struct tz_wbuf *pages[] = { w->out, w->in };
    for (int i = 0; i < 2; i++)
        if (pages[i])
            (pages[i]->n ? put_pages : put_empty)(pages[i]);
    w->buf = w->spare = w->in = w->out = NULL;
    forget(w);
}

void tz_work_start(uint32_t n)
{
    tz_store(&work.nworkers, n);
    tz_store(&work.nidle, 0);
}

void tz_work_abandon(void) { tz_store(&work.nworkers, 0); }

bool tz_work_all_done(void)
{
    tz_xadd(&work.nidle, 1);
    for (;;) {
        if (tz_load(&work.nidle) >= tz_load(&work.nworkers))
            return true;
        if (tz_load(&work.nfull)) {
            tz_xadd(&work.nidle, -1u);
            return false;
        }
        tz_thread_yield();
    }
}

void tz_work_release(struct tz_gcwork *w)
{
    struct tz_wbuf *all[] = { w->buf, w->spare, w->in, w->out };
    for (int i = 0; i < 4; i++)
        if (all[i])
            put_empty(all[i]);
    w->buf = w->spare = w->in = w->out = NULL;
    forget(w);
}
