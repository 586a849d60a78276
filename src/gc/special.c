// SPDX-License-Identifier: BSD-3-Clause
// gc/special.c: the table of records about objects.
//
// An object knows nothing of its records: who has none pays nothing, neither
// in space nor when it is allocated, marked or swept. A record exists only
// while its object does: the end of each mark drops or queues those of objects
// that die (gc/reach.c), before any of them is swept, and tuza_free those of
// what it frees.
//
// Records and buckets lie in blocks of persistent memory, each twice as large
// as the last, so neither is ever moved or freed and a number leads to its
// place. The table grows by one bucket a record (Litwin: Linear hashing), so
// nobody waits for a table to be copied.
//
// Go hangs specials on their span, in the order of addresses (mheap.go).

#include "gc/special.h"

#include <string.h>

#include "base/bits.h"
#include "gc/barrier.h"
#include "gc/mark.h"
#include "mem/persist.h"
#include "os/lock.h"

enum {
    FIRST = 64,   // elements of the first block
    BLOCKS = 25,  // 2 thousand million in all
    PER_JOB = 256 // a multiple of 64
};

struct queue {
    uint32_t first, last; // 0: empty
};

static struct {
    struct tz_lock lock; // guards all of it
    struct tz_special *record[BLOCKS];
    uint64_t *settled[BLOCKS]; // a bit for each of these records
    uint64_t *root[BLOCKS];    // another: it is a ROOT
    uint32_t *bucket[BLOCKS];  // numbers of records
    bool settling;             // the bits above hold
    uint32_t end;             // records made, the unused number 0 included
    uint32_t free;            // list
    uint32_t nbuckets;
    uint32_t count[TZ_SPECIAL_KINDS];
    struct queue queue[TZ_SPECIAL_KINDS];
} special = { .lock = TZ_LOCK_INIT(TZ_RANK_SPECIAL), .end = 1 };

void tz_special_lock(void) { tz_lock_acquire(&special.lock); }
void tz_special_unlock(void) { tz_lock_release(&special.lock); }

// --- blocks

static uint32_t block_of(uint32_t i, uint32_t *at)
{
    uint32_t k = 31 - (uint32_t)__builtin_clz(i / FIRST + 1);
    *at = i - FIRST * ((1u << k) - 1);
    return k;
}

struct tz_special *tz_special_at(uint32_t i)
{
    uint32_t at, k = block_of(i, &at);
    return &special.record[k][at];
}

// The word with record i's bit. As blocks begin at multiples of 64, it is of one block.
static uint64_t *bits_at(uint64_t **bits, uint32_t i)
{
    uint32_t at, k = block_of(i, &at);
    return &bits[k][at / 64];
}

static void set_bit(uint64_t **bits, uint32_t i, bool on)
{
    uint64_t bit = UINT64_C(1) << (i % 64);
    uint64_t *word = bits_at(bits, i);
    *word = on ? *word | bit : *word & ~bit;
}

// The first in [i, end) whose bit is as wanted, or the end.
static uint32_t next_bit(uint64_t **bits, bool on, uint32_t i, uint32_t end)
{
    while (i < end) {
        uint64_t word = *bits_at(bits, i);
        uint64_t found = (on ? word : ~word) >> (i % 64);
        if (found)
            return (uint32_t)tz_min(i + tz_ctz64(found), end);
        i = (i / 64 + 1) * 64;
    }
    return end;
}

static uint32_t *bucket_at(uint32_t i)
{
    uint32_t at, k = block_of(i, &at);
    return &special.bucket[k][at];
}

// Whether there is memory for element i of a kind of blocks; of each element so many
// bits.
static bool have(void **block, uint32_t i, size_t bits)
{
    uint32_t at, k = block_of(i, &at);
    if (k >= BLOCKS)
        return false;
    if (!block[k])
        block[k] = tz_persist_alloc(((size_t)FIRST << k) / 8 * bits, 0);
    return block[k] != NULL;
}

static bool have_record(uint32_t i)
{
    return have((void **)special.record, i, 8 * sizeof *special.record[0]) &&
           have((void **)special.settled, i, 1) && have((void **)special.root, i, 1);
}

