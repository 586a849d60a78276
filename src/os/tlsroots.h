// SPDX-License-Identifier: BSD-3-Clause
// os/tlsroots.h: where static and thread-local variables are, for the
// collector.
//
// tz_roots_snapshot asks the dynamic linker, which takes its lock: call it
// while the world runs. The others only read what it stored, the linker's list of
// objects and the thread's own vector of TLS blocks, and may run while threads are
// stopped anywhere.
#ifndef TZ_OS_TLSROOTS_H
#define TZ_OS_TLSROOTS_H

#include "base/base.h"

// A static variable of the runtime's own that leads to no object of the program's and
// is long: it is no root. Before the first snapshot; there is room for a few.
void tz_roots_leave_out(const void *p, size_t size);

// Brings the table of loaded objects up to date (cheap when nothing changed).
void tz_roots_snapshot(void);

// Whether it is up to date: two system calls for each object. A thread that runs may load
// or unload right afterwards.
bool tz_roots_current(void);

// [lo, hi), cut to whole words. may_go: it may be unmapped even then, by a thread that
// runs, so that it is to be read by tz_peek.
typedef void tz_roots_fn(void *arg, uintptr_t lo, uintptr_t hi, bool may_go);

// Calls visit for each writable data segment (.data, .bss) of each object.
void tz_roots_each_data(tz_roots_fn *visit, void *arg);

// The same for the TLS blocks that the thread with this thread pointer has.
void tz_roots_each_tls(uintptr_t thread_pointer, tz_roots_fn *visit, void *arg);

#endif
