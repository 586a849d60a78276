// SPDX-License-Identifier: BSD-3-Clause
// emul/rough.c: librough.so, a scheduler that is rough with threads.
//
//     LD_PRELOAD=.../librough.so EMUL_ROUGH=seed=7,hold=20 PROGRAM
//
// It stands between a program and libc where threads wait, wake and begin, and
// holds some of them there: for a few spins or yields mostly, for 0.1 to 5 ms
// sometimes, for 20 ms rarely. What a busy machine does once in a month so
// happens all the time. EMUL_ROUGH is a list, commas between:
//
//     seed=N      what is random begins here (1)
//     hold=P      so many in a hundred such places hold the thread (20)
//     eintr=P     so many in a hundred futex waits, polls and sleeps end at
//                 once, as if by a signal (0)
//     poke=US     every so many microseconds, about, a signal holds some thread
//                 wherever it stands (0: never)
//     most=MS     so long all threads together may be held asleep; after that
//                 they are held for spins and yields only (1000)
//     cpu=N       all threads run on the N-th processor allowed, from 0
//     count=FILE  the counts, 8 bytes each, in the order of enum count below
//
// The places: SYS_futex through syscall(), before and after; sched_yield;
// nanosleep, clock_nanosleep, usleep; poll, epoll_wait; read; pthread_create
// on both sides. What libc calls inside itself does not come here.
//
// Each thread has random numbers of its own, by the seed and the order in which
// threads were made: the same seed gives the same decisions as far as the
// program does the same. Forked children inherit all of it, count into the same
// page, and poke their own threads once they make one.
//
// Takes no lock. Saves errno across what it does by itself.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

enum count {
    WAITS,   // of futexes
    WAKES,   //
    YIELDS,  //
    SLEEPS,  //
    POLLS,   // and reads
    THREADS, // made
    HELD,    // at one of these places
    SLEPT,   // of the held, and of the poked, those that slept
    EINTRS,  // calls that ended as if by a signal
    POKES,   // threads held by a signal
    COUNTS
};

enum {
    SHORT_SPINS = 2000,
    YIELDS_MOST = 8,
    NS_PER_US = 1000,
    LEAST_US = 100,
    DOUBLINGS = 6, // 0.1 to 6.4 ms, shorter ones more often
    LONG_US = 20000,
    THREADS_MOST = 1024
};

static struct {
    bool on; // const after the constructor, as all settings
    uint64_t seed;
    unsigned hold, eintr, poke_us;
    int64_t most_us;
    int cpu; // or -1
    char file[256];
} rough = { .seed = 1, .hold = 20, .most_us = 1000000, .cpu = -1 };

static struct shared {
    uint64_t counts[COUNTS]; // atomic
    int64_t slept_us;        // atomic
} own, *shared = &own;       // of all forked children, once it is mapped

static struct {
    int tids[THREADS_MOST]; // atomic; 0: free
    uint32_t made;          // atomic; numbers of threads
    bool poker;             // atomic; this process has one, or is making it
    bool poking;            // atomic; it has one
} threads;

static __thread __attribute__((tls_model("initial-exec"))) struct {
    uint64_t state; // of the random numbers; 0: the thread is new here
    int tid;
} self;

static struct {
    __typeof__(pthread_create) *create;
    __typeof__(syscall) *call;
    __typeof__(sched_yield) *yield;
    __typeof__(nanosleep) *sleep;
    __typeof__(clock_nanosleep) *sleep_clock;
    __typeof__(usleep) *usleep;
    __typeof__(poll) *poll;
    __typeof__(epoll_wait) *epoll;
    __typeof__(read) *read;
    __typeof__(stat) *stat;
} next;

static void find_next(void)
{
    next.create = dlsym(RTLD_NEXT, "pthread_create");
    next.yield = dlsym(RTLD_NEXT, "sched_yield");
    next.sleep = dlsym(RTLD_NEXT, "nanosleep");
    next.sleep_clock = dlsym(RTLD_NEXT, "clock_nanosleep");
    next.usleep = dlsym(RTLD_NEXT, "usleep");
    next.poll = dlsym(RTLD_NEXT, "poll");
    next.epoll = dlsym(RTLD_NEXT, "epoll_wait");
    next.read = dlsym(RTLD_NEXT, "read");
    next.stat = dlsym(RTLD_NEXT, "stat");
    next.call = dlsym(RTLD_NEXT, "syscall"); // the last: `ready` looks at it
}

// Calls come before the constructor, from those of other libraries.
static void ready(void)
{
    if (!__atomic_load_n(&next.call, __ATOMIC_ACQUIRE))
        find_next();
}

static void count(enum count what)
{
    __atomic_fetch_add(&shared->counts[what], 1, __ATOMIC_RELAXED);
}

// --- random numbers: splitmix64

static uint64_t draw(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((draw(&self.state) >> 32) * n >> 32);
}

static bool chance(uint32_t percent)
{
    return below(100) < percent;
}

