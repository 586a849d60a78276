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
TZ_NO_SANITIZE bool tz_peek_ranges(void *to, const struct tz_range *ranges, size_t n)
{
    struct iovec local = { to, 0 }, remote[TZ_PEEK_RANGES];
    TZ_CHECK(n <= TZ_PEEK_RANGES);
    for (size_t i = 0; i < n; i++) {
        remote[i].iov_base = (void *)ranges[i].lo;
        remote[i].iov_len = ranges[i].hi - ranges[i].lo;
        local.iov_len += remote[i].iov_len;
    }
    int saved = errno;
    ssize_t got = syscall(SYS_process_vm_readv, syscall(SYS_gettid), &local, 1UL,
                          remote, n, 0UL);
    errno = saved;
    return got == (ssize_t)local.iov_len;
}

TZ_NO_SANITIZE bool tz_peek(void *to, uintptr_t from, size_t n)
{
    return tz_peek_ranges(to, &(struct tz_range){ from, from + n }, 1);
}
