// SPDX-License-Identifier: BSD-3-Clause
// mem/persist.h: memory that is never freed.
#ifndef TZ_MEM_PERSIST_H
#define TZ_MEM_PERSIST_H

#include "os/vm.h"

enum { TZ_PERSIST_CHUNK = 256 * 1024, TZ_PERSIST_LARGE = 64 * 1024 };

enum tz_persist_kind {
    TZ_PERSIST_PLAIN, // the collector never looks into it
    TZ_PERSIST_ROOTS, // every word of it is taken for a possible pointer
    TZ_PERSIST_KINDS
};

// What blocks are cut from; zero: no chunk yet. One lies in each P's cache.
struct tz_persist_local {
    struct tz_persist_range *chunk;
};

// n > 0 zeroed bytes aligned to `align` (a power of two up to the OS page, 0:
// 16), for as long as the process lives, charged to `use`. NULL when refused,
// with nothing changed. Does not park. Any thread, any context but a signal
// handler, with locks below PERSIST held and as little as 200 bytes of stack.
// Other sizes and alignments are fatal.
void *tz_persist_alloc_for(size_t n, size_t align, enum tz_vm_use use);

// The same for tables and structures: TZ_VM_META.
void *tz_persist_alloc(size_t n, size_t align);

// The same, for memory that will hold pointers to objects: they keep alive
// what they point to.
void *tz_persist_alloc_roots(size_t n, size_t align);

// Whether p lies in persistent memory, the unused part of a chunk included.
// Takes no lock and allocates nothing: callable anywhere, in signal handlers
// too.
bool tz_persist_contains(const void *p);

// Calls fn(arg, lo, hi) for what was handed out of each chunk of a kind, and
// for each of its large blocks. Takes no lock; a block that another thread is
// being given meanwhile may be missed.
void tz_persist_each(enum tz_persist_kind kind,
                     void (*fn)(void *arg, uintptr_t lo, uintptr_t hi),
                     void *arg);

// Bytes that were handed out.
uint64_t tz_persist_used(void);

#endif