static bool have_bucket(uint32_t i)
{
    return have((void **)special.bucket, i, 8 * sizeof *special.bucket[0]);
}

uint32_t tz_special_number(const struct tz_special *s)
{
    for (uint32_t k = 0; k < BLOCKS && special.record[k]; k++) {
        size_t at = (size_t)(s - special.record[k]);
        if ((uintptr_t)s >= (uintptr_t)special.record[k] && at < (size_t)FIRST << k)
            return FIRST * ((1u << k) - 1) + (uint32_t)at;
    }
    tz_throw("special %p: not one", (const void *)s);
}

// --- the table

static uint32_t hash(uintptr_t object)
{
    return (uint32_t)((uint64_t)(object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >>
                      32);
}

// The largest power of two that is at most n.
static uint32_t floor_pow2(uint32_t n)
{
    return 1u << (31 - (uint32_t)__builtin_clz(n));
}

static uint32_t *bucket_of(uintptr_t object)
{
    uint32_t low = floor_pow2(special.nbuckets), h = hash(object);
    uint32_t i = h & (2 * low - 1);
    return bucket_at(i < special.nbuckets ? i : h & (low - 1));
}

// One more bucket: takes what belongs there from the one it was part of.
static void split_bucket(void)
{
    uint32_t n = special.nbuckets, low = floor_pow2(n);
    uint32_t *from = bucket_at(n - low), *to = bucket_at(n);
    special.nbuckets++;
    while (*from) {
        struct tz_special *s = tz_special_at(*from);
        if ((hash(s->object) & (2 * low - 1)) != n) {
            from = &s->next;
            continue;
        }
        uint32_t i = *from;
        *from = s->next;
        s->next = *to;
        *to = i;
    }
}

// Before record i is made: false, no memory.
static bool grow(uint32_t i)
{
    if (!have_record(i))
        return false;
    if (special.nbuckets == 0) {
        if (!have_bucket(0))
            return false;
        special.nbuckets = 1;
    } else if (have_bucket(special.nbuckets)) { // else chains are longer
        split_bucket();
    }
    return true;
}

// Takes s out of its bucket.
static uint32_t unlink_record(struct tz_special *s)
{
    uint32_t *p = bucket_of(s->object);
    while (*p && tz_special_at(*p) != s)
        p = &tz_special_at(*p)->next;
    uint32_t i = *p;
    TZ_CHECK(i);
    *p = s->next;
    return i;
}

// Its word that is a root, or NULL. Of memory of the user's see markroot.c.
static const uintptr_t *root_of(const struct tz_special *s)
{
    switch (s->kind) {
    case TZ_SPECIAL_CLEANUP:
    case TZ_SPECIAL_WEAK:
    case TZ_SPECIAL_RUN_CLEANUP:
    case TZ_SPECIAL_HANDLE:
        return &s->arg;
    case TZ_SPECIAL_RUN_FINALIZER:
    case TZ_SPECIAL_PIN:
        return &s->object;
    default:
        return NULL;
    }
}

// Before it is a root no more: a mark beside the program may not have seen it yet.
static void tell(const struct tz_special *s)
{
    const uintptr_t *root = root_of(s);
    if (root && !TZ_DEFECT(TZ_D103))
        tz_barrier_take_away(*root);
}

static void give_back(struct tz_special *s, uint32_t i)
{
    tell(s);
    special.count[s->kind]--;
    if (s->kind == TZ_SPECIAL_ROOT)
        set_bit(special.root, i, false);
    *s = (struct tz_special){ .gen = s->gen + 1, .next = special.free };
    special.free = i;
}

struct tz_special *tz_special_add(uintptr_t object, enum tz_special_kind kind)
{
    uint32_t i = special.free;
    if (i) {
        special.free = tz_special_at(i)->next;
    } else {
        if (!grow(special.end))
            return NULL;
        i = special.end++;
    }
    struct tz_special *s = tz_special_at(i);
    uint32_t *bucket = bucket_of(object);
    *s = (struct tz_special){ .object = object,
                              .gen = s->gen,
                              .kind = (uint8_t)kind,
                              .next = *bucket };
    *bucket = i;
    special.count[kind]++;
    set_bit(special.settled, i, false);
    if (kind == TZ_SPECIAL_ROOT)
        set_bit(special.root, i, true);
    return s;
}

// The first from number i on that is about an object.
static struct tz_special *about(uint32_t i, uintptr_t object)
{
    for (; i; i = tz_special_at(i)->next)
        if (tz_special_at(i)->object == object)
            return tz_special_at(i);
    return NULL;
}

struct tz_special *tz_special_first(uintptr_t object)
{
    return special.nbuckets ? about(*bucket_of(object), object) : NULL;
}

struct tz_special *tz_special_next(const struct tz_special *s)
{
    return about(s->next, s->object);
}

struct tz_special *tz_special_find(uintptr_t object, enum tz_special_kind kind)
{
    struct tz_special *s = tz_special_first(object);
    while (s && s->kind != kind)
        s = tz_special_next(s);
    return s;
}

void tz_special_drop(struct tz_special *s)
{
    give_back(s, unlink_record(s));
}

// --- queues

void tz_special_queue(struct tz_special *s, enum tz_special_kind kind)
{
    uint32_t i = unlink_record(s);
    struct queue *q = &special.queue[kind];
    special.count[s->kind]--;
    special.count[kind]++;
    s->kind = (uint8_t)kind;
    s->next = 0;
    if (q->last)
        tz_special_at(q->last)->next = i;
    else
        q->first = i;
    q->last = i;
}

struct tz_special *tz_special_take(enum tz_special_kind kind)
{
    struct queue *q = &special.queue[kind];
    if (!q->first)
        return NULL;
    struct tz_special *s = tz_special_at(q->first);
    q->first = s->next;
    if (!q->first)
        q->last = 0;
    return s;
}

void tz_special_stop(struct tz_special *s)
{
    tell(s);
    special.count[s->kind]--;
    special.count[TZ_SPECIAL_STOPPED]++;
    s->kind = TZ_SPECIAL_STOPPED;
}

void tz_special_done(struct tz_special *s) { give_back(s, tz_special_number(s)); }

// --- numbers

int64_t tz_special_id(const struct tz_special *s)
{
    return (int64_t)((uint64_t)(s->gen & INT32_MAX) << 32 | tz_special_number(s));
}

struct tz_special *tz_special_of(int64_t id)
{
    uint32_t i = (uint32_t)id;
    if (id <= 0 || i == 0 || i >= special.end)
        return NULL;
    struct tz_special *s = tz_special_at(i);
    return s->kind && (s->gen & INT32_MAX) == (uint32_t)(id >> 32) ? s : NULL;
}

uint32_t tz_special_end(void) { return special.end; }

uint32_t tz_special_count(enum tz_special_kind kind)
{
    return special.count[kind];
}

// --- for the mark

void tz_special_settle_start(void)
{
    for (uint32_t k = 0; k < BLOCKS && special.settled[k]; k++)
        memset(special.settled[k], 0, ((size_t)FIRST << k) / 8);
    special.settling = true;
}

void tz_special_settle_end(void) { special.settling = false; }

bool tz_special_settling(void) { return special.settling; }

void tz_special_settle(uint32_t i)
{
    set_bit(special.settled, i, true);
}

uint32_t tz_special_open(uint32_t i, uint32_t end)
{
    return special.settling ? next_bit(special.settled, false, i, end)
                            : (uint32_t)tz_min(i, end);
}

uint32_t tz_special_root(uint32_t i)
{
    return next_bit(special.root, true, i, special.end);
}

uint32_t tz_special_jobs(void)
{
    return (special.end + PER_JOB - 1) / PER_JOB;
}

uint32_t tz_special_job(uint32_t job, uint32_t *end)
{
    *end = (uint32_t)tz_min((job + 1) * PER_JOB, special.end);
    return job * PER_JOB + !job;
}

void tz_special_mark(struct tz_gcwork *w, const struct tz_special *s)
{
    const uintptr_t *root = root_of(s);
    if (root)
        tz_mark_range(w, (uintptr_t)root, (uintptr_t)(root + 1));
}