// --- threads

static void know_self(void)
{
    if (self.state)
        return;
    uint32_t n = __atomic_fetch_add(&threads.made, 1, __ATOMIC_RELAXED);
    uint64_t state = rough.seed * 0x2545f4914f6cdd1du + n;
    self.state = draw(&state) | 1;
    self.tid = (int)next.call(SYS_gettid);
    for (int i = 0; i < THREADS_MOST; i++) {
        int none = 0;
        if (__atomic_compare_exchange_n(&threads.tids[i], &none, self.tid,
                                        false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return;
    }
}

static void forget_self(void *unused)
{
    (void)unused;
    for (int i = 0; i < THREADS_MOST; i++) {
        int tid = self.tid;
        if (__atomic_compare_exchange_n(&threads.tids[i], &tid, 0, false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return;
    }
}

// The one thread that is left keeps its random numbers.
static void forked(void)
{
    memset(threads.tids, 0, sizeof threads.tids);
    threads.poker = threads.poking = false;
    self.tid = (int)next.call(SYS_gettid);
    threads.tids[0] = self.tid;
}

// --- holding

static void sleep_us(int64_t us)
{
    if (__atomic_add_fetch(&shared->slept_us, us, __ATOMIC_RELAXED) >
        rough.most_us) {
        next.yield();
        return;
    }
    count(SLEPT);
    struct timespec ts = { us / 1000000, us % 1000000 * NS_PER_US };
    next.call(SYS_nanosleep, &ts, NULL);
}

static void hold_here(void)
{
    int saved = errno;
    uint32_t kind = below(100);
    if (kind < 50) {
        for (volatile uint32_t n = below(SHORT_SPINS); n > 0;)
            n--;
    } else if (kind < 85) {
        for (uint32_t n = below(YIELDS_MOST) + 1; n > 0; n--)
            next.yield();
    } else if (kind < 99) {
        sleep_us((LEAST_US + below(LEAST_US)) << below(DOUBLINGS));
    } else {
        sleep_us(LONG_US);
    }
    errno = saved;
}

static void hold(void)
{
    if (!rough.on)
        return;
    know_self();
    if (!chance(rough.hold))
        return;
    count(HELD);
    hold_here();
}

static bool interrupted(void)
{
    if (!rough.on || !rough.eintr)
        return false;
    know_self();
    if (!chance(rough.eintr))
        return false;
    count(EINTRS);
    return true;
}

// --- pokes

static int poke_signal(void)
{
    return SIGRTMAX - 3;
}

static void on_poke(int signo)
{
    (void)signo;
    if (!self.state)
        return;
    count(POKES);
    hold_here();
}

static void *poke(void *unused)
{
    uint64_t state = rough.seed ^ 0x706f6b65;
    int pid = (int)next.call(SYS_getpid);
    (void)unused;
    for (;;) {
        uint64_t r = draw(&state);
        struct timespec ts = { 0, 0 };
        ts.tv_nsec = (long)(r % (2 * rough.poke_us) * NS_PER_US);
        next.call(SYS_nanosleep, &ts, NULL);
        uint32_t from = (uint32_t)(draw(&state) % THREADS_MOST);
        for (uint32_t i = 0; i < THREADS_MOST; i++) {
            int tid = __atomic_load_n(
                &threads.tids[(from + i) % THREADS_MOST], __ATOMIC_RELAXED);
            if (tid) { // those after gaps are chosen more often
                next.call(SYS_tgkill, pid, tid, poke_signal());
                break;
            }
        }
    }
    return NULL;
}

static void start_poker(void)
{
    if (!rough.on || !rough.poke_us ||
        __atomic_exchange_n(&threads.poker, true, __ATOMIC_RELAXED))
        return;
    struct sigaction act = { .sa_handler = on_poke };
    act.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&act.sa_mask);
    sigaction(poke_signal(), &act, NULL);
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, &act.sa_mask, &before);
    pthread_t t;
    if (next.create(&t, NULL, poke, NULL) == 0) {
        __atomic_store_n(&threads.poking, true, __ATOMIC_RELAXED);
        pthread_detach(t);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

// --- settings

__attribute__((noreturn)) static void bad_setting(const char *text)
{
    dprintf(2, "librough: what is '%s' in EMUL_ROUGH?\n", text);
    _exit(99);
}

static void parse_one(const char *text)
{
    const char *value = strchr(text, '=');
    if (!value)
        bad_setting(text);
    size_t n = (size_t)(++value - text);
    char *end;
    uint64_t number = strtoull(value, &end, 10);
    if (!strncmp(text, "count=", n) && strlen(value) < sizeof rough.file) {
        strcpy(rough.file, value);
        return;
    }
    if (end == value || *end)
        bad_setting(text);
    if (!strncmp(text, "seed=", n))
        rough.seed = number;
    else if (!strncmp(text, "hold=", n))
        rough.hold = (unsigned)number;
    else if (!strncmp(text, "eintr=", n))
        rough.eintr = (unsigned)number;
    else if (!strncmp(text, "poke=", n))
        rough.poke_us = (unsigned)number;
    else if (!strncmp(text, "most=", n))
        rough.most_us = (int64_t)number * 1000;
    else if (!strncmp(text, "cpu=", n))
        rough.cpu = (int)number;
    else
        bad_setting(text);
}

static void use_cpu(int n)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (n < 0 || sched_getaffinity(0, sizeof all, &all))
        return;
    n %= CPU_COUNT(&all);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all) && n-- == 0)
            CPU_SET(i, &one);
    }
    sched_setaffinity(0, sizeof one, &one);
}

