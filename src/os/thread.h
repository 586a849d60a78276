// SPDX-License-Identifier: BSD-3-Clause
// os/thread.h: threads of the system.
#ifndef TZ_OS_THREAD_H
#define TZ_OS_THREAD_H

#include "base/base.h"

// Starts a detached thread that runs fn(arg), with all signals blocked until
// fn unblocks them. stack_size 0 is the system's default, or 256 KiB where
// little can be mapped (os/space.h). 0, or -EAGAIN, -ENOMEM, -EPERM.
int tz_thread_start(void (*fn)(void *), void *arg, size_t stack_size);

// Bounds [*lo, *hi) of the calling thread's stack.
void tz_thread_stack(uintptr_t *lo, uintptr_t *hi);

// The kernel's number of the calling thread.
int tz_thread_id(void);

// Sends signo to thread tid of this process. 0, or -errno. Where the system lets it,
// the code in the handler's context is TZ_THREAD_SIGNAL, which no other sender uses.
enum { TZ_THREAD_SIGNAL = -0x747a }; // below 0: sent by a program
int tz_thread_signal(int tid, int signo);

// The calling thread's thread pointer: identifies its TLS (os/tlsroots.h).
uintptr_t tz_thread_pointer(void);

// Threads of the process that tz_thread_start has not started, but for one, that
// which has started the runtime; 0 or less: none, or the system does not tell.
// ThreadSanitizer's own do not count: none are seen in its builds.
int tz_thread_others(void);
// All threads of the process; -1: the system does not tell.
int tz_thread_count(void);

void tz_thread_yield(void);        // sched_yield
void tz_thread_sleep(int64_t ns);  // without the signal wrappers of libc
void tz_thread_name(const char *); // at most 15 bytes, for debuggers

#endif
