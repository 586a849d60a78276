// SPDX-License-Identifier: BSD-3-Clause
// count.c: counts the words.
//
// A map is an open-addressed hash table, twice as large as it is full. When it
// grows, the old table becomes garbage, as does every chunk that was counted.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wordfreq.h"

struct entry {
    char *word; // not terminated; NULL is a free slot
    size_t size;
    uint64_t hash;
    uint64_t count;
};

struct counts {
    struct entry *table;
    size_t slots, used;
};

static const uint64_t FNV_START = UINT64_C(0xcbf29ce484222325);
static const uint64_t FNV_PRIME = UINT64_C(0x100000001b3);

struct counts *counts_new(void)
{
    struct counts *c = need(tuza_new(struct counts));
    c->slots = 256;
    c->table = need(tuza_new_array(struct entry, c->slots));
    return c;
}

size_t counts_distinct(const struct counts *c)
{
    return c->used;
}

static struct entry *find(const struct counts *c, const char *word, size_t size,
                          uint64_t hash)
{
    for (size_t i = hash ^ hash >> 32;; i++) {
        struct entry *e = &c->table[i & (c->slots - 1)];
        if (!e->word || (e->hash == hash && e->size == size &&
                         !memcmp(e->word, word, size)))
            return e;
    }
}

static void grow(struct counts *c)
{
    struct counts bigger = { .slots = 2 * c->slots, .used = c->used };
    bigger.table = need(tuza_new_array(struct entry, bigger.slots));
    for (size_t i = 0; i < c->slots; i++) {
        struct entry *e = &c->table[i];
        if (e->word)
            *find(&bigger, e->word, e->size, e->hash) = *e;
    }
    *c = bigger;
}

// Adds `count` to the word. A new one is copied: the chunk is soon garbage, and
// a pointer into it would keep all of it.
static void add(struct counts *c, const char *word, size_t size, uint64_t hash,
                uint64_t count)
{
    struct entry *e = find(c, word, size, hash);
    if (!e->word) {
        if (2 * c->used >= c->slots) {
            grow(c);
            e = find(c, word, size, hash);
        }
        e->word = memcpy(need(tuza_alloc_bytes(size)), word, size);
        e->size = size;
        e->hash = hash;
        c->used++;
    }
    e->count += count;
}

void counts_merge(struct counts *into, const struct counts *from)
{
    for (size_t i = 0; i < from->slots; i++) {
        const struct entry *e = &from->table[i];
        if (e->word)
            add(into, e->word, e->size, e->hash, e->count);
    }
}

static int by_frequency(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    int order = memcmp(x->word, y->word, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

void counts_print(const struct counts *c, size_t n)
{
    struct entry *sorted = need(tuza_new_array(struct entry, c->used));
    size_t used = 0;
    for (size_t i = 0; i < c->slots; i++)
        if (c->table[i].word)
            sorted[used++] = c->table[i];
    // qsort may move entries through memory of malloc, where the collector does
    // not look; c, which is in use to the end, keeps the words meanwhile.
    qsort(sorted, used, sizeof *sorted, by_frequency);
    for (size_t i = 0; i < used && i < n; i++) {
        printf("%" PRIu64 " ", sorted[i].count);
        fwrite(sorted[i].word, 1, sorted[i].size, stdout);
        putchar('\n');
    }
    tuza_keepalive(c);
}

// Lower-cases and counts the words of text; how many there were.
static uint64_t tokenise(struct counts *c, char *text, size_t size)
{
    uint64_t words = 0;
    for (size_t i = 0; i < size; i++) {
        size_t start = i;
        uint64_t hash = FNV_START;
        for (; i < size; i++) {
            unsigned char lower = (unsigned char)text[i] | 32;
            if (lower < 'a' || lower > 'z')
                break;
            text[i] = (char)lower;
            hash = (hash ^ lower) * FNV_PRIME;
        }
        if (i > start) {
            add(c, text + start, i - start, hash, 1);
            words++;
        }
    }
    return words;
}

tuza_fn(tokeniser, struct pipes, pipes)
{
    tally t = { .counts = counts_new() };
    tuza_range(c, pipes.chunks)
    {
        t.words += tokenise(t.counts, c.text, c.size);
    }
    tuza_send(pipes.tallies, t);
}

int count_start(int n, struct pipes *pipes)
{
    int err = 0;
    for (int i = 0; i < n && !err; i++)
        err = tuza_go(tokeniser, *pipes);
    return err;
}
