// SPDX-License-Identifier: BSD-3-Clause
// emul/stray.c: stray, a program that puts its stack pointer where it is told,
// to see what emul-police says.
//
//     stray WHERE...
//
// Each WHERE of the table `wheres` makes some memory and has a system call made
// with the stack pointer in it; "ok" is printed when all have come back. A word
// before them says how: `trap` by a signal, `thread` on a second thread, `fork`
// in a child, `vfork` in a child that shares memory.

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "sp_amd64.h"

enum { SIZE = 256 * 1024, READ_WRITE = PROT_READ | PROT_WRITE };

static char in_program[SIZE] __attribute__((aligned(65536)));
static bool trap;

static char *map(void *at, int flags)
{
    char *p = mmap(at, SIZE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags,
                   -1, 0);
    if (p == MAP_FAILED || (at && p != at))
        exit(3);
    return p;
}

static void stand_at(const char *sp)
{
    if (trap)
        sp_trap((uintptr_t)sp);
    else
        sp_call((uintptr_t)sp);
}

static void stand_in(const char *p) { stand_at(p + SIZE - 64); }

static void at_malloc(void) { stand_in(malloc(SIZE)); }
static void at_program(void) { stand_in(in_program); }
static void at_plain(void) { stand_in(map(NULL, 0)); }
static void at_marked(void) { stand_in(map(NULL, MAP_STACK)); }

// A stack that no other one meets.
static char *island(void)
{
    char *sea = mmap(NULL, 3 * SIZE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    return sea == MAP_FAILED ? NULL : map(sea + SIZE, MAP_STACK | MAP_FIXED);
}

static void at_top(void) { stand_at(island() + SIZE); }
static void at_last(void) { stand_at(island() + SIZE - 8); }
static void at_first(void) { stand_at(island()); }
static void at_below(void) { stand_at(island() - 8); }

static void at_remapped(void)
{
    stand_in(map(map(NULL, 0), MAP_STACK | MAP_FIXED));
}

static void at_unremapped(void)
{
    stand_in(map(map(NULL, MAP_STACK), MAP_FIXED));
}

// The middle of a stack is none any more; what is left of it is.
static char *with_a_hole(void)
{
    char *p = map(NULL, MAP_STACK);
    if (mmap(p + 65536, 65536, READ_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p + 65536)
        exit(3);
    return p;
}

static void at_hole(void) { stand_at(with_a_hole() + 65536); }

static void at_beside_hole(void)
{
    char *p = with_a_hole();
    stand_at(p + 65536 - 8);
    stand_at(p + 2 * 65536);
}

static void at_unmapped(void)
{
    char *p = map(NULL, MAP_STACK);
    munmap(p, SIZE);
    stand_in(p);
}

// A munmap that fails takes nothing away.
static void at_kept(void)
{
    char *p = map(NULL, MAP_STACK);
    if (munmap(p + 1, SIZE) == 0)
        exit(3);
    stand_in(p);
}

static char *moved(bool old)
{
    char *p = map(NULL, MAP_STACK), *to = map(NULL, 0);
    if (mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
        exit(3);
    return old ? p : to;
}

static void at_moved(void) { stand_in(moved(false)); }
static void at_moved_away(void) { stand_in(moved(true)); }

// A guard does not take the mark from the rest, nor from itself.
static void at_guarded(void)
{
    char *p = map(NULL, MAP_STACK);
    mprotect(p, 65536, PROT_NONE);
    stand_in(p);
    stand_at(p + 32768);
}

static void at_deep(void)
{
    volatile char large[4 << 20];
    large[0] = 1;
    stand_at((char *)large);
}

static void at_exec(void)
{
    char where[32];
    snprintf(where, sizeof where, "%p", (void *)map(NULL, MAP_STACK));
    execl("/proc/self/exe", "stray", "address", where, (char *)NULL);
}

// --- signal stacks

static volatile char *seen;

static void handler(int sig)
{
    char local;
    seen = &local;
    (void)sig, getppid();
}

static void altstack(char *p, size_t n)
{
    stack_t ss = {.ss_sp = p, .ss_size = n};
    struct sigaction act = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &act, NULL);
    if (sigaltstack(&ss, NULL) != 0)
        exit(3);
    raise(SIGUSR1);
    if (seen < p || seen >= p + n)
        exit(4);
}

static void alt_program(void)
{
    in_program[100] = 1;
    altstack(in_program, 65536);
    stand_in(in_program - SIZE + 65536);
    if (in_program[100])
        exit(5); // the kernel maps it anew
}

static void alt_beside(void)
{
    altstack(in_program, 65536);
    stand_in(in_program);
}

static void alt_unaligned(void) { altstack(in_program + 16, 65536); }
static void alt_short(void) { altstack(in_program, 65536 - 16); }

static void alt_within(void)
{
    char *p = map(NULL, MAP_STACK);
    p[40] = 1;
    altstack(p + 16, 65536);
    if (!p[40])
        exit(5);
}

// --- stacks that libc makes

static void *nothing(void *arg)
{
    getppid();
    return arg;
}

static void own_thread(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, nothing, NULL) != 0)
        exit(3);
    pthread_join(t, NULL);
}

