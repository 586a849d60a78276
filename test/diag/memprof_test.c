// SPDX-License-Identifier: BSD-3-Clause
// test/diag/memprof_test.c: the heap profile: exact when each object is a sample,
// else right within what chance allows; whatever the way an object comes or goes.

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/san.h"
#include "diag/profile_read.h"
#include "gc/dying.h"
#include "stack/unwind.h"
#include "tuza/gc.h"

#define NOTAIL __asm__ volatile("")

enum { MADE, MADE_BYTES, INUSE, INUSE_BYTES };

// --- places of allocation

NOINLINE void *by_alloc(size_t n);
NOINLINE void *by_alloc_bytes(size_t n);
NOINLINE void *by_uncollectable(size_t n);
NOINLINE void *by_typed(const tuza_type *t, size_t n);
NOINLINE void *by_other(size_t n);
void *by_alloc(size_t n)
{
    void *p = tuza_alloc(n);
    NOTAIL;
    return p;
}
void *by_alloc_bytes(size_t n)
{
    void *p = tuza_alloc_bytes(n);
    NOTAIL;
    return p;
}
void *by_uncollectable(size_t n)
{
    void *p = tuza_alloc_uncollectable(n);
    NOTAIL;
    return p;
}
void *by_typed(const tuza_type *t, size_t n)
{
    void *p = tuza_alloc_typed(t, n);
    NOTAIL;
    return p;
}
void *by_other(size_t n)
{
    void *p = by_alloc(n);
    NOTAIL;
    return p;
}

struct node {
    struct node *left, *right;
    uint64_t value;
};
static const tuza_type node_type = TUZA_TYPE(struct node, left, right);

static void *kept[300000];
static int nkept;

// Runs fn(arg) in a goroutine of its own, so that no word of what it did is left
// on this stack.
static tuza_waitgroup there;
struct run {
    void (*fn)(void *arg);
    void *arg;
};
static void run_there(void *arg)
{
    struct run *r = arg;
    r->fn(r->arg);
    tuza_waitgroup_done(&there);
}
static void in_another(void (*fn)(void *), void *arg)
{
    struct run r = { fn, arg };
    tuza_waitgroup_add(&there, 1);
    need_eq(tuza_spawn(run_there, &r), 0);
    tuza_waitgroup_wait(&there);
}

static void *keep(void *p)
{
    need(p != NULL);
    return kept[nkept++] = p;
}
static void free_kept(int from, int n)
{
    for (int i = 0; i < n; i++) {
        tuza_free(kept[from + i]);
        kept[from + i] = NULL;
    }
}

// --- reading

static void profile(void)
{
    int fd = memfd_create("profile", 0);
    need(fd >= 0);
    need_eq(tuza_heap_profile(fd), 0);
    pr_read(fd);
    need_eq(pr.types, 4);
    close(fd);
}
static void profile_now(void)
{
    tuza_gc();
    profile();
}

// Without unwind tables only who allocates is known, as an address.
#define KNOWN(f) (tz_unwind_cpu.tables ? (f) : NULL)

static void need_site(const char *f, uint64_t size, long long made,
                      long long inuse)
{
    f = KNOWN(f);
    long long has[4];
    for (int i = 0; i < 4; i++)
        has[i] = (long long)pr_sum(i, f, size);
    if (has[MADE] != made || has[INUSE] != inuse)
        ck_abort_msg("%s, %llu bytes: %lld made and %lld in use, not %lld, %lld",
                     f, (unsigned long long)size, has[MADE], has[INUSE], made,
                     inuse);
    need_eq(has[MADE_BYTES], made * (long long)size);
    need_eq(has[INUSE_BYTES], inuse * (long long)size);
}

// --- each object

