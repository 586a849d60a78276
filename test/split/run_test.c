// SPDX-License-Identifier: BSD-3-Clause
// test: release-only
// test/split/run_test.c: goroutines in deep segments are collected over, parked,
// moved between threads, preempted and interrupted. These tests are split code
// themselves.

#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/time.h>
#include <unistd.h>

#include "os/env.h"
#include "sched/split.h"
#include "support/goroutines.h"

#define NOINLINE __attribute__((noinline, noclone))
enum { DEPTH = 400, FRAME = 1000, MAGIC = 0x6d61 };

static tuza_waitgroup group;

static struct tz_segment *seg(void) { return tz_getg()->seg; }

static uint64_t in_use(void)
{
    struct tz_stack_stats st;
    tz_stack_stats_read(&st);
    return st.inuse;
}

// --- what is only in old segments

struct node {
    long magic;
    struct node *next;
};

static struct node *node(long n)
{
    struct node *p = tuza_new(struct node);
    need(p);
    p->next = tuza_new(struct node);
    p->magic = p->next->magic = MAGIC + n;
    return p;
}

// Each level holds the only pointer to an object; then `then` runs at the end.
static NOINLINE void hold(int n, void (*then)(void))
{
    struct node *volatile p = node(n);
    volatile char frame[FRAME];
    frame[0] = (char)n;
    if (n)
        hold(n - 1, then);
    else
        then();
    need(p->magic == MAGIC + n && p->next->magic == MAGIC + n);
    need(frame[0] == (char)n);
}

