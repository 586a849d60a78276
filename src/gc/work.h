// SPDX-License-Identifier: BSD-3-Clause
// gc/work.h: what is still to be marked.
#ifndef TZ_GC_WORK_H
#define TZ_GC_WORK_H

#include "base/base.h"
#include "gc/words.h"
#include "mem/sizeclass.h"

enum {
    TZ_WBUF_WORDS = 510,
    TZ_WORDS = 32,
    TZ_PIECES = 8,
    TZ_PAGES = 4,
    TZ_LOOKED_INTO_BITS = 6,
    TZ_WORK_PIECE = 1 // with this bit a pushed word is an object, or a piece of one
};

// A piece of mark stack or of a queue of pages; 4 KiB, never freed.
struct tz_wbuf {
    struct tz_wbuf *next; // list; guarded by the work lock
    uint64_t n;
    uintptr_t word[TZ_WBUF_WORDS];
};

// What waits until its lines have come, the oldest first.
struct tz_waits {
    uint32_t at, n; // the oldest, and how many
};

// One worker's state; owned by its thread.
struct tz_gcwork {
    struct tz_wbuf *buf, *spare;  // top of the stack, and one more
    struct tz_wbuf *in, *out;     // end and front of the queue of pages
    uintptr_t word[TZ_WORDS];     // whose bits were asked for; 0: none
    uint32_t word_at;             // the oldest
    uintptr_t piece[TZ_PIECES];   // small objects that were asked for
    uintptr_t page[TZ_PAGES];     // pages whose bits were asked for
    struct tz_waits pieces, pages; // of each of the two
    uint32_t countdown;           // to the next look at who is idle
    bool alone;                   // no other worker marks
    bool again;                   // mark at once (tz_mark_again)
    bool later;                   // mark nothing before it is popped
    bool look;                    // scan at once what goroutines' words point to
    bool check;                   // whoever is not marked is lost
    bool told;                    // by a store that was not told
    uintptr_t at;                 // with again: where the word was read
    // With again: what is called of each word instead of marking.
    void (*visit)(struct tz_gcwork *w, uintptr_t word);
    // Small objects by span class: whether their pages are queued, rather than they;
    // how often one was looked at, and objects scanned then.
    bool by_page[TZ_SPANCLASS_COUNT];
    uint32_t looks[TZ_SPANCLASS_COUNT], seen[TZ_SPANCLASS_COUNT];
    uintptr_t looked_into[1 << TZ_LOOKED_INTO_BITS]; // large objects that looks scanned
    uint64_t cycle;               // number of the collection
    uint64_t near;                // a heap of so many bytes has its bits in the cache
    tz_words_fn *words;           // NULL: one by one is as good
    uint32_t dense;               // so many times one by one is better
    uint64_t marked;              // bytes of objects marked
    uint64_t looked;              // bytes of pieces of objects that were scanned
    uint64_t scanned_roots;       // bytes
    uint64_t scanned_stacks;      // bytes of them in stacks
};

// The first buffers. 0, or -ENOMEM.
int tz_work_init(void);
// Has the kernel map those that were never used, before a stop that would need them.
void tz_work_touch(void);

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
// The same for the queue of pages, of which each worker has a piece of its own at
// either end.
bool tz_work_queue(struct tz_gcwork *w, uintptr_t page);
bool tz_work_unqueue(struct tz_gcwork *w, uintptr_t *page);
// Gives half of what there is to others, if somebody waits for it.
void tz_work_share(struct tz_gcwork *w);

// Whether somebody has put something there for all.
bool tz_work_waiting(void);
// All that is here is for others from now on, and nothing waits (tz_mark_put_back).
void tz_work_give(struct tz_gcwork *w);

// Starts a cycle of n workers. Each calls tz_work_all_done when tz_work_pop has
// failed: false means there is work again, true that all are done.
void tz_work_start(uint32_t n);
bool tz_work_all_done(void);
// All are done with this cycle, whatever there is left.
void tz_work_abandon(void);
void tz_work_release(struct tz_gcwork *w);

#endif
