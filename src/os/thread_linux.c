// SPDX-License-Identifier: BSD-3-Clause
// os/thread_linux.c: what Linux knows of a thread.
//
// Kernel thread numbers instead of pthread_t: pthread_kill takes a lock that a
// stopped thread may hold. All calls keep errno.
//
// The main thread's stack bounds come from where the kernel put the program's name
// (the top) and RLIMIT_STACK, if the stack pointer is there and no more is allowed
// than the kernel keeps free of mappings. Else libc is asked, which reads all of
// /proc/self/maps for it; without /proc the first answer has to do.

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "os/thread.h"
#include "os/vm.h"
#include TZ_CPU_HEADER(os,tcb_linux_)

// False: it is a guess.
static bool main_stack(uintptr_t *lo, uintptr_t *hi)
{
    struct rlimit limit;
    size_t size = 8 * TZ_MIB, sure = 128 * TZ_MIB;
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < TZ_GIB)
        size = (size_t)limit.rlim_cur;
    else
        sure = 0;
    *hi = tz_align_up(getauxval(AT_EXECFN), tz_vm_page());
    *lo = tz_align_up(*hi - size, tz_vm_page());
    return size <= sure && tz_sp() - *lo < size;
}

void tz_thread_stack(uintptr_t *lo, uintptr_t *hi)
{
    int saved = errno;
    pthread_attr_t attr;
    if (tz_thread_id() == getpid() && main_stack(lo, hi))
        return;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        void *base = NULL;
        size_t size = 0;
        pthread_attr_getstack(&attr, &base, &size);
        pthread_attr_destroy(&attr);
        *lo = (uintptr_t)base;
        *hi = *lo + size;
    } else {
        main_stack(lo, hi);
    }
    errno = saved;
    TZ_CHECK(*lo < *hi);
}

int tz_thread_count(void)
{
    struct stat st;
    int saved = errno;
    int err = stat("/proc/self/task", &st);
    errno = saved;
    return err ? -1 : (int)st.st_nlink - 2; // a folder each, and its own two
}

int tz_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

int tz_thread_signal(int tid, int signo)
{
    int saved = errno, err = 0;
    siginfo_t info = { .si_signo = signo, .si_code = TZ_THREAD_SIGNAL };
    info.si_pid = getpid();
    info.si_uid = getuid();
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signo, &info))
        err = errno;
    if (err == ENOSYS || err == EPERM)
        err = syscall(SYS_tgkill, getpid(), tid, signo) ? errno : 0;
    errno = saved;
    return -err;
}

uintptr_t tz_thread_pointer(void)
{
    return tz_tcb_self();
}

void tz_thread_sleep(int64_t ns)
{
    if (ns <= 0)
        return;
    int saved = errno;
    struct {
        long sec, nsec; // the kernel's, whatever libc's time_t is
    } left = { (long)(ns / TZ_NSEC_PER_SEC), (long)(ns % TZ_NSEC_PER_SEC) };
    // clock_nanosleep of libc is a point of cancellation.
    while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &left, &left) < 0 &&
           errno == EINTR)
        ;
    errno = saved;
}

void tz_thread_name(const char *name)
{
    int saved = errno;
    prctl(PR_SET_NAME, name); // the kernel cuts it
    errno = saved;
}
