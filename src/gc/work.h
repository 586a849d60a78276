// SPDX-License-Identifier: BSD-3-Clause
// gc/work.h: what is still to be marked.
#ifndef TZ_GC_WORK_H
#define TZ_GC_WORK_H

#include "base/base.h"

enum { TZ_WBUF_WORDS = 510, TZ_FIFO = 16 };

// A piece of mark stack; 4 KiB, never freed.
struct tz_wbuf {
    struct tz_wbuf *next; // list; guarded by the work lock
    uint64_t n;
    uintptr_t word[TZ_WBUF_WORDS];
};

// One worker's state; owned by its thread.
struct tz_gcwork {
    struct tz_wbuf *buf, *spare;  // top of the stack, and one more
    uintptr_t fifo[TZ_FIFO];      // popped, being prefetched
    uint32_t fifo_at, fifo_n;
    uint32_t countdown;           // to the next look at who is idle
    bool alone;                   // no other worker marks
    bool again;                   // mark at once (tz_mark_again)
    bool watched;                 // mark nothing before it is popped
    bool look;                    // scan at once what goroutines' words point to
    bool check;                   // whoever is not marked is lost
    bool told;                    // by a store that was not told
    uintptr_t at;                 // with again: where the word was read
    // With again: what is called of each word instead of marking.
    void (*visit)(struct tz_gcwork *w, uintptr_t word);
    uint64_t marked;              // bytes of objects marked
    uint64_t looked;              // bytes of pieces of objects that were scanned
    uint64_t scanned_roots;       // bytes
    uint64_t scanned_stacks;      // bytes of them in stacks
};

// The first buffers. 0, or -ENOMEM.
int tz_work_init(void);

// The slow halves of the two below: room for a word, a buffer with words. False:
// no memory for that (then the word is dropped); nothing to be had.
bool tz_work_room(struct tz_gcwork *w);
bool tz_work_refill(struct tz_gcwork *w);

TZ_INLINE void tz_work_push(struct tz_gcwork *w, uintptr_t word)
{
    struct tz_wbuf *b = w->buf;
    if (tz_unlikely(!b || b->n == TZ_WBUF_WORDS)) {
        if (!tz_work_room(w))
            return;
        b = w->buf;
    }
    b->word[b->n++] = word;
}
// Whether a push was dropped for want of memory since the last call.
bool tz_work_dropped(void);
// False: nothing here and nothing to be had from others at this moment.
TZ_INLINE bool tz_work_pop(struct tz_gcwork *w, uintptr_t *word)
{
    struct tz_wbuf *b = w->buf;
    if (tz_unlikely(!b || b->n == 0)) {
        if (!tz_work_refill(w))
            return false;
        b = w->buf;
    }
    *word = b->word[--b->n];
    return true;
}
// Gives half of what there is to others, if somebody waits for it.
void tz_work_share(struct tz_gcwork *w);

// Whether somebody has put something there for all.
bool tz_work_waiting(void);
// All that is here is for others from now on.
void tz_work_give(struct tz_gcwork *w);

// Starts a cycle of n workers. Each calls tz_work_all_done when tz_work_pop has
// failed: false means there is work again, true that all are done.
void tz_work_start(uint32_t n);
bool tz_work_all_done(void);
void tz_work_release(struct tz_gcwork *w);

#endif
