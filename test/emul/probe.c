// SPDX-License-Identifier: BSD-3-Clause
// emul/probe.c: asks the kernel small questions and prints the answers.
//
//     probe [raw] QUESTION...
//
// One word or two an answer, one line a question; the tests of the emulators
// compare them. With `raw` the calls go by syscall(), past any interposer.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errnos.h"

enum {
    RW = PROT_READ | PROT_WRITE,
    RWX = RW | PROT_EXEC,
    ANON = MAP_PRIVATE | MAP_ANONYMOUS,
    NOREPLACE = 0x100000,
    POPULATE_WRITE = 23,
    GUARD_INSTALL = 102,
};

static bool raw;
static size_t page;
static char *const HINT = (char *)0x200000000000; // where nothing lies

static char *map(void *addr, size_t n, int prot, int flags)
{
    if (raw)
        return (void *)syscall(SYS_mmap, addr, n, prot, flags, -1, 0L);
    return mmap(addr, n, prot, flags, -1, 0);
}

static int unmap(void *addr, size_t n)
{
    return raw ? (int)syscall(SYS_munmap, addr, n) : munmap(addr, n);
}

static int protect(void *addr, size_t n, int prot)
{
    return raw ? (int)syscall(SYS_mprotect, addr, n, prot)
               : mprotect(addr, n, prot);
}

static int advise(void *addr, size_t n, int advice)
{
    return raw ? (int)syscall(SYS_madvise, addr, n, advice)
               : madvise(addr, n, advice);
}

static const char *outcome(bool ok)
{
    return ok ? "ok" : errno_name(errno);
}

static void hint(void)
{
    char *p = map(HINT, page, RW, ANON);
    if (p == MAP_FAILED)
        puts(outcome(false));
    else if (p >= HINT && p < HINT + 16 * page)
        printf("moved by %ld\n", (long)((p - HINT) / (long)page));
    else
        puts("elsewhere");
}

static void noreplace(void)
{
    char *busy = map(NULL, page, RW, ANON);
    *busy = 1;
    char *p = map(busy, page, RW, ANON | NOREPLACE);
    if (p == MAP_FAILED)
        puts(outcome(false));
    else
        puts(p == busy ? "replaced" : "elsewhere");
}

static void fixed(void)
{
    char *busy = map(NULL, page, RW, ANON);
    *busy = 1;
    char *p = map(busy, page, RW, ANON | MAP_FIXED);
    puts(p == busy && *p == 0 ? "replaced" : "other");
}

static void map_mib(unsigned long n)
{
    char *p = map(NULL, n << 20, PROT_NONE, ANON | MAP_NORESERVE);
    puts(outcome(p != MAP_FAILED));
}

static void wx(void)
{
    char *p = map(NULL, page, RWX, ANON);
    printf("%s ", outcome(p != MAP_FAILED));
    p = map(NULL, page, RW, ANON);
    printf("%s ", outcome(protect(p, page, RWX) == 0));
    printf("%s\n", outcome(protect(p, page, PROT_READ | PROT_EXEC) == 0));
}

// The middle of three pages; then the rest, which is two whole mappings.
static void interior(void)
{
    // With neighbours of our own that do not merge with it.
    char *all = map(NULL, 5 * page, PROT_NONE, ANON);
    char *p = map(all + page, 3 * page, RW, ANON | MAP_FIXED);
    printf("%s ", outcome(unmap(p + page, page) == 0));
    printf("%s ", outcome(unmap(p, page) == 0));
    printf("%s\n", outcome(unmap(p + page, 2 * page) == 0));
}

static void guard(void)
{
    char *p = map(NULL, page, RW, ANON);
    if (advise(p, page, GUARD_INSTALL) != 0) {
        puts(outcome(false));
        return;
    }
    bool faults = syscall(SYS_uname, p) != 0 && errno == EFAULT;
    puts(faults ? "works" : "nothing");
}

static void prefault(void)
{
    char *p = map(NULL, page, RW, ANON);
    puts(outcome(advise(p, page, POPULATE_WRITE) == 0));
}

static void dontneed(void)
{
    volatile char *p = map(NULL, page, RW, ANON);
    *p = 1;
    if (advise((void *)p, page, MADV_DONTNEED) != 0)
        puts(outcome(false));
    else
        puts(*p ? "kept" : "zero");
}

static void madvfree(void)
{
    char *p = map(NULL, page, RW, ANON);
    puts(outcome(advise(p, page, MADV_FREE) == 0));
}

static void residency(void)
{
    unsigned char in;
    char *p = map(NULL, page, RW, ANON);
    int r =
        raw ? (int)syscall(SYS_mincore, p, page, &in) : mincore(p, page, &in);
    puts(outcome(r == 0));
}

