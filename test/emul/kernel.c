// SPDX-License-Identifier: BSD-3-Clause
// emul/kernel.c: emul-kernel, a program under another kind of kernel.
//
//     emul-kernel KIND... -- PROGRAM [ARGUMENT...]
//
// The program and all that it starts see the kernel through seccomp filters, so
// raw system calls and those inside libc are met as well. Each KIND is one
// filter; the table `kinds` tells what each does. A call that is to fail, or to
// do nothing, is answered by its filter. A call whose arguments are to change
// stops the program (SECCOMP_RET_TRACE) and this one, its tracer, changes them;
// the kernel then shows the changed call to all filters again.
//
// The tracer is there only for the kinds that need it, and passes signals and
// stops on. It ends as the program ends, by the same signal if by one; when it
// is killed, so is the program. What it wraps cannot be traced by another, nor
// gain privileges by exec.
//
// Cost: a filter costs every system call some 50 ns; a changed call, 10 us.

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errnos.h"
#include "regs_amd64.h"

enum {
    NOREPLACE = 0x100000, // MAP_FIXED_NOREPLACE
    ADVICE_FREE = 8,
    ADVICE_POPULATE_WRITE = 23,
    ADVICE_GUARD_INSTALL = 102,
    ADVICE_GUARD_REMOVE = 103,
    WRITE_EXEC = PROT_WRITE | PROT_EXEC,
};
#define PAGEMAP_SCAN_CALL 0xC0606610u // of Linux 6.7; the headers may be older

// --- filters, built instruction by instruction

enum { FILTER_MAX = 32, TO_ALLOW = 255 };

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short n;
};

static void emit(struct filter *f, unsigned op, uint32_t k, unsigned yes,
                 unsigned no)
{
    if (f->n == FILTER_MAX)
        abort();
    f->code[f->n++] =
        (struct sock_filter)BPF_JUMP(op, k, (uint8_t)yes, (uint8_t)no);
}

static void load(struct filter *f, size_t offset)
{
    emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_arg(struct filter *f, int i, bool high)
{
    load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)i +
                (high ? 4 : 0)); // little-endian
}

// Goes on only if the value loaded is k; else the call is allowed.
static void only_if_equal(struct filter *f, uint32_t k)
{
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, k, 0, TO_ALLOW);
}

static void only_if_all_set(struct filter *f, uint32_t mask)
{
    emit(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    only_if_equal(f, mask);
}

static void only_if_none_set(struct filter *f, uint32_t mask)
{
    emit(f, BPF_JMP | BPF_JSET | BPF_K, mask, TO_ALLOW, 0);
}

// Goes on only if argument i, of 64 bits, is greater than v.
static void only_if_greater(struct filter *f, int i, uint64_t v)
{
    load_arg(f, i, true);
    emit(f, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(v >> 32), 3, 0);
    only_if_equal(f, (uint32_t)(v >> 32));
    load_arg(f, i, false);
    emit(f, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)v, 0, TO_ALLOW);
}

static void begin(struct filter *f, int call)
{
    f->n = 0;
    load(f, offsetof(struct seccomp_data, arch));
    only_if_equal(f, EMUL_AUDIT_ARCH);
    load(f, offsetof(struct seccomp_data, nr));
    only_if_equal(f, (uint32_t)call);
}

// What is done with a call that came this far; all others are allowed.
static void finish(struct filter *f, uint32_t action)
{
    emit(f, BPF_RET | BPF_K, action, 0, 0);
    unsigned short allow = f->n;
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (unsigned short i = 0; i < allow; i++) {
        if (BPF_CLASS(f->code[i].code) != BPF_JMP)
            continue;
        if (f->code[i].jt == TO_ALLOW)
            f->code[i].jt = (uint8_t)(allow - i - 1);
        if (f->code[i].jf == TO_ALLOW)
            f->code[i].jf = (uint8_t)(allow - i - 1);
    }
}

static void install(const struct filter *f)
{
    struct sock_fprog program = {f->n, (struct sock_filter *)f->code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        fprintf(stderr, "emul-kernel: seccomp: %s\n", strerror(errno));
        _exit(99);
    }
}

