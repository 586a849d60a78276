// SPDX-License-Identifier: BSD-3-Clause
// emul/police.c: emul-police, a program under a kernel that polices the stack
// pointer, as OpenBSD's does.
//
//     emul-police [--tell] [--go-on] [--log FD] -- PROGRAM [ARGUMENT...]
//
// The stack pointer of every thread of the program, and of all that it starts,
// must lie in memory that was mapped with MAP_STACK, or in the stack that the
// kernel gave the process: at the entry of each system call, at each signal
// that is delivered, and where sigaltstack leads. Else a line says where it was
//
//     emul-police: pid 7 tid 8: system call 202: sp 0x7f12345678f0 is no stack
//         memory: 7f1234500000-7f1234600000 rw-p 00000000 00:00 0
//
// and all are killed; the status is 98. With --go-on they are not, and the
// status is 98 at the end. --tell says at the end how often it was looked.
// With --log writes to descriptor FD are not looked at: libcheck's notes, one
// for each assertion, are nine of ten system calls of the tests.
//
// What is stack memory is followed by watching mmap, munmap and mremap: each
// address space has a set of half-open intervals, so that a stack pointer at
// the very top of a stack is outside. A mapping without the mark over one with
// it takes the mark away. mprotect changes nothing. sigaltstack is as on
// OpenBSD: the kernel maps the memory anew as a stack, zeroed, and accepts a
// part of what is stack memory already; what is neither whole pages nor that
// is a violation, since a stack pointer could come to lie outside.
//
// Not seen: traps that raise no signal, such as page faults; shmat.
//
// A filter stops the program at each system call, and ptrace tells the rest, in
// words that are the same on every CPU. What is unmapped leaves the set before
// the call and what is mapped enters it after, when no other thread can have
// the addresses.
//
// Cost: 5 us a system call, and all threads wait for one tracer.

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "intervals.h"

enum { VIOLATION = 98, BROKEN = 99, TIDS = 1 << 22 };

// An address space: shared by threads, and by a vfork until it execs.
struct space {
    int users;
    struct intervals stacks;
    uint64_t main_lo, main_hi; // the kernel's stack, which grows
};

struct task {
    struct space *space; // NULL: not known yet, and the task waits for it
    bool waits;
    // The system call it is in, if its end is watched, or that makes a task.
    uint64_t call, arg[6];
    bool was_stack;        // mremap: what it moves
    struct intervals gone; // what the call takes away, should it fail
};

static struct {
    struct task *task[TIDS]; // by thread number
    bool tell, go_on, violated;
    int log; // descriptor; -1: none
    uint64_t calls, signals, altstacks, tasks;
    uint64_t page;
} police;

__attribute__((noreturn)) static void broken(const char *what)
{
    fprintf(stderr, "emul-police: %s: %s\n", what, strerror(errno));
    exit(BROKEN);
}

// --- address spaces

// Calls fn for each line of the task's list of mappings until it returns true.
static bool each_mapping(pid_t tid,
                         bool (*fn)(const char *line, uint64_t lo, uint64_t hi,
                                    void *arg),
                         void *arg)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    FILE *f = fopen(path, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        uint64_t lo, hi;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &lo, &hi) == 2)
            found = fn(line, lo, hi, arg);
    }
    if (f)
        fclose(f);
    return found;
}

static bool take_main_stack(const char *line, uint64_t lo, uint64_t hi,
                            void *space)
{
    struct space *s = space;
    if (!strstr(line, " [stack]"))
        return false;
    s->main_lo = lo;
    s->main_hi = hi;
    return true;
}

static struct space *space_make(void)
{
    struct space *s = calloc(1, sizeof *s);
    if (!s)
        broken("calloc");
    s->users = 1;
    return s;
}

static void space_leave(struct space *s)
{
    if (!s || --s->users > 0)
        return;
    intervals_clear(&s->stacks);
    free(s);
}

static struct space *space_after_exec(pid_t tid)
{
    struct space *s = space_make();
    each_mapping(tid, take_main_stack, s);
    return s;
}

