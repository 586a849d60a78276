/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/mem.h: the collected heap.
 *
 * Nothing allocated here has to be freed. An object stays while a pointer to
 * it, or into it, is found in a goroutine's stack or registers, in static or
 * thread-local variables, or in another live object. Pointers hidden from
 * there (in malloc'ed memory, in files, XORed) do not count. A pointer just
 * past the end of an object does not keep it.
 *
 * Call from goroutines. Allocation may start a collection and so stop the
 * thread for its length, but never parks the goroutine.
 */
#ifndef TUZA_MEM_H
#define TUZA_MEM_H

#include "tuza/base.h"

TUZA_BEGIN

/* `size` zeroed bytes, 16-byte aligned, every word of which is taken for a
 * pointer when it looks like one. Size 0 gives a unique pointer too. NULL when
 * memory is refused or the size is absurd. */
TUZA_API __attribute__((malloc)) void *tuza_alloc(size_t size);

/* The same for memory that holds no pointers to collected objects: text,
 * numbers. Not looked into by the collector, and NOT zeroed. */
TUZA_API __attribute__((malloc)) void *tuza_alloc_bytes(size_t size);

/* n zeroed elements of `size` bytes each; NULL also when n * size overflows. */
TUZA_API __attribute__((malloc)) void *tuza_alloc_array(size_t n, size_t size);

/* Who is told of what an object holds (tuza_trace). */
typedef struct tuza_tracer tuza_tracer;

/* What the collector has to know of a type: which words of it may hold pointers
 * to collected objects. It is kept by address: static storage. */
typedef struct tuza_type {
    size_t size;          /* bytes of one element, whole words */
    const char *name;     /* for reports */
    uint64_t bits;        /* bit i: word i may hold a pointer */
    const uint64_t *mask; /* the same in an array, for types above 64 words;
                             NULL: `bits` says it all */
    /* NULL, or what tells of an object's pointers in place of the words above. */
    void (*trace)(tuza_tracer *tracer, const void *object, size_t size);
} tuza_type;

/* static const tuza_type node_type = TUZA_TYPE(struct node, left, right);
 * names all fields (up to 16, in the first 64 words) that hold pointers to
 * collected objects. A field that is a struct or an array counts as pointers
 * throughout. */
#define TUZA_TYPE(T, ...)                                                      \
    {                                                                          \
        sizeof(T), #T, TUZA__BITS_OF(T, __VA_ARGS__), NULL, NULL               \
    }
#define TUZA__BITS_OF(T, ...)                                                  \
    TUZA__CAT(TUZA__BITS_, TUZA__NARG(__VA_ARGS__))(T, __VA_ARGS__)
/* Does not compile for a field that is not made of aligned words. */
#define TUZA__BITS_1(T, f)                                                     \
    ((~UINT64_C(0) >> (64 - sizeof(((T *)0)->f) / (sizeof(void *)))            \
                   << (offsetof(T, f) / sizeof(void *))) +                     \
     0 * TUZA__REQUIRE(offsetof(T, f) % sizeof(void *) == 0 &&                 \
                       sizeof(((T *)0)->f) % sizeof(void *) == 0 &&            \
                       sizeof(((T *)0)->f) > 0 &&                              \
                       offsetof(T, f) + sizeof(((T *)0)->f) <=                 \
                           64 * sizeof(void *)))
#define TUZA__BITS_2(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_1(T, __VA_ARGS__))
#define TUZA__BITS_3(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_2(T, __VA_ARGS__))
#define TUZA__BITS_4(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_3(T, __VA_ARGS__))
#define TUZA__BITS_5(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_4(T, __VA_ARGS__))
#define TUZA__BITS_6(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_5(T, __VA_ARGS__))
#define TUZA__BITS_7(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_6(T, __VA_ARGS__))
#define TUZA__BITS_8(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_7(T, __VA_ARGS__))
#define TUZA__BITS_9(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_8(T, __VA_ARGS__))
#define TUZA__BITS_10(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_9(T, __VA_ARGS__))
#define TUZA__BITS_11(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_10(T, __VA_ARGS__))
#define TUZA__BITS_12(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_11(T, __VA_ARGS__))
#define TUZA__BITS_13(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_12(T, __VA_ARGS__))
#define TUZA__BITS_14(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_13(T, __VA_ARGS__))
#define TUZA__BITS_15(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_14(T, __VA_ARGS__))
#define TUZA__BITS_16(T, f, ...) \
    (TUZA__BITS_1(T, f) | TUZA__BITS_15(T, __VA_ARGS__))

/* static const tuza_type value_type = TUZA_TRACED_TYPE(struct value, trace_value);
 * for objects whose pointers are no plain words: tagged, compressed, or meant only
 * by some of the variants. trace(tracer, object, size) calls tuza_trace for each
 * pointer in the object, of `size` bytes: an array is one object.
 * The FIRST WORD of such an object is the runtime's: tuza_alloc_typed puts the type
 * there, and it stays (an overwritten one is fatal); begin the struct with
 *     const tuza_type *type;
 * trace runs on threads of the collector, beside the program and several at a time:
 * it may read the object, which may be changing at that moment (what it misses then
 * is asked for again), or be all zero but for the type; it must not write to
 * collected memory, allocate, wait, or call anything of tuza but tuza_trace. It and
 * the type stay loaded as long as such objects are there, at most 1024 types.
 * Stores into them cannot be told: beside them TUZA_BARRIER_COMPLETE has no effect. */
#define TUZA_TRACED_TYPE(T, trace)                                             \
    {                                                                          \
        sizeof(T), #T, 0, NULL, (trace)                                        \
    }

/* Inside of a type's trace: the object holds p, which may point anywhere into a
 * collected object, or be no such pointer at all. Does not park. */
TUZA_API void tuza_trace(tuza_tracer *tracer, const void *p);

/* One zeroed object of type *t, or an array of n of them in one object. NULL
 * when memory is refused or n is absurd. */
TUZA_API __attribute__((malloc)) void *tuza_alloc_typed(const tuza_type *t,
                                                        size_t n);

/* `size` zeroed bytes that are never collected: whatever they seem to point to
 * stays, until tuza_free gives them back. Also from threads that run no
 * goroutine, once the runtime runs (before that, a fatal error). */
TUZA_API __attribute__((malloc)) void *tuza_alloc_uncollectable(size_t size);

/* Gives an object back before the collector finds that nobody needs it; it is
 * the caller's word that nobody does, and that p could be seen by the collector
 * until now. p is what the allocation returned; NULL is ignored. Of collected
 * objects, from goroutines; of uncollectable ones, from any thread. Does not
 * park. Fatal: an address that is not the start of a live object, when that is
 * noticed (a second free is, unless the slot was handed out again). */
TUZA_API void tuza_free(void *p);

/* The first byte and the size in bytes (what was asked for, rounded up to its
 * size class) of the live object that p points into; 0 when there is none.
 * base may be NULL. Does not park. */
TUZA_API size_t tuza_object_of(const void *p, void **base);

/* One zeroed T, or n of them: node *x = tuza_new(node); */
#define tuza_new(T) ((T *)tuza_alloc(sizeof(T)))
#define tuza_new_array(T, n) ((T *)tuza_alloc_array((n), sizeof(T)))

/* Runs a full collection now and returns when it is complete and the goroutine
 * has its turn again: it yields, as tuza_yield() does. From a goroutine. */
TUZA_API void tuza_gc(void);

/* Sets the growth in percent that starts a collection (of what lives, goroutines'
 * stacks and static data, of which what is beyond 192 MiB counts half; 12 MiB at
 * least), -1 for never, and returns the old setting. */
TUZA_API int tuza_gc_set_percent(int percent);

/* Keeps the object that p points to alive up to this point, although the
 * compiler may have no more use for p. */
#define tuza_keepalive(p) __asm__ volatile("" : : "g"(p) : "memory")

TUZA_END

#endif
