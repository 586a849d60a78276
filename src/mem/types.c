// SPDX-License-Identifier: BSD-3-Clause
// mem/types.c: typed objects.
//
// The collector looks only at the words that the type names. What an object's
// type is stands beside the heap, in its page's type record (union tz_typerec):
// for objects of up to 512 bytes a bit for each word, written when the object
// is allocated; for larger ones the address of the type. Go puts the latter in
// a header before the object (HeapBits, mbitmap.go); C wants 16-byte alignment,
// and a record out of the object's reach survives an overflow of its neighbour.
//
// The object exists, all zero, before its description does. A collection in
// between finds nothing in it whatever the record says of the slot's last
// object. Objects of one page share words of the record, and a goroutine may
// change its P in between, so these are changed by atomic operations, if they
// have to be changed at all.
//
// Bits have no name. For reports, types of which small objects were made are
// remembered in a table: a look at one place of it an allocation.

#include "mem/types.h"

#include <string.h>

#include "base/bits.h"
#include "mem/malloc.h"

enum { WORD = sizeof(uintptr_t), SEEN = 512, PROBES = 8, TRACED = 2048 };

// Types, each at one of the PROBES places from its hash on; atomic, NULL: none
// yet. Never removed; a type that finds no place has no name in reports.
static const tuza_type *seen[SEEN];

// Types with a trace procedure, from their hash on; atomic, never removed, at most half
// of the places.
static const tuza_type *traced[TRACED];
static uint32_t ntraced; // atomic

static bool has_pointers(const tuza_type *t)
{
    if (!t->mask)
        return t->bits != 0;
    for (size_t i = 0; i < (t->size / WORD + 63) / 64; i++)
        if (t->mask[i])
            return true;
    return false;
}

// Word w of an array of `t`, of up to 64 words each.
static uint64_t small_bits(const tuza_type *t)
{
    if (t->trace)
        return 0;
    return (t->mask ? t->mask[0] : t->bits) &
           tz_mask64((uint32_t)(t->size / WORD));
}

static void put_word(uint64_t *w, uint64_t mask, uint64_t bits)
{
    if ((tz_load_rlx(w) & mask) == bits)
        return; // mostly so: neighbours tend to be of one type
    tz_xand_bits(w, ~mask);
    tz_xor_bits(w, bits);
}

// Sets `n` bits of the record from bit `at` to the low bits of `bits`.
static void put_bits(uint64_t *record, uint32_t at, uint32_t n, uint64_t bits)
{
    uint64_t *w = &record[at / 64];
    uint32_t shift = at % 64;
    put_word(w, tz_mask64(n) << shift, bits << shift);
    if (shift + n > 64)
        put_word(w + 1, tz_mask64(n) >> (64 - shift), bits >> (64 - shift));
}

// The bits of n elements, of an object of up to 64 words.
static uint64_t repeat(const tuza_type *t, size_t n)
{
    uint64_t bits = 0, one = small_bits(t);
    uint32_t words = (uint32_t)(t->size / WORD);
    for (size_t i = 0; i < n; i++)
        bits |= one << (i * words);
    return bits;
}

static void see(const tuza_type *t)
{
    uint32_t at = (uint32_t)((uintptr_t)t >> 4);
    for (uint32_t i = 0; i < PROBES; i++) {
        const tuza_type **place = &seen[(at + i) % SEEN];
        const tuza_type *there = tz_load_rlx(place); // orders nothing
        if (there == t ||
            (!there && (tz_cas(place, NULL, t) || tz_load_rlx(place) == t)))
            return;
    }
}

void tz_types_each(void (*fn)(void *arg, const tuza_type *t), void *arg)
{
    for (uint32_t i = 0; i < SEEN; i++)
        if (tz_load_rlx(&seen[i]))
            fn(arg, tz_load_rlx(&seen[i]));
}

uint64_t tz_types_bits(const struct tz_span *s, uint32_t i)
{
    uint32_t n = (uint32_t)(s->elem_size / WORD);
    return tz_types_bits_at(s->types, i * n, n);
}

bool tz_types_fit(const tuza_type *t, size_t elem_size, uint64_t bits)
{
    if (t->size == 0 || t->size % WORD || t->size > elem_size)
        return false;
    for (size_t n = elem_size / t->size; n > 0; n--) {
        if (tz_sizeclass[tz_sizeclass_of(n * t->size)].size != elem_size)
            return false; // fewer would lie in a smaller object
        if (repeat(t, n) == bits)
            return true;
    }
    return false;
}

