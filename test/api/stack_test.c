// SPDX-License-Identifier: BSD-3-Clause
// test/api/stack_test.c: calls on other stacks than the goroutine's own.

#include <sched.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "support/goroutines.h"

// Whether the caller's frame is in [lo, hi) of tuza_stack_bounds; its size.
static size_t size_here(void)
{
    void *lo, *hi;
    // Not a local: AddressSanitizer may keep those elsewhere.
    char *here = __builtin_frame_address(0);
    need_eq(tuza_stack_bounds(&lo, &hi), 0);
    need((char *)lo < here && here < (char *)hi);
    return (size_t)((char *)hi - (char *)lo);
}

static TZ_NOINLINE void use(size_t n)
{
    volatile char *p = __builtin_alloca(n + 1);
    for (size_t i = n; i >= 4096; i -= 4096)
        p[i - 1] = 1;
    p[0] = 1;
}

// --- bounds

IN_GOROUTINES(bounds_are_those_of_the_stack_that_is_run_on, 2)
{
    void *p;
    need(size_here() > 900 * 1024); // main's
    need_eq(tuza_stack_bounds(NULL, &p), -EINVAL);
    need_eq(tuza_stack_bounds(&p, NULL), -EINVAL);
}

static tuza_waitgroup group;

static void in_default(void *arg)
{
    (void)arg;
    need(size_here() < 256 * 1024 && size_here() > 128 * 1024);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(another_goroutine_has_the_default, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(in_default, NULL);
    tuza_waitgroup_wait(&group);
}

START_TEST(a_plain_thread_has_its_own)
{
    need(size_here() > 64 * 1024);
}
END_TEST

// --- the system stack

static int called;

static void on_system(void *arg)
{
    struct rlimit r;
    getrlimit(RLIMIT_STACK, &r);
    need(arg == &called);
    need(size_here() > 4 * 1024 * 1024 || r.rlim_cur < 8 * 1024 * 1024);
    use(2 * 1024 * 1024);
    tuza_alloc(1 << 20); // would start a collection elsewhere
    called++;
    if (called == 1)
        tuza_on_system_stack(on_system, arg);
}

static void small_calls(void *arg)
{
    tuza_on_system_stack(on_system, &called);
    (void)arg;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(the_system_stack_has_room, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(small_calls, NULL);
    tuza_waitgroup_wait(&group);
    need_eq(called, 2);
}

static void count(void *arg) { ++*(int *)arg; }

START_TEST(a_plain_thread_is_on_the_system_stack)
{
    int n = 0;
    tuza_on_system_stack(count, &n);
    ck_assert_int_eq(n, 1);
}
END_TEST

static void park_there(void *arg)
{
    (void)arg;
    tuza_sleep(1000);
}

DEATH(parking_on_the_system_stack_is_fatal,
      "goroutine 1 parks, yields or ends inside of tuza_on_system_stack")
{
    tuza_on_system_stack(park_there, NULL);
}

static void yield_there(void *arg)
{
    (void)arg;
    tuza_yield();
}

DEATH(yielding_on_the_system_stack_is_fatal,
      "parks, yields or ends inside of tuza_on_system_stack")
{
    tuza_on_system_stack(yield_there, NULL);
}

static void big_there(void *arg)
{
    (void)arg;
    tuza_call_big(count, NULL, 1 << 20);
}

DEATH(a_big_call_on_the_system_stack_is_fatal,
      "tuza_call_big inside of tuza_on_system_stack")
{
    tuza_on_system_stack(big_there, NULL);
}

// --- big calls

struct big {
    size_t size;
    int calls;
    tuza_chan(int) c;
};

static void need_room(void *arg)
{
    struct big *b = arg;
    size_here();
    use(b->size);
    b->calls++;
}

static void with_sizes(void *arg)
{
    static const size_t size[] = { 0,       1,        4096,     100 << 10,
                                   1 << 20, 5 << 20, 40 << 20 };
    (void)arg;
    size_t mine = size_here();
    for (size_t i = 0; i < tz_countof(size); i++) {
        struct big b = { .size = size[i] };
        need_eq(tuza_call_big(need_room, &b, size[i]), 0);
        need_eq(b.calls, 1);
        need_eq(size_here(), mine);
    }
    need_eq(tuza_call_big(NULL, NULL, 1), -EINVAL);
    need_eq(tuza_call_big(count, NULL, SIZE_MAX), -EINVAL);
    need_eq(tuza_call_big(count, NULL, ((size_t)512 << 20) + 1), -EINVAL);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(each_size_has_its_room, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(with_sizes, NULL);
    tuza_waitgroup_wait(&group);
}

static void note_size(void *arg) { *(size_t *)arg = size_here(); }

static void small_and_large(void *arg)
{
    size_t mine = size_here(), there = 0;
    (void)arg;
    need_eq(tuza_call_big(note_size, &there, 8192), 0);
    need_eq(there, mine); // there was enough left
    need_eq(tuza_call_big(note_size, &there, mine), 0);
    need(there > mine);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(what_fits_is_an_ordinary_call, 1)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(small_and_large, NULL);
    tuza_waitgroup_wait(&group);
}

static void nested(void *arg)
{
    struct big *b = arg;
    use(200 << 10);
    size_t mine = size_here();
    if (++b->calls < 5) {
        b->size *= 2;
        need_eq(tuza_call_big(nested, b, b->size), 0);
    }
    need_eq(size_here(), mine);
}

static uint64_t inuse(void)
{
    tuza_memstats st = { .size = sizeof st };
    tuza_memstats_read(&st);
    return st.stack_inuse;
}

static void run_nested(void *arg)
{
    struct big b = { .size = 1 << 20 };
    (void)arg;
    uint64_t before = inuse();
    need_eq(tuza_call_big(nested, &b, b.size), 0);
    need_eq(b.calls, 5);
    need_eq(inuse(), before);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(calls_nest_and_give_back_what_they_took, 1)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(run_nested, NULL);
    tuza_waitgroup_wait(&group);
}

// Parked, moved between threads and collected around: what either stack alone
// points to stays.
enum { LIST = 300 };
struct node {
    struct node *next;
    uint64_t value;
};

static TZ_NOINLINE struct node *make_list(uint64_t seed)
{
    struct node *head = NULL;
    for (uint64_t i = 0; i < LIST; i++) {
        struct node *n = tuza_alloc(sizeof *n);
        n->next = head;
        n->value = seed * LIST + i;
        head = n;
    }
    return head;
}

static void need_list(const struct node *n, uint64_t seed)
{
    for (uint64_t i = LIST; i-- > 0; n = n->next)
        need_eq(n->value, seed * LIST + i);
    need(n == NULL);
}

static void hold_and_park(void *arg)
{
    struct big *b = arg;
    struct node *volatile mine = make_list((uint64_t)b->calls + 1000);
    use(300 << 10);
    for (int i = 0; i < 5; i++) {
        need_eq(tuza_send(b->c, i), 0);
        tuza_yield();
    }
    need_list(mine, (uint64_t)b->calls + 1000);
    mine = NULL;
}

static void hold_outside(void *arg)
{
    struct big *b = arg;
    struct node *volatile mine = make_list((uint64_t)b->calls);
    need_eq(tuza_call_big(hold_and_park, b, 1 << 20), 0);
    need_list(mine, (uint64_t)b->calls);
    mine = NULL;
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(both_stacks_are_roots_while_parked, 4)
{
    enum { N = 16 };
    struct big *b[N];
    tuza_chan(int) c = tuza_chan_make(int, 0);
    for (int i = 0; i < N; i++) {
        b[i] = tuza_alloc(sizeof **b);
        b[i]->calls = i;
        b[i]->c = c;
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(hold_outside, b[i]);
    }
    for (int i = 0; i < 5 * N; i++) {
        need_eq(tuza_recv(c, NULL), 1);
        if (i % 4 == 0)
            tuza_gc();
        for (int k = 0; k < 50; k++)
            tuza_alloc(64 + (size_t)k * 16);
    }
    tuza_waitgroup_wait(&group);
}

// A loop on a borrowed stack is stopped by the signal as any other.
static int spinning, stop_spinning;

static void spin(void *arg)
{
    struct node *volatile mine = make_list(7);
    (void)arg;
    __atomic_store_n(&spinning, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&stop_spinning, __ATOMIC_SEQ_CST))
        ;
    need_list(mine, 7);
}

static void spin_big(void *arg)
{
    struct node *volatile mine = make_list(8);
    (void)arg;
    need_eq(tuza_call_big(spin, NULL, 1 << 20), 0);
    need_list(mine, 8);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_loop_in_a_big_call_is_stopped_and_scanned, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(spin_big, NULL);
    while (!__atomic_load_n(&spinning, __ATOMIC_SEQ_CST))
        tuza_yield();
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        for (int k = 0; k < 100; k++)
            tuza_alloc(16);
    }
    __atomic_store_n(&stop_spinning, 1, __ATOMIC_SEQ_CST);
    tuza_waitgroup_wait(&group);
}

enum { BORROWERS = 40 }; // of stacks that end at different cache lines
static int inside;

static void need_size(void *arg)
{
    char *here = __builtin_frame_address(0);
    void *lo, *hi;
    need_eq(tuza_stack_bounds(&lo, &hi), 0);
    need((size_t)(here - (char *)lo) >= *(size_t *)arg);
    inside++;
    while (inside < BORROWERS)
        tuza_yield();
}

// The largest size that a stack of 1 MiB can hold beside its guard zone.
static void borrow_most(void *arg)
{
    size_t n = (1024 - 66) << 10;
    (void)arg;
    need_eq(tuza_call_big(need_size, &n, n), 0);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_borrowed_stack_has_all_that_was_asked_for, 1)
{
    tuza_waitgroup_add(&group, BORROWERS);
    for (int i = 0; i < BORROWERS; i++)
        tuza_spawn(borrow_most, NULL);
    tuza_waitgroup_wait(&group);
}

// --- ways out

static void exit_there(void *arg)
{
    struct big *b = arg;
    if (b->calls++ < 2)
        tuza_call_big(exit_there, b, b->size *= 2);
    tuza_goexit();
}

static void exits_within(void *arg)
{
    tuza_call_big(exit_there, arg, 1 << 20);
    need(!"reached");
}

IN_GOROUTINES(an_end_inside_gives_all_stacks_back, 1)
{
    for (int round = 0; round < 3; round++) {
        uint64_t before = inuse();
        for (int i = 0; i < 10; i++) {
            struct big *b = tuza_alloc(sizeof *b);
            b->size = 1 << 20;
            tuza_spawn(exits_within, b);
        }
        uint64_t goroutines = 2;
        while (goroutines > 1) {
            tuza_schedstats st = { .size = sizeof st };
            tuza_yield();
            tuza_schedstats_read(&st);
            goroutines = st.goroutines;
        }
        need_eq(inuse(), before);
    }
}

static jmp_buf between;

static void jump_between(void *arg)
{
    (void)arg;
    longjmp(between, 1);
}

static void is_jumped_to(void *arg)
{
    (void)arg;
    for (volatile int i = 0; i < 10; i++)
        if (setjmp(between) == 0)
            tuza_call_big(jump_between, NULL, 40 << 20);
}

IN_GOROUTINES(a_jump_to_a_borrowed_stack_keeps_no_newer_one, 1)
{
    uint64_t before = inuse();
    for (int i = 0; i < 3; i++)
        need_eq(tuza_call_big(is_jumped_to, NULL, 9 << 20), 0);
    need_eq(inuse(), before);
}

static jmp_buf back;

static void jump_out(void *arg)
{
    use(300 << 10);
    if (arg)
        tuza_call_big(jump_out, NULL, 2 << 20);
    longjmp(back, 1);
}

// With a collection, parking and a declared call after the jump, each alone.
static void jumps(void *arg)
{
    struct node *volatile mine = make_list(9);
    size_t size = size_here();
    (void)arg;
    for (volatile int i = 0; i < 200; i++) {
        if (setjmp(back) == 0) {
            tuza_call_big(jump_out, i % 2 ? &back : NULL, 1 << 20);
            need(!"reached");
        }
        switch (i % 5) {
        case 0: tuza_gc(); break;
        case 1: tuza_yield(); break;
        case 2: TUZA_SYSCALL(sched_yield()); break;
        case 3: tuza_on_system_stack(count, &called); break;
        }
        need_eq(size_here(), size);
        need(inuse() < (uint64_t)100 << 20); // not kept for ever
    }
    need_list(mine, 9);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_jump_out_leaves_the_goroutine_on_its_stack, 1)
{
    if (TZ_ASAN)
        return; // it follows no jump from one stack to another
    uint64_t before = inuse();
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(jumps, NULL);
    tuza_waitgroup_wait(&group);
    tuza_yield();
    need_eq(inuse(), before);
}

// --- refused

static void too_much(void *arg)
{
    struct rlimit r = { (rlim_t)400 << 20, (rlim_t)400 << 20 };
    int n = 0;
    (void)arg;
    need_eq(setrlimit(RLIMIT_AS, &r), 0);
    need_eq(tuza_call_big(count, &n, (size_t)500 << 20), -ENOMEM);
    need_eq(n, 0);
    need_eq(tuza_call_big(count, &n, 100), 0);
    need_eq(n, 1);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_stack_that_is_refused_is_enomem, 1)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return; // they have terabytes
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(too_much, NULL);
    tuza_waitgroup_wait(&group);
}

// --- overflow of a borrowed stack

static int deeper(volatile char *above, int depth);
static int (*volatile call_deeper)(volatile char *, int) = deeper;

static int deeper(volatile char *above, int depth)
{
    volatile char here[200];
    here[0] = (char)(above[0] + 1);
    return call_deeper(here, depth + 1) + here[0];
}

static void overflow_there(void *arg)
{
    volatile char zero = 0;
    (void)arg;
    deeper(&zero, 0);
}

static void overflows(void *arg)
{
    (void)arg;
    tuza_call_big(overflow_there, NULL, 900 << 10);
}

DEATH(an_overflow_in_a_big_call_is_reported, "stack overflow in goroutine 2")
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(overflows, NULL);
    tuza_waitgroup_wait(&group);
}