static void litter(void)
{
    for (int i = 0; i < 2000; i++)
        node(-1 - i);
}
static void collect(void)
{
    need(tuza_split_segments() > 1);
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        litter();
    }
}
tuza_fn(hold_and_collect)
{
    hold(DEPTH, collect);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(what_old_segments_point_at_lives, 2)
{
    tuza_waitgroup_add(&group, 2);
    tuza_go(hold_and_collect);
    tuza_go(hold_and_collect);
    tuza_waitgroup_wait(&group);
}

static void just_grown(void) { need(tuza_split_segments() > 1); }
tuza_fn(hold_under_stress)
{
    hold(200, just_grown);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(a_collection_at_every_allocation_finds_all, 2)
{
    tz_env.stress_gc = true;
    for (int i = 0; i < 3; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(hold_under_stress);
    }
    tuza_waitgroup_wait(&group);
}

// Only a spilled alloca has the pointers.
static NOINLINE void hold_spilled(int n)
{
    struct node **p = alloca(n * sizeof *p);
    for (int i = 0; i < n; i++)
        p[i] = node(i);
    collect();
    for (int i = 0; i < n; i++)
        need(p[i]->magic == MAGIC + i && p[i]->next->magic == MAGIC + i);
}
static NOINLINE void near_the_guard(char *keep)
{
    keep[0] = 1;
    hold_spilled(1000);
    need(seg()->spills);
}
tuza_fn(spill_and_hold)
{
    char small;
    uintptr_t room = (uintptr_t)&small - seg()->guard;
    near_the_guard(alloca(room - 1500));
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(what_a_spilled_alloca_points_at_lives, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(spill_and_hold);
    tuza_waitgroup_wait(&group);
}

// --- parked, and on other threads

enum { PAIRS = 20 };
static tuza_chan(int) turns[PAIRS];
static uint32_t moves;

// A number goes to and fro between two; odd begins.
static void park_often(int pair, int odd)
{
    struct tz_segment *s = seg();
    need(tuza_split_segments() > 1);
    for (int i = 0; i < 200; i++) {
        long before = api_thread();
        int v = i;
        if ((i + odd) % 2)
            need(tuza_send(turns[pair], v) == 0);
        else
            need(tuza_recv(turns[pair], &v) == 1 && v == i);
        tz_xadd_rlx(&moves, api_thread() != before);
        need(seg() == s && tz_slot_get() == s->guard);
        need((uintptr_t)&v >= s->lo && (uintptr_t)&v < s->hi);
    }
}
static NOINLINE void sink(int n, int pair, int odd)
{
    struct node *volatile p = node(n);
    volatile char frame[FRAME];
    frame[0] = (char)n;
    if (n)
        sink(n - 1, pair, odd);
    else
        park_often(pair, odd);
    need(p->magic == MAGIC + n && frame[0] == (char)n);
}
tuza_fn(park_deep, int, pair, int, odd)
{
    sink(DEPTH, pair, odd);
    tuza_waitgroup_done(&group);
}
tuza_fn(collect_now_and_then)
{
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(a_deep_goroutine_parks_and_resumes_elsewhere, 4)
{
    tuza_waitgroup_add(&group, 2 * PAIRS + 1);
    tuza_go(collect_now_and_then);
    for (int i = 0; i < PAIRS; i++) {
        turns[i] = tuza_chan_make(int, 0);
        tuza_go(park_deep, i, 0);
        tuza_go(park_deep, i, 1);
    }
    tuza_waitgroup_wait(&group);
    need(moves > 0);
}

// --- random depths

static NOINLINE uint32_t wander(uint32_t *seed, int depth, uint32_t *sum)
{
    volatile uint32_t frame[1 + 60];
    uint32_t r = *seed = *seed * 1664525 + 1013904223;
    frame[0] = r;
    frame[60] = ~r;
    if (r >> 28 == 0)
        tuza_yield();
    if (depth > 0)
        *sum += wander(seed, depth - 1 - (int)(r >> 24 & 1), sum);
    need(frame[0] == r && frame[60] == ~r);
    return r ^ (uint32_t)depth;
}
static uint32_t checksum(uint32_t n)
{
    uint32_t seed = n * 7919 + 1, sum = 0;
    for (int i = 0; i < 3; i++)
        sum ^= wander(&seed, (int)(n * 37 % 1500), &sum);
    return sum;
}
static uint32_t sums[2000];
tuza_fn(mix, int, n)
{
    sums[n] = checksum((uint32_t)n);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(two_thousand_of_random_depth_keep_their_sums, 4)
{
    tuza_waitgroup_add(&group, 2001);
    for (int i = 0; i < 2000; i++)
        tuza_go(mix, i);
    tuza_go(collect_now_and_then);
    tuza_waitgroup_wait(&group);
    for (uint32_t i = 0; i < 2000; i += 13)
        need(sums[i] == checksum(i));
}

// --- declared calls that grow, while others collect

static NOINLINE long grow_in_call(int n)
{
    volatile char frame[FRAME];
    frame[0] = (char)n;
    return (n ? grow_in_call(n - 1) : 0) + (frame[0] == (char)n);
}
tuza_fn(call_deep)
{
    for (int i = 0; i < 300; i++) {
        need(TUZA_BLOCKING(grow_in_call(300)) == 301);
        need(TUZA_SYSCALL(grow_in_call(150)) == 151);
    }
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(declared_calls_may_grow_during_a_collection, 2)
{
    tuza_waitgroup_add(&group, 3);
    for (int i = 0; i < 3; i++)
        tuza_go(call_deep);
    for (int i = 0; i < 100; i++) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_wait(&group);
}

// --- preemption

static uint32_t stop_spinning;
static uint64_t spun;
static NOINLINE double step(double x, int n) { return x + n; }
tuza_fn(spin)
{
    double x = 0;
    uint64_t n = 0;
    while (!tz_load_rlx(&stop_spinning)) {
        x = step(x, 1);
        n++;
    }
    need((uint64_t)x == n);
    spun = n;
    tuza_waitgroup_done(&group);
}
tuza_fn(stop_spin)
{
    tz_store_rlx(&stop_spinning, 1);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(a_loop_of_split_calls_lets_others_run, 1)
{
    tuza_split_preempt(1);
    tuza_waitgroup_add(&group, 2);
    tuza_go(stop_spin);
    tuza_go(spin); // runs first, and never parks
    tuza_waitgroup_wait(&group);
    need(spun > 1000);
}

// A variadic function, stack arguments and vectors, whenever it comes.
static NOINLINE double many(double a, double b, double c, double d, double e,
                            double f, double g, double h, double i, long j, ...)
{
    va_list ap;
    va_start(ap, j);
    double k = va_arg(ap, double);
    va_end(ap);
    return a + b + c + d + e + f + g + h + i + (double)j + k;
}
tuza_fn(spin_many)
{
    for (long n = 0; n < 3000000; n++)
        need(many(1, 2, 3, 4, 5, 6, 7, 8, 9, n, 0.5) == (double)n + 45.5);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(preemption_keeps_arguments_and_results, 1)
{
    tuza_split_preempt(1);
    tuza_waitgroup_add(&group, 6);
    for (int i = 0; i < 6; i++)
        tuza_go(spin_many);
    tuza_waitgroup_wait(&group);
}

// --- stopped

static NOINLINE long leaf(long x)
{
    __asm__ volatile("" ::: "memory");
    return x + 1;
}
static NOINLINE int segments_there(void) { return tuza_split_segments(); }

// Nothing but calls over a boundary, without a look at a stop.
static NOINLINE int hot_calls(void)
{
    volatile char pad[64];
    pad[0] = 0;
    if (segments_there() == tuza_split_segments())
        return 0;
    long n = 0, calls = 0;
    while (!tz_load_rlx(&stop_spinning)) {
        for (int i = 0; i < 1000; i++)
            n = leaf(n);
        calls += 1000;
        need(n == calls);
    }
    return 1 + pad[0];
}
static NOINLINE int seek(int depth)
{
    struct node *volatile p = node(depth);
    volatile char pad[16];
    pad[0] = 0;
    int done = depth ? hot_calls() || seek(depth - 1) : 0;
    need(p->magic == MAGIC + depth);
    return done + pad[0];
}
tuza_fn(call_hot)
{
    need(seek(100000));
    tuza_waitgroup_done(&group);
}
// Takes what a collection has taken from the other.
tuza_fn(grow_often)
{
    while (!tz_load_rlx(&stop_spinning))
        need(grow_in_call(300) == 301);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(a_thread_may_be_stopped_at_any_call_over_a_boundary, 3)
{
    tuza_waitgroup_add(&group, 2);
    tuza_go(call_hot);
    tuza_go(grow_often);
    tuza_yield();
    for (int i = 0; i < 1500; i++)
        tuza_gc();
    tz_store_rlx(&stop_spinning, 1);
    tuza_waitgroup_wait(&group);
}

// --- signals

static volatile int handled;
static NOINLINE int handler_depth(int n)
{
    volatile char frame[300];
    frame[0] = (char)n;
    return (n ? handler_depth(n - 1) : 0) + (frame[0] == (char)n);
}
static void handler(int signo)
{
    (void)signo;
    if (handler_depth(10) == 11)
        handled++;
}
static void interrupted(int flags)
{
    struct sigaction act = { .sa_handler = handler };
    act.sa_flags = flags | SA_RESTART;
    sigaction(SIGALRM, &act, NULL);
    struct itimerval every = { { 0, 200 }, { 0, 200 } };
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; handled < 1000; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(hold_under_stress);
        need(grow_in_call(500) == 501);
        if (i % 16 == 0)
            tuza_gc();
    }
    struct itimerval never = { { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_REAL, &never, NULL);
    tuza_waitgroup_wait(&group);
}
IN_GOROUTINES(split_handlers_on_the_signal_stack, 2)
{
    interrupted(SA_ONSTACK);
}
IN_GOROUTINES(split_handlers_on_the_goroutine_s_stack, 2) { interrupted(0); }

// Every instruction of a call over a boundary is interrupted, and the handler
// makes such calls itself.
static volatile long trapped, held;
static void trap(int signo)
{
    (void)signo;
    trapped++;
    held += handler_depth(10) == 11;
}
TZ_INLINE void trap_each(bool on)
{
    __asm__ volatile("subq $128, %%rsp; pushfq\n\t"
                     "andl $~0x100, (%%rsp); orl %0, (%%rsp)\n\t"
                     "popfq; addq $128, %%rsp"
                     :
                     : "r"(on ? 0x100 : 0)
                     : "memory", "cc");
}
static NOINLINE long leaf_call(long x)
{
    __asm__ volatile("" ::: "memory");
    return x + 1;
}
static NOINLINE int segments_of_leaf(void) { return tuza_split_segments(); }
// False where a call of leaf_call would fit.
static NOINLINE bool call_leaf(void)
{
    volatile char frame[64];
    frame[0] = 0;
    int n = tuza_split_segments();
    if (segments_of_leaf() == n)
        return frame[0];
    for (int i = 0; i < 6; i++) {
        if (i % 3 == 0)
            tuza_gc(); // the next segment has to be made
        trap_each(true);
        long two = leaf_call(1);
        trap_each(false);
        need(two == 2 && tuza_split_segments() == n);
        need(tz_slot_get() == seg()->guard);
    }
    return true;
}
static NOINLINE bool seek_leaf(int depth)
{
    volatile char frame[16];
    frame[0] = 0;
    return call_leaf() || (depth && seek_leaf(depth - 1)) || frame[0];
}
tuza_fn(seek_boundary)
{
    need(seek_leaf(1000000));
    need(trapped > 100 && held == trapped);
    tuza_waitgroup_done(&group);
}
static void step_through(int flags)
{
    struct sigaction act = { .sa_handler = trap, .sa_flags = flags };
    sigaction(SIGTRAP, &act, NULL);
    tuza_waitgroup_add(&group, 1);
    tuza_go(seek_boundary);
    tuza_waitgroup_wait(&group);
}
IN_GOROUTINES(a_handler_may_come_at_any_instruction_of_a_growth, 1)
{
    step_through(0);
}
IN_GOROUTINES(a_handler_on_the_signal_stack_may_too, 1)
{
    step_through(SA_ONSTACK);
}

// --- the rest

static jmp_buf env;
static void jump(int n);
static void (*volatile call_jump)(int) = jump;
static void jump(int n)
{
    volatile char frame[FRAME];
    frame[0] = (char)n;
    if (n == 0)
        longjmp(env, 3);
    call_jump(n - 1);
    need(frame[0] == (char)n);
}
tuza_fn(jump_often)
{
    for (volatile int i = 0; i < 300; i++) {
        struct tz_segment *s = seg();
        if (setjmp(env) == 0)
            jump(100 + i * 5);
        need(seg() == s && tz_slot_get() == s->guard);
        if (i % 50 == 0)
            tuza_gc();
    }
    hold(DEPTH, collect);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(longjmp_out_of_segments_restores_the_guard, 1)
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(jump_often);
    tuza_waitgroup_wait(&group);
}

static void exit_here(void) { tuza_goexit(); }
tuza_fn(exit_deep)
{
    tuza_waitgroup_done(&group);
    hold(DEPTH, exit_here);
}
IN_GOROUTINES(the_segments_of_who_ends_deep_are_given_back, 2)
{
    uint64_t before, after;
    before = in_use();
    for (int i = 0; i < 300; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_go(exit_deep);
        tuza_waitgroup_wait(&group);
    }
    tuza_yield();
    after = in_use();
    need(after <= before + 2 * TZ_MIB);
}

// --- calls on a borrowed stack

static int big_ran;
static void big(void *arg)
{
    volatile char frame[900 * 1024];
    frame[0] = frame[sizeof frame - 1] = 1;
    need(tuza_split_segments() == *(int *)arg + 1);
    need(tz_slot_get() == seg()->guard);
    hold(DEPTH, collect);
    big_ran += frame[0];
    if (big_ran == 2)
        longjmp(env, 1);
}
tuza_fn(call_big)
{
    int n = tuza_split_segments();
    need(tuza_call_big(big, &n, TZ_MIB) == 0);
    need(tuza_split_segments() == n && tz_slot_get() == seg()->guard);
    if (setjmp(env) == 0)
        tuza_call_big(big, &n, TZ_MIB);
    need(big_ran == 2 && tuza_split_segments() == n);
    need(tz_slot_get() == seg()->guard);
    hold(DEPTH, collect);
    need(tuza_call_big(big, &n, TZ_MIB) == 0 && big_ran == 3);
    tuza_waitgroup_done(&group);
}
IN_GOROUTINES(a_borrowed_stack_is_a_segment, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(call_big);
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    return api_check("run",
                     (const TTest *const[]){
                         what_old_segments_point_at_lives,
                         a_collection_at_every_allocation_finds_all,
                         what_a_spilled_alloca_points_at_lives,
                         a_deep_goroutine_parks_and_resumes_elsewhere,
                         two_thousand_of_random_depth_keep_their_sums,
                         declared_calls_may_grow_during_a_collection,
                         a_loop_of_split_calls_lets_others_run,
                         preemption_keeps_arguments_and_results,
                         a_thread_may_be_stopped_at_any_call_over_a_boundary,
                         split_handlers_on_the_signal_stack,
                         split_handlers_on_the_goroutine_s_stack,
                         a_handler_may_come_at_any_instruction_of_a_growth,
                         a_handler_on_the_signal_stack_may_too,
                         longjmp_out_of_segments_restores_the_guard,
                         the_segments_of_who_ends_deep_are_given_back,
                         a_borrowed_stack_is_a_segment, NULL });
}
