/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/os.h: the runtime's calls to the operating system for memory.
 *
 * All memory of the runtime comes and goes through one table of functions,
 * libc's unless told otherwise. Somebody who has to see or place every mapping
 * (an interceptor, an embedder with an address plan) replaces the table and
 * sees each address come and go.
 */
#ifndef TUZA_OS_H
#define TUZA_OS_H

#include <sys/types.h>

#include "tuza/base.h"

TUZA_BEGIN

/* Each member is called like libc's function of that name and answers like it:
 * MAP_FAILED or -1, with errno, for a failure. Memory must come zeroed. NULL
 * members keep libc's, but mmap and munmap are given together or not at all.
 *
 * acquire and release are called before and after each of the others, for tools
 * that must know that a range which one thread gives back and another one gets
 * has changed hands in that order.
 *
 * Called on any thread, on several at once, on a stack of at least 64 KiB,
 * with locks of the runtime held: a hook must not call the runtime (debug
 * builds end with "re-entered"), must not need a goroutine, and should not
 * block. Addresses given with MAP_FIXED_NOREPLACE need not be granted.
 */
typedef struct tuza_os_hooks {
    size_t size; /* set it to sizeof(tuza_os_hooks) before */
    void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd,
                  off_t offset);
    int (*munmap)(void *addr, size_t len);
    int (*mprotect)(void *addr, size_t len, int prot);
    int (*madvise)(void *addr, size_t len, int advice);
    void (*acquire)(void);
    void (*release)(void);
} tuza_os_hooks;

/* Replaces the table; the struct is copied. Before the runtime is started and
 * has taken any memory. 0; -EINVAL for one of mmap and munmap alone or a size
 * that this version does not know; -EBUSY when it is too late. Does not park;
 * from any thread. */
TUZA_API int tuza_os_set_hooks(const tuza_os_hooks *hooks);

/* Calls and bytes since the program began, failed calls included. What is
 * mapped now is bytes_mapped - bytes_unmapped. */
typedef struct tuza_os_counts {
    size_t size; /* set it to sizeof(tuza_os_counts) before */
    uint64_t mmap;
    uint64_t munmap;
    uint64_t mprotect;
    uint64_t madvise;
    uint64_t bytes_mapped;   /* by mmaps that succeeded */
    uint64_t bytes_unmapped; /* by munmaps that succeeded */
} tuza_os_counts;

/* Fills the part of *counts that counts->size covers. 0; -EINVAL for a size
 * below the first field's end. Does not park; from any thread, at any time. */
TUZA_API int tuza_os_counts_read(tuza_os_counts *counts);

TUZA_END

#endif
