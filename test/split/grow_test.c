// SPDX-License-Identifier: BSD-3-Clause
// test: release-only
// test/split/grow_test.c: growing through segments. These tests are split code
// themselves.

#include <alloca.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/env.h"
#include "sched/proc.h"
#include "sched/split.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline, noclone))

static struct tz_segment *seg(void) { return tz_getg()->seg; }

static uint64_t in_use(void)
{
    struct tz_stack_stats st;
    tz_stack_stats_read(&st);
    return st.inuse;
}

// The caller's frame. Not a function: that might run in another segment.
static inline __attribute__((always_inline)) uintptr_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

START_TEST(s3_06_the_constants_agree)
{
    ck_assert_int_ge(TZ_SEG_LEAST,
                     TZ_SEG_SMALL + TZ_SEG_REDZONE + TZ_SEG_PUSHED);
    ck_assert_int_ge(TZ_SEG_RESERVE, 47600); // printf of a long double
    ck_assert_int_eq(TZ_SEG_RESERVE % 4096, 0);
    ck_assert_uint_eq(offsetof(struct tz_g, seg), TZ_G_SEG);
    ck_assert_uint_eq(offsetof(struct tz_segment, heavy), TZ_SEG_HEAVY);
}
END_TEST

// --- frames near the guard

// A function with a frame of N bytes that it fills; what it has is inside of
// its segment, above what is reserved for others.
#define FRAME(N)                                                               \
    static NOINLINE void frame_##N(char with)                                  \
    {                                                                          \
        volatile char a[N];                                                    \
        for (size_t i = 0; i < N; i++)                                         \
            a[i] = with;                                                       \
        uintptr_t lo = (uintptr_t)a;                                           \
        need(lo >= seg()->guard - TZ_SEG_LEAST && lo + N <= seg()->hi);        \
        for (size_t i = 0; i < N; i++)                                         \
            need(a[i] == with);                                                \
    }
// clang-format off
FRAME(1) FRAME(16) FRAME(48) FRAME(64) FRAME(100) FRAME(127) FRAME(128)
FRAME(150) FRAME(192) FRAME(200) FRAME(220) FRAME(240) FRAME(248) FRAME(255)
FRAME(256) FRAME(272) FRAME(300) FRAME(400) FRAME(512) FRAME(768) FRAME(1024)
FRAME(1500) FRAME(2048) FRAME(3000) FRAME(4000) FRAME(4096) FRAME(65536)
FRAME(204800)
static void (*const frames[])(char) = {
    frame_1, frame_16, frame_48, frame_64, frame_100, frame_127, frame_128,
    frame_150, frame_192, frame_200, frame_220, frame_240, frame_248, frame_255,
    frame_256, frame_272, frame_300, frame_400, frame_512, frame_768,
    frame_1024, frame_1500, frame_2048, frame_3000, frame_4000, frame_4096,
    frame_65536, frame_204800
};
// clang-format on

static NOINLINE void all_frames(char *keep)
{
    keep[0] = 1;
    for (size_t i = 0; i < tz_countof(frames); i++) {
        // The largest take time; they are called now and then.
        if (i + 2 >= tz_countof(frames) && here() / 16 % 16)
            continue;
        frames[i]((char)i);
    }
}

// Calls all_frames with `left` bytes more or less between it and the guard.
static NOINLINE void at_distance(uintptr_t left)
{
    uintptr_t room = here() - seg()->guard;
    if (room > left)
        all_frames(alloca(room - left));
}

IN_GOROUTINES(s3_07_frames_of_any_size_at_any_distance_from_the_guard, 1)
{
    struct tz_segment *first = seg();
    for (uintptr_t left = 96; left <= 4448; left += 16)
        at_distance(left);
    need(seg() == first && first->next && !first->spills);
}

