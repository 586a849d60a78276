// SPDX-License-Identifier: BSD-3-Clause
// test/soak/churn_soak.c: goroutines are born, talk, allocate, sleep and die
// for minutes, and resident memory at rest stays where it was after the warm-up.
//
// Main starts jobs as long as one of the tokens is free, so that about JOBS of
// them live at any time; a job takes a few to a hundred milliseconds and is one
// of five kinds. All that is said over a channel carries a checksum, and so
// does all that is kept in the heap; each is verified where it arrives. At the
// end, what was sent in all must be what was received in all.
//
// SOAK_SECONDS (180) is how long, SOAK_SEED what the jobs are drawn from. The
// first third warms up. After each third all jobs are awaited and what is free is
// given back; resident memory at the end must be what it was after the first within
// 10 %. Only where there are more threads than then it may be what it was after the
// second, within 5 %: when the machine holds up who collects, those that allocate wait
// on threads of their own, some 500 more, which stay. (While they run it swings between
// the half and twice its median, with what jobs there are.)

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tuza.h"

enum { JOBS = 600, MOST_SECONDS = 24 * 3600 };

static uint64_t sent, received, sent_sum, received_sum, jobs_done, kinds[5];
static int stopping; // atomic; 1 at the end

static void fail(const char *what, uint64_t got, uint64_t wanted)
{
    fprintf(stderr, "churn: FAILED: %s: %" PRIu64 ", not %" PRIu64 "\n", what,
            got, wanted);
    exit(1);
}

static void count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

// A job's own source of numbers (splitmix64).
static uint64_t next(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void *need(void *p)
{
    if (!p)
        fail("out of memory", 0, 1);
    return p;
}

// What the goroutines send each other: numbers and their sum, in the heap.
struct letter {
    struct letter *self;
    uint64_t sum;
    size_t n;
    uint64_t *number; // memory of its own, without pointers
};

static struct letter *write_letter(uint64_t *seed)
{
    struct letter *l = need(tuza_new(struct letter));
    l->self = l;
    l->n = 1 + next(seed) % 64;
    l->number = need(tuza_alloc_bytes(l->n * sizeof *l->number));
    for (size_t i = 0; i < l->n; i++)
        l->sum += l->number[i] = next(seed);
    count(&sent, 1);
    count(&sent_sum, l->sum);
    return l;
}

static void read_letter(const struct letter *l)
{
    uint64_t sum = 0;
    if (l->self != l)
        fail("letter's address", (uintptr_t)l->self, (uintptr_t)l);
    for (size_t i = 0; i < l->n; i++)
        sum += l->number[i];
    if (sum != l->sum)
        fail("letter's sum", sum, l->sum);
    count(&received, 1);
    count(&received_sum, sum);
}

// The kinds of jobs. Each of them ends by giving its token back.

tuza_fn(write_letters, tuza_chan(struct letter *), to, int, n, uint64_t, seed)
{
    for (int i = 0; i < n; i++)
        tuza_send(to, write_letter(&seed));
    tuza_close(to);
}

// Talks: a child writes, this one reads.
static void talk(uint64_t seed)
{
    tuza_chan(struct letter *) c =
        need(tuza_chan_make(struct letter *, next(&seed) % 8));
    if (tuza_go(write_letters, c, (int)(next(&seed) % 200), next(&seed)))
        fail("spawn", 0, 1);
    tuza_range(l, c)
    {
        read_letter(l);
    }
}

// Selects: three children write, this one takes what comes, or a nap.
static void choose(uint64_t seed)
{
    tuza_chan(struct letter *) c[3];
    struct letter *l = NULL;
    int ok = 0, open = 3;
    for (int i = 0; i < 3; i++) {
        c[i] = need(tuza_chan_make(struct letter *, next(&seed) % 3));
        if (tuza_go(write_letters, c[i], (int)(next(&seed) % 60), next(&seed)))
            fail("spawn", 0, 1);
    }
    while (open > 0) {
        int i = tuza_select(TUZA_RECV_OK(c[0], &l, &ok),
                            TUZA_RECV_OK(c[1], &l, &ok),
                            TUZA_RECV_OK(c[2], &l, &ok),
                            TUZA_AFTER(TUZA_US(next(&seed) % 500)));
        if (i == 3)
            continue;
        if (ok) {
            read_letter(l);
        } else {
            c[i] = NULL; // closed: never ready again
            open--;
        }
    }
}

struct tree {
    struct tree *left, *right;
    uint64_t value;
};

static struct tree *grow(int depth, uint64_t value)
{
    struct tree *t = need(tuza_new(struct tree));
    t->value = value;
    if (depth > 0) {
        t->left = grow(depth - 1, 2 * value);
        t->right = grow(depth - 1, 2 * value + 1);
    }
    return t;
}

static uint64_t nodes(const struct tree *t, uint64_t value)
{
    if (!t)
        return 0;
    if (t->value != value)
        fail("tree's node", t->value, value);
    return 1 + nodes(t->left, 2 * value) + nodes(t->right, 2 * value + 1);
}

// Grows a tree, sleeps over it, and looks at every node.
static void sleep_over_tree(uint64_t seed)
{
    int depth = (int)(next(&seed) % 10);
    struct tree *t = grow(depth, 1);
    tuza_sleep(TUZA_US(next(&seed) % 50000));
    uint64_t wanted = (UINT64_C(2) << depth) - 1, got = nodes(t, 1);
    if (got != wanted)
        fail("tree's nodes", got, wanted);
}

// Fills large objects one after the other; each lives for some turns.
static void fill_large(uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        size_t n = 10000 + next(&seed) % 100000;
        unsigned char mark = (unsigned char)next(&seed);
        unsigned char *p = memset(need(tuza_alloc_bytes(n)), mark, n);
        for (int turns = (int)(next(&seed) % 4); turns > 0; turns--)
            tuza_yield();
        for (size_t at = 0; at < n; at += 97)
            if (p[at] != mark)
                fail("byte of a large object", p[at], mark);
    }
}

