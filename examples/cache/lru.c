// SPDX-License-Identifier: BSD-3-Clause
// lru.c: a cache that drops what was used least recently.
//
//   shard: mutex, buckets[] --> entry --> entry      chains by `next`
//                               ^  |
//                        newest |  v oldest          a ring by `newer`, `older`
//
// A shard is a hash table and a list in the order of use under one lock, with
// its part of the limit. Keys are spread evenly, so that locks are rarely met;
// who meets one parks, and its thread goes on with other goroutines.
//
// Nobody frees anything. A reader takes a value out of the lock and looks at it
// for as long as it likes: were it evicted meanwhile, it is the collector that
// knows about the reader. By hand that takes a count of references in every
// value, or a copy of it under the lock.

#include "cache.h"

enum { SHARD_BITS = 6, SHARDS = 1 << SHARD_BITS };

// Neither key nor size is ever taken for a pointer: the type says so.
struct entry {
    struct entry *next;          // in the bucket's chain
    struct entry *newer, *older; // in the ring
    uint64_t key;
    value value;
};

static const tuza_type entry_type =
    TUZA_TYPE(struct entry, next, newer, older, value.words);

struct shard {
    tuza_mutex lock;        // guards all of the shard
    struct entry **buckets; // const after init
    struct entry ring;      // .older is the newest entry, .newer the oldest
    size_t used;            // bytes, at most the cache's limit for a shard
    uint64_t entries;
    char apart[128]; // the next one's lock is in another cache line
};

struct cache {
    size_t limit; // of each shard
    uint64_t nbuckets;
    struct shard *shards;
};

size_t cache_entry_bytes(void)
{
    return sizeof(struct entry);
}

static size_t cost(const struct entry *e)
{
    return sizeof *e + e->value.nwords * sizeof *e->value.words;
}

struct cache *cache_new(size_t limit, uint64_t entries)
{
    struct cache *c = need(tuza_new(struct cache));
    c->limit = limit / SHARDS;
    for (c->nbuckets = 1; c->nbuckets < entries / SHARDS;)
        c->nbuckets *= 2;
    c->shards = need(tuza_new_array(struct shard, SHARDS));
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        s->buckets = need(tuza_new_array(struct entry *, c->nbuckets));
        s->ring.newer = s->ring.older = &s->ring;
    }
    return c;
}

// Keys are hashes already: the highest bits choose the shard, the lowest ones
// the bucket.
static struct shard *shard_of(struct cache *c, uint64_t key)
{
    return &c->shards[key >> (64 - SHARD_BITS)];
}

// Where the pointer to the key's entry is, or would be.
static struct entry **find(const struct cache *c, struct shard *s, uint64_t key)
{
    struct entry **at = &s->buckets[key & (c->nbuckets - 1)];
    while (*at && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

static void ring_remove(struct entry *e)
{
    e->newer->older = e->older;
    e->older->newer = e->newer;
}

static void ring_insert_newest(struct shard *s, struct entry *e)
{
    e->newer = &s->ring;
    e->older = s->ring.older;
    e->older->newer = e;
    s->ring.older = e;
}

// Takes out the entry at *at, which becomes garbage. Its links are cleared: if
// a stale word on some stack still looks like a pointer to it, that keeps this
// entry, but not the next one to be evicted, the one after that, and so on.
static void drop(struct shard *s, struct entry **at)
{
    struct entry *e = *at;
    s->used -= cost(e);
    s->entries--;
    *at = e->next;
    ring_remove(e);
    e->next = e->newer = e->older = NULL;
}

int cache_get(struct cache *c, uint64_t key, value *v)
{
    struct shard *s = shard_of(c, key);
    tuza_mutex_lock(&s->lock);
    struct entry *e = *find(c, s, key);
    if (e) {
        ring_remove(e);
        ring_insert_newest(s, e);
        *v = e->value;
    }
    tuza_mutex_unlock(&s->lock);
    return e != NULL;
}

int cache_put(struct cache *c, uint64_t key, value v)
{
    struct shard *s = shard_of(c, key);
    // Not under the lock: who allocates may have to collect.
    struct entry *e = need(tuza_alloc_typed(&entry_type, 1));
    e->key = key;
    e->value = v;
    if (cost(e) > c->limit)
        return -EFBIG;
    tuza_mutex_lock(&s->lock);
    struct entry **at = find(c, s, key);
    if (*at)
        drop(s, at);
    while (s->used + cost(e) > c->limit)
        drop(s, find(c, s, s->ring.newer->key));
    at = find(c, s, key); // anew: the chain may have lost an entry
    *at = e;
    ring_insert_newest(s, e);
    s->used += cost(e);
    s->entries++;
    tuza_mutex_unlock(&s->lock);
    return 0;
}

static struct cache_totals count_ring(struct cache *c, struct shard *s)
{
    struct cache_totals t = { 0 };
    for (struct entry *e = s->ring.older; e != &s->ring; e = e->older) {
        if (e->older->newer != e || shard_of(c, e->key) != s ||
            *find(c, s, e->key) != e)
            die("key %016llx is in the ring, but not in its place",
                (unsigned long long)e->key);
        t.entries++;
        t.bytes += cost(e);
    }
    return t;
}

static uint64_t count_chains(const struct cache *c, const struct shard *s)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < c->nbuckets; i++)
        for (struct entry *e = s->buckets[i]; e; e = e->next)
            n++;
    return n;
}

struct cache_totals cache_audit(struct cache *c)
{
    struct cache_totals total = { 0 };
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &c->shards[i];
        tuza_mutex_lock(&s->lock);
        struct cache_totals t = count_ring(c, s);
        if (t.bytes != s->used || t.bytes > c->limit)
            die("shard %d counts %zu bytes, has %llu, may have %zu", i, s->used,
                (unsigned long long)t.bytes, c->limit);
        if (t.entries != s->entries || t.entries != count_chains(c, s))
            die("shard %d counts %llu entries, has %llu", i,
                (unsigned long long)s->entries, (unsigned long long)t.entries);
        tuza_mutex_unlock(&s->lock);
        total.entries += t.entries;
        total.bytes += t.bytes;
    }
    return total;
}