// 64 KiB and 200 KiB are entered with less than that left.
static NOINLINE void few_left(void (*f)(char), char *keep)
{
    keep[0] = 1;
    struct tz_segment *before = seg();
    f(3);
    need(seg() == before && before->next);
}
static NOINLINE void with_left(void (*f)(char), uintptr_t left)
{
    few_left(f, alloca(here() - seg()->guard - left));
}
// A declared call takes what it needs from the reserve: no growth, and what was
// saved of the caller is what a collection finds there.
static uint64_t *make_number(uint64_t value);
static uintptr_t least_left;

static NOINLINE void call_here(char *keep, uintptr_t left)
{
    uint64_t *volatile only = make_number(left);
    struct tz_segment *before = seg(), *next = before->next;
    keep[0] = 1;
    least_left = tz_min(least_left, tz_sp() - before->guard);
    if (left / 16 % 2)
        (void)TUZA_BLOCKING(getppid());
    else
        (void)TUZA_SYSCALL(getppid());
    need(seg() == before && before->next == next);
    need_eq(*only, left);
}

static NOINLINE void call_at_distance(uintptr_t left)
{
    uintptr_t room = here() - seg()->guard;
    if (room > left)
        call_here(alloca(room - left), left);
}

static uint64_t *make_number(uint64_t value)
{
    uint64_t *p = tuza_alloc_bytes(sizeof *p);
    *p = value;
    return p;
}

static int calls_end; // atomic

static void collect_meanwhile(void *arg)
{
    (void)arg;
    while (!tz_load(&calls_end)) {
        tuza_gc();
        for (int i = 0; i < 50; i++)
            *make_number(0) = 0xbbbb;
        tuza_yield();
    }
}

IN_GOROUTINES(s3_12_a_call_does_not_grow_whatever_is_left, 2)
{
    least_left = SIZE_MAX;
    tuza_spawn(collect_meanwhile, NULL);
    for (int round = 0; round < 20; round++)
        for (uintptr_t left = 0; left <= 512 + 96; left += 16)
            call_at_distance(left);
    tz_store(&calls_end, 1);
    need(least_left < 64);
}

IN_GOROUTINES(s3_07_a_frame_larger_than_what_is_left_grows, 1)
{
    with_left(frame_65536, 10000);
    with_left(frame_204800, 10000);
    with_left(frame_204800, 100000);
}

// What a nested function is called with besides its arguments, both when the
// next segment is there and when it has to be made.
static NOINLINE int chained(char *keep)
{
    int k = keep[0] = 5;
    int inner(int j)
    {
        volatile char frame[200 * 1024];
        frame[0] = 1;
        int below = j ? inner(j - 1) : 0;
        return below + k++ + frame[0] - 1;
    }
    int first = inner(0), second = inner(1); // 5, 6 + 7
    return k == 8 ? first + second : -1;
}
static NOINLINE void chained_with_little_left(void)
{
    char *keep = alloca(here() - seg()->guard - 10000);
    for (int i = 0; i < 2; i++) {
        tuza_gc();
        need_eq(chained(keep), 18);
    }
}
IN_GOROUTINES(s3_07_a_nested_function_that_grows_finds_its_frame, 1)
{
    chained_with_little_left();
}

// --- the chain

static NOINLINE int nest(int n, int (*then)(void))
{
    volatile char a[200 * 1024];
    a[0] = (char)n;
    a[sizeof a - 1] = 1;
    int r = n ? nest(n - 1, then) : then();
    return r + a[sizeof a - 1] - 1;
}

static int walk(void)
{
    struct tz_segment *all[64];
    uint32_t index;
    int n = 0;
    need(!tz_segment_check(seg(), &index));
    uintptr_t sp = here();
    for (struct tz_segment *s = seg(); s; s = s->prev) {
        struct tz_stack st;
        void *owner;
        need(sp >= s->lo && sp <= s->hi);
        need(tz_stack_find(sp, &st, &owner) == TZ_STACK_IN);
        need(owner == tz_getg() && st.lo == s->lo && st.hi == s->hi);
        need(s->g == tz_getg() && s->argsize == 0);
        for (int i = 0; i < n; i++)
            need(s->hi <= all[i]->lo || all[i]->hi <= s->lo);
        need(n < 64);
        all[n++] = s;
        sp = s->link.from_sp;
    }
    need_eq(tuza_split_segments(), n);
    return n;
}