tuza_fn(use_stack, int, depth, tuza_chan(uint64_t), result)
{
    // A stack that is used deep down, and then goes back to the pool.
    volatile unsigned char frame[60 * 1024];
    size_t used = 1 + (size_t)depth * sizeof frame / 10;
    uint64_t sum = 0;
    used = used < sizeof frame ? used : sizeof frame;
    for (size_t i = 0; i < used; i += 512)
        frame[i] = (unsigned char)i;
    tuza_yield();
    for (size_t i = 0; i < used; i += 512)
        sum += frame[i] == (unsigned char)i;
    tuza_send(result, sum == (used + 511) / 512);
}

// Starts children that use much stack.
static void go_deep(uint64_t seed)
{
    tuza_chan(uint64_t) result = need(tuza_chan_make(uint64_t, 0));
    int n = (int)(next(&seed) % 8);
    uint64_t good = 0, one = 0;
    for (int i = 0; i < n; i++)
        if (tuza_go(use_stack, (int)(next(&seed) % 10), result))
            fail("spawn", 0, 1);
    for (int i = 0; i < n; i++) {
        tuza_recv(result, &one);
        good += one;
    }
    if (good != (uint64_t)n)
        fail("children with a sound stack", good, (uint64_t)n);
}

tuza_fn(job, uint64_t, seed, tuza_chan(char), tokens)
{
    static void (*const kind[])(uint64_t) = { talk, choose, sleep_over_tree,
                                              fill_large, go_deep };
    uint64_t k = next(&seed) % 5;
    kind[k](seed);
    count(&kinds[k], 1);
    count(&jobs_done, 1);
    tuza_send(tokens, 1);
}

