/* SPDX-License-Identifier: BSD-3-Clause */
/* tuza/syscall.h: calls that block the thread.
 *
 * While a goroutine is in such a call, its thread waits in the kernel and other
 * goroutines run on other threads. A call that is not declared is noticed after
 * a while: sysmon finds the thread in the kernel and takes its P for others. Declare
 * it, so that the scheduler knows at once and a collection need not wait for it.
 */
#ifndef TUZA_SYSCALL_H
#define TUZA_SYSCALL_H

#include "tuza/base.h"
#include "tuza/sys_linux.h"

TUZA_BEGIN

/* TUZA_SYSCALL(read(fd, buf, n)): a call that is usually short. The P stays
 * with the thread for 20 us to 10 ms, then others get it.
 * TUZA_BLOCKING(flock(fd, LOCK_EX)): a call that is usually long. The P goes
 * to another thread at once.
 *
 * The value is the call's, except that -1 (MAP_FAILED) becomes the negative
 * errno: read(2) gives -EBADF. For calls that return NULL on failure, the errno
 * of the goroutine's last declared call is tuza_errno(). Inside the expression
 * no tuza call may be made. Both may park. */
#define TUZA_SYSCALL(expr) TUZA__DECLARED(tuza_syscall_enter, expr)
#define TUZA_BLOCKING(expr) TUZA__DECLARED(tuza_blocking_enter, expr)
#define TUZA__DECLARED(enter, expr)                                            \
    __extension__({                                                            \
        enter();                                                               \
        __typeof__(expr) tuza__r = (expr);                                     \
        int tuza__e = tuza_syscall_exit();                                     \
        tuza__r == (__typeof__(tuza__r))-1                                     \
            ? (__typeof__(tuza__r))(-(intptr_t)tuza__e)                        \
            : tuza__r;                                                         \
    })

/* The pieces, for code that the macros do not fit. Every enter is followed by
 * exactly one exit in the same function; between them, the goroutine calls
 * nothing of tuza and leaves the frames above as they are. exit returns errno
 * as the call has left it: read here, because the caller's compiler may still
 * have the address of another thread's. */
TUZA_API void tuza_syscall_enter(void);
TUZA_API void tuza_blocking_enter(void);
TUZA_API int tuza_syscall_exit(void);

/* errno as the goroutine's last declared call left it. */
TUZA_API int tuza_errno(void);

/* tuza_syscall(SYS_read, fd, buf, n): a declared system call by its number, as Go's
 * syscall.Syscall, with up to six arguments; they are evaluated before the call is
 * declared, so that they may call tuza. Returns what the kernel does, -errno for
 * what it refused; errno itself is left alone where the call is made in line (amd64
 * and arm64), and sanitizers do not see what it writes. Cheaper than libc's function
 * where the kernel spoils the prediction of returns, as on many x86 machines. May
 * park. */
#define tuza_syscall(...) TUZA__SYS(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define TUZA__SYS(nr, a, b, c, d, e, f, ...)                                   \
    tuza__syscall((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d),      \
                  (long)(e), (long)(f))

static inline __attribute__((always_inline)) long
tuza__syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    tuza_syscall_enter();
    long r = tuza__sys(nr, a, b, c, d, e, f);
    int err = tuza_syscall_exit();
    return TUZA__SYS_HAS_ERRNO && r == -1 ? -(long)err : r;
}

TUZA_END

#endif
