/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/thread.h: threads: tied to goroutines, made by others, how many.
 */
#ifndef TUZA_THREAD_H
#define TUZA_THREAD_H

#include "tuza/base.h"

TUZA_BEGIN

/* Ties the calling goroutine to the thread that it runs on: no other goroutine
 * runs there, and it runs nowhere else, until as many calls of
 * tuza_unlock_thread: for libraries that keep something per thread. Each park and
 * wake then costs a change of threads. A goroutine that ends tied ends its
 * thread, whatever was changed of that. Neither call parks. */
TUZA_API void tuza_lock_thread(void);
TUZA_API void tuza_unlock_thread(void);

/* Makes the calling thread, which tuza has not made, a goroutine that is tied to
 * it, so that it may call everything that goroutines may, and the collector looks
 * at its stack; until tuza_detach, or the thread's end. Calls nest. After
 * the first, which allocates, an attach on the same thread is cheap. It may wait
 * for a P, as each call of tuza may on an attached thread; between such calls
 * others have the P. On a goroutine: nothing to be done, the calls only have to
 * be in pairs. The thread's signal stack, if it has none, and
 * its mask of SIGURG and SIGSEGV are tuza's meanwhile.
 * 0; -EAGAIN: the runtime has not been started, has ended, or is a simulation
 * (TUZASIM); -ENOMEM. */
TUZA_API int tuza_attach(void);
/* 0, or -EINVAL on a thread that is not attached. */
TUZA_API int tuza_detach(void);

/* Calls fn(arg) as a goroutine on the calling thread: attached meanwhile, if it
 * was not. In a declared call (TUZA_SYSCALL) of a goroutine the call is left and
 * entered again around fn, which runs as that goroutine, tied to its thread: so
 * libraries may call back, and that may nest. Errors: those of tuza_attach. */
TUZA_API int tuza_call_in(void (*fn)(void *arg), void *arg);

/* Sets how many goroutines run at once, if n > 0 (1024 at most); returns what it
 * was. When it shrinks, some go on for a moment. */
TUZA_API int tuza_maxprocs(int n);

/* Sets how many threads may run or block in goroutines, if n > 0, 10000 unless
 * it is told; returns what it was. One more ends the process, with a report of
 * what holds the others. */
TUZA_API int tuza_max_threads(int n);

TUZA_END

#endif
