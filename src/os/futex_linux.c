// SPDX-License-Identifier: BSD-3-Clause
// os/futex_linux.c: futex_wait and futex_wake, private to the process.
//
// The system call is made directly: glibc has no function for it, and its
// condition variables take locks that a stopped thread may hold. The end of a
// sleep means nothing by itself; callers look at the word again [os.I6].
//
// Waking a word whose memory is gone is harmless (EFAULT, or a sleeper of
// another word that looks again): the one who wakes stores first, and the one
// woken may free the word before the call is made.
//
// Go keeps this in os_linux.go (futexsleep, futexwakeup).

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "base/print.h"
#include "os/futex.h"

// What SYS_futex takes, whatever the width of libc's time_t is.
struct kernel_timespec {
    long sec, nsec;
};

void tz_futex_sleep(uint32_t *word, uint32_t expect, int64_t ns)
{
    struct kernel_timespec ts;
    if (ns >= 0) {
        ts.sec = (long)(ns / TZ_NSEC_PER_SEC);
        ts.nsec = (long)(ns % TZ_NSEC_PER_SEC);
    }
    int saved = errno;
    long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expect,
                     ns < 0 ? NULL : &ts, NULL, 0);
    int err = r < 0 ? errno : 0;
    errno = saved;
    // Anything else would make the caller's loop spin for ever.
    if (err && err != EAGAIN && err != EINTR && err != ETIMEDOUT)
        tz_throw("futex wait: word %p (%s)", (void *)word, tz_strerror(err));
}

void tz_futex_wake(uint32_t *word, uint32_t n)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n > INT32_MAX ? INT32_MAX : n,
            NULL, NULL, 0);
    errno = saved;
}