// Sizes of which nothing else has objects.
IN_GOROUTINES(rate_1_counts_every_object_at_its_place, 2)
{
    need_eq(tuza_heap_profile_rate(1), 0);
    need_eq(tuza_heap_profile_rate(-1), 1);
    for (int i = 0; i < 1000; i++)
        keep(by_alloc(97)); // 112
    for (int i = 0; i < 300; i++)
        keep(by_other(97));
    for (int i = 0; i < 10; i++)
        keep(by_alloc_bytes(6600)); // 6784
    for (int i = 0; i < 5; i++)
        keep(by_alloc(100001)); // 13 pages
    for (int i = 0; i < 70; i++)
        keep(by_typed(&node_type, 10)); // 240
    for (int i = 0; i < 20; i++)
        keep(by_uncollectable(500)); // 512
    profile(); // there was no collection: of this moment
    need_site("by_alloc", 112, 1300, 1300);
    need_site("by_other", 112, tz_unwind_cpu.tables ? 300 : 1300,
              tz_unwind_cpu.tables ? 300 : 1300);
    need_site("by_alloc_bytes", 6784, 10, 10);
    need_site("by_alloc", 106496, 5, 5);
    need_site("by_typed", 240, 70, 70);
    need_site("by_uncollectable", 512, 20, 20);
    need_eq(pr.period, 1);
    need_eq(pr.comments, 0);
    profile_now();
    need_site("by_alloc", 112, 1300, 1300);
    need_site("by_uncollectable", 512, 20, 20);
}

IN_GOROUTINES(what_is_freed_by_hand_is_not_in_use, 2)
{
    tuza_heap_profile_rate(1);
    for (int i = 0; i < 200; i++)
        keep(by_alloc(97));
    free_kept(0, 50);
    for (int i = 0; i < 30; i++) // slots that were free, of the run and of
        keep(by_alloc(97));      // magazines, are sampled again
    free_kept(50, 100);
    for (int i = 0; i < 8; i++)
        keep(by_alloc(200000)); // 25 pages
    free_kept(230, 5);
    for (int i = 0; i < 40; i++)
        keep(by_uncollectable(500));
    free_kept(238, 15);
    profile_now();
    need_site("by_alloc", 112, 230, 80);
    need_site("by_alloc", 204800, 8, 3);
    need_site("by_uncollectable", 512, 40, 25);
    free_kept(150, 80);
    profile_now();
    need_site("by_alloc", 112, 230, 0);
}

static void make_nodes(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        by_typed(&node_type, 1);
}