static void thread_on_malloc(void)
{
    pthread_attr_t attr;
    pthread_t t;
    pthread_attr_init(&attr);
    pthread_attr_setstack(&attr, in_program, SIZE);
    if (pthread_create(&t, &attr, nothing, NULL) != 0)
        exit(3);
    pthread_join(t, NULL);
}

static void run_shell(void)
{
    if (system("true | true") != 0)
        exit(3);
}

// --- how

static void go(const char *name, const char *value);

static const char *name_of_thread, *value_of_thread;

static void *on_thread(void *arg)
{
    go(name_of_thread, value_of_thread);
    return arg;
}

static void in_thread(const char *name, const char *value)
{
    pthread_t t;
    name_of_thread = name;
    value_of_thread = value;
    if (pthread_create(&t, NULL, on_thread, NULL) != 0)
        exit(3);
    pthread_join(t, NULL);
}

static void in_fork(const char *name, const char *value)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        go(name, value);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        exit(6);
}

static char *volatile shared;

// What a child that shares memory maps is its parent's as well.
static void by_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        shared = mmap(NULL, SIZE, READ_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    stand_in(shared);
}

// What a child that does not share memory unmaps its parent keeps.
static void by_fork(void)
{
    char *p = map(NULL, MAP_STACK);
    pid_t pid = fork();
    if (pid == 0) {
        munmap(p, SIZE);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    stand_in(p);
}

static const struct {
    const char *name;
    void (*fn)(void);
} wheres[] = {
    {"malloc", at_malloc},
    {"program", at_program},
    {"plain", at_plain},
    {"marked", at_marked},
    {"remapped", at_remapped},
    {"unremapped", at_unremapped},
    {"top", at_top},
    {"last", at_last},
    {"first", at_first},
    {"below", at_below},
    {"hole", at_hole},
    {"beside-hole", at_beside_hole},
    {"unmapped", at_unmapped},
    {"kept", at_kept},
    {"moved", at_moved},
    {"moved-away", at_moved_away},
    {"guarded", at_guarded},
    {"deep", at_deep},
    {"exec", at_exec},
    {"alt-program", alt_program},
    {"alt-beside", alt_beside},
    {"alt-unaligned", alt_unaligned},
    {"alt-short", alt_short},
    {"alt-within", alt_within},
    {"own-thread", own_thread},
    {"thread-on-program", thread_on_malloc},
    {"shell", run_shell},
    {"by-vfork", by_vfork},
    {"by-fork", by_fork},
};

static void go(const char *name, const char *value)
{
    if (!strcmp(name, "address")) {
        stand_in((char *)(uintptr_t)strtoull(value ? value : "", NULL, 0));
        return;
    }
    for (size_t i = 0; i < sizeof wheres / sizeof *wheres; i++) {
        if (!strcmp(wheres[i].name, name)) {
            wheres[i].fn();
            return;
        }
    }
    fprintf(stderr, "stray: what is '%s'?\n", name);
    exit(99);
}

int main(int argc, char **argv)
{
    void (*how)(const char *, const char *) = go;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "trap")) {
            struct sigaction act = {.sa_handler = handler,
                                    .sa_flags = SA_ONSTACK};
            stack_t ss = {.ss_sp = in_program, .ss_size = SIZE / 2};
            trap = sigaltstack(&ss, NULL) == 0 &&
                   sigaction(SIGTRAP, &act, NULL) == 0;
        } else if (!strcmp(argv[i], "thread")) {
            how = in_thread;
        } else if (!strcmp(argv[i], "fork")) {
            how = in_fork;
        } else {
            how(argv[i], argv[i + 1]);
            i += !strcmp(argv[i], "address");
        }
    }
    puts("ok");
    return 0;
}