// --- kinds

enum { FAILS_MAX = 8 };

struct fail {
    int call;
    uint64_t from, to, made; // the first and last to fail; calls so far
    int err;
};

// What the tracer changes; const once it runs, but for `made`.
static struct {
    bool nohint, nonoreplace, some_fail;
    int nfails;
    struct fail fails[FAILS_MAX];
} change;

static uint32_t fail_with(int err)
{
    return SECCOMP_RET_ERRNO | (uint32_t)err;
}

static void install_nohint(const char *value)
{
    (void)value;
    for (int half = 0; half < 2; half++) { // either half of a hint is not zero
        struct filter f;
        begin(&f, SYS_mmap);
        load_arg(&f, 3, false);
        only_if_none_set(&f, MAP_FIXED | NOREPLACE);
        load_arg(&f, 0, half);
        emit(&f, BPF_JMP | BPF_JEQ | BPF_K, 0, TO_ALLOW, 0);
        finish(&f, SECCOMP_RET_TRACE);
        install(&f);
    }
}

static void install_nonoreplace(const char *value)
{
    (void)value;
    struct filter f;
    begin(&f, SYS_mmap);
    load_arg(&f, 3, false);
    only_if_all_set(&f, NOREPLACE);
    finish(&f, SECCOMP_RET_TRACE);
    install(&f);
}

static void install_reserve(const char *value)
{
    char *end;
    uint64_t size = strtoull(value, &end, 10);
    size <<= *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    struct filter f;
    begin(&f, SYS_mmap);
    only_if_greater(&f, 1, size);
    finish(&f, fail_with(ENOMEM));
    install(&f);
}

static void install_nowx(const char *value)
{
    (void)value;
    static const int calls[] = {SYS_mmap, SYS_mprotect, SYS_pkey_mprotect};
    for (int i = 0; i < 3; i++) {
        struct filter f;
        begin(&f, calls[i]);
        load_arg(&f, 2, false);
        only_if_all_set(&f, WRITE_EXEC);
        finish(&f, fail_with(EACCES));
        install(&f);
    }
}

static void install_advice(int advice, int err)
{
    struct filter f;
    begin(&f, SYS_madvise);
    load_arg(&f, 2, false);
    only_if_equal(&f, (uint32_t)advice);
    finish(&f, fail_with(err)); // errno 0: returns 0, and nothing is done
    install(&f);
}

static void install_nopagescan(const char *value)
{
    (void)value;
    struct filter f;
    begin(&f, SYS_ioctl);
    load_arg(&f, 1, false);
    only_if_equal(&f, PAGEMAP_SCAN_CALL);
    finish(&f, fail_with(ENOTTY));
    install(&f);
}

static void install_nomadvfree(const char *value)
{
    (void)value;
    install_advice(ADVICE_FREE, EINVAL);
}

static void install_noprefault(const char *value)
{
    (void)value;
    install_advice(ADVICE_POPULATE_WRITE, EINVAL);
}

static void install_noguard(const char *value)
{
    (void)value;
    install_advice(ADVICE_GUARD_INSTALL, EINVAL);
    install_advice(ADVICE_GUARD_REMOVE, EINVAL);
}

static void install_fakeguard(const char *value)
{
    (void)value;
    install_advice(ADVICE_GUARD_INSTALL, 0);
    install_advice(ADVICE_GUARD_REMOVE, 0);
}

static const struct {
    const char *name;
    int call;
} calls[] = {
    {"mmap", SYS_mmap},
    {"munmap", SYS_munmap},
    {"mprotect", SYS_mprotect},
    {"madvise", SYS_madvise},
    {"clone3", SYS_clone3},
    {"sigaltstack", SYS_sigaltstack},
    {"sigaction", SYS_rt_sigaction},
    {"prctl", SYS_prctl},
    {"open", SYS_openat},
    {"epoll_ctl", SYS_epoll_ctl},
};

