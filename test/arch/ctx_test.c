// SPDX-License-Identifier: BSD-3-Clause
// test/arch/ctx_test.c: contexts, as every CPU must do them.

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>

#include "arch/ctx.h"
#include "os/os_check.h"

enum { STACK = 256 * 1024, MOST = 32 };

static char stacks[MOST][STACK] TZ_ALIGNED(4096);
static struct tz_ctx home, ctx[MOST];
static int steps[MOST];

static uintptr_t top(int i) { return (uintptr_t)stacks[i] + STACK; }

static bool on_stack(int i, const void *p)
{
    return (uintptr_t)p >= (uintptr_t)stacks[i] && (uintptr_t)p < top(i);
}

// Entry of context i: a step each time it runs.
static void stepper(void *arg)
{
    int i = (int)(uintptr_t)arg;
    for (;;) {
        steps[i]++;
        tz_ctx_switch(&ctx[i], &home);
    }
}

START_TEST(a_context_goes_on_where_it_was)
{
    tz_ctx_init(&ctx[0], top(0), stepper, (void *)0);
    tz_ctx_init(&ctx[1], top(1), stepper, (void *)1);
    for (int i = 0; i < 100; i++) {
        tz_ctx_switch(&home, &ctx[i % 2]);
        ck_assert_int_eq(steps[0], i / 2 + 1);
        ck_assert_int_eq(steps[1], (i + 1) / 2);
    }
}
END_TEST

START_TEST(a_million_switches_between_many_contexts)
{
    for (int i = 0; i < MOST; i++)
        tz_ctx_init(&ctx[i], top(i), stepper, (void *)(uintptr_t)i);
    for (int n = 0; n < 500000; n++)
        tz_ctx_switch(&home, &ctx[n % MOST]);
    for (int i = 0; i < MOST; i++)
        ck_assert_int_eq(steps[i], 500000 / MOST);
}
END_TEST

static struct {
    void *frame, *arg;
    double sum;
    char text[64];
    int calls;
} first;

// What a compiler does with an aligned stack: an aligned store, and varargs
// with floating point.
static void first_run(void *arg)
{
    char here[16] TZ_ALIGNED(16);
    first.arg = arg;
    first.frame = here;
    __asm__ volatile("" : : "r"(here) : "memory");
    snprintf(first.text, sizeof first.text, "%.2f %Lf", 1.25, (long double)2);
    first.calls++;
    tz_ctx_jump(&home);
}

START_TEST(the_first_run_has_its_argument_and_an_aligned_stack)
{
    for (int shift = 0; shift < 64; shift += 16) { // any 16-byte boundary
        uintptr_t end = top(0) - (uintptr_t)shift;
        tz_san_unpoison(stacks[0], STACK); // of frames that were left
        memset(stacks[0], 0xee, STACK);
        tz_ctx_init(&ctx[0], end, first_run, &first);
        tz_ctx_switch(&home, &ctx[0]);
        ck_assert_ptr_eq(first.arg, &first);
        ck_assert(on_stack(0, first.frame));
        ck_assert_uint_lt((uintptr_t)first.frame, end);
        ck_assert_uint_eq((uintptr_t)first.frame % 16, 0);
        ck_assert_str_eq(first.text, "1.25 2.000000");
        for (int i = 0; i < shift; i++) // nothing above the top
            ck_assert_int_eq((unsigned char)stacks[0][STACK - 1 - i], 0xee);
    }
    ck_assert_int_eq(first.calls, 4);
}
END_TEST

static int rounding[2];

static void rounder(void *arg)
{
    (void)arg;
    rounding[0] = fegetround();
    fesetround(FE_DOWNWARD);
    tz_ctx_switch(&ctx[0], &home);
    rounding[1] = fegetround();
    tz_ctx_jump(&home);
}

START_TEST(rounding_belongs_to_the_context)
{
    volatile double one = 1, three = 3;
    fesetround(FE_UPWARD);
    double up = one / three;
    tz_ctx_init(&ctx[0], top(0), rounder, NULL);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert_int_eq(rounding[0], FE_TONEAREST); // a new one has the default
    ck_assert_int_eq(fegetround(), FE_UPWARD);
    ck_assert(one / three == up);
    fesetround(FE_TOWARDZERO);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert_int_eq(rounding[1], FE_DOWNWARD);
    ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
}
END_TEST

static uintptr_t note_frame(uintptr_t *out)
{
    char here[16] TZ_ALIGNED(16);
    __asm__ volatile("" : : "r"(here) : "memory");
    *out = (uintptr_t)here;
    return *out;
}

static void called(void *arg)
{
    uintptr_t at;
    first.frame = (void *)note_frame(&at);
    first.arg = arg;
    snprintf(first.text, sizeof first.text, "%.1f", 0.5);
    first.calls++;
}

static void called_nested(void *arg)
{
    called(arg);
    ck_assert(on_stack(0, first.frame));
    tz_ctx_call_on(top(1), called, &first.sum);
    ck_assert(on_stack(1, first.frame));
    called(arg);
    ck_assert(on_stack(0, first.frame));
}