// One split after another, by frames that take what a segment has, until there
// are n segments.
static NOINLINE void take_all(int n, char *keep);
static NOINLINE void take_next(int n)
{
    struct tz_segment *s = seg();
    uintptr_t guard = s->guard, lo = s->lo, sp = s->link.from_sp;
    intptr_t room = (intptr_t)(here() - s->guard);
    char small[16];
    take_all(n, room > 400 ? alloca(room - 256) : small);
    // The link has restored what was before.
    need(seg() == s && s->lo == lo);
    need_eq(s->guard, guard);
    need_eq(s->link.from_sp, sp);
    need(tz_getg()->stack.lo == lo && tz_slot_get() == guard);
}
static NOINLINE void take_all(int n, char *keep)
{
    keep[0] = (char)n;
    int have = tuza_split_segments();
    if (have < n) {
        take_next(n);
        return;
    }
    need_eq(have, n);
    // What walks may be in one more.
    int walked = walk();
    need(walked == n || walked == n + 1);
    need(keep[0] == (char)n);
}

IN_GOROUTINES(s3_08_n_splits_make_n_more_segments, 1)
{
    tz_env.stack_max = 4 * TZ_GIB;
    for (int n = 1; n < 12; n++)
        take_next(n + 1);
    need_eq(tuza_split_segments(), 1);
}

IN_GOROUTINES(s3_08_frames_of_200k_nest, 1) { need(nest(100, walk) >= 2); }

static NOINLINE long arguments(long a, long b, long c, long d, long e, long f,
                               long g, long h, long i)
{
    volatile char frame[200 * 1024];
    frame[0] = 1;
    struct tz_segment *s = seg();
    need_eq(s->argsize, 3 * sizeof(long));
    need(s->argp >= s->prev->lo && s->argp < s->prev->hi);
    need_eq(((long *)s->argp)[0], 7);
    return a + b + c + d + e + f + g + h + i + frame[0] - 1;
}
IN_GOROUTINES(s3_08_a_link_knows_the_arguments, 1)
{
    // More than the first stack of main has, which is 8 MiB.
    struct tz_segment *s = seg();
    volatile char *keep = alloca(here() - s->guard - 100 * 1024);
    keep[0] = 1;
    need_eq(arguments(1, 2, 3, 4, 5, 6, 7, 8, 9), 45);
}

// Not more than one is kept for later, and none over a collection.
static int just(void) { return 0; }
IN_GOROUTINES(s3_08_one_segment_is_kept_until_a_collection, 1)
{
    uint64_t before, after;
    tuza_gc();
    before = in_use();
    nest(200, just);
    need(seg()->next && !seg()->next->next);
    tuza_gc();
    need(!seg()->next && !seg()->heavy);
    after = in_use();
    need_eq(before, after);
}

// --- a chain that is none

static int spoiled; // which segment, or which link; for the child
static struct tz_segment *chain;
static tuza_chan(int) for_ever;

static int wait_nested(void)
{
    chain = seg();
    return tuza_recv(for_ever, NULL);
}

tuza_fn(nests) { nest(20, wait_nested); }

static int collect_a_broken_chain(int argc, char **argv)
{
    (void)argc, (void)argv;
    for_ever = tuza_chan_make(int, 0);
    int before = waiting_now();
    need_eq(tuza_go(nests), 0);
    until_waiting(before + 1);
    struct tz_segment *s = chain;
    for (int i = 0; i < spoiled; i++)
        s = s->prev;
    fprintf(stderr, "[%p, %p) is none\n", (void *)s->lo, (void *)s->hi);
    if (spoiled == 2)
        s->magic++;
    else
        s->link.from_sp = s->prev->hi + 16;
    tuza_gc();
    return 0;
}

static void broken_chain_child(void)
{
    exit(tuza_run(collect_a_broken_chain, 0, NULL, NULL));
}