struct fit {
    size_t size;
    int deeper;
};

// Each call inside of the one before, on a stack of another colour.
static void fits(void *arg)
{
    struct fit *f = arg;
    void *lo, *hi;
    char *here = __builtin_frame_address(0);
    need_eq(tuza_stack_bounds(&lo, &hi), 0);
    need((size_t)(here - (char *)lo) >= f->size);
    if (--f->deeper > 0)
        need_eq(tuza_call_big(fits, f, f->size), 0);
}

// Around the most that a stack of 1 MiB can have.
static void call_fitting(void *arg)
{
    (void)arg;
    for (size_t less = 60; less < 75; less++) {
        struct fit f = { .size = (1024 - less) * 1024, .deeper = 40 };
        need_eq(tuza_call_big(fits, &f, f.size), 0);
        need_eq(f.deeper, 0);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_big_call_has_as_much_as_was_asked_for, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(call_fitting, NULL);
    tuza_waitgroup_wait(&group);
}

int main(void)
{
    return api_check("stack",
                     (const TTest *const[]){
                         bounds_are_those_of_the_stack_that_is_run_on,
                         another_goroutine_has_the_default,
                         a_plain_thread_has_its_own, the_system_stack_has_room,
                         a_plain_thread_is_on_the_system_stack,
                         parking_on_the_system_stack_is_fatal,
                         yielding_on_the_system_stack_is_fatal,
                         a_big_call_on_the_system_stack_is_fatal,
                         each_size_has_its_room,
                         a_big_call_has_as_much_as_was_asked_for,
                         what_fits_is_an_ordinary_call,
                         calls_nest_and_give_back_what_they_took,
                         both_stacks_are_roots_while_parked,
                         a_loop_in_a_big_call_is_stopped_and_scanned,
                         a_borrowed_stack_has_all_that_was_asked_for,
                         a_jump_to_a_borrowed_stack_keeps_no_newer_one,
                         an_end_inside_gives_all_stacks_back,
                         a_jump_out_leaves_the_goroutine_on_its_stack,
                         a_stack_that_is_refused_is_enomem,
                         an_overflow_in_a_big_call_is_reported, NULL });
}
