// SPDX-License-Identifier: BSD-3-Clause
// os/call_linux_amd64.c: calls of other threads, seen and finished.
//
// /proc/self/task/TID/syscall shows the number, the six argument registers and
// the address behind the instruction of a call that blocks, or "running".
//
// A signal ends a call that blocks in one of two ways, by which the handler knows
// it again. Most are to be made once more: the address is that of the
// instruction, rax the number. The others have failed: the address is the one
// behind, as rcx says, rax is -EINTR, and the number is not there any more: who
// saw the call knows it, or the instruction in front tells, as in libc's functions.
// All argument registers are as the call found them. Making the call again in
// the handler is all there is to the former. Of the latter
//
//  - poll, nanosleep and futex with a time: the kernel has kept when they end for
//    restart_syscall, which until the handler returns is ours to make, even where
//    the number is not known: it fails for others;
//  - select, pselect and ppoll have been given back what is left of their time;
//  - epoll_wait is made again with what its time was less what has passed since
//    somebody saw it;
//  - others had no time, or an absolute one.
//
// When other signals wait for this thread, their handlers may be what the call
// is to fail for: then it does. The handler runs with all signals blocked and
// makes the call with those that the code has blocked, so handlers of others run
// during it as ever. A call that sets a mask itself (sigsuspend, ppoll with one),
// makes a process or changes stacks is not ours to make.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/print.h"
#include "base/san.h"
#include "os/call.h"
#include "os/clock.h"

enum how {
    NOT_OURS,
    AGAIN, // make it again
    KEPT,  // restart_syscall, if it has failed
    MS,    // milliseconds in argument 3
    SPEC   // a timespec in argument 3, which the kernel leaves alone
};

enum { RESTART = SYS_restart_syscall, LONGEST = 512,
       SYS_EPOLL_PWAIT2 = 441, MASK_BYTES = 8 };

static const uint8_t hows[LONGEST] = {
    [SYS_read] = AGAIN,       [SYS_write] = AGAIN,
    [SYS_readv] = AGAIN,      [SYS_writev] = AGAIN,
    [SYS_pread64] = AGAIN,    [SYS_pwrite64] = AGAIN,
    [SYS_preadv] = AGAIN,     [SYS_pwritev] = AGAIN,
    [SYS_preadv2] = AGAIN,    [SYS_pwritev2] = AGAIN,
    [SYS_open] = AGAIN,       [SYS_openat] = AGAIN,
    [SYS_poll] = KEPT,        [SYS_ppoll] = AGAIN,
    [SYS_select] = AGAIN,     [SYS_pselect6] = AGAIN,
    [SYS_epoll_wait] = MS,    [SYS_epoll_pwait] = MS,
    [SYS_EPOLL_PWAIT2] = SPEC,
    [SYS_nanosleep] = KEPT,   [SYS_clock_nanosleep] = KEPT,
    [SYS_futex] = KEPT,       [SYS_getrandom] = AGAIN,
    [SYS_connect] = AGAIN,    [SYS_accept] = AGAIN,
    [SYS_accept4] = AGAIN,    [SYS_sendto] = AGAIN,
    [SYS_recvfrom] = AGAIN,   [SYS_sendmsg] = AGAIN,
    [SYS_recvmsg] = AGAIN,    [SYS_sendmmsg] = AGAIN,
    [SYS_recvmmsg] = AGAIN,   [SYS_wait4] = AGAIN,
    [SYS_waitid] = AGAIN,     [SYS_semop] = AGAIN,
    [SYS_msgsnd] = AGAIN,     [SYS_msgrcv] = AGAIN,
    [SYS_mq_timedsend] = AGAIN, [SYS_mq_timedreceive] = AGAIN,
    [SYS_fcntl] = AGAIN,      [SYS_flock] = AGAIN,
    [SYS_fsync] = AGAIN,      [SYS_fdatasync] = AGAIN,
    [SYS_sendfile] = AGAIN,   [SYS_splice] = AGAIN,
    [SYS_copy_file_range] = AGAIN,
};

