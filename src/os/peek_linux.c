// SPDX-License-Identifier: BSD-3-Clause
// os/peek_linux.c: reading memory that may not be there, on Linux.

#include "os/peek.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/san.h"

// The caller's number, not the process's, which names nobody when the first thread
// has ended. In handlers of signals too, where a sanitizer must not be entered again: its
// wrapper of the call is one such place.
TZ_NO_SANITIZE bool tz_peek(void *to, uintptr_t from, size_t n)
{
    struct iovec local = { to, n }, remote = { (void *)from, n };
    int saved = errno;
    ssize_t got = syscall(SYS_process_vm_readv, syscall(SYS_gettid), &local, 1UL,
                          &remote, 1UL, 0UL);
    errno = saved;
    return got == (ssize_t)n;
}
