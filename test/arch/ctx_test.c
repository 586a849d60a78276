// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/arch/ctx_test.c: contexts, as every CPU must do them. test/arch/cpus/run
// compiles this file for the others, where there is no libcheck.

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>

#include "arch/port.h"
#include "os/os_check.h"
#include "tuza/syscall.h"

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

// Keeps so much alive that every register is used, and so changed.
#define EACH(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12)
static TZ_NOINLINE void use_registers(volatile uint64_t *noise)
{
    uint64_t seed = *noise;
#define SET(k) uint64_t n##k = seed * (k + 3); double d##k = (double)(n##k >> 12);
#define MIX(k) n##k = n##k * 3 + (uint64_t)i; d##k = d##k + 1.5;
#define PUT(k) *noise += n##k + (uint64_t)(d##k > 7);
    EACH(SET)
    for (int i = 0; i < 3; i++) {
        EACH(MIX)
    }
    EACH(PUT)
}

static volatile uint64_t noise = 0x9e3779b97f4a7c15;

static void stepper_here(void *arg)
{
    int i = (int)(uintptr_t)arg;
    for (;;) {
        steps[i]++;
        use_registers(&noise);
        tz_ctx_switch_here(&ctx[i], &home);
    }
}

// What a compiler may keep in registers over the switch is as it was, though the
// other context has used them all.
START_TEST(a_switch_that_is_begun_in_place_keeps_what_is_alive)
{
    volatile uint64_t seed = 12345;
#define TWICE(k) n##k *= 2; d##k = -d##k;
#define SAME(k)                                                                \
    ck_assert_uint_eq(n##k, (seed * (k + 3)) << 10);                           \
    ck_assert(d##k == (double)((seed * (k + 3)) >> 12));
    EACH(SET)
    tz_ctx_init(&ctx[0], top(0), stepper, (void *)0);
    tz_ctx_init(&ctx[1], top(1), stepper_here, (void *)1);
    for (int i = 0; i < 10; i++) {
        tz_ctx_switch_here(&home, &ctx[1]);
        EACH(TWICE)
        tz_ctx_switch_here(&home, &ctx[0]); // either kind answers
    }
    ck_assert_int_eq(steps[0], 10);
    ck_assert_int_eq(steps[1], 10);
    EACH(SAME)
}
END_TEST

START_TEST(s3_04_twenty_million_switches_between_many_contexts)
{
    enum { ROUNDS = 10000000 };
    for (int i = 0; i < MOST; i++)
        tz_ctx_init(&ctx[i], top(i), stepper, (void *)(uintptr_t)i);
    for (int n = 0; n < ROUNDS; n++)
        tz_ctx_switch(&home, &ctx[n % MOST]);
    for (int i = 0; i < MOST; i++)
        ck_assert_int_eq(steps[i], ROUNDS / MOST);
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

START_TEST(s3_01_the_first_run_has_its_argument_and_an_aligned_stack)
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

// Values that no compiler computes again.
static TZ_NOINLINE uintptr_t word(uintptr_t n)
{
    volatile uintptr_t v = n * 0x9e3779b1u;
    return v;
}

static TZ_NOINLINE double number(uintptr_t n)
{
    volatile double v = (double)n * 1.5;
    return v;
}

// Twelve words and twelve doubles that live across a switch: as many as any CPU
// has callee-saved registers, which are therefore in use. False when one of
// them has changed.
static TZ_NOINLINE bool many_live(struct tz_ctx *from, struct tz_ctx *to,
                                  volatile uintptr_t *seed)
{
    uintptr_t s = *seed;
    uintptr_t a = word(s), b = word(s + 1), c = word(s + 2), d = word(s + 3),
              e = word(s + 4), f = word(s + 5), g = word(s + 6),
              h = word(s + 7), i = word(s + 8), j = word(s + 9),
              k = word(s + 10), l = word(s + 11);
    double m = number(s), n = number(s + 1), o = number(s + 2),
           p = number(s + 3), q = number(s + 4), r = number(s + 5),
           t = number(s + 6), u = number(s + 7), v = number(s + 8),
           w = number(s + 9), x = number(s + 10), y = number(s + 11);
    tz_ctx_switch(from, to);
    s = *seed;
    return a == word(s) && b == word(s + 1) && c == word(s + 2) &&
           d == word(s + 3) && e == word(s + 4) && f == word(s + 5) &&
           g == word(s + 6) && h == word(s + 7) && i == word(s + 8) &&
           j == word(s + 9) && k == word(s + 10) && l == word(s + 11) &&
           m == number(s) && n == number(s + 1) && o == number(s + 2) &&
           p == number(s + 3) && q == number(s + 4) && r == number(s + 5) &&
           t == number(s + 6) && u == number(s + 7) && v == number(s + 8) &&
           w == number(s + 9) && x == number(s + 10) && y == number(s + 11);
}

static int changed;

static void many_other(void *arg)
{
    volatile uintptr_t seed = 1000003;
    (void)arg;
    for (;; seed += 12345)
        changed += !many_live(&ctx[0], &home, &seed);
}

START_TEST(s3_01_what_lives_across_a_switch_is_kept)
{
    tz_ctx_init(&ctx[0], top(0), many_other, NULL);
    for (volatile uintptr_t seed = 1; seed < 1000; seed++)
        ck_assert(many_live(&home, &ctx[0], &seed));
    ck_assert_int_eq(changed, 0);
}
END_TEST

static struct {
    int asked, answer; // handed over at a switch
} talk;

static void doubler(void *arg)
{
    (void)arg;
    for (;;) {
        talk.answer = 2 * talk.asked;
        tz_ctx_switch(&ctx[0], &home);
    }
}

START_TEST(s3_01_values_are_handed_over_at_a_switch)
{
    tz_ctx_init(&ctx[0], top(0), doubler, NULL);
    for (talk.asked = 1; talk.asked < 1000; talk.asked++) {
        tz_ctx_switch(&home, &ctx[0]);
        ck_assert_int_eq(talk.answer, 2 * talk.asked);
    }
}
END_TEST

static sigjmp_buf fault_back;

static void on_fault(int sig)
{
    (void)sig;
    siglongjmp(fault_back, 1);
}

START_TEST(s3_02_a_bad_context_loses_nothing)
{
    static struct tz_ctx bad; // whose stack pointer is NULL
    static struct tz_ctx *const to[] = { NULL, &bad };
    signal(SIGSEGV, on_fault);
    tz_ctx_init(&ctx[0], top(0), stepper, (void *)0);
    for (size_t i = 0; i < tz_countof(to); i++) {
        home.sp = 0x5550;
        if (sigsetjmp(fault_back, 1) == 0) {
            tz_ctx_switch(&home, to[i]);
            ck_abort_msg("a switch to nothing went on");
        }
        ck_assert_uint_eq(home.sp, 0x5550);
        if (sigsetjmp(fault_back, 1) == 0)
            tz_ctx_jump(to[i]);
        tz_ctx_switch(&home, &ctx[0]); // and all still works
        ck_assert_int_eq(steps[0], (int)i + 1);
    }
}
END_TEST

START_TEST(s3_01_rounding_belongs_to_the_context)
{
    volatile double one = 1, three = 3;
    fesetround(FE_UPWARD);
    volatile double up = one / three;
    tz_ctx_init(&ctx[0], top(0), rounder, NULL);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert_int_eq(rounding[0], FE_TONEAREST); // a new one has the default
    ck_assert_int_eq(fegetround(), FE_UPWARD);
    volatile double again = one / three; // volatile: no excess precision
    ck_assert(again == up);
    fesetround(FE_TOWARDZERO);
    tz_ctx_switch(&home, &ctx[0]);
    ck_assert_int_eq(rounding[1], FE_DOWNWARD);
    ck_assert_int_eq(fegetround(), FE_TOWARDZERO);
}
END_TEST

START_TEST(s3_01_a_reset_gives_the_words_of_a_new_context)
{
    fesetround(FE_UPWARD);
    tz_ctx_fp_reset();
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    tz_ctx_fp_reset();
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
}
END_TEST

#if defined(__i386__) || defined(__x86_64__)
// fesetround changes both words; each counts alone too.
static struct {
    unsigned mxcsr;
    unsigned short fpu;
} mine;

static void read_words(void)
{
    __asm__ volatile("stmxcsr %0\n\t fnstcw %1"
                     : "=m"(mine.mxcsr), "=m"(mine.fpu));
}

static void load_words(unsigned mxcsr, unsigned short fpu)
{
    __asm__ volatile("ldmxcsr %0\n\t fldcw %1" : : "m"(mxcsr), "m"(fpu));
}

static void loader(void *arg)
{
    (void)arg;
    load_words(0x3f80, 0x037f);
    tz_ctx_switch(&ctx[0], &home);
    load_words(0x1f80, 0x027f);
    tz_ctx_switch(&ctx[0], &home);
}

START_TEST(s3_01_each_of_two_control_words_counts)
{
    tz_ctx_init(&ctx[0], top(0), loader, NULL);
    for (int i = 0; i < 2; i++) {
        load_words(0x1f80, 0x037f);
        tz_ctx_switch(&home, &ctx[0]);
        read_words();
        ck_assert_uint_eq(mine.mxcsr & ~0x3fu, 0x1f80);
        ck_assert_uint_eq(mine.fpu, 0x037f);
        load_words(i ? 0x3f80 : 0x1f80, i ? 0x037f : 0x027f);
        tz_ctx_fp_reset();
        read_words();
        ck_assert_uint_eq(mine.mxcsr & ~0x3fu, 0x1f80);
        ck_assert_uint_eq(mine.fpu, 0x037f);
    }
}
END_TEST
#define CPU_TESTS s3_01_each_of_two_control_words_counts,
#else
#define CPU_TESTS
#endif

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

START_TEST(s3_04_a_backtrace_ends_at_the_entry_of_its_context)
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

START_TEST(s3_04_a_backtrace_goes_through_a_call_on_another_stack)
{
    backtrace(bt.pc, 1);
    calls_on();
    int found = 0;
    for (int i = 0; i < bt.n; i++) // arm: an odd address means Thumb
        found += (uintptr_t)bt.pc[i] / 2 == (uintptr_t)bt.caller / 2;
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

// What a scan of a stack looks for: words that only a function's registers and
// frame hold. Here are their complements.
enum { HIDDEN = 12 };
static struct {
    uintptr_t complement[HIDDEN];
    uintptr_t sp, top; // of the frames to be scanned
    unsigned found;    // a bit a word
    int handoff, calls;
} hunt;

TZ_NO_SANITIZE static void look_at(const uintptr_t *lo, const uintptr_t *hi)
{
    for (; lo < hi; lo++)
        for (int i = 0; i < HIDDEN; i++)
            hunt.found |= (unsigned)(*lo == ~hunt.complement[i]) << i;
}

void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                           int handoff)
{
    hunt.sp = sp;
    hunt.handoff = handoff;
    hunt.calls += sp >= (uintptr_t)(regs + 1); // which lie in the callee's
    look_at(regs->reg, regs->reg + TZ_CTX_REGS);
    look_at((const uintptr_t *)sp, (const uintptr_t *)hunt.top);
}

static void spilled(void *arg, uintptr_t sp)
{
    (void)arg;
    hunt.sp = sp;
    hunt.calls++;
    look_at((const uintptr_t *)sp, (const uintptr_t *)hunt.top);
}

enum way { SPILL, SYSCALL, BLOCKING };

static TZ_NOINLINE void hold(enum way how, volatile uintptr_t *seed)
{
    uintptr_t word[HIDDEN]; // each in a register of its own, if there is one
    uintptr_t s = *seed;
#pragma GCC unroll 12
    for (uintptr_t i = 0; i < HIDDEN; i++) {
        word[i] = s * (2 * i + 3);
        __asm__ volatile("" : "+r"(word[i]));
        hunt.complement[i] = ~word[i];
    }
    if (how == SPILL)
        tz_ctx_spill(spilled, NULL);
    else if (how == SYSCALL)
        tuza_syscall_enter();
    else
        tuza_blocking_enter();
#pragma GCC unroll 12
    for (int i = 0; i < HIDDEN; i++)
        __asm__ volatile("" : : "r"(word[i]));
}

START_TEST(whoever_scans_finds_each_live_word)
{
    volatile uintptr_t seed = (uintptr_t)0x9e3779b1u * 0x10001;
    hunt.top = (uintptr_t)__builtin_frame_address(0);
    for (int how = SPILL; how <= BLOCKING; how++) {
        hunt.found = 0;
        hold((enum way)how, &seed);
        ck_assert_uint_eq(hunt.found, (1u << HIDDEN) - 1);
        ck_assert_uint_lt(hunt.sp, hunt.top);
        ck_assert_uint_lt(hunt.top - hunt.sp, 4096);
        ck_assert_int_eq(hunt.handoff, how == BLOCKING);
    }
    ck_assert_int_eq(hunt.calls, 3);
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
                        a_switch_that_is_begun_in_place_keeps_what_is_alive,
                        s3_04_twenty_million_switches_between_many_contexts,
                        s3_01_the_first_run_has_its_argument_and_an_aligned_stack,
                        s3_01_what_lives_across_a_switch_is_kept,
                        s3_01_values_are_handed_over_at_a_switch,
                        s3_02_a_bad_context_loses_nothing,
                        s3_01_rounding_belongs_to_the_context,
                        a_call_on_another_stack_returns_to_this_one,
                        a_context_may_call_on_another_stack,
                        s3_04_a_backtrace_ends_at_the_entry_of_its_context,
                        s3_04_a_backtrace_goes_through_a_call_on_another_stack,
                        a_spill_tells_a_stack_pointer_below_its_caller,
                        whoever_scans_finds_each_live_word,
                        s3_01_a_reset_gives_the_words_of_a_new_context,
                        CPU_TESTS
                        a_context_may_go_on_on_another_thread,
                        an_entry_that_returns_does_not_run_into_nothing,
                        NULL });
}