// Of this call, with these arguments.
static TZ_NO_SANITIZE enum how how_of(const struct tz_call *call)
{
    if (call->nr < 0 || call->nr >= LONGEST)
        return NOT_OURS;
    enum how how = hows[call->nr];
    if (call->nr == SYS_epoll_pwait || call->nr == SYS_EPOLL_PWAIT2)
        return call->arg[4] ? NOT_OURS : how;
    if (call->nr == SYS_ppoll)
        return call->arg[3] ? NOT_OURS : how;
    if (call->nr == SYS_pselect6) {
        const uintptr_t *mask = (const uintptr_t *)call->arg[5];
        return mask && *mask ? NOT_OURS : how;
    }
    if (call->nr == SYS_clock_nanosleep && (call->arg[1] & TIMER_ABSTIME))
        return AGAIN;
    return how;
}

// --- from outside

static const char *skip_blanks(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

// A number at *at, decimal or with 0x; moves *at behind it. False: none.
static bool number(const char **at, uintptr_t *out)
{
    const char *p = skip_blanks(*at), *begin = p;
    uintptr_t n = 0;
    unsigned base = 10;
    if (p[0] == '0' && p[1] == 'x') {
        base = 16;
        begin = p += 2;
    }
    for (;; p++) {
        unsigned digit;
        if (*p >= '0' && *p <= '9')
            digit = (unsigned)(*p - '0');
        else if (base == 16 && *p >= 'a' && *p <= 'f')
            digit = (unsigned)(*p - 'a') + 10;
        else
            break;
        n = n * base + digit;
    }
    *at = p;
    *out = n;
    return p != begin;
}

// The file's text, as far as it fits; its length, or -1.
static ssize_t read_text(const char *path, char *text, size_t size)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = syscall(SYS_read, fd, text, size - 1);
    syscall(SYS_close, fd);
    if (n >= 0)
        text[n] = 0;
    return n;
}

