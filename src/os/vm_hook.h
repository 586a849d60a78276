// SPDX-License-Identifier: BSD-3-Clause
// os/vm_hook.h: the one table through which memory system calls go.
#ifndef TZ_OS_VM_HOOK_H
#define TZ_OS_VM_HOOK_H

#include "base/base.h"

// Each returns 0 (mmap: sets *out) or a positive errno. Called concurrently,
// on any thread, possibly with the runtime's locks held: no tuza call inside.
struct tz_vm_hooks {
    int (*mmap)(void *addr, size_t n, int prot, int flags, void **out);
    int (*munmap)(void *addr, size_t n);
    int (*mprotect)(void *addr, size_t n, int prot);
    int (*madvise)(void *addr, size_t n, int advice);
};

// Replaces the table before the first use of os/vm.h. -EINVAL when only one of
// mmap and munmap is given (NULL members keep the default), -EBUSY when it is
// late. tuza_os_set_hooks is the same for users, in libc's shape.
int tz_vm_set_hooks(const struct tz_vm_hooks *hooks);

#endif
