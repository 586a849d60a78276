/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/limit.h: limits of memory.
 *
 * What counts is what the runtime has mapped and not given back: objects, its
 * own tables, and of stacks the part that has been touched, as the last
 * collection found it (tuza_memstats.memory_used). All sizes are bytes.
 */
#ifndef TUZA_LIMIT_H
#define TUZA_LIMIT_H

#include "tuza/base.h"

TUZA_BEGIN

/* Sets the soft limit and returns the old one; INT64_MAX is none, and so is
 * any negative number. Near the limit collections come more often and free
 * memory goes back to the system, so that memory_used, with tuza_external
 * added, stays below. It is no promise: what lives may be more, and collecting
 * is kept to about half of the time, at the limit's expense. An allocation
 * never fails for it.
 * Default: TUZAMEMLIMIT (512M, 1G, off), else tuza_config.memory_limit, else
 * 90 percent of what the control group of the process grants.
 * From any thread; does not park; the next allocations obey it. */
TUZA_API int64_t tuza_memory_limit_set(int64_t bytes);

/* Called when an allocation would fail: `wanted` bytes were asked for, and a
 * collection has not helped. May free what it can or raise the limit, and
 * returns non-zero to have the allocation tried again, 0 to let it return
 * NULL. Runs on the goroutine that allocates, outside of all locks of the
 * runtime, and may do what any goroutine may, park included; an allocation
 * that fails inside of it returns NULL at once. */
typedef int (*tuza_memory_fn)(void *arg, size_t wanted);

/* Sets the hard limit: the heap does not grow when memory_used would be above
 * `bytes` afterwards; UINT64_MAX is none. The runtime's own tables and stacks
 * count but are not refused: 1/64 of the limit, at most 4 MiB, is kept for
 * what they grow by. When a collection and giving free pages back have
 * not made room, fn(arg, wanted) is called, at most TUZA_MEMORY_TRIES times
 * for one allocation; without fn (NULL), or when it gives up, the allocation
 * returns NULL, and the first time a line on standard error says why. fn is
 * called also when the system itself refuses memory. arg, a root of the
 * collector, must stay valid until another call of this.
 * Default: TUZAMEMMAX, else none. From any thread; does not park.
 * 0; -EINVAL for a limit of 0. */
#define TUZA_MEMORY_TRIES 4
TUZA_API int tuza_memory_max_set(uint64_t bytes, tuza_memory_fn fn, void *arg);

/* Tells the collector of memory outside of the heap that is freed when objects
 * die: so many bytes more, or less if negative. It counts like objects when
 * the next collection is due, and towards the soft limit. The sum never goes
 * below 0: a debug build of the runtime ends with a fatal line, others take it
 * for 0. From any thread. On a goroutine it may collect, and so stop the
 * thread for that long; it does not park. */
TUZA_API void tuza_external(int64_t delta);

/* Gives the memory of all free pages back to the system now and returns how
 * many bytes that were. What is garbage is not looked for: call tuza_gc()
 * before. From any thread; may take milliseconds a GiB; does not park. */
TUZA_API size_t tuza_release_memory(void);

TUZA_END

#endif