bool tz_call_look(int tid, struct tz_call *out)
{
    char path[64], text[256];
    int saved = errno;
    tz_format(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    ssize_t n = read_text(path, text, sizeof text);
    errno = saved;
    if (n <= 0 || text[0] < '0' || text[0] > '9')
        return false; // hidden, "running", or "-1 …": in a page fault
    const char *p = text;
    uintptr_t nr, sp;
    bool ok = number(&p, &nr);
    out->nr = (long)nr;
    for (int i = 0; i < 6; i++)
        ok = ok && number(&p, &out->arg[i]);
    ok = ok && number(&p, &sp) && number(&p, &out->pc);
    out->since = tz_clock_now();
    // Its mask, if it has one, is the program's to read, not ours: here only
    // what registers tell.
    return ok && out->nr < LONGEST && hows[out->nr] != NOT_OURS;
}

int64_t tz_call_cputime(int tid)
{
    // MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED), from the kernel's headers.
    clockid_t clock = (clockid_t)(~(unsigned)tid << 3 | 6u);
    struct timespec ts;
    int saved = errno;
    int err = clock_gettime(clock, &ts);
    errno = saved;
    return err ? -1 : ts.tv_sec * TZ_NSEC_PER_SEC + ts.tv_nsec;
}

// --- in a handler

static TZ_NO_SANITIZE void registers(const greg_t *r, struct tz_call *out)
{
    static const uint8_t at[6] = { REG_RDI, REG_RSI, REG_RDX,
                                   REG_R10, REG_R8,  REG_R9 };
    for (int i = 0; i < 6; i++)
        out->arg[i] = (uintptr_t)r[at[i]];
}

static TZ_NO_SANITIZE bool same_arguments(const struct tz_call *a,
                                          const struct tz_call *b)
{
    for (int i = 0; i < 6; i++)
        if (a->arg[i] != b->arg[i])
            return false;
    return true;
}

// Whether code at pc is `syscall`.
static TZ_NO_SANITIZE bool is_instruction(uintptr_t pc)
{
    const volatile uint8_t *code = (const volatile uint8_t *)pc;
    return code[0] == 0x0f && code[1] == 0x05;
}

// The number of the call that was made by the instruction in front of pc, when
// that is preceded by `mov $number, %eax`; -1: it is not.
static TZ_NO_SANITIZE long number_in_code(uintptr_t pc)
{
    enum { MOV_EAX = 0xb8, MOV_BYTES = 5, BOTH_BYTES = MOV_BYTES + 2 };
    if ((pc - BOTH_BYTES) / 4096 != (pc - 1) / 4096)
        return -1; // there may be nothing
    const volatile uint8_t *code = (const volatile uint8_t *)(pc - BOTH_BYTES);
    if (code[0] != MOV_EAX)
        return -1;
    return (long)(code[1] | code[2] << 8 | code[3] << 16 | code[4] << 24);
}

TZ_NO_SANITIZE bool tz_call_interrupted(const struct tz_sigctx *c,
                                        const struct tz_call *seen,
                                        struct tz_call *out)
{
    const ucontext_t *uc = c->uc;
    const greg_t *r = uc->uc_mcontext.gregs;
    registers(r, out);
    out->since = 0;
    if (r[REG_RAX] == -EINTR && (uintptr_t)r[REG_RCX] == c->pc &&
        is_instruction(c->pc - 2)) {
        out->pc = c->pc;
        if (seen && seen->pc == c->pc && same_arguments(seen, out)) {
            out->nr = seen->nr;
            out->since = seen->since;
        } else {
            out->nr = number_in_code(c->pc);
        }
        return out->nr < 0 || how_of(out) != NOT_OURS;
    }
    out->nr = (long)r[REG_RAX];
    out->pc = c->pc + 2;
    return out->nr >= 0 && out->nr < LONGEST && hows[out->nr] != NOT_OURS &&
           is_instruction(c->pc) && how_of(out) != NOT_OURS;
}

// What the kernel's mask is: 64 bits, not libc's 1024.
static TZ_NO_SANITIZE uint64_t mask_of(const ucontext_t *uc)
{
    uint64_t mask;
    __builtin_memcpy(&mask, &uc->uc_sigmask, sizeof mask);
    return mask;
}

// Whether a signal that the code would get waits for this thread.
static bool another_waits(uint64_t mask, uint64_t but)
{
    uint64_t pending = 0;
    syscall(SYS_rt_sigpending, &pending, MASK_BYTES);
    return (pending & ~mask & ~but) != 0;
}

static long make(const struct tz_call *call, const uintptr_t *arg)
{
    long r = syscall(call->nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    return r == -1 ? -errno : r;
}

static long make_again(const struct tz_call *call)
{
    uintptr_t arg[6];
    __builtin_memcpy(arg, call->arg, sizeof arg);
    enum how how = how_of(call);
    struct timespec left;
    int64_t passed = call->since ? tz_clock_now() - call->since : 0;
    if (how == MS && (int)arg[3] > 0) {
        int64_t ms = (int)arg[3] - passed / TZ_NSEC_PER_MSEC;
        arg[3] = (uintptr_t)(ms > 0 ? ms : 0);
    } else if (how == SPEC && arg[3]) {
        left = *(const struct timespec *)arg[3];
        int64_t ns = left.tv_nsec - passed;
        left.tv_sec += ns / TZ_NSEC_PER_SEC;
        left.tv_nsec = ns % TZ_NSEC_PER_SEC;
        if (left.tv_nsec < 0) {
            left.tv_sec--;
            left.tv_nsec += TZ_NSEC_PER_SEC;
        }
        if (left.tv_sec < 0)
            left = (struct timespec){ 0, 0 };
        arg[3] = (uintptr_t)&left;
    }
    return make(call, arg);
}

void tz_call_finish(struct tz_sigctx *c, const struct tz_call *call, int keep)
{
    ucontext_t *uc = c->uc;
    greg_t *r = uc->uc_mcontext.gregs;
    bool failed = c->pc == call->pc;
    uint64_t mask = mask_of(uc), kept = UINT64_C(1) << (keep - 1);
    if (another_waits(mask, kept))
        return; // the kernel makes it again, or it has failed: as it says
    uint64_t during = mask | kept, all = ~UINT64_C(0);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &during, NULL, MASK_BYTES);
    long result;
    if (failed && (call->nr < 0 || how_of(call) == KEPT)) {
        result = syscall(RESTART);
        result = result == -1 ? -errno : result;
    } else {
        result = make_again(call);
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, MASK_BYTES);
    r[REG_RAX] = result;
    r[REG_RIP] = (greg_t)call->pc;
}
