/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/errno.h: errno for code that may change its thread. tuza.h does not
 * include it: include it instead of <errno.h>, or after it, where it is read.
 *
 * errno belongs to the thread. libc tells compilers that its address never
 * changes, so gcc and clang ask for it once in a function, and use it again
 * after calls in which the goroutine has moved: then the code reads the errno of
 * a thread that it has left, or clears one of somebody else's. Here the address
 * comes from a function of which compilers know nothing, so they ask each time.
 *
 *     errno = 0;
 *     tuza_recv(jobs, &name);       // may park, and go on on another thread
 *     if (open(name, O_RDONLY) < 0)
 *         report(errno);            // with <errno.h> alone perhaps the other's
 *
 * What it does not do: carry a value across a park. What a call has left in
 * errno is to be read before the next call that may park, and what was there
 * before a park may be another goroutine's. tuza's own calls return their
 * errors; a declared call returns its own (tuza/syscall.h, tuza_errno).
 * Pointers to errno, as from &errno, may not be kept across parks either.
 */
#ifndef TUZA_ERRNO_H
#define TUZA_ERRNO_H

#include <errno.h>

#include "tuza/base.h"

TUZA_BEGIN

/* Where the calling thread's errno is. Any thread, signal handlers too; does
 * not park. Neither const nor pure: that is what it is for. */
TUZA_API __attribute__((noinline)) int *tuza_errno_location(void);

TUZA_END

#undef errno
#define errno (*tuza_errno_location())

#endif