static struct space *space_after_clone(struct space *parent, bool shared)
{
    if (shared) {
        parent->users++;
        return parent;
    }
    struct space *s = space_make();
    intervals_add_all(&s->stacks, &parent->stacks);
    s->main_lo = parent->main_lo;
    s->main_hi = parent->main_hi;
    return s;
}

static bool is_stack(struct space *s, pid_t tid, uint64_t sp)
{
    if (intervals_has(&s->stacks, sp) || (s->main_lo <= sp && sp < s->main_hi))
        return true;
    if (sp >= s->main_hi)
        return false;
    each_mapping(tid, take_main_stack, s); // it may have grown
    return s->main_lo <= sp && sp < s->main_hi;
}

// --- violations

struct place {
    uint64_t addr;
    char line[512];
};

static bool holds(const char *line, uint64_t lo, uint64_t hi, void *place)
{
    struct place *p = place;
    if (p->addr < lo || p->addr >= hi)
        return false;
    snprintf(p->line, sizeof p->line, "%s", line);
    p->line[strcspn(p->line, "\n")] = 0;
    return true;
}

static pid_t process_of(pid_t tid)
{
    char path[64], line[256];
    int pid = tid;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Tgid: %d", &pid) == 1)
            break;
    if (f)
        fclose(f);
    return pid;
}

static void violation(pid_t tid, const char *when, uint64_t number,
                      const char *what, uint64_t addr)
{
    struct place p = {.addr = addr, .line = "nothing is mapped there"};
    each_mapping(tid, holds, &p);
    fprintf(stderr,
            "emul-police: pid %d tid %d: %s %" PRIu64 ": %s 0x%" PRIx64
            " is no stack memory: %s\n",
            process_of(tid), tid, when, number, what, addr, p.line);
    police.violated = true;
    if (!police.go_on)
        exit(VIOLATION); // which kills all that is traced
}

static void check(pid_t tid, struct task *t, const char *when, uint64_t number,
                  uint64_t sp)
{
    if (!is_stack(t->space, tid, sp))
        violation(tid, when, number, "sp", sp);
}

// --- system calls

static uint64_t whole_pages(uint64_t n)
{
    return (n + police.page - 1) & ~(police.page - 1);
}

static bool read_memory(pid_t tid, uint64_t addr, void *to, size_t n)
{
    struct iovec here = {to, n}, there = {(void *)(uintptr_t)addr, n};
    return process_vm_readv(tid, &here, 1, &there, 1, 0) == (ssize_t)n;
}

static void zero_memory(pid_t tid, uint64_t lo, uint64_t hi)
{
    static char zeroes[65536];
    while (lo < hi) {
        size_t n = hi - lo < sizeof zeroes ? hi - lo : sizeof zeroes;
        struct iovec here = {zeroes, n}, there = {(void *)(uintptr_t)lo, n};
        process_vm_writev(tid, &here, 1, &there, 1, 0);
        lo += n;
    }
}

static void take_away(struct task *t, uint64_t lo, uint64_t n)
{
    intervals_remove(&t->space->stacks, lo, lo + whole_pages(n), &t->gone);
}

// Replaces the arguments of a clone by its flags.
static void note_clone(pid_t tid, struct task *t)
{
    struct clone_args a = {0};
    if (t->call == SYS_clone3)
        t->arg[0] = read_memory(tid, t->arg[0], &a, sizeof a.flags) ? a.flags
                                                                    : 0;
#ifdef SYS_fork
    else if (t->call == SYS_fork)
        t->arg[0] = 0;
#endif
#ifdef SYS_vfork
    else if (t->call == SYS_vfork)
        t->arg[0] = CLONE_VM;
#endif
}

// A call begins; whether its end is to be seen.
static bool call_begins(pid_t tid, struct task *t)
{
    const uint64_t *arg = t->arg;
    switch (t->call) {
    case SYS_mmap:
        if (arg[3] & MAP_FIXED)
            take_away(t, arg[0], arg[1]);
        return true;
    case SYS_munmap:
        take_away(t, arg[0], arg[1]);
        return true;
    case SYS_mremap:
        t->was_stack = intervals_has(&t->space->stacks, arg[0]);
        take_away(t, arg[0], arg[1]);
        if (arg[3] & MREMAP_FIXED)
            take_away(t, arg[4], arg[2]);
        return true;
    case SYS_sigaltstack:
        return arg[0] != 0;
    default:
        note_clone(tid, t);
        return false;
    }
}

