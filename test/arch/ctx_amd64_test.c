// SPDX-License-Identifier: BSD-3-Clause
// test: parts no-i386 no-arm no-arm64
// test/arch/ctx_amd64_test.c: the registers of amd64 across a switch, and
// unwinding from each instruction of it.

#include <execinfo.h>
#include <setjmp.h>
#include <ucontext.h>
#include <xmmintrin.h>

#include "arch/layout_amd64.h"
#include "arch/port.h"
#include "os/os_check.h"

// Each loads rbx, rbp, r12 to r15 from in[6], calls, and stores them in out[6].
void regs_switch(const uint64_t *in, uint64_t *out, struct tz_ctx *from,
                 const struct tz_ctx *to);
void regs_spill(const uint64_t *in, uint64_t *out,
                void (*fn)(void *, uintptr_t), void *arg);
void regs_call_on(const uint64_t *in, uint64_t *out, uintptr_t top,
                  void (*fn)(void *), void *arg);
void regs_syscall(const uint64_t *in, uint64_t *out, uintptr_t *sp);
void regs_blocking(const uint64_t *in, uint64_t *out, uintptr_t *sp);

// clang-format off
#define REGS(name, arguments, callee)                                          \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n"            \
            #name ":\n"                                                        \
            "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n"      \
            "push %r15\n push %rsi\n"                                          \
            "mov 0(%rdi), %rbx\n mov 8(%rdi), %rbp\n mov 16(%rdi), %r12\n"     \
            "mov 24(%rdi), %r13\n mov 32(%rdi), %r14\n mov 40(%rdi), %r15\n"   \
            arguments                                                          \
            "call " #callee "\n"                                               \
            "pop %rsi\n"                                                       \
            "mov %rbx, 0(%rsi)\n mov %rbp, 8(%rsi)\n mov %r12, 16(%rsi)\n"     \
            "mov %r13, 24(%rsi)\n mov %r14, 32(%rsi)\n mov %r15, 40(%rsi)\n"   \
            "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"\
            "ret\n.size " #name ", .-" #name "\n")

REGS(regs_switch, "mov %rdx, %rdi\n mov %rcx, %rsi\n", tz_ctx_switch);
REGS(regs_spill, "mov %rdx, %rdi\n mov %rcx, %rsi\n", tz_ctx_spill);
REGS(regs_call_on, "mov %rdx, %rdi\n mov %rcx, %rsi\n mov %r8, %rdx\n",
     tz_ctx_call_on);
REGS(regs_syscall, "mov %rsp, (%rdx)\n", tuza_syscall_enter);
REGS(regs_blocking, "mov %rsp, (%rdx)\n", tuza_blocking_enter);
// clang-format on

enum { STACK = 256 * 1024 };
static char stack[STACK] TZ_ALIGNED(4096);
static struct tz_ctx home, ctx;

static uintptr_t top(void) { return (uintptr_t)stack + STACK; }

// A new context in place of the one that was left on the stack.
static void renew(void (*entry)(void *), void *arg)
{
    tz_san_unpoison(stack, STACK);
    tz_ctx_init(&ctx, top(), entry, arg);
}

static void pattern(uint64_t *r, uint64_t seed)
{
    for (uint64_t i = 0; i < 6; i++)
        r[i] = UINT64_C(0x1111111111111111) * (i + 1) ^ seed << 32;
}

static int wrong; // registers that the context found changed

static void registers(void *arg)
{
    uint64_t in[6], out[6];
    (void)arg;
    for (uint64_t n = 1;; n++) {
        pattern(in, ~n);
        regs_switch(in, out, &ctx, &home);
        wrong += memcmp(in, out, sizeof in) != 0;
    }
}

