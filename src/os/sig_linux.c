// SPDX-License-Identifier: BSD-3-Clause
// os/sig_linux.c: signals as Linux has them.
//
// ThreadSanitizer puts a handler of its own before each that sigaction
// installs, and runs the program's only when the thread next makes a libc call.
// A thread that never does would never stop. So in its builds the handler is
// installed twice: by sigaction, which also makes libc supply the function that
// ends a signal frame, then over that by the system call.

#include <errno.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/san.h"
#include "os/sig_sys.h"
#include TZ_CPU_HEADER(os,sigctx_linux_)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    LEAST_STACK = 64 * 1024,
    HANDLER_BYTES = 32 * 1024, // what a handler may use beside the frame
};

static int kernel_sigaction(int signo, const struct tz_kernel_sigaction *act,
                            struct tz_kernel_sigaction *old)
{
    return (int)syscall(SYS_rt_sigaction, signo, act, old, sizeof act->mask);
}

// Puts fn where ThreadSanitizer's function is, keeping the rest.
static int bypass_wrapper(int signo, tz_sigsys_action *fn)
{
    struct tz_kernel_sigaction k;
    if (kernel_sigaction(signo, NULL, &k))
        return errno;
    k.handler = (void *)fn;
    return kernel_sigaction(signo, &k, NULL) ? errno : 0;
}

int tz_sigsys_install(int signo, tz_sigsys_action *fn)
{
    int saved = errno;
    struct sigaction act = { .sa_sigaction = fn };
    act.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&act.sa_mask);
    int err = sigaction(signo, &act, NULL) ? errno : 0;
    if (!err && TZ_TSAN)
        err = bypass_wrapper(signo, fn);
    errno = saved;
    return err;
}

TZ_NO_SANITIZE void tz_sigsys_context(struct tz_sigctx *ctx, void *uc)
{
    tz_sigctx_fill(ctx, uc);
}

TZ_NO_SANITIZE void tz_sigsys_default(int signo)
{
    struct tz_kernel_sigaction k = { .handler = (void *)SIG_DFL };
    kernel_sigaction(signo, &k, NULL);
}

TZ_NO_SANITIZE bool tz_sigsys_is_fault(const siginfo_t *info)
{
    if (info->si_code <= 0) // kill, tgkill, sigqueue
        return false;
    switch (info->si_signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
        return true;
    }
    return false;
}

size_t tz_sigsys_stack_size(void)
{
    // The frame grows with the CPU's vector state; the kernel knows how far.
    size_t frame = getauxval(AT_MINSIGSTKSZ);
    long libc_size = sysconf(_SC_SIGSTKSZ);
    size_t size = tz_max(LEAST_STACK, frame + HANDLER_BYTES);
    return libc_size > 0 ? tz_max(size, (size_t)libc_size) : size;
}