static void altstack_set(pid_t tid, struct task *t)
{
    stack_t ss;
    if (!read_memory(tid, t->arg[0], &ss, sizeof ss) ||
        (ss.ss_flags & SS_DISABLE))
        return;
    uint64_t lo = (uintptr_t)ss.ss_sp, hi = lo + ss.ss_size;
    police.altstacks++;
    if (((lo | hi) & (police.page - 1)) == 0) {
        intervals_add(&t->space->stacks, lo, hi);
        zero_memory(tid, lo, hi);
    } else if (!intervals_cover(&t->space->stacks, lo, hi) &&
               !(t->space->main_lo <= lo && hi <= t->space->main_hi)) {
        violation(tid, "system call", t->call, "a signal stack at", lo);
    }
}

static void call_ends(pid_t tid, struct task *t, int64_t result)
{
    const uint64_t *arg = t->arg;
    struct intervals *stacks = &t->space->stacks;
    uint64_t at = (uint64_t)result;
    if (result < 0 && result >= -4095) {
        intervals_add_all(stacks, &t->gone);
    } else if (t->call == SYS_mmap) {
        intervals_remove(stacks, at, at + whole_pages(arg[1]), NULL);
        if (arg[3] & MAP_STACK)
            intervals_add(stacks, at, at + whole_pages(arg[1]));
    } else if (t->call == SYS_mremap && t->was_stack) {
        intervals_add(stacks, at, at + whole_pages(arg[2]));
    } else if (t->call == SYS_sigaltstack) {
        altstack_set(tid, t);
    }
    intervals_clear(&t->gone);
}

// --- tasks

static struct task *task_of(pid_t tid)
{
    if (!police.task[tid]) {
        police.task[tid] = calloc(1, sizeof **police.task);
        if (!police.task[tid])
            broken("calloc");
        police.tasks++;
    }
    return police.task[tid];
}

static void task_ends(pid_t tid)
{
    struct task *t = police.task[tid];
    if (!t)
        return;
    space_leave(t->space);
    intervals_clear(&t->gone);
    free(t);
    police.task[tid] = NULL;
}

static void go_on(pid_t tid, int sig)
{
    ptrace(PTRACE_CONT, tid, 0, (long)sig);
}

static unsigned long event_message(pid_t tid)
{
    unsigned long msg = 0;
    ptrace(PTRACE_GETEVENTMSG, tid, 0, &msg);
    return msg;
}

static void task_is_made(pid_t tid, struct task *parent)
{
    pid_t made = (pid_t)event_message(tid);
    if (made <= 0)
        return; // the parent is being killed
    struct task *t = task_of(made);
    space_leave(t->space);
    t->space =
        space_after_clone(parent->space, (parent->arg[0] & CLONE_VM) != 0);
    if (t->waits)
        go_on(made, 0);
    t->waits = false;
}

// A thread that execs takes the number of its process; the others are gone.
static void task_execs(pid_t tid, struct task *t)
{
    pid_t was = (pid_t)event_message(tid);
    if (was > 0 && was != tid)
        task_ends(was);
    space_leave(t->space);
    t->space = space_after_exec(tid);
}

static void in_call(pid_t tid, struct task *t)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) <= 0)
        return; // killed meanwhile
    if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        call_ends(tid, t, info.exit.rval);
        go_on(tid, 0);
        return;
    }
    police.calls++;
    t->call = info.seccomp.nr;
    memcpy(t->arg, info.seccomp.args, sizeof t->arg);
    check(tid, t, "system call", t->call, info.stack_pointer);
    if (call_begins(tid, t))
        ptrace(PTRACE_SYSCALL, tid, 0, 0L);
    else
        go_on(tid, 0);
}