START_TEST(s3_27_a_broken_chain_of_segments_is_told_by_the_scan)
{
    static const char *const wrong[] = { "it was not entered from the one before",
                                         "it was not entered from the one before",
                                         "its header is not one" };
    for (spoiled = 0; spoiled < 3; spoiled++) {
        const struct api_ended *e = api_child(broken_chain_child, 25);
        char number[64];
        void *lo, *hi;
        ck_assert_int_eq(sscanf(e->text, "[%p, %p) is none", &lo, &hi), 2);
        snprintf(number, sizeof number, "segment #%d [%p, %p)", spoiled, lo, hi);
        api_ended_with(e, -6, (const char *[]){ "goroutine 2, ", number, wrong[spoiled],
                                           NULL });
    }
}
END_TEST

// --- what newstack refuses

static void newstack_below(void *arg)
{
    tz_split_newstack(NULL, arg, ((struct tz_g *)arg)->seg->lo - 8, 0, 0, false);
}
DEATH(s3_09_a_stack_pointer_below_the_reserve_is_fatal,
      "split stack overflow: goroutine 1 (main), sp")
{
    tz_system_stack(newstack_below, tz_getg());
}

static void newstack_args(void *arg)
{
    struct tz_g *g = arg;
    tz_split_newstack(NULL, g, g->seg->guard, 0, 12, false);
}
DEATH(s3_09_arguments_that_are_no_words_are_fatal,
      "12 bytes of arguments are no whole words")
{
    tz_system_stack(newstack_args, tz_getg());
}

static void newstack_g0(void *arg)
{
    (void)arg;
    tz_split_newstack(NULL, &tz_tls_get()->m->g0, here(), 0, 0, false);
}
DEATH(s3_09_growth_on_the_system_stack_is_fatal,
      "the scheduler's stack cannot grow")
{
    tz_system_stack(newstack_g0, NULL);
}

// Split code runs there without growing.
static void deep_there(void *arg)
{
    volatile char a[100 * 1024];
    a[0] = 1;
    *(int *)arg = tz_slot_get() == 0 ? a[0] : 2;
}
IN_GOROUTINES(s3_09_split_code_runs_on_the_system_stack, 1)
{
    int ran = 0;
    tz_system_stack(deep_there, &ran);
    need_eq(ran, 1);
    need(tz_slot_get() == seg()->guard);
}

static int endless(volatile char *above);
static int (*volatile call_endless)(volatile char *) = endless;
static int endless(volatile char *above)
{
    volatile char a[100];
    a[0] = (char)(above[0] + 1);
    return call_endless(a) + a[0];
}
tuza_fn(recurse)
{
    volatile char zero = 0;
    endless(&zero);
}
static tuza_waitgroup group;
DEATH(s3_09_endless_recursion_is_told, "stack overflow in goroutine 2 (recurse")
{
    tz_env.stack_max = 64 * TZ_MIB;
    tuza_waitgroup_add(&group, 1);
    tuza_go(recurse);
    tuza_waitgroup_wait(&group);
}
DEATH(s3_09_the_limit_and_the_bounds_are_told,
      "beyond the limit of 65536 KiB; segment [0x")
{
    tz_env.stack_max = 64 * TZ_MIB;
    recurse();
}

// A frame a call: without the array the compiler makes a loop of it.
static int most_segments;
static NOINLINE int count_down(int n)
{
    volatile char one[16];
    one[0] = 1;
    if (n == 0)
        most_segments = tuza_split_segments();
    return n ? count_down(n - 1) + one[0] : 0;
}
IN_GOROUTINES(s3_09_up_to_the_limit_it_grows, 1)
{
    tz_env.stack_max = 64 * TZ_MIB;
    volatile int depth = 1000000;
    need(count_down(depth) == depth);
    need(most_segments > 2);
}

