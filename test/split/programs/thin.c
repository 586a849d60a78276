// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/thin.c: goroutines on thin segments of 2 KiB; or on the
// usual ones, where the argument `fat` says that it has to be so.
//
// What waits must do so where it began: then stacks in use are exactly those of
// all goroutines. So the functions that wait call nothing but split code.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuza.h>

#define NOINLINE __attribute__((noinline, noclone))
enum { MANY = 10000, SIZE = 2048, FRAME = 128, PAINT = 0x5a };

#define NEED(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            printf("line %d: %s\n", __LINE__, #cond);                          \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static tuza_chan(int) in, out, never;
static tuza_mutex mutex;
static tuza_waitgroup started, ended, held;
static int go_on;          // atomic; loops end
static uint64_t sum;       // atomic; of what the frames hold afterwards
static uint32_t least;     // atomic; bytes of a thin segment not touched
static int thin;

// --- ways to wait

static NOINLINE void by_recv(void)
{
    int v = 0;
    tuza_recv(in, &v);
    __atomic_fetch_add(&sum, (uint64_t)v, __ATOMIC_RELAXED);
}
static NOINLINE void by_send(void) { tuza_send(out, 1); }
static NOINLINE void by_select(void)
{
    int v = 0;
    tuza_select(TUZA_RECV(never, &v), TUZA_RECV(in, &v));
    __atomic_fetch_add(&sum, (uint64_t)v, __ATOMIC_RELAXED);
}
static NOINLINE void by_after(void)
{
    int v = 0;
    while (!__atomic_load_n(&go_on, __ATOMIC_RELAXED))
        tuza_select(TUZA_RECV(never, &v), TUZA_AFTER(TUZA_MS(3)));
}
static NOINLINE void by_mutex(void)
{
    tuza_mutex_lock(&mutex);
    tuza_mutex_unlock(&mutex);
}
static NOINLINE void by_waitgroup(void) { tuza_waitgroup_wait(&held); }
static NOINLINE void by_sleep(void)
{
    while (!__atomic_load_n(&go_on, __ATOMIC_RELAXED))
        tuza_sleep(TUZA_MS(3));
}
static NOINLINE void by_yield(void)
{
    while (!__atomic_load_n(&go_on, __ATOMIC_RELAXED))
        tuza_yield();
}

static void wake_recv(void)
{
    for (int i = 0; i < MANY; i++)
        tuza_send(in, 1);
}
static void wake_send(void)
{
    int v;
    for (int i = 0; i < MANY; i++) {
        tuza_recv(out, &v);
        sum += (uint64_t)v;
    }
}
static void wake_mutex(void) { tuza_mutex_unlock(&mutex); }
static void wake_waitgroup(void) { tuza_waitgroup_done(&held); }
static void wake_loops(void) { __atomic_store_n(&go_on, 1, __ATOMIC_RELAXED); }

static const struct way {
    const char *name;
    void (*wait)(void);
    void (*wake)(void);
    int counts; // whether it adds to the sum
} ways[] = {
    { "recv", by_recv, wake_recv, 1 },
    { "send", by_send, wake_send, 1 },
    { "select", by_select, wake_recv, 1 },
    { "after", by_after, wake_loops, 0 },
    { "mutex", by_mutex, wake_mutex, 0 },
    { "waitgroup", by_waitgroup, wake_waitgroup, 0 },
    { "sleep", by_sleep, wake_loops, 0 },
    { "yield", by_yield, wake_loops, 0 },
};

// Lowers `least` to the bytes from the low end of the segment that sp is in to
// the first that has been written since it was painted.
static NOINLINE void look(const volatile unsigned char *lo)
{
    uint32_t n = 16; // a canary comes first
    while (lo[n] == PAINT)
        n++;
    uint32_t was = __atomic_load_n(&least, __ATOMIC_RELAXED);
    while (n < was && !__atomic_compare_exchange_n(&least, &was, n, 0,
                                                   __ATOMIC_RELAXED,
                                                   __ATOMIC_RELAXED))
        ;
}

tuza_fn(waiter, const struct way *, w, int, number)
{
    volatile unsigned char frame[FRAME];
    for (int i = 0; i < FRAME; i++)
        frame[i] = (unsigned char)(number + i);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile unsigned char *lo = (void *)(here & -(uintptr_t)SIZE);
    if (thin)
        for (uint32_t i = 16; lo + i + 512 < frame; i++)
            lo[i] = PAINT;
    tuza_waitgroup_done(&started);
    w->wait();
    if (thin)
        look(lo);
    uint64_t mine = 0;
    for (int i = 0; i < FRAME; i++)
        mine += (unsigned char)(frame[i] - i);
    __atomic_fetch_add(&sum, mine - (unsigned)(number % 256) * FRAME,
                       __ATOMIC_RELAXED);
    tuza_waitgroup_done(&ended);
    if (number % 2)
        tuza_goexit();
}

// --- counting

static tuza_stackstats stacks(void)
{
    tuza_stackstats st = { .size = sizeof st };
    NEED(tuza_stackstats_read(&st) == 0);
    return st;
}

static void all_gone(void)
{
    tuza_schedstats st = { .size = sizeof st };
    for (int i = 0; i < 100000; i++) {
        NEED(tuza_schedstats_read(&st) == 0);
        if (st.goroutines == 1 && stacks().fixed_inuse == 0)
            return;
        tuza_yield();
    }
    NEED(!"all have ended and given their stacks back");
}

