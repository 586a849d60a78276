/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/gc.h: what follows from an object being reachable, or not.
 *
 * All of it is decided at the end of a collection, which finds an object alive
 * or not as tuza/mem.h says. The collector is conservative: a stale word on a
 * stack may keep an object for longer than the program needs it. So nothing
 * here runs at a moment one could name, and nothing at the process's end; what
 * has to be given back in time is given back by hand.
 *
 * Objects are those of tuza_alloc and its like. Objects that are not collected
 * may be used as well: they are gone when they are freed. When an object is
 * freed by hand (tuza_free), its weak handles are cleared, its ephemerons are
 * dead, its cleanups run, and its finalizer, if it has one, does not.
 *
 * Call from goroutines, where nothing else is said. Nothing here parks, but
 * allocating may stop the thread for a collection.
 */
#ifndef TUZA_GC_H
#define TUZA_GC_H

#include "tuza/base.h"

TUZA_BEGIN

/* --- Cleanups: something is done after an object is gone.
 *
 * fn(arg) is called once, on a goroutine that runs cleanups one after the other
 * in no particular order, after obj (or what it points into) can no longer be
 * reached. obj is never seen again, so arg says what is to be done: a
 * descriptor, a pointer to a part that lives on. arg is kept until fn has
 * returned, with all that it leads to; if it leads to obj, obj stays for ever,
 * and an arg that points into obj itself is fatal. An object may have several.
 * fn may park, and holds up other cleanups meanwhile; it returns (no
 * tuza_goexit).
 *
 * A number for tuza_cleanup_stop, above 0. -EINVAL: obj is not in the heap, or
 * fn is NULL; -ENOMEM. */
TUZA_API int64_t tuza_cleanup_add(void *obj, void (*fn)(void *arg), void *arg);

/* 1: it has not begun, and will not. 0: it has, or was stopped before. From any
 * thread. */
TUZA_API int tuza_cleanup_stop(int64_t id);

/* --- Finalizers: an object is seen once more.
 *
 * fn(obj) is called once, on a goroutine that runs finalizers one after the
 * other, when obj can no longer be reached. obj is kept for it, with all that
 * it leads to, and may be made reachable again; it may then get a finalizer
 * anew. Otherwise the next collection that does not find it takes it, and then
 * its cleanups run.
 *
 * Of two such objects one of which leads to the other, the finalizer of the
 * other is not run before the first is gone: so what a finalizer finds has not
 * been finalized. Objects that lead to each other are finalized one at a time,
 * in no particular order. An object with a finalizer takes at least two
 * collections to go, a chain of n of them n + 1: where a cleanup will do, use
 * one.
 *
 * obj: what the allocation returned. fn NULL takes the finalizer off, unless it
 * was found unreachable before. 0; -EINVAL: not the start of an object;
 * -EEXIST: it has one; -ENOMEM. */
TUZA_API int tuza_finalizer_set(void *obj, void (*fn)(void *obj));

/* --- Weak handles: a reference that keeps nothing.
 *
 * The handle of the object that obj points into: the same as long as the object
 * lives. It is collected itself; not to be freed or written to. NULL: no object
 * there, or no memory. */
typedef struct tuza_weak tuza_weak;
TUZA_API tuza_weak *tuza_weak_make(void *obj);

/* The object's first byte, or NULL when it is gone: when no collection will
 * find it again, nor a finalizer of another object. It is cleared before the
 * object's own finalizer is called, and stays so if that makes the object
 * reachable again; such an object gets a new handle. NULL for NULL. */
TUZA_API void *tuza_weak_get(tuza_weak *w);

/* --- Ephemerons: a value as long as a key.
 *
 * Keeps value as long as the ephemeron itself and the object that key points
 * into are reached by other ways than through value. Then it is dead, for ever.
 * (A table of them adds properties to objects that do not know of it, even if
 * the properties lead back to the object.) An object that only its own
 * finalizer keeps is not reached. NULL: key points to no object, or no memory.
 */
typedef struct tuza_ephemeron tuza_ephemeron;
TUZA_API tuza_ephemeron *tuza_ephemeron_make(void *key, void *value);