START_TEST(s3_01_a_switch_keeps_the_callee_saved_registers_of_both)
{
    uint64_t in[6], out[6];
    for (uint64_t n = 0; n < 3000; n++) {
        if (n % 1000 == 0) {
            tz_arch.control = (uint8_t)(n / 1000);
            renew(registers, NULL);
        }
        pattern(in, n);
        regs_switch(in, out, &home, &ctx);
        ck_assert_mem_eq(in, out, sizeof in);
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

static unsigned short fpu_get(void)
{
    unsigned short cw;
    __asm__ volatile("fnstcw %0" : "=m"(cw));
    return cw;
}

static void fpu_set(unsigned short cw)
{
    __asm__ volatile("fldcw %0" : : "m"(cw));
}

static struct {
    unsigned mxcsr, fpu;
} seen;

// Notes what it has, takes what it is told, for ever.
static struct {
    unsigned mxcsr, fpu;
} next;

static void control(void *arg)
{
    (void)arg;
    for (;;) {
        seen.mxcsr = _mm_getcsr();
        seen.fpu = fpu_get();
        _mm_setcsr(next.mxcsr);
        fpu_set((unsigned short)next.fpu);
        tz_ctx_switch(&ctx, &home);
    }
}

static void check_control_words(void)
{
    static const struct {
        unsigned mxcsr, fpu;
    } words[] = {
        { 0x1f80, 0x037f }, { 0x9f80, 0x037f }, // flush to zero
        { 0x1fc0, 0x037f },                     // denormals are zero
        { 0x1f80, 0x027f },                     // x87 alone: precision
        { 0x3f80, 0x077f }, { 0x1f00, 0x037f }, // an unmasked exception
        { 0x1f80, 0x0f7f }, { 0x7f80, 0x037f },
    };
    enum { N = tz_countof(words) };
    next.mxcsr = words[0].mxcsr, next.fpu = words[0].fpu;
    _mm_setcsr(0x5f80);
    fpu_set(0x0b7f);
    renew(control, NULL);
    tz_ctx_switch(&home, &ctx);
    ck_assert_uint_eq(seen.mxcsr & 0xffc0, TZ_MXCSR_DEFAULT);
    ck_assert_uint_eq(seen.fpu, TZ_FPUCW_DEFAULT);
    for (size_t i = 0; i < N * N; i++) {
        unsigned was_mxcsr = next.mxcsr, was_fpu = next.fpu;
        next.mxcsr = words[i / N].mxcsr, next.fpu = words[i / N].fpu;
        _mm_setcsr(words[i % N].mxcsr);
        fpu_set((unsigned short)words[i % N].fpu);
        tz_ctx_switch(&home, &ctx);
        unsigned mxcsr = _mm_getcsr(), fpu = fpu_get();
        _mm_setcsr(TZ_MXCSR_DEFAULT);
        fpu_set(TZ_FPUCW_DEFAULT);
        ck_assert_uint_eq(mxcsr & 0xffc0, words[i % N].mxcsr);
        ck_assert_uint_eq(fpu, words[i % N].fpu);
        ck_assert_uint_eq(seen.mxcsr & 0xffc0, was_mxcsr);
        ck_assert_uint_eq(seen.fpu, was_fpu);
    }
}

START_TEST(s3_01_each_control_word_belongs_to_its_context)
{
    static const uint8_t ways[] = { TZ_CONTROL_LOAD, TZ_CONTROL_COMPARE };
    check_control_words(); // before any tz_ctx_setup too
    tz_ctx_setup(false);
    check_control_words();
    for (size_t i = 0; i < tz_countof(ways); i++) {
        tz_arch.control = ways[i];
        check_control_words();
        _mm_setcsr(0x5fbf);
        fpu_set(0x0b7f);
        tz_ctx_fp_reset();
        ck_assert_uint_eq(_mm_getcsr() & 0xffc0, TZ_MXCSR_DEFAULT);
        ck_assert_uint_eq(fpu_get(), TZ_FPUCW_DEFAULT);
    }
}
END_TEST

START_TEST(shared_control_words_are_left_alone)
{
    tz_ctx_setup(true);
    tz_ctx_init(&ctx, top(), control, NULL);
    next.mxcsr = 0x3f80, next.fpu = 0x077f;
    _mm_setcsr(0x5f80);
    fpu_set(0x0b7f);
    tz_ctx_switch(&home, &ctx);
    unsigned mxcsr = _mm_getcsr(), fpu = fpu_get();
    tz_ctx_fp_reset();
    ck_assert_uint_eq(_mm_getcsr(), mxcsr);
    ck_assert_uint_eq(fpu_get(), fpu);
    fpu_set(TZ_FPUCW_DEFAULT);
    ck_assert_uint_eq(seen.mxcsr & 0xffc0, 0x5f80);
    ck_assert_uint_eq(seen.fpu, 0x0b7f);
    ck_assert_uint_eq(mxcsr & 0xffc0, 0x3f80);
    ck_assert_uint_eq(fpu, 0x077f);
}
END_TEST

START_TEST(compared_sticky_flags_alone_cause_no_load)
{
    tz_arch.control = TZ_CONTROL_COMPARE;
    next.mxcsr = TZ_MXCSR_DEFAULT, next.fpu = TZ_FPUCW_DEFAULT;
    _mm_setcsr(TZ_MXCSR_DEFAULT);
    tz_ctx_init(&ctx, top(), control, NULL);
    tz_ctx_switch(&home, &ctx);
    _mm_setcsr(TZ_MXCSR_DEFAULT | 0x3f); // all six
    tz_ctx_switch(&home, &ctx);
    ck_assert_uint_eq(seen.mxcsr, TZ_MXCSR_DEFAULT | 0x3f); // not loaded
    ck_assert_uint_eq(_mm_getcsr() & 0xffc0, TZ_MXCSR_DEFAULT);
    _mm_setcsr(TZ_MXCSR_DEFAULT | 0x8000 | 0x3f);
    tz_ctx_switch(&home, &ctx);
    ck_assert_uint_eq(seen.mxcsr & 0xffc0, TZ_MXCSR_DEFAULT); // loaded
    ck_assert_uint_eq(_mm_getcsr() & 0xffc0, TZ_MXCSR_DEFAULT | 0x8000);
}
END_TEST

static void jumps_home(void *arg)
{
    (void)arg;
    _mm_setcsr(TZ_MXCSR_DEFAULT | 0x6000);
    fpu_set(0x0c7f);
    tz_ctx_jump(&home);
}

START_TEST(s3_01_a_jump_restores_registers_and_control_words)
{
    uint64_t in[6], out[6];
    pattern(in, 5);
    _mm_setcsr(TZ_MXCSR_DEFAULT | 0x8000);
    fpu_set(0x027f);
    tz_ctx_init(&ctx, top(), jumps_home, NULL);
    regs_switch(in, out, &home, &ctx);
    unsigned mxcsr = _mm_getcsr(), fpu = fpu_get();
    fpu_set(TZ_FPUCW_DEFAULT);
    ck_assert_mem_eq(in, out, sizeof in);
    ck_assert_uint_eq(mxcsr & 0xffc0, TZ_MXCSR_DEFAULT | 0x8000);
    ck_assert_uint_eq(fpu, 0x027f);
}
END_TEST

static void count_spilled(void *arg, uintptr_t sp)
{
    const uint64_t *in = arg;
    const uint64_t *word = (const uint64_t *)sp;
    unsigned found = 0;
    ck_assert_uint_eq(sp % 16, 0);
    for (int w = 0; w < 8; w++)
        for (unsigned i = 0; i < 6; i++)
            found |= (unsigned)(word[w] == in[i]) << i;
    ck_assert_uint_eq(found, 0x3f);
}

START_TEST(a_spill_shows_every_callee_saved_register_and_keeps_it)
{
    uint64_t in[6], out[6];
    pattern(in, 77);
    regs_spill(in, out, count_spilled, in);
    ck_assert_mem_eq(in, out, sizeof in);
}
END_TEST

// A store that faults unless the address is a multiple of 16.
static void movaps(void *arg)
{
    __m128 v TZ_ALIGNED(16);
    __asm__ volatile("movaps %%xmm0, %0" : "=m"(v));
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    *(bool *)arg = frame % 16 == 0 && frame < top() &&
                   frame > (uintptr_t)stack;
}

START_TEST(a_call_on_a_stack_is_aligned_and_keeps_registers)
{
    uint64_t in[6], out[6];
    bool ok = false;
    pattern(in, 99);
    regs_call_on(in, out, top(), movaps, &ok);
    ck_assert(ok);
    ck_assert_mem_eq(in, out, sizeof in);
}
END_TEST

static void movaps_entry(void *arg)
{
    movaps(arg);
    tz_ctx_jump(&home);
}

START_TEST(the_entry_of_a_context_is_aligned)
{
    bool ok = false;
    tz_ctx_init(&ctx, top(), movaps_entry, &ok);
    tz_ctx_switch(&home, &ctx);
    ck_assert(ok);
}
END_TEST

static struct {
    struct tz_ctx_regs regs;
    uintptr_t sp;
    int handoff, calls;
} call;

void tz_port_syscall_enter(const struct tz_ctx_regs *regs, uintptr_t sp,
                           int handoff)
{
    call.regs = *regs;
    call.sp = sp;
    call.handoff = handoff;
    call.calls++;
}

START_TEST(a_declared_call_tells_its_callers_registers_and_stack)
{
    uint64_t in[6], out[6];
    uintptr_t sp;
    pattern(in, 3);
    regs_syscall(in, out, &sp);
    ck_assert_mem_eq(in, out, sizeof in);
    ck_assert_mem_eq(in, &call.regs, sizeof in); // rbx rbp r12 r13 r14 r15
    ck_assert_uint_eq(call.sp, sp);
    ck_assert_int_eq(call.handoff, 0);
    regs_blocking(in, out, &sp);
    ck_assert_mem_eq(in, out, sizeof in);
    ck_assert_mem_eq(in, &call.regs, sizeof in);
    ck_assert_uint_eq(call.sp, sp);
    ck_assert_int_eq(call.handoff, 1);
    ck_assert_int_eq(call.calls, 2);
}
END_TEST

// What a fault inside a switch finds.
static struct {
    sigjmp_buf back;
    greg_t regs[NGREG];
} fault;

static void on_fault(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)info;
    memcpy(fault.regs, ((ucontext_t *)uc)->uc_mcontext.gregs,
           sizeof fault.regs);
    siglongjmp(fault.back, 1);
}

static TZ_NOINLINE void bad_switch(const uint64_t *in, const struct tz_ctx *to)
{
    uint64_t out[6];
    uintptr_t before = home.sp = 0x5555;
    if (sigsetjmp(fault.back, 1) == 0) {
        regs_switch(in, out, &home, to);
        ck_abort_msg("it went on");
    }
    uintptr_t pc = (uintptr_t)fault.regs[REG_RIP];
    ck_assert(pc >= (uintptr_t)tz_ctx_switch && pc < (uintptr_t)tz_ctx_jump);
    ck_assert_uint_eq(home.sp, before); // nothing is lost
    static const int order[] = { REG_RBX, REG_RBP, REG_R12,
                                 REG_R13, REG_R14, REG_R15 };
    for (int i = 0; i < 6; i++)
        ck_assert_uint_eq((uint64_t)fault.regs[order[i]], in[i]);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    ck_assert_uint_lt(here - (uintptr_t)fault.regs[REG_RSP], 4096);
}

START_TEST(s3_02_a_bad_context_faults_before_anything_is_lost)
{
    uint64_t in[6];
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &sa, NULL);
    pattern(in, 12);
    for (uint8_t way = 0; way < 3; way++) {
        tz_arch.control = way;
        bad_switch(in, NULL);
        bad_switch(in, &(struct tz_ctx){ 0 });
        bad_switch(in, &(struct tz_ctx){ 8 });
    }
    if (sigsetjmp(fault.back, 1) == 0)
        tz_ctx_jump(NULL);
    ck_assert_ptr_eq((void *)fault.regs[REG_RIP], (void *)tz_ctx_jump);
}
END_TEST

