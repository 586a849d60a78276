/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/mem.h: the collected heap.
 *
 * Nothing allocated here is freed by hand. An object stays while a pointer to
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

/* The first byte and the size in bytes (what was asked for, rounded up to its
 * size class) of the live object that p points into; 0 when there is none.
 * base may be NULL. Does not park. */
TUZA_API size_t tuza_object_of(const void *p, void **base);

/* One zeroed T, or n of them: node *x = tuza_new(node); */
#define tuza_new(T) ((T *)tuza_alloc(sizeof(T)))
#define tuza_new_array(T, n) ((T *)tuza_alloc_array((n), sizeof(T)))

/* Runs a full collection now and returns when it is complete. From a
 * goroutine. */
TUZA_API void tuza_gc(void);

/* Sets the growth in percent that starts a collection, -1 for never, and
 * returns the old setting. */
TUZA_API int tuza_gc_set_percent(int percent);

/* Keeps the object that p points to alive up to this point, although the
 * compiler may have no more use for p. */
#define tuza_keepalive(p) __asm__ volatile("" : : "g"(p) : "memory")

TUZA_END

#endif