static void describe(void *p, const tuza_type *t, size_t n)
{
    struct tz_span *s = tz_heap_span_of(p);
    if (s->elem_size <= TZ_BITS_MAX) {
        see(t);
        uint32_t at = (uint32_t)(((uintptr_t)p & (TZ_PAGE_SIZE - 1)) / WORD);
        put_bits(s->types->pointers, at, (uint32_t)(s->elem_size / WORD),
                 repeat(t, n));
        return;
    }
    uint32_t i = tz_sizeclass_index(s->spanclass, (uintptr_t)p - s->base);
    // Release: the collector reads what t points to.
    tz_store_rel(&s->types[i / 16].type[i % 16], t);
}

// Elements of w words with such bits: the 64 from bit `at` of one on.
static uint64_t pattern(uint64_t bits, uint32_t w, uint32_t at)
{
    uint64_t word = bits >> at;
    for (uint32_t i = w - at; i < 64; i += w)
        word |= bits << i;
    return word;
}

void tz_types_describe(const struct tz_span *s, uint32_t first, uint32_t end,
                       uint64_t bits)
{
    uint32_t w = (uint32_t)(s->elem_size / WORD);
    uint32_t i = first * w, all = end * w;
    while (i < all) {
        uint32_t n = (uint32_t)tz_min(64 - i % 64, all - i);
        uint64_t mask = tz_mask64(n) << i % 64;
        put_word(&s->types->pointers[i / 64], mask,
                 pattern(bits, w, i % w) << i % 64 & mask);
        i += n;
    }
}

// --- types with a trace procedure

static uint32_t place_of(uintptr_t t)
{
    return (uint32_t)(t >> 3) * 0x9e3779b1u >> 21;
}
_Static_assert(TRACED == 1 << (32 - 21), "a place for each hash");

bool tz_types_any_traced(void) { return tz_load_rlx(&ntraced) != 0; }

const tuza_type *tz_types_traced(uintptr_t word)
{
    for (uint32_t i = place_of(word);; i++) {
        const tuza_type *t = tz_load_acq(&traced[i % TRACED]);
        if (!t || (uintptr_t)t == word)
            return t;
    }
}

static void know(const tuza_type *t)
{
    if (tz_types_traced((uintptr_t)t))
        return;
    if (tz_xadd(&ntraced, 1) >= TRACED / 2)
        tz_fatal("type %s: more than %d types have a trace procedure", t->name,
                 TRACED / 2);
    for (uint32_t i = place_of((uintptr_t)t);; i++) {
        const tuza_type **place = &traced[i % TRACED];
        if (tz_cas(place, NULL, t) || tz_load(place) == t)
            return;
    }
}

// The type comes last: until then nothing in the object is looked at.
static void *malloc_traced(const tuza_type *t, size_t bytes)
{
    know(t);
    uintptr_t *p = tz_malloc(bytes, TZ_TYPED);
    if (!p)
        return NULL;
    describe(p, t, 1);
    tz_store_rel(p, (uintptr_t)t);
    return p;
}

static void check_type(const tuza_type *t)
{
    if (t->size == 0 || t->size % WORD != 0)
        tz_fatal("type %s of %zu bytes: not a multiple of %d", t->name, t->size,
                 (int)WORD);
}

// One object with bits: the next run of its class is described as t.
static void *tz_malloc_small_typed(const tuza_type *t)
{
    void *p = tz_malloc(t->size, TZ_TYPED);
    if (!p)
        return NULL;
    describe(p, t, 1);
    tz_crit_enter();
    struct tz_mcache *c = tz_tls_get()->cache;
    if (c && !t->mask && t->bits == small_bits(t)) {
        struct tz_runtype *x = &c->typed[tz_sizeclass_of(t->size)];
        x->last = t;
        x->last_bits = t->bits;
    }
    tz_crit_leave();
    return p;
}

// Apart, so that the fast path is a leaf. By their names these two are left out of
// profiles (diag/memprof.c).
static TZ_NOINLINE void *tz_malloc_typed(const tuza_type *t, size_t n)
{
    size_t bytes;
    check_type(t);
    if (__builtin_mul_overflow(n, t->size, &bytes))
        return NULL;
    if (t->trace)
        return malloc_traced(t, tz_max(bytes, sizeof t));
    if (!has_pointers(t)) {
        void *p = tz_malloc(bytes, TZ_NOSCAN);
        return p ? memset(p, 0, bytes) : NULL;
    }
    if (n == 1 && bytes <= TZ_BITS_MAX)
        return tz_malloc_small_typed(t);
    void *p = tz_malloc(bytes, TZ_TYPED);
    if (p)
        describe(p, t, n);
    return p;
}

void *tuza_alloc_typed(const tuza_type *t, size_t n)
{
    // Of a run that is described as t, so that t has been looked at.
    void *p = n == 1 && t->size <= TZ_BITS_MAX
                  ? tz_malloc_next(t->size, TZ_TYPED, t)
                  : NULL;
    return tz_likely(p) ? p : tz_malloc_typed(t, n);
}
