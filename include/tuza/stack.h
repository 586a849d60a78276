/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/stack.h: the stack that a goroutine runs on, and others to borrow. */
#ifndef TUZA_STACK_H
#define TUZA_STACK_H

#include "tuza/base.h"

TUZA_BEGIN

/* Calls fn(arg) on the thread's system stack (8 MiB, unless the process was
 * started with less) and returns when it does: for code that needs much stack
 * and does not wait for other goroutines. On a plain thread, and inside of
 * itself, just calls fn. fn may not park, which is fatal, nor make declared
 * calls, nor leave by longjmp or tuza_goexit; it may allocate. A collection
 * waits until fn has returned: so fn must not wait for a lock that a goroutine
 * may hold when it is stopped, such as libc's own in fork, malloc or stdio.
 * Costs about a nanosecond. */
TUZA_API void tuza_on_system_stack(void (*fn)(void *arg), void *arg);

/* Calls fn(arg) with at least `size` bytes of stack, on the same goroutine: as
 * an ordinary call when so much is left, else on a stack that is borrowed for
 * the call. fn may do what a goroutine may: park, spawn, call this again. Its
 * locals are roots, and so are those of its callers. It may leave by longjmp or
 * tuza_goexit; the stack is then given back at the goroutine's next such call,
 * or at its end. In a goroutine, not inside of tuza_on_system_stack.
 * 0 once fn has returned; -EINVAL without fn or for more than 512 MiB, -ENOMEM
 * when the system refuses the stack: fn was not called then. */
TUZA_API int tuza_call_big(void (*fn)(void *arg), void *arg, size_t size);

/* The bounds of the stack that the caller runs on: [*lo, *hi), without the
 * guard zone. Of a goroutine's stack or of one that tuza_call_big has borrowed;
 * on the system stack or a plain thread, those of the thread, which may read
 * /proc. pthread_getattr_np knows the threads' stacks only. Never parks.
 * 0; -EINVAL for NULL. */
TUZA_API int tuza_stack_bounds(void **lo, void **hi);

TUZA_END

#endif