// "clone3:2:EAGAIN", "mmap:40+:ENOMEM"
static bool take_fail(const char *value)
{
    size_t n = strcspn(value, ":");
    struct fail f = {.call = -1};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strlen(calls[i].name) == n && !memcmp(calls[i].name, value, n))
            f.call = calls[i].call;
    if (f.call < 0 || !value[n] || change.nfails == FAILS_MAX)
        return false;
    char *end;
    f.from = f.to = strtoull(value + n + 1, &end, 10);
    if (*end == '+') {
        f.to = UINT64_MAX;
        end++;
    }
    if (f.from == 0 || *end != ':')
        return false;
    f.err = errno_of(end + 1, strlen(end + 1));
    change.fails[change.nfails++] = f;
    return f.err != 0;
}

static void install_fail(const char *value)
{
    (void)value; // installs all at once; once more does no harm
    for (int i = 0; i < change.nfails; i++) {
        struct filter f;
        begin(&f, change.fails[i].call);
        finish(&f, SECCOMP_RET_TRACE);
        install(&f);
    }
}

static const struct kind {
    const char *name;
    // Either a call that always fails, with this errno unless told ("name=E"),
    int call, err;
    // or a function, which needs a value ("name=V"), or the tracer.
    void (*install)(const char *value);
    bool needs_value;
    bool (*take)(const char *value); // reads it, before the tracer is there
    bool *changes;
    const char *does;
} kinds[] = {
    {.name = "nohint",
     .install = install_nohint,
     .changes = &change.nohint,
     .does = "a hint is taken for 0 unless MAP_FIXED(_NOREPLACE) is set"},
    {.name = "nonoreplace",
     .install = install_nonoreplace,
     .changes = &change.nonoreplace,
     .does = "MAP_FIXED_NOREPLACE is unknown: the address is a hint"},
    {.name = "fail",
     .install = install_fail,
     .needs_value = true,
     .take = take_fail,
     .changes = &change.some_fail,
     .does = "=CALL:K[+]:ERRNO: the K-th CALL since exec fails (+: all from"
             " there)"},
    {.name = "reserve",
     .install = install_reserve,
     .needs_value = true,
     .does = "=SIZE[KMG]: mmap of more than SIZE bytes: ENOMEM"},
    {.name = "nowx",
     .install = install_nowx,
     .does = "mmap, mprotect with PROT_WRITE and PROT_EXEC: EACCES"},
    {.name = "nopagescan",
     .install = install_nopagescan,
     .does = "ioctl(PAGEMAP_SCAN) is unknown: ENOTTY"},
    {.name = "nomadvfree",
     .install = install_nomadvfree,
     .does = "MADV_FREE: EINVAL"},
    {.name = "noprefault",
     .install = install_noprefault,
     .does = "MADV_POPULATE_WRITE: EINVAL"},
    {.name = "noguard",
     .install = install_noguard,
     .does = "MADV_GUARD_INSTALL: EINVAL"},
    {.name = "fakeguard",
     .install = install_fakeguard,
     .does = "MADV_GUARD_INSTALL returns 0 and does nothing"},
    {.name = "nomincore", .call = SYS_mincore, .err = ENOSYS},
    {.name = "noclone3", .call = SYS_clone3, .err = ENOSYS},
    {.name = "nouffd", .call = SYS_userfaultfd, .err = ENOSYS},
    {.name = "nogetrandom", .call = SYS_getrandom, .err = ENOSYS},
    {.name = "nomembarrier", .call = SYS_membarrier, .err = ENOSYS},
    {.name = "nomadvise", .call = SYS_madvise, .err = ENOSYS},
    {.name = "nomunmap", .call = SYS_munmap, .err = EINVAL},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

__attribute__((noreturn)) static void usage(void)
{
    fputs("usage: emul-kernel KIND... -- PROGRAM [ARGUMENT...]\n", stderr);
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].does)
            fprintf(stderr, "  %-14s %s\n", kinds[i].name, kinds[i].does);
        else
            fprintf(stderr, "  %-14s [=ERRNO]: the call fails (%s)\n",
                    kinds[i].name, errno_name(kinds[i].err));
    exit(99);
}