static int first_bytes;
static void begin_small(void *arg)
{
    void *lo, *hi;
    need_eq(tuza_stack_bounds(&lo, &hi), 0);
    first_bytes = (int)((char *)hi - (char *)lo);
    volatile int depth = 100000;
    need(count_down(depth) == depth);
    tuza_waitgroup_done(arg);
}
static int deep_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    static tuza_waitgroup done;
    tuza_waitgroup_add(&done, 1);
    need_eq(tuza_spawn(begin_small, &done), 0);
    tuza_waitgroup_wait(&done);
    return 0;
}
// Beside the 64 KiB of the reserve a class more, at most.
START_TEST(s3_10_100k_calls_deep_from_64k)
{
    setenv("TUZASTACK", "64K", 1);
    api_run(deep_main, 1);
    ck_assert_int_le(first_bytes, 256 * 1024);
    ck_assert_int_gt(most_segments, 2);
}
END_TEST

// --- growth where memory is being allocated

static int hooked;
static NOINLINE void use_stack(char with)
{
    volatile char a[20 * 1024];
    a[0] = with;
    a[sizeof a - 1] = with;
    hooked++;
}
static void *hook_map(void *addr, size_t n, int prot, int flags, int fd,
                      off_t at)
{
    use_stack(1);
    return mmap(addr, n, prot, flags, fd, at);
}
static NOINLINE void allocate_at(char *keep)
{
    keep[0] = 1;
    int before = hooked;
    for (int i = 0; i < 100 && hooked == before; i++)
        need(tuza_alloc(40 << 20));
    need(hooked > before);
}
static tuza_chan(int) never;
tuza_fn(waits)
{
    int v;
    tuza_recv(never, &v);
    tuza_waitgroup_done(&group);
}

// Their stacks are made on ours, with the pool's lock held.
static NOINLINE void spawn_at(char *keep)
{
    keep[0] = 1;
    int before = hooked;
    for (int i = 0; i < 1000; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(waits);
    }
    tuza_yield();
    need(hooked > before);
    tuza_close(never);
    tuza_waitgroup_wait(&group);
}

static NOINLINE void spawn_near(void)
{
    spawn_at(alloca(here() - seg()->guard - 2000));
}
static NOINLINE void allocate_near(void)
{
    allocate_at(alloca(here() - seg()->guard - 2000));
}

GOROUTINE_MAIN_(allocate_near_the_guard)
static void allocate_near_the_guard_body(void)
{
    never = tuza_chan_make(int, 0);
    allocate_near();
    spawn_near();
}
START_TEST(s3_11_growth_inside_of_the_allocator_makes_do)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = hook_map, .munmap = munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    api_run(allocate_near_the_guard_main, 1);
}
END_TEST

static NOINLINE void grow_and_allocate(int n)
{
    volatile char a[3000];
    void *p = tuza_alloc(n * 100 % 5000 + 16);
    a[0] = (char)(n + (p != NULL));
    if (n)
        grow_and_allocate(n - 1);
    need(a[0] == (char)(n + 1));
}
IN_GOROUTINES(s3_11_growth_between_allocations_and_collections, 2)
{
    for (int i = 0; i < 20; i++) {
        grow_and_allocate(5000);
        tuza_gc();
    }
}

// --- alloca

static NOINLINE long spill_30k(int i)
{
    char *p = alloca(30 * 1024);
    memset(p, i, 30 * 1024);
    return p[i % 30000];
}
static NOINLINE void spill_often(char *keep)
{
    uint64_t before, after;
    keep[0] = 1;
    spill_30k(1);
    spill_30k(1);
    before = in_use();
    for (int i = 0; i < 20000; i++)
        need_eq(spill_30k(i), (char)i);
    after = in_use();
    need(after <= before + 64 * TZ_KIB);
}
IN_GOROUTINES(s3_08_alloca_that_does_not_fit_is_given_back, 1)
{
    for (uintptr_t left = 2000; left < 20000; left += 6000)
        spill_often(alloca(here() - seg()->guard - left));
}