START_TEST(a_call_on_another_stack_returns_to_this_one)
{
    int local = 7;
    tz_ctx_call_on(top(0), called, &local);
    ck_assert(on_stack(0, first.frame));
    ck_assert_uint_eq((uintptr_t)first.frame % 16, 0);
    ck_assert_ptr_eq(first.arg, &local);
    ck_assert_str_eq(first.text, "0.5");
    tz_ctx_call_on(top(0), called_nested, &local);
    ck_assert_int_eq(first.calls, 4);
    ck_assert_int_eq(local, 7);
}
END_TEST

// The caller's stack is not that of the function that is called.
static void call_from_context(void *arg)
{
    tz_ctx_call_on(top(1), called, arg);
    tz_ctx_jump(&home);
}

START_TEST(a_context_may_call_on_another_stack)
{
    tz_ctx_init(&ctx[0], top(0), call_from_context, &first);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert(on_stack(1, first.frame));
    ck_assert_ptr_eq(first.arg, &first);
}
END_TEST

extern char tz_ctx_start[] __attribute__((visibility("hidden")));

static struct {
    void *pc[64];
    int n;
    void *caller; // an address inside the caller of the noted function
} bt;

static bool in_start(const void *pc)
{
    return (const char *)pc > tz_ctx_start &&
           (const char *)pc < tz_ctx_start + 32;
}

static TZ_NOINLINE void note_backtrace(void *arg)
{
    (void)arg;
    bt.n = backtrace(bt.pc, (int)tz_countof(bt.pc));
}

static TZ_NOINLINE void deep(int depth, void (*fn)(void *))
{
    if (depth > 0)
        deep(depth - 1, fn);
    else
        fn(NULL);
    __asm__ volatile("" : : : "memory"); // no tail call
}

static void backtracer(void *arg)
{
    (void)arg;
    deep(5, note_backtrace);
    tz_ctx_switch(&ctx[0], &home);
    deep(0, note_backtrace);
    tz_ctx_jump(&home);
}

START_TEST(a_backtrace_ends_at_the_entry_of_its_context)
{
    backtrace(bt.pc, 1); // loads the unwinder
    tz_ctx_init(&ctx[0], top(0), backtracer, NULL);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert_int_ge(bt.n, 8);
    ck_assert_int_le(bt.n, 12);
    ck_assert(in_start(bt.pc[bt.n - 1]));
    tz_ctx_switch(&home, &ctx[0]); // after a resume too
    ck_assert_int_ge(bt.n, 3);
    ck_assert_int_le(bt.n, 7);
    ck_assert(in_start(bt.pc[bt.n - 1]));
}
END_TEST

static TZ_NOINLINE void calls_on(void)
{
    bt.caller = __builtin_return_address(0);
    tz_ctx_call_on(top(1), note_backtrace, NULL);
    __asm__ volatile("" : : : "memory");
}

START_TEST(a_backtrace_goes_through_a_call_on_another_stack)
{
    backtrace(bt.pc, 1);
    calls_on();
    int found = 0;
    for (int i = 0; i < bt.n; i++)
        found += bt.pc[i] == bt.caller;
    ck_assert_int_eq(found, 1);
}
END_TEST

static void note_spill(void *arg, uintptr_t sp)
{
    (void)arg;
    first.frame = (void *)sp;
    note_backtrace(NULL);
}

START_TEST(a_spill_tells_a_stack_pointer_below_its_caller)
{
    char here;
    backtrace(bt.pc, 1);
    tz_ctx_spill(note_spill, NULL);
    ck_assert_uint_lt((uintptr_t)first.frame, (uintptr_t)&here);
    ck_assert_uint_lt((uintptr_t)&here - (uintptr_t)first.frame, 4096);
    ck_assert_int_gt(bt.n, 3);
}
END_TEST

static void *resume(void *arg)
{
    (void)arg;
    tz_ctx_switch(&home, &ctx[0]);
    return NULL;
}

START_TEST(a_context_may_go_on_on_another_thread)
{
    tz_ctx_init(&ctx[0], top(0), stepper, (void *)0);
    for (int i = 1; i <= 50; i++) {
        pthread_t t;
        resume(NULL);
        pthread_create(&t, NULL, resume, NULL);
        pthread_join(t, NULL);
        ck_assert_int_eq(steps[0], 2 * i);
    }
}
END_TEST

static void returning(void *arg) { (void)arg; }

static void returning_body(void)
{
    tz_ctx_init(&ctx[0], top(0), returning, NULL);
    tz_ctx_switch(&home, &ctx[0]);
}

START_TEST(an_entry_that_returns_does_not_run_into_nothing)
{
    signal(SIGILL, SIG_DFL);
    ck_assert_int_ne(os_child(returning_body).status, 0);
}
END_TEST

int main(void)
{
    return os_check("arch/ctx",
                    (const TTest *const[]){
                        a_context_goes_on_where_it_was,
                        a_million_switches_between_many_contexts,
                        the_first_run_has_its_argument_and_an_aligned_stack,
                        rounding_belongs_to_the_context,
                        a_call_on_another_stack_returns_to_this_one,
                        a_context_may_call_on_another_stack,
                        a_backtrace_ends_at_the_entry_of_its_context,
                        a_backtrace_goes_through_a_call_on_another_stack,
                        a_spill_tells_a_stack_pointer_below_its_caller,
                        a_context_may_go_on_on_another_thread,
                        an_entry_that_returns_does_not_run_into_nothing,
                        NULL });
}
