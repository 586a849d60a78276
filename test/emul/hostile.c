// SPDX-License-Identifier: BSD-3-Clause
// emul/hostile.c: libhostile.so, memory calls that misbehave on demand.
//
//     LD_PRELOAD=.../libhostile.so EMUL=nohint,count=FILE PROGRAM
//
// It stands between a program and libc's mmap, mmap64, munmap, mprotect,
// madvise, mremap, mincore, brk and sbrk. EMUL is a list, commas between:
//
//     count=FILE     adds a line to FILE when the program ends: calls by kind,
//                    bytes mapped and unmapped, and the balance below
//     nohint         a hint is ignored: the mapping is made elsewhere
//     nonoreplace    MAP_FIXED_NOREPLACE is no more than a hint
//     shift          every result lies a page behind where it would have lain
//     nowx           PROT_WRITE with PROT_EXEC is refused with EACCES
//     interior[=N]   munmap of what lies inside a mapping fails with ENOMEM,
//                    as at the limit of mappings (the first N times)
//     fail=CALL:K:E  the K-th call of CALL (mmap, munmap, mprotect, madvise)
//                    fails with errno E; K may be a first and last, 3-5, or
//                    open, 3+. May be given several times.
//
// What counts: calls made after this library's constructor, which runs before
// that of any library it stands before and before main; of the mmaps only
// anonymous ones, since files are mapped by libc's loader. Calls inside libc
// (malloc, pthread_create) do not come here; emul-kernel sees those.
//
// The balance is a list of the ranges that were mapped here and not unmapped
// yet. At the end `live` is its sum, `lost` what of it /proc/self/maps does not
// show, and `foreign` how much was unmapped that was not on the list.
//
// Takes no memory and no locks but its own spin lock, so that it can be called
// from anywhere. It knows nothing about signal handlers that map.

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errnos.h"

enum call { MMAP, MUNMAP, MPROTECT, MADVISE, MREMAP, MINCORE, BRK, CALLS };
static const char *const call_names[CALLS] = {
    "mmap", "munmap", "mprotect", "madvise", "mremap", "mincore", "brk",
};

enum { RULES_MAX = 16, RANGES_MAX = 1 << 16, NOREPLACE = 0x100000 };

struct rule {
    enum call call;
    uint64_t from, to;
    int err;
};

struct range {
    uintptr_t lo, hi;
};

static struct {
    bool on; // const after the constructor, as all settings
    bool nohint, nonoreplace, shift, nowx;
    uint64_t interior; // so many more refusals; atomic
    char count[256];   // name of the file, or empty
    struct rule rules[RULES_MAX];
    size_t nrules;
    uint64_t calls[CALLS];             // atomic
    uint64_t failed, mapped, unmapped; // atomic; the last two in bytes
} emul;

static struct {
    bool taken; // the lock; atomic
    size_t n;
    uint64_t foreign;
    bool full; // more than RANGES_MAX: the balance means nothing
    struct range list[RANGES_MAX];
} ledger;

// --- settings

__attribute__((noreturn)) static void bad_setting(const char *text, size_t n)
{
    dprintf(2, "libhostile: what is '%.*s' in EMUL?\n", (int)n, text);
    _exit(99);
}

// "mmap:3:ENOMEM", "munmap:3-5:EINVAL", "madvise:3+:ENOSYS"
static bool parse_rule(const char *text, size_t n, struct rule *r)
{
    size_t call = 0;
    for (; call < CALLS; call++) {
        size_t len = strlen(call_names[call]);
        if (len < n && !memcmp(call_names[call], text, len) && text[len] == ':')
            break;
    }
    if (call > MADVISE)
        return false;
    const char *at = text + strlen(call_names[call]) + 1;
    char *end;
    r->call = (enum call)call;
    r->from = r->to = strtoul(at, &end, 10);
    if (*end == '+') {
        r->to = UINT64_MAX;
        end++;
    } else if (*end == '-') {
        r->to = strtoul(end + 1, &end, 10);
    }
    if (r->from == 0 || end >= text + n || *end != ':')
        return false;
    r->err = errno_of(end + 1, (size_t)(text + n - (end + 1)));
    return r->err != 0;
}