static NOINLINE void spill_and_check(int n, size_t size)
{
    unsigned char *p[10];
    for (int i = 0; i < 10; i++) {
        p[i] = alloca(size);
        memset(p[i], n + i, size);
    }
    if (n)
        spill_and_check(n - 1, size);
    for (int i = 0; i < 10; i++)
        for (size_t k = 0; k < size; k += 31)
            need(p[i][k] == (unsigned char)(n + i));
}
tuza_fn(spills, int, n)
{
    for (int i = 0; i < 3; i++)
        spill_and_check(n, 7000);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(s3_08_alloca_in_a_loop_lives_until_the_return, 2)
{
    for (int n = 0; n < 40; n++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(spills, n);
    }
    tuza_waitgroup_wait(&group);
}

static NOINLINE int deeper(int n, volatile char *p)
{
    volatile char a[3000];
    a[n] = *p;
    return n ? deeper(n - 1, a + n) + 1 : 0;
}

// In a loop that has lost its P, new segments come without one.
IN_GOROUTINES(a_stack_grows_while_its_goroutine_has_no_p, 1)
{
    tz_store_rlx(&tz_sched.most_takers, 4);
    char end = 0;
    for (int n = 0; n < 20; n++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(spills, n); // waits for the P
        while (!tz_tls_get()->taken)
            ;
        spill_and_check(n, 30000);
        need_eq(deeper(500, &end), 500);
        need(tz_tls_get()->taken && !tz_tls_get()->p);
        tuza_waitgroup_wait(&group);
    }
}

static uintptr_t hidden; // complement of an object's address
static tuza_waitgroup ready;

// In memory of alloca that did not fit into the segment.
tuza_fn(holds, size_t, size)
{
    void *volatile *block = alloca(size);
    block[10] = tuza_alloc(100);
    hidden = ~(uintptr_t)block[10];
    tuza_waitgroup_done(&ready);
    tuza_waitgroup_wait(&group);
    need(block[10]);
}

IN_GOROUTINES(why_an_object_is_alive_names_the_owner_of_spilled_memory, 2)
{
    char text[1000];
    FILE *f = tmpfile();
    tuza_waitgroup_add(&group, 1);
    tuza_waitgroup_add(&ready, 1);
    tuza_go(holds, (size_t)400 * 1024);
    tuza_waitgroup_wait(&ready);
    need_eq(tuza_why_alive((void *)~hidden, fileno(f)), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    need(strstr(text, "  on the stack of goroutine 2, spawned at "));
    tuza_waitgroup_done(&group);
}

int main(void)
{
    return api_check(
        "grow",
        (const TTest *const[]){
            s3_06_the_constants_agree,
            s3_07_frames_of_any_size_at_any_distance_from_the_guard,
            s3_07_a_frame_larger_than_what_is_left_grows,
            s3_07_a_nested_function_that_grows_finds_its_frame,
            s3_12_a_call_does_not_grow_whatever_is_left,
            s3_08_n_splits_make_n_more_segments, s3_08_frames_of_200k_nest,
            s3_08_a_link_knows_the_arguments,
            s3_08_one_segment_is_kept_until_a_collection,
            s3_27_a_broken_chain_of_segments_is_told_by_the_scan,
            s3_09_a_stack_pointer_below_the_reserve_is_fatal,
            s3_09_arguments_that_are_no_words_are_fatal,
            s3_09_growth_on_the_system_stack_is_fatal,
            s3_09_split_code_runs_on_the_system_stack,
            s3_09_endless_recursion_is_told,
            s3_09_the_limit_and_the_bounds_are_told,
            s3_09_up_to_the_limit_it_grows,
            s3_10_100k_calls_deep_from_64k,
            s3_11_growth_inside_of_the_allocator_makes_do,
            s3_11_growth_between_allocations_and_collections,
            s3_08_alloca_that_does_not_fit_is_given_back,
            s3_08_alloca_in_a_loop_lives_until_the_return,
            a_stack_grows_while_its_goroutine_has_no_p,
            why_an_object_is_alive_names_the_owner_of_spilled_memory, NULL });
}
