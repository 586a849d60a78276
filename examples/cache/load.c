// SPDX-License-Identifier: BSD-3-Clause
// load.c: the workers, what they ask for, and how long each time.
//
// Keys. Key number 1 is the most wanted. A number's octave (1, 2-3, 4-7, 8-15,
// and so on) is drawn evenly, and within it the number: the law of Zipf with
// exponent 1, by which number k is asked for 1/k times as often as number 1, in
// steps. There are twice as many keys as the cache can hold. It is given the
// number scrambled, so that neighbours do not meet.
//
// Values have 32 to 2040 bytes, likewise by octaves, 504 on average: the key, a
// random number and what follows from both. Who reads one looks at all of it.
//
// A read that finds nothing writes the value, as a server does that fetched it.
//
// Latency. Without a rate an operation begins where the worker's last one
// ended, so that no pause falls in between. But a worker that stands still for
// half a second then has one slow operation, where a server with clients has
// all that came in meanwhile. With a rate (-q) each operation has its time at
// which it is due, and its latency counts from there, waiting included.

#include "cache.h"

enum { SMALLEST_OCTAVE = 2, OCTAVES = 6, AVERAGE_BYTES = 504 };

// splitmix64 of Steele, Lea and Flood: a counter, scrambled.
static const uint64_t GOLDEN = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t draw(uint64_t *random)
{
    return scramble(*random += GOLDEN);
}

// A number with one bit more than `bits`, drawn evenly.
static uint64_t in_octave(uint64_t bits, uint64_t drawn)
{
    uint64_t first = UINT64_C(1) << bits;
    return first | (drawn & (first - 1));
}

static uint64_t draw_key(uint64_t *random, uint64_t keys)
{
    uint64_t octaves = 64 - (uint64_t)__builtin_clzll(keys);
    for (;;) {
        // The upper half chooses the octave, the lower half the number.
        uint64_t x = draw(random);
        uint64_t number = in_octave((x >> 32) * octaves >> 32, x);
        if (number <= keys)
            return scramble(number);
    }
}

static value make_value(uint64_t key, uint64_t *random)
{
    uint64_t x = draw(random);
    uint64_t octave = SMALLEST_OCTAVE + ((x >> 32) * OCTAVES >> 32);
    size_t n = in_octave(octave, x);
    uint64_t *words = need(tuza_alloc_bytes(n * sizeof *words));
    words[0] = key;
    words[1] = x;
    for (size_t i = 2; i < n; i++)
        words[i] = key ^ x * i;
    return (value){ words, n };
}

// Whether this is a value as make_value has made it for the key.
static int is_value_of(uint64_t key, value v)
{
    uint64_t x = v.words[1];
    uint64_t octave = SMALLEST_OCTAVE + ((x >> 32) * OCTAVES >> 32);
    uint64_t wrong = (v.words[0] ^ key) | (v.nwords ^ in_octave(octave, x));
    for (size_t i = 2; i < v.nwords; i++)
        wrong |= v.words[i] ^ key ^ x * i;
    return wrong == 0;
}

uint64_t load_entries(size_t bytes)
{
    return bytes / (cache_entry_bytes() + AVERAGE_BYTES);
}

static void operate(const struct load *load, uint64_t *random, struct tally *t)
{
    uint64_t key = draw_key(random, load->keys);
    int reads = (draw(random) >> 32) * 100 >> 32 < load->read_percent;
    value v;
    t->ops++;
    t->reads += reads;
    if (reads && cache_get(load->cache, key, &v)) {
        t->hits++;
        if (!is_value_of(key, v))
            die("key %016llx has a value that is not its own",
                (unsigned long long)key);
        return;
    }
    must(cache_put(load->cache, key, make_value(key, random)));
}

// When operation i of all workers is due, in ns from the start.
static int64_t due(const struct load *load, uint64_t i)
{
    uint64_t rate = load->per_second;
    return rate ? TUZA_SEC(i / rate) + TUZA_SEC(i % rate) / (int64_t)rate : 0;
}

// Worker `id` does every operation whose number modulo the workers' is its own.
tuza_fn(worker, const struct load *, load, uint64_t, id, int64_t, start,
        tuza_chan(struct tally), tallies)
{
    struct tally t = { .latency = histogram_new() };
    uint64_t random = scramble(id + 1);
    int64_t now = tuza_now();
    for (uint64_t i = id; i < load->ops; i += load->workers) {
        int64_t from = now;
        if (load->per_second) {
            from = start + due(load, i);
            if (now < from)
                tuza_sleep(from - now);
        }
        if (from - start >= load->duration)
            break;
        operate(load, &random, &t);
        now = tuza_now();
        histogram_add(t.latency, now - from);
    }
    tuza_send(tallies, t);
}

void load_run(const struct load *load, struct tally *total)
{
    tuza_chan(struct tally) tallies = need(tuza_chan_make(struct tally, 0));
    int64_t start = tuza_now();
    for (uint64_t id = 0; id < load->workers; id++)
        must(tuza_go(worker, load, id, start, tallies));
    struct tally t;
    for (uint64_t n = load->workers; n > 0 && tuza_recv(tallies, &t); n--) {
        total->ops += t.ops;
        total->reads += t.reads;
        total->hits += t.hits;
        histogram_merge(total->latency, t.latency);
    }
}

tuza_fn(filler, const struct load *, load, uint64_t, id, uint64_t, entries,
        tuza_waitgroup *, done)
{
    uint64_t random = scramble(~id);
    for (uint64_t n = id; n < entries; n += load->workers) {
        uint64_t key = scramble(entries - n);
        must(cache_put(load->cache, key, make_value(key, &random)));
    }
    tuza_waitgroup_done(done);
}

void load_fill(const struct load *load, uint64_t entries)
{
    tuza_waitgroup done = { 0 };
    for (uint64_t id = 0; id < load->workers; id++) {
        tuza_waitgroup_add(&done, 1);
        must(tuza_go(filler, load, id, entries, &done));
    }
    tuza_waitgroup_wait(&done);
}