// Single steps: SIGTRAP after each instruction while the trap flag is set.
extern char tz_ctx_start[] __attribute__((visibility("hidden")));

static struct {
    int seen; // instructions of switches and jumps
    int bad;  // those whose backtrace did not end where it should
    uintptr_t marker; // a return address that the main stack's has
} step;

// Also inside of a sanitizer's own code, which it must not enter again.
static TZ_NO_SANITIZE void on_trap(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)info;
    uintptr_t pc = (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP];
    if (pc < (uintptr_t)tz_ctx_switch || pc >= (uintptr_t)tz_ctx_start)
        return;
    step.seen++;
    void *at[64];
    int n = backtrace(at, 64), good = 0;
    for (int i = 0; i < n; i++)
        good += (uintptr_t)at[i] == step.marker ||
                (i == n - 1 && (char *)at[i] >= tz_ctx_start &&
                 (char *)at[i] < tz_ctx_start + 32);
    step.bad += good != 1 || n == 64;
}

static void trap_flag(bool on)
{
    if (on)
        __asm__ volatile("sub $128, %%rsp\n\t pushfq\n\t"
                         "orq $0x100, (%%rsp)\n\t popfq\n\t"
                         "add $128, %%rsp" : : : "cc", "memory");
    else
        __asm__ volatile("sub $128, %%rsp\n\t pushfq\n\t"
                         "andq $~0x100, (%%rsp)\n\t popfq\n\t"
                         "add $128, %%rsp" : : : "cc", "memory");
}