static bool is(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && !memcmp(text, word, n);
}

static bool starts(const char *text, size_t n, const char *word)
{
    return n > strlen(word) && !memcmp(text, word, strlen(word));
}

static void parse_one(const char *text, size_t n)
{
    if (is(text, n, "nohint"))
        emul.nohint = true;
    else if (is(text, n, "nonoreplace"))
        emul.nonoreplace = true;
    else if (is(text, n, "shift"))
        emul.shift = true;
    else if (is(text, n, "nowx"))
        emul.nowx = true;
    else if (is(text, n, "interior"))
        emul.interior = UINT64_MAX;
    else if (starts(text, n, "interior="))
        emul.interior = strtoul(text + strlen("interior="), NULL, 10);
    else if (starts(text, n, "count=") && n < sizeof emul.count)
        memcpy(emul.count, text + strlen("count="), n - strlen("count="));
    else if (starts(text, n, "fail=") && emul.nrules < RULES_MAX &&
             parse_rule(text + strlen("fail="), n - strlen("fail="),
                        &emul.rules[emul.nrules]))
        emul.nrules++;
    else if (n > 0)
        bad_setting(text, n);
}

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("EMUL");
    if (!text || emul.on)
        return;
    for (;;) {
        size_t n = strcspn(text, ",");
        parse_one(text, n);
        if (!text[n])
            break;
        text += n + 1;
    }
    emul.on = true;
}

// --- the kernel's own answers

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void *real_mmap(void *addr, size_t n, int prot, int flags, int fd,
                       int64_t off)
{
#ifdef SYS_mmap2
    return (void *)syscall(SYS_mmap2, addr, n, prot, flags, fd, off >> 12);
#else
    return (void *)syscall(SYS_mmap, addr, n, prot, flags, fd, off);
#endif
}

static int real_munmap(void *addr, size_t n)
{
    return (int)syscall(SYS_munmap, addr, n);
}

// Calls `each` for all mappings of this process, in order.
static void each_mapping(void (*each)(uintptr_t lo, uintptr_t hi, void *arg),
                         void *arg)
{
    char buf[4096];
    uintptr_t number[2] = {0, 0};
    int field = 0; // 0 and 1: the two addresses; 2: the rest of the line
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps",
                          O_RDONLY | O_CLOEXEC);
    ssize_t got;
    while (fd >= 0 && (got = syscall(SYS_read, fd, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            unsigned digit = (unsigned)buf[i] - '0';
            if (digit > 9)
                digit = (unsigned)buf[i] - 'a' + 10;
            if (field < 2 && digit < 16) {
                number[field] = number[field] << 4 | digit;
            } else if (buf[i] == '\n') {
                field = 0;
                number[0] = number[1] = 0;
            } else if (field < 2 && ++field == 2) {
                each(number[0], number[1], arg);
            }
        }
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
}

// --- the balance

static void ledger_lock(void)
{
    while (__atomic_exchange_n(&ledger.taken, true, __ATOMIC_ACQUIRE))
        syscall(SYS_sched_yield);
}

static void ledger_unlock(void)
{
    __atomic_store_n(&ledger.taken, false, __ATOMIC_RELEASE);
}

static void ledger_push(uintptr_t lo, uintptr_t hi)
{
    if (ledger.n == RANGES_MAX)
        ledger.full = true;
    else if (lo < hi)
        ledger.list[ledger.n++] = (struct range){lo, hi};
}

// Takes [lo, hi) off the list; returns how much of it was there.
static uint64_t ledger_cut(uintptr_t lo, uintptr_t hi)
{
    uint64_t found = 0;
    for (size_t i = 0; i < ledger.n;) {
        struct range r = ledger.list[i];
        if (r.hi <= lo || hi <= r.lo) {
            i++;
            continue;
        }
        uintptr_t from = r.lo > lo ? r.lo : lo, to = r.hi < hi ? r.hi : hi;
        found += to - from;
        ledger.list[i] = ledger.list[--ledger.n];
        ledger_push(r.lo, from); // what is pushed does not overlap [lo, hi)
        ledger_push(to, r.hi);
    }
    return found;
}

static void now_mapped(void *p, size_t n)
{
    uintptr_t lo = (uintptr_t)p, hi = lo + (n + page() - 1) / page() * page();
    __atomic_fetch_add(&emul.mapped, hi - lo, __ATOMIC_RELAXED);
    ledger_lock();
    ledger_cut(lo, hi);                     // MAP_FIXED over what was there
    for (size_t i = 0; i < ledger.n; i++) { // join: the list stays short
        if (ledger.list[i].hi != lo)
            continue;
        lo = ledger.list[i].lo;
        ledger.list[i] = ledger.list[--ledger.n];
        break;
    }
    ledger_push(lo, hi);
    ledger_unlock();
}

// With the lock.
static void now_unmapped(void *p, size_t n)
{
    uintptr_t lo = (uintptr_t)p, hi = lo + (n + page() - 1) / page() * page();
    __atomic_fetch_add(&emul.unmapped, hi - lo, __ATOMIC_RELAXED);
    ledger.foreign += hi - lo - ledger_cut(lo, hi);
}

static void take_off(uintptr_t lo, uintptr_t hi, void *arg)
{
    (void)arg;
    ledger_cut(lo, hi);
}

static uint64_t ledger_sum(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ledger.n; i++)
        sum += ledger.list[i].hi - ledger.list[i].lo;
    return sum;
}