/* Key and value, as they were given; NULL when it is dead. */
TUZA_API void *tuza_ephemeron_key(tuza_ephemeron *e);
TUZA_API void *tuza_ephemeron_get(tuza_ephemeron *e);
TUZA_API int tuza_ephemeron_dead(tuza_ephemeron *e);

/* --- Pins: an object is kept although nothing the collector sees refers to it,
 * as while only foreign code knows its address. Counted: it stays until it was
 * unpinned as often. What p points into is pinned. From any thread. 0; -EINVAL:
 * no object there, or it is not pinned; -ENOMEM. Freeing a pinned object is
 * fatal. */
TUZA_API int tuza_pin(void *p);
TUZA_API int tuza_unpin(void *p);

/* --- Handles: a number for a pointer, for foreign code to keep in its place.
 *
 * Keeps what p points into until it is deleted. p may be anything. Never 0, but
 * for want of memory. From any thread. A handle that was deleted, or never was
 * one, is fatal, unless its number was given to 2^31 others in between (2^10
 * where pointers have 32 bits). So is freeing an object that has one. */
TUZA_API uintptr_t tuza_handle_new(void *p);
TUZA_API void *tuza_handle_get(uintptr_t handle);
TUZA_API void tuza_handle_delete(uintptr_t handle);

/* --- Roots: memory of the program's own, as of malloc or mmap, in which
 * pointers to objects count.
 *
 * The aligned words of [lo, hi) are looked at by each collection until the range
 * is removed, which has to be done before the memory goes. Several may overlap.
 * From any thread. 0; -EINVAL: hi is below lo; -ENOENT: no such range was added;
 * -ENOMEM. */
TUZA_API int tuza_root_add(const void *lo, const void *hi);
TUZA_API int tuza_root_remove(const void *lo, const void *hi);

/* --- Why is this alive?
 *
 * Writes to fd a shortest way by which the collector reaches the object that p
 * points into, from the object back to a root: a goroutine's stack, a static
 * variable, a handle. What only the calling goroutine has of it is told last,
 * since whoever asks has it. The world is stopped for as long as a collection on
 * one processor takes, and there must be memory for up to 72 bytes an object.
 *
 *     0xc000010040, an object of 48 bytes, is kept
 *       in byte 8 of the object of 64 bytes at 0xc000020000
 *       on the stack of goroutine 7, spawned at server.c:120 at 0x7f8e6c1ffe58
 *
 * 0; -ENOENT: nothing leads to it, or only a finalizer or an ephemeron; -EINVAL:
 * no object there; -ENOMEM; or the negative errno of a write. Does not park, but
 * blocks the thread in write. */
TUZA_API int tuza_why_alive(const void *p, int fd);

/* --- What is in the heap?
 *
 * Writes to fd, as text, how many objects of each type there are and how many
 * bytes, rounded up to their size classes, the most bytes first:
 *
 *     heap: 12345 objects, 1234567 bytes, after 3 collections
 *        objects         bytes   share  type
 *          12000       1152000   93.3%  struct node
 *            345         82567    6.6%  (conservative)
 *
 * Counted is what the last collection found and what was allocated since then:
 * tuza_gc() before it leaves what is in use. Types are those of
 * tuza_alloc_typed, an array being one object. Of objects up to 512 bytes only
 * the layout is kept: where it fits several types, the line has the names of
 * two of them, "struct a | struct b". The others are (conservative), of
 * tuza_alloc; (no pointers), of tuza_alloc_bytes and of types without any;
 * (uncollectable); (typed), not described or of a type that is not known.
 *
 * While the heap profile takes samples (tuza_heap_profile_rate, tuza/debug.h) a
 * second part follows: estimates by the stack that allocated, as of the end of
 * the last collection.
 *
 * The world is stopped while objects are counted, for some nanoseconds each.
 * 0; -EBADF; -ENOMEM: some 400 KiB are needed; or the negative errno of a write.
 * Does not park, but blocks the thread in write. */
TUZA_API int tuza_heap_summary(int fd);

TUZA_END

#endif
