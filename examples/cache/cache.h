/* SPDX-License-Identifier: BSD-3-Clause */
/* cache.h: what the files of cache share; main.c tells the story. */
#ifndef CACHE_H
#define CACHE_H

#include <tuza.h>

/* A value never changes once it is made: another one takes its place. */
typedef struct value {
    const uint64_t *words;
    size_t nwords;
} value;

/* lru.c: the cache. Goroutines may call everything at once. */
struct cache_totals {
    uint64_t entries;
    uint64_t bytes; /* of entries and values, as cache_put counts them */
};

/* What an entry counts beside its value, in bytes. */
size_t cache_entry_bytes(void);
/* A cache of at most `limit` bytes, made for about so many entries. */
struct cache *cache_new(size_t limit, uint64_t entries);
/* Whether the key is there, its value then in *v: it stays readable as long as
 * it is looked at, whatever happens to the key meanwhile. May park. */
int cache_get(struct cache *c, uint64_t key, value *v);
/* Puts v in the place of the key's value, if it has one. What was used least
 * recently makes room. 0, or -EFBIG for a value that never fits. May park. */
int cache_put(struct cache *c, uint64_t key, value v);
/* Counts everything anew, and ends the program if that is not what the cache
 * has counted, or more than the limit. May park. */
struct cache_totals cache_audit(struct cache *c);

/* histogram.c: how many operations took how long. */
struct histogram *histogram_new(void);
void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
int64_t histogram_max(const struct histogram *h);
/* So many nanoseconds took at most `part` of `whole` operations; at most a
 * thirty-second more than the truth. */
int64_t histogram_quantile(const struct histogram *h, uint64_t part,
                           uint64_t whole);
/* Prints a bar for each power of two, as long as the count's logarithm. */
void histogram_plot(const struct histogram *h);

/* load.c: those who use the cache. */
struct load {
    struct cache *cache;
    uint64_t keys;         /* how many different ones are asked for */
    uint64_t workers;
    uint64_t read_percent; /* the others write */
    uint64_t ops;          /* of all workers; UINT64_MAX: until the time ends */
    uint64_t per_second;   /* so many are due, all together; 0: at once */
    int64_t duration;      /* ns; INT64_MAX: until so many are done */
};

/* What the workers have done, all together. */
struct tally {
    uint64_t ops, reads, hits;
    struct histogram *latency;
};

/* How many entries fill so many bytes, with values as these workers make. */
uint64_t load_entries(size_t bytes);
/* Puts in what the workers will ask for most, the most wanted last. */
void load_fill(const struct load *load, uint64_t entries);
/* Runs the workers to their end. */
void load_run(const struct load *load, struct tally *total);

/* main.c: ends the program when err is negative, or p is NULL, else p. */
void must(int err);
void *need(void *p);
/* main.c: says what went wrong and ends the program with status 1. */
__attribute__((format(printf, 1, 2))) TUZA_NORETURN void die(const char *format,
                                                             ...);

#endif