__attribute__((destructor)) static void finish(void)
{
    static bool done; // atomic
    if (!emul.count[0] || __atomic_exchange_n(&done, true, __ATOMIC_RELAXED))
        return;
    char line[1024];
    int n = 0;
    for (int i = 0; i < CALLS; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s=%llu ",
                      call_names[i], (unsigned long long)emul.calls[i]);
    ledger_lock();
    uint64_t live = ledger_sum(), foreign = ledger.foreign;
    bool full = ledger.full;
    each_mapping(take_off, NULL);
    uint64_t lost = ledger_sum();
    ledger_unlock();
    n += snprintf(line + n, sizeof line - (size_t)n,
                  "failed=%llu mapped=%llu unmapped=%llu live=%llu lost=%llu"
                  " foreign=%llu%s\n",
                  (unsigned long long)emul.failed,
                  (unsigned long long)emul.mapped,
                  (unsigned long long)emul.unmapped, (unsigned long long)live,
                  (unsigned long long)lost, (unsigned long long)foreign,
                  full ? " full=1" : "");
    int fd = open(emul.count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        dprintf(2, "libhostile: %s: %s\n", emul.count, strerror(errno));
    if (fd >= 0)
        close(fd);
}

// --- what is scripted

// Counts a call; the errno it is to fail with, or 0.
static int scripted(enum call call)
{
    uint64_t k = __atomic_add_fetch(&emul.calls[call], 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < emul.nrules; i++) {
        const struct rule *r = &emul.rules[i];
        if (r->call == call && r->from <= k && k <= r->to)
            return r->err;
    }
    return 0;
}

static int refused(int err)
{
    __atomic_fetch_add(&emul.failed, 1, __ATOMIC_RELAXED);
    errno = err;
    return -1;
}

static bool writes_and_runs(int prot)
{
    return (prot & PROT_WRITE) && (prot & PROT_EXEC);
}

struct inside {
    uintptr_t lo, hi;
    bool found;
};

static void look_inside(uintptr_t lo, uintptr_t hi, void *arg)
{
    struct inside *in = arg;
    if (lo < in->lo && in->hi < hi)
        in->found = true;
}

// Whether to refuse to cut [p, p+n) out of a mapping that goes on on both
// sides.
static bool refuses_interior(void *p, size_t n)
{
    if (__atomic_load_n(&emul.interior, __ATOMIC_RELAXED) == 0)
        return false;
    struct inside in = {(uintptr_t)p, (uintptr_t)p + n, false};
    each_mapping(look_inside, &in);
    if (in.found && emul.interior != UINT64_MAX)
        __atomic_fetch_sub(&emul.interior, 1, __ATOMIC_RELAXED);
    return in.found;
}

// A mapping that is not at `addr`.
static void *elsewhere(void *addr, size_t n, int prot, int flags)
{
    void *p = real_mmap(NULL, n, prot, flags, -1, 0);
    if (p == MAP_FAILED || p != addr)
        return p;
    void *q = real_mmap(NULL, n, prot, flags, -1, 0);
    real_munmap(p, n);
    return q;
}

static void *shifted(void *addr, size_t n, int prot, int flags)
{
    char *p = real_mmap(addr, n + page(), prot, flags, -1, 0);
    if (p == MAP_FAILED)
        return p;
    real_munmap(p, page());
    return p + page();
}

static void *hostile_mmap(void *addr, size_t n, int prot, int flags, int fd,
                          int64_t off)
{
    if (!emul.on || !(flags & MAP_ANONYMOUS))
        return real_mmap(addr, n, prot, flags, fd, off);
    int err = scripted(MMAP);
    if (!err && emul.nowx && writes_and_runs(prot))
        err = EACCES;
    if (err) {
        refused(err);
        return MAP_FAILED;
    }
    if (emul.nonoreplace)
        flags &= ~NOREPLACE;
    bool fixed = flags & (MAP_FIXED | NOREPLACE);
    void *p;
    if (emul.shift && !fixed)
        p = shifted(emul.nohint ? NULL : addr, n, prot, flags);
    else if (emul.nohint && addr && !fixed)
        p = elsewhere(addr, n, prot, flags);
    else
        p = real_mmap(addr, n, prot, flags, fd, off);
    if (p != MAP_FAILED)
        now_mapped(p, n);
    return p;
}

// --- what programs call

void *mmap(void *addr, size_t n, int prot, int flags, int fd, off_t off)
{
    return hostile_mmap(addr, n, prot, flags, fd, off);
}

void *mmap64(void *addr, size_t n, int prot, int flags, int fd, off64_t off)
{
    return hostile_mmap(addr, n, prot, flags, fd, off);
}

int munmap(void *addr, size_t n)
{
    if (!emul.on)
        return real_munmap(addr, n);
    int err = scripted(MUNMAP);
    if (!err && refuses_interior(addr, n))
        err = ENOMEM;
    if (err)
        return refused(err);
    // Held across the call: nobody is given the range before it is crossed off.
    ledger_lock();
    int result = real_munmap(addr, n);
    int saved = errno;
    if (result == 0)
        now_unmapped(addr, n);
    ledger_unlock();
    errno = saved;
    return result;
}

int mprotect(void *addr, size_t n, int prot)
{
    int err = emul.on ? scripted(MPROTECT) : 0;
    if (!err && emul.nowx && writes_and_runs(prot))
        err = EACCES;
    if (err)
        return refused(err);
    return (int)syscall(SYS_mprotect, addr, n, prot);
}

int madvise(void *addr, size_t n, int advice)
{
    int err = emul.on ? scripted(MADVISE) : 0;
    if (err)
        return refused(err);
    return (int)syscall(SYS_madvise, addr, n, advice);
}

int mincore(void *addr, size_t n, unsigned char *out)
{
    if (emul.on)
        scripted(MINCORE);
    return (int)syscall(SYS_mincore, addr, n, out);
}

void *mremap(void *addr, size_t n, size_t to, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    void *where = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
    va_end(ap);
    if (emul.on)
        scripted(MREMAP);
    return (void *)syscall(SYS_mremap, addr, n, to, flags, where);
}

// libc's own, since it keeps the end of the data segment in a variable.
static void *libc_function(const char *name)
{
    void *f = dlsym(RTLD_NEXT, name);
    if (!f) {
        dprintf(2, "libhostile: libc has no %s\n", name);
        _exit(99);
    }
    return f;
}

int brk(void *end)
{
    int (*f)(void *);
    *(void **)&f = libc_function("brk");
    if (emul.on)
        scripted(BRK);
    return f(end);
}

void *sbrk(intptr_t by)
{
    void *(*f)(intptr_t);
    *(void **)&f = libc_function("sbrk");
    if (emul.on)
        scripted(BRK);
    return f(by);
}

// No destructors run after these.
void _exit(int status)
{
    finish();
    for (;;)
        syscall(SYS_exit_group, status);
}

void _Exit(int status)
{
    _exit(status);
}