// The kind that the argument names; *value is what follows its '=', or NULL.
static const struct kind *find(const char *arg, const char **value)
{
    size_t n = strcspn(arg, "=");
    *value = arg[n] ? arg + n + 1 : NULL;
    for (int i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        if (strlen(k->name) != n || memcmp(k->name, arg, n) != 0)
            continue;
        if (k->install ? k->needs_value != (*value != NULL)
                       : *value && !errno_of(*value, strlen(*value)))
            break;
        return k;
    }
    fprintf(stderr, "emul-kernel: what is '%s'?\n", arg);
    usage();
}

static void put_on(char **args)
{
    for (; strcmp(*args, "--") != 0; args++) {
        const char *value;
        const struct kind *k = find(*args, &value);
        if (k->install) {
            k->install(value);
            continue;
        }
        struct filter f;
        begin(&f, k->call);
        finish(&f, fail_with(value ? errno_of(value, strlen(value)) : k->err));
        install(&f);
    }
}

// --- the tracer

// Counts a call; the errno it is to fail with, or 0.
static int scripted(int call)
{
    int err = 0;
    for (int i = 0; i < change.nfails; i++) {
        struct fail *f = &change.fails[i];
        if (f->call == call && ++f->made >= f->from && f->made <= f->to)
            err = f->err;
    }
    return err;
}

static void change_call(pid_t tid)
{
    struct emul_regs regs;
    if (!emul_regs_get(tid, &regs))
        return; // killed meanwhile
    int err = scripted(emul_regs_call(&regs));
    if (err)
        emul_regs_answer(tid, &regs, -err);
    if (err || emul_regs_call(&regs) != SYS_mmap)
        return;
    uint64_t addr = emul_regs_arg0(&regs), flags = emul_regs_arg3(&regs);
    if (change.nonoreplace)
        flags &= ~(uint64_t)NOREPLACE;
    if (change.nohint && !(flags & (MAP_FIXED | NOREPLACE)))
        addr = 0;
    emul_regs_set(tid, &regs, addr, flags);
}

static bool stops_group(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void go_on(pid_t tid, int status)
{
    int sig = WSTOPSIG(status), event = status >> 16;
    if (event == PTRACE_EVENT_SECCOMP)
        change_call(tid);
    if (event == PTRACE_EVENT_STOP && stops_group(sig))
        ptrace(PTRACE_LISTEN, tid, 0, 0);
    else // a signal of its own is delivered
        ptrace(PTRACE_CONT, tid, 0, (long)(event ? 0 : sig));
}

__attribute__((noreturn)) static void end_like(int status)
{
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    exit(128 + WTERMSIG(status));
}

__attribute__((noreturn)) static void trace(pid_t child)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno != EINTR) {
            fprintf(stderr, "emul-kernel: waitpid: %s\n", strerror(errno));
            exit(99);
        }
        if (tid > 0 && WIFSTOPPED(status))
            go_on(tid, status);
        else if (tid == child)
            end_like(status);
    }
}

// Goes on in a child that is traced by this process, which never returns.
static void start_tracer(void)
{
    int ready[2];
    if (pipe(ready) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        char c;
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1)
            _exit(99);
        close(ready[0]);
        return;
    }
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (child < 0 || ptrace(PTRACE_SEIZE, child, 0, options) != 0) {
        fprintf(stderr, "emul-kernel: ptrace: %s\n", strerror(errno));
        exit(99);
    }
    if (write(ready[1], "", 1) != 1)
        abort();
    close(ready[0]);
    close(ready[1]);
    trace(child);
}

int main(int argc, char **argv)
{
    int n = 1;
    bool traced = false;
    for (; n < argc && strcmp(argv[n], "--") != 0; n++) {
        const char *value;
        const struct kind *k = find(argv[n], &value);
        if (k->take && !k->take(value)) {
            fprintf(stderr, "emul-kernel: what is '%s'?\n", argv[n]);
            usage();
        }
        if (k->changes)
            *k->changes = traced = true;
    }
    if (n + 1 >= argc)
        usage();
    if (traced)
        start_tracer();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        abort();
    put_on(argv + 1);
    execvp(argv[n + 1], argv + n + 1);
    fprintf(stderr, "emul-kernel: %s: %s\n", argv[n + 1], strerror(errno));
    return 127;
}