static void gets_signal(pid_t tid, struct task *t, int sig)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) > 0) {
        police.signals++;
        check(tid, t, "signal", (uint64_t)sig, info.stack_pointer);
    }
    go_on(tid, sig);
}

static bool stops_group(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void stopped(pid_t tid, int status)
{
    int sig = WSTOPSIG(status), event = status >> 16;
    struct task *t = task_of(tid);
    if (!t->space) { // its parent has yet to tell of it
        t->waits = true;
        return;
    }
    switch (event) {
    case PTRACE_EVENT_CLONE:
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
        task_is_made(tid, t);
        go_on(tid, 0);
        return;
    case PTRACE_EVENT_EXEC:
        task_execs(tid, t);
        go_on(tid, 0);
        return;
    case PTRACE_EVENT_SECCOMP:
        in_call(tid, t);
        return;
    case PTRACE_EVENT_STOP:
        if (stops_group(sig))
            ptrace(PTRACE_LISTEN, tid, 0, 0);
        else
            go_on(tid, 0);
        return;
    }
    if (sig == (SIGTRAP | 0x80))
        in_call(tid, t);
    else
        gets_signal(tid, t, sig);
}

// --- beginning and end

__attribute__((noreturn)) static void end_like(int status)
{
    if (police.tell)
        fprintf(stderr,
                "emul-police: looked at %" PRIu64 " system calls, %" PRIu64
                " signals, %" PRIu64 " signal stacks of %" PRIu64 " threads\n",
                police.calls, police.signals, police.altstacks, police.tasks);
    if (police.violated)
        exit(VIOLATION);
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    exit(128 + WTERMSIG(status));
}

__attribute__((noreturn)) static void watch(pid_t child)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            broken("waitpid");
        if (WIFSTOPPED(status)) {
            stopped(tid, status);
            continue;
        }
        task_ends(tid);
        if (tid == child)
            end_like(status);
    }
}

// Every system call stops: what is looked at is no part of a filter's data.
static void put_on_filter(void)
{
    enum { NUMBER = offsetof(struct seccomp_data, nr),
           FD = offsetof(struct seccomp_data, args) }; // little-endian
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NUMBER),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FD),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)police.log, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        broken("seccomp");
}

__attribute__((noreturn)) static void run(int ready, char **program)
{
    char c;
    if (read(ready, &c, 1) != 1)
        _exit(BROKEN);
    close(ready);
    put_on_filter();
    execvp(program[0], program);
    fprintf(stderr, "emul-police: %s: %s\n", program[0], strerror(errno));
    _exit(127);
}

__attribute__((noreturn)) static void usage(void)
{
    fputs("usage: emul-police [--tell] [--go-on] [--log FD] -- PROGRAM"
          " [ARGUMENT...]\n",
          stderr);
    exit(BROKEN);
}

// Reads the options; the index of the program.
static int read_options(int argc, char **argv)
{
    int n = 1;
    police.log = -1;
    for (; n < argc && strcmp(argv[n], "--") != 0; n++) {
        if (!strcmp(argv[n], "--tell"))
            police.tell = true;
        else if (!strcmp(argv[n], "--go-on"))
            police.go_on = true;
        else if (!strcmp(argv[n], "--log") && n + 1 < argc)
            police.log = atoi(argv[++n]);
        else
            usage();
    }
    if (n + 1 >= argc)
        usage();
    return n + 1;
}

int main(int argc, char **argv)
{
    int program = read_options(argc, argv), ready[2];
    police.page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (pipe(ready) != 0)
        broken("pipe");
    pid_t child = fork();
    if (child == 0) {
        close(ready[1]);
        run(ready[0], argv + program);
    }
    close(ready[0]);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD |
                   PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |
                   PTRACE_O_EXITKILL;
    if (child < 0 || ptrace(PTRACE_SEIZE, child, 0, options) != 0)
        broken("ptrace");
    task_of(child)->space = space_after_exec(child);
    if (write(ready[1], "", 1) != 1)
        broken("write");
    close(ready[1]);
    watch(child);
}