static void share(void)
{
    int flags = MAP_SHARED, fd = -1;
    if (rough.file[0]) {
        fd = open(rough.file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0 || ftruncate(fd, sizeof *shared))
            bad_setting(rough.file);
    } else {
        flags |= MAP_ANONYMOUS;
    }
    void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED)
        bad_setting("no memory");
    shared = p;
    if (fd >= 0)
        close(fd);
}

__attribute__((constructor)) static void start(void)
{
    const char *env = getenv("EMUL_ROUGH");
    if (!env || rough.on)
        return;
    ready();
    char text[1024];
    if (strlen(env) >= sizeof text)
        bad_setting("more than 1023 bytes");
    strcpy(text, env);
    char *rest;
    char *one = strtok_r(text, ",", &rest);
    for (; one; one = strtok_r(NULL, ",", &rest))
        parse_one(one);
    share();
    use_cpu(rough.cpu);
    pthread_atfork(NULL, NULL, forked);
    rough.on = true;
}

// --- what stands before libc's

static long futex(const long *a, bool waits)
{
    count(waits ? WAITS : WAKES);
    hold();
    if (waits && interrupted()) {
        if (below(2) == 0)
            return 0; // woken for nothing, which the kernel may do
        errno = EINTR;
        return -1;
    }
    long r = next.call(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
    hold();
    return r;
}

// What the caller has not passed is garbage here, as it is for libc.
long syscall(long number, ...)
{
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    ready();
    if (number == SYS_futex && rough.on) {
        int op = (int)a[1] & FUTEX_CMD_MASK;
        if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET)
            return futex(a, true);
        if (op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET)
            return futex(a, false);
    }
    return next.call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int sched_yield(void)
{
    ready();
    count(YIELDS);
    hold();
    return next.yield();
}

int nanosleep(const struct timespec *ts, struct timespec *left)
{
    ready();
    count(SLEEPS);
    hold();
    if (interrupted()) {
        if (left)
            *left = *ts;
        errno = EINTR;
        return -1;
    }
    int r = next.sleep(ts, left);
    hold();
    return r;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *ts,
                    struct timespec *left)
{
    ready();
    count(SLEEPS);
    hold();
    if (interrupted()) {
        if (left && !(flags & TIMER_ABSTIME))
            *left = *ts;
        return EINTR;
    }
    int r = next.sleep_clock(clock, flags, ts, left);
    hold();
    return r;
}

int usleep(useconds_t us)
{
    ready();
    count(SLEEPS);
    hold();
    int r = next.usleep(us);
    hold();
    return r;
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
    ready();
    count(POLLS);
    hold();
    if (interrupted()) {
        errno = EINTR;
        return -1;
    }
    int r = next.poll(fds, n, ms);
    hold();
    return r;
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
    ready();
    count(POLLS);
    hold();
    if (interrupted()) {
        errno = EINTR;
        return -1;
    }
    int r = next.epoll(fd, events, n, ms);
    hold();
    return r;
}

ssize_t read(int fd, void *buf, size_t n)
{
    ready();
    count(POLLS);
    hold();
    ssize_t r = next.read(fd, buf, n);
    hold();
    return r;
}

struct begin {
    void *(*fn)(void *);
    void *arg;
};

static void *begin(void *p)
{
    struct begin b = *(struct begin *)p;
    void *r = NULL;
    free(p);
    pthread_cleanup_push(forget_self, NULL);
    hold();
    r = b.fn(b.arg);
    pthread_cleanup_pop(1);
    return r;
}

// The runtime counts threads here: the poker is none that could wake anybody.
int stat(const char *path, struct stat *st)
{
    ready();
    int r = next.stat(path, st);
    if (r == 0 && __atomic_load_n(&threads.poking, __ATOMIC_RELAXED) &&
        strcmp(path, "/proc/self/task") == 0)
        st->st_nlink--;
    return r;
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
                   void *(*fn)(void *), void *arg)
{
    ready();
    if (!rough.on)
        return next.create(t, attr, fn, arg);
    count(THREADS);
    know_self();
    start_poker();
    struct begin *b = malloc(sizeof *b);
    if (!b)
        return EAGAIN;
    *b = (struct begin){ fn, arg };
    int err = next.create(t, attr, begin, b);
    if (err)
        free(b);
    hold();
    return err;
}