// The kind's k-th call for k = 1..n.
static void calls(const char *kind, int n)
{
    // By syscall: not counted by an interposer.
    char *p =
        (char *)syscall(SYS_mmap, NULL, (size_t)n * page, RW, ANON, -1, 0L);
    for (int k = 0; k < n; k++) {
        bool ok;
        char *at = p + (size_t)k * page;
        if (!strcmp(kind, "mmap"))
            ok = map(NULL, page, RW, ANON) != MAP_FAILED;
        else if (!strcmp(kind, "munmap"))
            ok = unmap(at, page) == 0;
        else if (!strcmp(kind, "mprotect"))
            ok = protect(at, page, PROT_READ) == 0;
        else
            ok = advise(at, page, MADV_DONTNEED) == 0;
        printf("%s%s", outcome(ok), k + 1 < n ? " " : "\n");
    }
}

static void *nothing(void *arg)
{
    return arg;
}

static void thread(void)
{
    pthread_t t;
    int err = pthread_create(&t, NULL, nothing, NULL);
    puts(err ? errno_name(err) : "ok");
    if (!err)
        pthread_join(t, NULL);
}

// How many mappings can still be made, up to 1000; they alternate in
// protection so that no two are one. Nothing here may call malloc.
static void room(void)
{
    int n = 0;
    while (n < 1000 && syscall(SYS_mmap, NULL, page,
                               n % 2 ? PROT_READ : PROT_READ | PROT_WRITE, ANON,
                               -1, 0L) != -1)
        n++;
    char text[32];
    int len = snprintf(text, sizeof text, "%d\n", n);
    if (write(1, text, (size_t)len) != len)
        _exit(1);
    _exit(0);
}

// Two megabytes of mappings, of which a part is unmapped: for the balance.
static void balance(void)
{
    char *p = map(NULL, 256 * page, RW, ANON);
    char *q = map(NULL, 256 * page, RW, ANON);
    unmap(p + 16 * page, 16 * page);
    unmap(q, 256 * page);
    puts("done");
}

// As balance, but what it unmaps the interposer has not seen mapped, and what
// it has seen mapped is unmapped behind its back.
static void unbalanced(void)
{
    char *q = (char *)syscall(SYS_mmap, NULL, 2 * page, RW, ANON, -1, 0L);
    char *p = map(NULL, 4 * page, RW, ANON);
    syscall(SYS_munmap, p, 4 * page);
    unmap(q, 2 * page);
    puts("done");
}

static void dies(const char *how)
{
    if (!strcmp(how, "signal"))
        raise(SIGSEGV);
    _exit(atoi(how));
}

static bool simple(const char *q)
{
    static const struct {
        const char *name;
        void (*ask)(void);
    } table[] = {
        {"hint", hint},
        {"noreplace", noreplace},
        {"fixed", fixed},
        {"wx", wx},
        {"interior", interior},
        {"guard", guard},
        {"prefault", prefault},
        {"dontneed", dontneed},
        {"madvfree", madvfree},
        {"mincore", residency},
        {"thread", thread},
        {"room", room},
        {"balance", balance},
        {"unbalanced", unbalanced},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, q)) {
            table[i].ask();
            return true;
        }
    return false;
}

static bool number(const char *q)
{
    static const struct {
        const char *name;
        long call;
    } table[] = {
        {"clone3", SYS_clone3},
        {"uffd", SYS_userfaultfd},
        {"getrandom", SYS_getrandom},
        {"membarrier", SYS_membarrier},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, q)) {
            // With all arguments 0: harmless, and no errno is the emulator's.
            puts(outcome(syscall(table[i].call, 0L, 0L, 0L) >= 0));
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 1; i < argc; i++) {
        const char *q = argv[i];
        if (!strcmp(q, "raw"))
            raw = true;
        else if (!strcmp(q, "brk"))
            puts(sbrk(4096) == (void *)-1 || brk(sbrk(0)) ? "refused" : "ok");
        else if (!strcmp(q, "map") && argv[i + 1])
            map_mib(strtoul(argv[++i], NULL, 10));
        else if (!strcmp(q, "dies") && argv[i + 1])
            dies(argv[++i]);
        else if (!strcmp(q, "mmap") || !strcmp(q, "munmap") ||
                 !strcmp(q, "mprotect") || !strcmp(q, "madvise"))
            calls(q, argv[i + 1] ? atoi(argv[++i]) : 1);
        else if (!simple(q) && !number(q)) {
            fprintf(stderr, "probe: no such question: %s\n", q);
            return 99;
        }
        fflush(stdout);
    }
    return 0;
}