static void each_way(const struct way *w)
{
    sum = 0;
    least = SIZE;
    __atomic_store_n(&go_on, 0, __ATOMIC_RELAXED);
    tuza_waitgroup_add(&started, MANY);
    tuza_waitgroup_add(&ended, MANY);
    tuza_mutex_lock(&mutex);
    tuza_waitgroup_add(&held, 1);
    for (int i = 0; i < MANY; i++)
        NEED(tuza_go(waiter, w, i) == 0);
    tuza_waitgroup_wait(&started);
    for (int i = 0; i < 20; i++)
        tuza_yield(); // they come to wait
    NEED(stacks().fixed_inuse == (thin ? (uint64_t)MANY * SIZE : 0));
    w->wake();
    tuza_waitgroup_wait(&ended);
    if (w->wake != wake_mutex)
        tuza_mutex_unlock(&mutex);
    if (w->wake != wake_waitgroup)
        tuza_waitgroup_done(&held);
    NEED(sum == (w->counts ? MANY : 0));
    NEED(!thin || least >= 64);
    all_gone();
    printf("%s: %u\n", w->name, least);
}

// Memory beyond thin stacks that are in use: nobody grew.
static void nobody_grows(void)
{
    if (!thin)
        return;
    tuza_gc(); // who grew for a moment keeps the segment until then
    uint64_t before = stacks().inuse;
    tuza_waitgroup_add(&started, MANY);
    tuza_waitgroup_add(&ended, MANY);
    for (int i = 0; i < MANY; i++)
        NEED(tuza_go(waiter, &ways[0], i) == 0);
    tuza_waitgroup_wait(&started);
    uint64_t with = stacks().inuse;
    wake_recv();
    tuza_waitgroup_wait(&ended);
    all_gone();
    NEED(with - before == (uint64_t)MANY * SIZE);
}

// --- growing

static NOINLINE uint64_t deep(int n)
{
    volatile unsigned char frame[100];
    frame[n % 100] = (unsigned char)n;
    if (n % 1000 == 0)
        tuza_yield();
    uint64_t below = n ? deep(n - 1) : 0;
    return below + frame[n % 100];
}

tuza_fn(recursive, int, n)
{
    __atomic_fetch_add(&sum, deep(n), __ATOMIC_RELAXED);
    tuza_waitgroup_done(&ended);
}

static void recursions(int depth)
{
    uint64_t expected = 0;
    for (int i = 0; i <= depth; i++)
        expected += (unsigned char)i;
    sum = 0;
    tuza_waitgroup_add(&ended, 20);
    for (int i = 0; i < 20; i++)
        NEED(tuza_go(recursive, depth) == 0);
    tuza_waitgroup_wait(&ended);
    NEED(sum == 20 * expected);
    all_gone();
}

// --- the collector

struct node {
    long magic;
    struct node *next;
};

static NOINLINE struct node *node(long n)
{
    struct node *p = tuza_new(struct node);
    NEED(p);
    p->next = tuza_new(struct node);
    NEED(p->next);
    p->magic = p->next->magic = n;
    return p;
}

tuza_fn(holder, int, n)
{
    struct node *volatile p = node(n); // the only pointer to it
    tuza_waitgroup_done(&started);
    by_recv();
    __atomic_fetch_add(&sum, p->magic == n && p->next->magic == n,
                       __ATOMIC_RELAXED);
    tuza_waitgroup_done(&ended);
}

static void sole_pointers(int holders)
{
    sum = 0;
    tuza_waitgroup_add(&started, holders);
    tuza_waitgroup_add(&ended, holders);
    for (int i = 0; i < holders; i++)
        NEED(tuza_go(holder, i) == 0);
    tuza_waitgroup_wait(&started);
    tuza_gc();
    for (int i = 0; i < 2 * holders; i++)
        (void)node(-1); // what was freed is overwritten
    for (int i = 0; i < holders; i++)
        tuza_send(in, 0);
    tuza_waitgroup_wait(&ended);
    NEED(sum == (uint64_t)holders);
    all_gone();
}

// --- what ends the process

extern void (*volatile thin_hook)(void);

tuza_fn(overflowing, int, n)
{
    (void)n;
    thin_hook();
    tuza_yield();
}

tuza_fn(closing, int, n)
{
    (void)n;
    tuza_close(never);
    tuza_close(never);
}

TUZA_MAIN
{
    const char *what = argc > 1 ? argv[1] : "";
    thin = strcmp(what, "fat") != 0;
    in = tuza_chan_make(int, 0);
    out = tuza_chan_make(int, 0);
    never = tuza_chan_make(int, 0);
    NEED(in && out && never);
    if (strcmp(what, "overflow") == 0) {
        tuza_go(overflowing, 1);
        tuza_sleep(TUZA_MS(10000));
    }
    if (strcmp(what, "close") == 0) {
        tuza_go(closing, 1);
        tuza_sleep(TUZA_MS(10000));
    }
    if (strcmp(what, "gc") != 0) {
        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
            each_way(&ways[i]);
        nobody_grows();
    }
    recursions(argc > 3 ? atoi(argv[3]) : 20000);
    sole_pointers(argc > 2 ? atoi(argv[2]) : 2000);
    printf("thin: 0\n");
    return 0;
}