// Resident memory in KB; 0 where the system does not say.
static uint64_t resident_kb(void)
{
    unsigned long pages = 0;
    FILE *f = TUZA_SYSCALL(fopen("/proc/self/statm", "r"));
    if (!f)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void say(int second, uint64_t kb)
{
    tuza_memstats mem = { .size = sizeof mem };
    tuza_schedstats sched = { .size = sizeof sched };
    tuza_memstats_read(&mem);
    tuza_schedstats_read(&sched);
    printf("churn: t=%d rss_kb=%" PRIu64 " goroutines=%" PRIu64
           " created=%" PRIu64 " threads=%" PRIu64 " jobs=%" PRIu64
           " letters=%" PRIu64 " live_kb=%" PRIu64 " heap_kb=%" PRIu64
           " collections=%" PRIu64 " longest_pause_us=%" PRIu64 "\n",
           second, kb, sched.goroutines, sched.created, sched.threads,
           __atomic_load_n(&jobs_done, __ATOMIC_RELAXED),
           __atomic_load_n(&received, __ATOMIC_RELAXED), mem.heap_live / 1024,
           mem.heap_sys / 1024, mem.num_gc, mem.pause_max_ns / 1000);
    fflush(stdout);
}

// Says once in ten seconds how it goes.
tuza_fn(watch, int64_t, start)
{
    for (int second = 10; !__atomic_load_n(&stopping, __ATOMIC_ACQUIRE); second++) {
        tuza_sleep(start + TUZA_SEC(second) - tuza_now());
        if (second % 10 == 0)
            say(second, resident_kb());
    }
}

static void work_until(int64_t end, uint64_t *seed, tuza_chan(char) tokens)
{
    while (tuza_now() < end) {
        tuza_recv(tokens, NULL);
        if (tuza_go(job, next(seed), tokens))
            fail("spawn", 0, 1);
    }
}

struct rest {
    uint64_t kb, threads;
};

// All jobs have ended; resident memory then, of which nothing is free.
static struct rest rest(tuza_chan(char) tokens)
{
    for (int i = 0; i < JOBS; i++)
        tuza_recv(tokens, NULL);
    for (int i = 0; i < 2; i++) { // stacks go after the next
        tuza_gc();
        tuza_release_memory();
    }
    uint64_t kb = resident_kb();
    tuza_memstats mem = { .size = sizeof mem };
    tuza_schedstats sched = { .size = sizeof sched };
    tuza_memstats_read(&mem);
    tuza_schedstats_read(&sched);
    printf("churn: at rest rss_kb=%" PRIu64 " threads=%" PRIu64 " heap_kb=%" PRIu64
           " of it idle_kb=%" PRIu64 " meta_kb=%" PRIu64 "\n",
           kb, sched.threads, (mem.heap_sys - mem.heap_released) / 1024,
           mem.heap_idle / 1024, mem.meta_sys / 1024);
    for (int i = 0; i < JOBS; i++)
        tuza_send(tokens, 1);
    return (struct rest){ kb, sched.threads };
}

static bool is_near(uint64_t a, uint64_t b, uint64_t percent)
{
    return (a > b ? a - b : b - a) * 100 <= a * percent;
}

static int verdict(struct rest first, uint64_t mid, struct rest last, int seconds)
{
    uint64_t early = first.kb, late = last.kb;
    bool more_threads = last.threads > first.threads;
    if (sent != received)
        fail("letters received", received, sent);
    if (sent_sum != received_sum)
        fail("sum of the letters received", received_sum, sent_sum);
    for (int i = 0; i < 5; i++)
        if (kinds[i] == 0)
            fail("jobs of some kind", 0, 1);
    bool ok = early > 0 && (is_near(early, late, 10) ||
                            (more_threads && is_near(mid, late, 5)));
    printf("churn: %s: at rest rss_kb=%" PRIu64 ", %" PRIu64 ", %" PRIu64
           " after each third of %d s (%+.1f %% since the first, 10 allowed; %+.1f %% "
           "since the second, 5 allowed if there are more threads); %" PRIu64
           " jobs, %" PRIu64 " letters, all sums right\n",
           ok ? "ok" : "FAILED", early, mid, late, seconds,
           early ? ((double)late / (double)early - 1) * 100 : 0.0,
           mid ? ((double)late / (double)mid - 1) * 100 : 0.0, jobs_done, received);
    return ok ? 0 : 1;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static int churn(int argc, char **argv)
{
    (void)argc, (void)argv;
    uint64_t seconds = setting("SOAK_SECONDS", 180);
    uint64_t seed = setting("SOAK_SEED", (uint64_t)tuza_now());
    if (seconds < 6 || seconds > MOST_SECONDS)
        fail("SOAK_SECONDS", seconds, 180);
    printf("churn: SOAK_SECONDS=%" PRIu64 " SOAK_SEED=%" PRIu64 "\n", seconds,
           seed);
    tuza_chan(char) tokens = need(tuza_chan_make(char, JOBS));
    for (int i = 0; i < JOBS; i++)
        tuza_send(tokens, 1);
    int64_t start = tuza_now();
    tuza_go(watch, start);
    work_until(start + TUZA_SEC(seconds) / 3, &seed, tokens);
    struct rest early = rest(tokens);
    work_until(start + TUZA_SEC(seconds) * 2 / 3, &seed, tokens);
    struct rest mid = rest(tokens);
    work_until(start + TUZA_SEC(seconds), &seed, tokens);
    struct rest late = rest(tokens);
    __atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
    return verdict(early, mid.kb, late, (int)seconds);
}

int main(int argc, char **argv)
{
    tuza_config config = { .size = sizeof config, .maxprocs = 2 };
    tuza_run_main(churn, argc, argv, &config);
}