// By types, of everything: what the summary has counted.
static long long nodes_there(void)
{
    static char text[64 * 1024];
    FILE *f = tmpfile();
    need_eq(tuza_heap_summary(fileno(f)), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    long long n = 0, bytes;
    const char *at = strstr(text, "%  struct node\n");
    while (at && at > text && at[-1] != '\n')
        at--;
    if (at)
        need_eq(sscanf(at, "%lld %lld", &n, &bytes), 2);
    return n;
}

IN_GOROUTINES(what_a_collection_takes_is_not_in_use, 2)
{
    int n = scaled(20000), more = 100;
    tuza_heap_profile_rate(1);
    tuza_gc_set_percent(-1);
    in_another(make_nodes, &n);
    for (int i = 0; i < 64; i++)
        keep(by_typed(&node_type, 1));
    for (int i = 0; i < 5; i++) {
        scrub_stacks();
        profile_now();
        uint64_t inuse = pr_sum(INUSE, KNOWN("by_typed"), 32);
        need_eq(pr_sum(MADE, KNOWN("by_typed"), 32), n + 64 + more * i);
        need(inuse >= 64);
        if (tz_unwind_cpu.tables) // all nodes, and no others
            need_eq(inuse, nodes_there());
        if (i == 4)
            need(inuse < 64 + (uint64_t)n / 4);
        in_another(make_nodes, &more);
    }
}

// What was allocated since a collection cannot have been found dead by it.
IN_GOROUTINES(figures_are_of_the_end_of_the_last_collection, 1)
{
    tuza_heap_profile_rate(1);
    tuza_gc_set_percent(-1);
    for (int i = 0; i < 100; i++)
        keep(by_alloc(97));
    profile_now();
    need_site("by_alloc", 112, 100, 100);
    for (int i = 0; i < 30; i++)
        keep(by_alloc(97));
    for (int i = 0; i < 10; i++)
        keep(by_alloc_bytes(6600));
    free_kept(0, 40);
    profile();
    need_site("by_alloc", 112, 100, 100);
    need_site("by_alloc_bytes", 6784, 0, 0);
    profile_now();
    need_site("by_alloc", 112, 130, 90);
    need_site("by_alloc_bytes", 6784, 10, 10);
    tuza_gc();
    profile_now();
    need_site("by_alloc", 112, 130, 90);
}

// --- rates

IN_GOROUTINES(off_keeps_nothing_and_rates_follow_each_other, 2)
{
    need_eq(tuza_heap_profile_rate(-1), 0);
    for (int i = 0; i < 3000; i++)
        keep(by_alloc(97));
    int fd = memfd_create("none", 0);
    need_eq(tuza_heap_profile(fd), 0);
    close(fd);
    need_eq(tuza_heap_profile_rate(1), 0);
    for (int i = 0; i < 10; i++)
        keep(by_alloc(97));
    need_eq(tuza_heap_profile_rate(0), 1);
    for (int i = 0; i < 3000; i++)
        keep(by_alloc(97));
    profile_now();
    need_site("by_alloc", 112, 10, 10);
    need_eq(tuza_heap_profile_rate(1), 0);
    for (int i = 0; i < 10; i++)
        keep(by_alloc(97));
    need_eq(tuza_heap_profile_rate(INT64_MAX), 1);
    for (int i = 0; i < 3000; i++)
        keep(by_alloc(97));
    profile_now();
    need_site("by_alloc", 112, 20, 20);
}

static int from_the_start(int argc, char **argv)
{
    (void)argc, (void)argv;
    need_eq(tuza_heap_profile_rate(-1), 1);
    for (int i = 0; i < 77; i++)
        keep(by_alloc(97));
    profile_now();
    need_site("by_alloc", 112, 77, 77);
    return 0;
}

START_TEST(the_environment_sets_the_rate)
{
    setenv("TUZADEBUG", "memprofilerate=1", 1);
    api_run(from_the_start, 2);
}
END_TEST

// --- estimates

// Interleaved sizes; each object is a sample with the probability p, so samples
// are binomially distributed. Six standard deviations.
static const size_t size_of[] = { 16, 48, 256, 1024, 8192, 40960 };
static const int many[] = { 500000, 300000, 150000, 45000, 4500, 500 };

static void need_estimate(int i, uint64_t rate, double made, double inuse)
{
    double p = 1 - exp(-(double)size_of[i] / (double)rate);
    uint64_t m = pr_sum(MADE, KNOWN("allocate_many"), size_of[i]);
    uint64_t u = pr_sum(INUSE, KNOWN("allocate_many"), size_of[i]);
    double of_made = 6 * sqrt(made * (1 - p) / p) + 1;
    double of_inuse = 6 * sqrt(inuse * (1 - p) / p) + 1;
    if (fabs((double)m - made) > of_made || fabs((double)u - inuse) > of_inuse)
        ck_abort_msg("%zu bytes: %.0f made and %.0f in use, estimated %llu, %llu "
                     "(within %.0f, %.0f)",
                     size_of[i], made, inuse, (unsigned long long)m,
                     (unsigned long long)u, of_made, of_inuse);
}

// Every `hold`-th is kept, those between are freed by hand or left.
struct many {
    int made[6], held[6], hold, part;
    bool by_hand;
};

NOINLINE void allocate_many(struct many *m);
void allocate_many(struct many *m)
{
    uint64_t seed = test_seed();
    int left[6], all = 0, n = 0;
    for (int i = 0; i < 6; i++)
        all += left[i] = scaled(many[i] / m->part);
    for (; all > 0; all--) {
        int i = 0, k = (int)rnd(&seed, (uint32_t)all);
        while (k >= left[i])
            k -= left[i++];
        left[i]--;
        void *p = tuza_alloc_bytes(size_of[i]);
        m->made[i]++;
        if (++n % m->hold == 0)
            keep(p), m->held[i]++;
        else if (m->by_hand && n % 3)
            tuza_free(p);
    }
}
static void allocate_them(void *m) { allocate_many(m); }

// A million objects, or that part of them.
static void estimate(uint64_t rate, int hold, bool by_hand, int part)
{
    static struct many m;
    m.hold = hold;
    m.by_hand = by_hand;
    m.part = part;
    tuza_heap_profile_rate((int64_t)rate);
    in_another(allocate_them, &m);
    scrub_stacks();
    tuza_gc();
    profile_now();
    for (int i = 0; i < 6; i++)
        need_estimate(i, rate, m.made[i], m.held[i]);
}

IN_GOROUTINES(estimates_are_right_within_what_chance_allows, 1)
{
    estimate(16384, 5, false, 1);
}
IN_GOROUTINES(estimates_are_right_in_slots_that_were_freed_by_hand, 1)
{
    estimate(16384, 5, true, 2);
}
IN_GOROUTINES(estimates_are_right_where_most_lives, 2)
{
    estimate(4096, 4, true, 2);
}

// One class takes all of its spans, the other a slot here and there: neither
// gets the other's samples.
NOINLINE void full_and_fragmented(int n);
void full_and_fragmented(int n)
{
    for (int i = 0; i < n; i++)
        keep(by_alloc_bytes(128));
    for (int i = 0; i < n; i += 2)
        tuza_free(kept[nkept - n + i]), kept[nkept - n + i] = NULL;
    tuza_gc();
    for (int i = 0; i < n / 2; i++) {
        for (int k = 0; k < 8; k++)
            tuza_alloc_bytes(32);
        keep(by_other(112));
        kept[--nkept] = NULL;
        tuza_alloc_bytes(128);
    }
}

IN_GOROUTINES(classes_with_short_runs_get_no_more_samples_than_others, 1)
{
    enum { RATE = 8192 };
    int n = scaled(100000);
    tuza_gc_set_percent(-1);
    full_and_fragmented(n);
    tuza_heap_profile_rate(RATE);
    full_and_fragmented(n);
    profile_now();
    static const struct { int size, times; } has[] = { { 32, 4 * 2 }, { 112, 1 },
                                                       { 128, 3 } };
    for (int i = 0; i < 3 && tz_unwind_cpu.tables; i++) {
        double made = (double)has[i].times * n / 2;
        double p = 1 - exp(-has[i].size / (double)RATE);
        double m = (double)pr_sum(MADE, "full_and_fragmented",
                                  (uint64_t)has[i].size);
        ck_assert_msg(fabs(m - made) < 6 * sqrt(made * (1 - p) / p),
                      "%d bytes: %.0f, estimated %.0f", has[i].size, made, m);
    }
}

// --- other threads and stacks

NOINLINE void *by_thread(void *n);
void *by_thread(void *n)
{
    for (int i = 0; i < (int)(intptr_t)n; i++)
        keep(by_uncollectable(500));
    NOTAIL;
    return NULL;
}
static void *free_there(void *n)
{
    free_kept(0, (int)(intptr_t)n);
    return NULL;
}
static void on_a_thread(void *(*fn)(void *), intptr_t n)
{
    pthread_t t;
    need_eq(pthread_create(&t, NULL, fn, (void *)n), 0);
    TUZA_BLOCKING(pthread_join(t, NULL));
}

IN_GOROUTINES(threads_of_the_programs_are_in, 2)
{
    tuza_heap_profile_rate(1);
    on_a_thread(by_thread, 100);
    on_a_thread(free_there, 40);
    profile_now();
    need_site("by_thread", 512, 100, 60);
    need_site("by_uncollectable", 512, 100, 60);
    on_a_thread(by_thread, 50);
    free_kept(40, 10); // of the first thread's, by a goroutine
    profile_now();
    need_site("by_thread", 512, 150, 100);
}

NOINLINE void deep(int n);
void deep(int n)
{
    if (n > 0)
        deep(n - 1);
    else
        keep(by_alloc(97));
    NOTAIL;
}
static void on_a_larger_stack(void *arg)
{
    keep(by_alloc(*(size_t *)arg));
    NOTAIL;
}
NOINLINE void from_a_small_stack(size_t n);
void from_a_small_stack(size_t n)
{
    tuza_call_big(on_a_larger_stack, &n, 64 << 20);
    NOTAIL;
}
NOINLINE void from_a_goroutines_stack(size_t n);
void from_a_goroutines_stack(size_t n)
{
    tuza_on_system_stack(on_a_larger_stack, &n);
    NOTAIL;
}

IN_GOROUTINES(deep_stacks_have_their_innermost_frames, 1)
{
    tuza_heap_profile_rate(1);
    deep(500);
    from_a_small_stack(200); // 208
    from_a_goroutines_stack(2000);
    profile_now();
    need_site("by_alloc", 112, 1, 1);
    need_site("deep", 112, 1, 1);
    need_site("from_a_small_stack", 208, 1, 1);
    need_site("from_a_goroutines_stack", 2048, 1, 1);
    for (uint64_t i = 0; i < pr.samples && tz_unwind_cpu.tables; i++)
        if (pr_has(&pr.sample[i], "deep"))
            need_eq(pr.sample[i].depth, PR_FRAMES);
}

// --- everything at once

static void churn(void *arg)
{
    void *mine[64] = { NULL };
    uint64_t seed = (uint64_t)(uintptr_t)&mine;
    for (int i = 0; i < scaled(40000); i++) {
        void **at = &mine[rnd(&seed, 64)];
        tuza_free(*at);
        size_t n = (size_t[]){ 97, 97, 97, 6600, 50000 }[rnd(&seed, 5)];
        *at = by_alloc_bytes(n);
        if (rnd(&seed, 8) == 0)
            make_nodes(&(int){ 3 });
    }
    for (int i = 0; i < 64; i++)
        tuza_free(mine[i]);
    tuza_waitgroup_done(arg);
}
static void *churn_there(void *arg)
{
    for (int i = 0; i < scaled(5000); i++) {
        void *p = by_uncollectable(500), *q = by_uncollectable(6600);
        tuza_free(i % 2 ? p : q);
        tuza_free(i % 2 ? q : p);
    }
    return arg;
}

IN_GOROUTINES(after_all_that_comes_and_goes_nothing_is_in_use, 4)
{
    static tuza_waitgroup done;
    pthread_t t;
    tuza_heap_profile_rate(1000);
    tuza_gc_set_percent(10);
    tuza_waitgroup_add(&done, 4);
    need_eq(pthread_create(&t, NULL, churn_there, NULL), 0);
    for (int i = 0; i < 4; i++)
        need_eq(tuza_spawn(churn, &done), 0);
    for (int i = 0; i < 10; i++) {
        tuza_gc();
        profile();
        if (i % 3 == 0)
            tuza_heap_profile_rate(500 + i);
        tuza_yield();
    }
    tuza_waitgroup_wait(&done);
    TUZA_BLOCKING(pthread_join(t, NULL));
    profile_now();
    need(pr_sum(MADE, KNOWN("churn"), 0) > 0);
    need(pr_sum(MADE, KNOWN("churn_there"), 0) > 0);
    if (tz_unwind_cpu.tables) {
        need_eq(pr_sum(INUSE, "by_alloc_bytes", 0), 0);
        need_eq(pr_sum(INUSE, "by_uncollectable", 0), 0);
    }
}

// --- beside a mark

#define BESIDE(claim, maxprocs)                                                \
    START_TEST(claim##_beside_a_mark)                                          \
    {                                                                          \
        if (TZ_TSAN)                                                           \
            return;                                                            \
        setenv("TUZADEBUG", "gcmode=m1", 1);                                   \
        api_run(claim##_main, maxprocs);                                       \
    }                                                                          \
    END_TEST
BESIDE(rate_1_counts_every_object_at_its_place, 2)
BESIDE(what_is_freed_by_hand_is_not_in_use, 2)
BESIDE(what_a_collection_takes_is_not_in_use, 2)
BESIDE(after_all_that_comes_and_goes_nothing_is_in_use, 4)
BESIDE(estimates_are_right_in_slots_that_were_freed_by_hand, 1)

// --- as text, and what cannot be

static char text[256 * 1024];
static void summary(void)
{
    FILE *f = tmpfile();
    need_eq(tuza_heap_summary(fileno(f)), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
}

IN_GOROUTINES(the_summary_has_places_of_allocation, 2)
{
    summary();
    need(!strstr(text, "allocation site"));
    tuza_heap_profile_rate(1);
    for (int i = 0; i < 10; i++)
        keep(by_other(100001));
    for (int i = 0; i < 4; i++)
        keep(by_other(200000));
    keep(by_typed(&node_type, 1));
    tuza_gc();
    summary();
    const char *at = strstr(text, "\nby allocation site, from a sample in 1 bytes, "
                                  "as of collection 1:\n"
                                  "   objects         bytes   share\n");
    need(at != NULL);
    if (!tz_unwind_cpu.tables)
        return;
    at = strstr(at, "share\n") + 6; // the largest comes first, each stack once
    long long objects, bytes;
    need_eq(sscanf(at, "%lld %lld", &objects, &bytes), 2);
    char frames[2000];
    const char *next = strstr(at, "%\n") + 2;
    snprintf(frames, sizeof frames, "%.*s", (int)strcspn(next, " "), next);
    need(strstr(next, "\tmemprof_test.") == next || strstr(next, "\tmain.") == next);
    need(strstr(frames, "by_alloc(...)\n") != NULL);
    need_eq(objects, 10);
    need_eq(bytes, 10 * 106496);
    need(strstr(text, "by_typed(...)\n") != NULL);
    need(!strstr(text, "tuza_alloc"));
}

IN_GOROUTINES(nothing_of_what_objects_hold_is_in_it, 1)
{
    static const char secret[] = "xyzzy-planted-secret";
    static uint8_t all[1024 * 1024];
    tuza_heap_profile_rate(1);
    for (int i = 0; i < 50; i++)
        strcpy(keep(by_alloc_bytes(97)), secret);
    tuza_gc();
    summary();
    need(!strstr(text, secret));
    int fd = memfd_create("profile", 0);
    need_eq(tuza_heap_profile(fd), 0);
    ssize_t n = pread(fd, all, sizeof all, 0);
    need(n > 0 && n < (ssize_t)sizeof all);
    need(!memmem(all, (size_t)n, secret, sizeof secret - 1));
    close(fd);
}

IN_GOROUTINES(what_cannot_be_written_to_is_told, 1)
{
    tuza_heap_profile_rate(1);
    keep(by_alloc(97));
    need_eq(tuza_heap_profile(-1), -EBADF);
    int fd = open("/dev/full", O_WRONLY);
    need_eq(tuza_heap_profile(fd), -ENOSPC);
    close(fd);
}

START_TEST(not_before_the_runtime_runs)
{
    ck_assert_int_eq(tuza_heap_profile(1), -EINVAL);
}
END_TEST

int main(void)
{
    return api_check(
        "memprof",
        (const TTest *const[]){
            rate_1_counts_every_object_at_its_place,
            what_is_freed_by_hand_is_not_in_use,
            what_a_collection_takes_is_not_in_use,
            figures_are_of_the_end_of_the_last_collection,
            off_keeps_nothing_and_rates_follow_each_other,
            the_environment_sets_the_rate,
            estimates_are_right_within_what_chance_allows,
            estimates_are_right_in_slots_that_were_freed_by_hand,
            estimates_are_right_where_most_lives,
            classes_with_short_runs_get_no_more_samples_than_others,
            threads_of_the_programs_are_in,
            deep_stacks_have_their_innermost_frames,
            after_all_that_comes_and_goes_nothing_is_in_use,
            rate_1_counts_every_object_at_its_place_beside_a_mark,
            what_is_freed_by_hand_is_not_in_use_beside_a_mark,
            what_a_collection_takes_is_not_in_use_beside_a_mark,
            after_all_that_comes_and_goes_nothing_is_in_use_beside_a_mark,
            estimates_are_right_in_slots_that_were_freed_by_hand_beside_a_mark,
            the_summary_has_places_of_allocation,
            nothing_of_what_objects_hold_is_in_it,
            what_cannot_be_written_to_is_told, not_before_the_runtime_runs,
            NULL });
}