// Without what a sanitizer does before a jump, a million instructions.
TZ_NO_SANITIZE static void jumper(void *arg)
{
    (void)arg;
    tz_ctx_jump(&home);
}

// Four switches, of which one or two load control words, one and a jump; a
// switch is at least 20 instructions, a jump 12.
static TZ_NOINLINE void stepped(void)
{
    step.marker = (uintptr_t)__builtin_return_address(0);
    renew(control, NULL);
    trap_flag(true);
    tz_ctx_switch(&home, &ctx);
    next.mxcsr = TZ_MXCSR_DEFAULT;
    tz_ctx_switch(&home, &ctx);
    trap_flag(false);
    renew(jumper, NULL);
    trap_flag(true);
    tz_ctx_switch(&home, &ctx);
    trap_flag(false);
}

START_TEST(s3_04_every_instruction_of_a_switch_unwinds)
{
    void *at[4];
    struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    backtrace(at, 4); // loads the unwinder
    sigaction(SIGTRAP, &sa, NULL);
    next.fpu = TZ_FPUCW_DEFAULT;
    for (uint8_t way = 0; way < 3; way++) {
        tz_arch.control = way;
        next.mxcsr = TZ_MXCSR_DEFAULT | 0x8000; // so that loads happen once
        step.seen = 0;
        stepped();
        ck_assert_int_ge(step.seen, 5 * 20 + 12);
        ck_assert_int_eq(step.bad, 0);
    }
}
END_TEST

int main(void)
{
    return os_check("arch/ctx_amd64",
                    (const TTest *const[]){
                        s3_01_a_switch_keeps_the_callee_saved_registers_of_both,
                        s3_01_each_control_word_belongs_to_its_context,
                        shared_control_words_are_left_alone,
                        compared_sticky_flags_alone_cause_no_load,
                        s3_01_a_jump_restores_registers_and_control_words,
                        a_spill_shows_every_callee_saved_register_and_keeps_it,
                        a_call_on_a_stack_is_aligned_and_keeps_registers,
                        the_entry_of_a_context_is_aligned,
                        a_declared_call_tells_its_callers_registers_and_stack,
                        s3_02_a_bad_context_faults_before_anything_is_lost,
                        s3_04_every_instruction_of_a_switch_unwinds, NULL });
}
