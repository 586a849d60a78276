// SPDX-License-Identifier: BSD-3-Clause
// test: no-i386 no-arm no-arm64 no-debug
// test/sched/vectors_amd64_test.c: no vector or x87 register of a goroutine is
// lost to a million signals, stops of the world and foreign ones, whose
// handlers use these registers themselves. (Kernels 5.2 to 5.4 lost them:
// Go issue 35777.)
//
// Two goroutines each hold patterns of their own in all registers that the CPU
// has, in loops without calls, and look whether they still have them: SSE, AVX
// and AVX-512 where it is there. Timers of their threads send SIGURG, which the
// runtime's handler hands on to the program's.

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/san.h"
#include "sched/preempt.h"
#include "sched/proc.h"
#include "support/goroutines.h"

// What a register holds, or was seen to hold. The offsets are in the assembly.
struct registers {
    uint64_t vector[32 * 8]; // 0: as many as there are, as wide as they are
    uint64_t x87[8][2];      // 2048: 10 bytes each
    uint64_t mask[8];        // 2176: 2 bytes each, from %k1 on
};
_Static_assert(sizeof(struct registers) == 2240, "known to the assembly");

// Holds what is at `is`; returns how many rounds found a register otherwise,
// which then gets its pattern anew.
typedef uint64_t hold_fn(const struct registers *is, struct registers *seen,
                         uint64_t *rounds, uint32_t *stop);
hold_fn hold_sse, hold_avx, hold_avx512;

// rdi: is, rsi: seen, rdx: rounds, rcx: stop, rax: faults.
__asm__(
    ".text\n"
    ".macro keep_x87\n" // st(0) to st(7) were popped, or are not there yet
    "        .irp n, 7,6,5,4,3,2,1,0\n"
    "        fldt    2048 + 16 * \\n(%rdi)\n"
    "        .endr\n"
    ".endm\n"
    ".macro look_x87\n"
    "        .irp n, 0,1,2,3,4,5,6,7\n"
    "        fstpt   2048 + 16 * \\n(%rsi)\n"
    "        .endr\n"
    ".endm\n"
    // Compares 8-byte words [from, to) of both.
    ".macro compare from, to\n"
    "        movl    $\\from, %r8d\n"
    "91:     movq    (%rdi,%r8,8), %r9\n"
    "        cmpq    (%rsi,%r8,8), %r9\n"
    "        jne     92b\n"
    "        incl    %r8d\n"
    "        cmpl    $\\to, %r8d\n"
    "        jne     91b\n"
    ".endm\n"
    ".macro hold name, words, load, store, leave\n"
    ".p2align 4\n"
    ".type \\name, @function\n"
    "\\name: xorl    %eax, %eax\n"
    "        jmp     93f\n"
    "92:     incq    %rax\n"
    "93:     fninit\n"
    "        \\load\n"
    "        keep_x87\n"
    "94:     \\store\n"
    "        compare 0, \\words\n"
    "        look_x87\n"
    "        compare 256, 280\n"
    "        keep_x87\n"
    "        incq    (%rdx)\n"
    "        cmpl    $0, (%rcx)\n"
    "        je      94b\n"
    "        fninit\n"
    "        \\leave\n"
    "        ret\n"
    ".size \\name, .-\\name\n"
    ".endm\n"
    ".macro load_sse\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "        movdqu  16 * \\n(%rdi), %xmm\\n\n"
    "        .endr\n"
    ".endm\n"
    ".macro store_sse\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "        movdqu  %xmm\\n, 16 * \\n(%rsi)\n"
    "        .endr\n"
    ".endm\n"
    ".macro load_avx\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "        vmovdqu 32 * \\n(%rdi), %ymm\\n\n"
    "        .endr\n"
    ".endm\n"
    ".macro store_avx\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "        vmovdqu %ymm\\n, 32 * \\n(%rsi)\n"
    "        .endr\n"
    ".endm\n"
    ".macro load_avx512\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
    "21,22,23,24,25,26,27,28,29,30,31\n"
    "        vmovdqu64 64 * \\n(%rdi), %zmm\\n\n"
    "        .endr\n"
    "        .irp n, 1,2,3,4,5,6,7\n"
    "        kmovw   2176 + 8 * \\n(%rdi), %k\\n\n"
    "        .endr\n"
    ".endm\n"
    ".macro store_avx512\n"
    "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
    "21,22,23,24,25,26,27,28,29,30,31\n"
    "        vmovdqu64 %zmm\\n, 64 * \\n(%rsi)\n"
    "        .endr\n"
    "        .irp n, 1,2,3,4,5,6,7\n"
    "        kmovw   %k\\n, 2176 + 8 * \\n(%rsi)\n"
    "        .endr\n"
    ".endm\n"
    "hold hold_sse, 32, load_sse, store_sse, nop\n"
    "hold hold_avx, 64, load_avx, store_avx, vzeroupper\n"
    "hold hold_avx512, 256, load_avx512, store_avx512, vzeroupper\n");

enum { HOLDERS = 2, SIGNALS = 1000000, SOME_STOPS = 100, INTERVAL_NS = 15000,
       TIMEOUT_S = 240 };

static struct holder {
    struct registers is, seen;
    TZ_ALIGNED(TZ_CACHE_LINE) uint64_t rounds; // atomic
    uint64_t faults;
    long interval_ns; // 0: no signals
    long tid; // atomic; 0: not there yet
} holders[HOLDERS];

static hold_fn *hold;
static uint32_t stop, handled; // atomic
static int wanted;              // signals
static uint32_t to_spoil;      // atomic; bits: what the handler is to spoil
static tuza_waitgroup group;

static int signals_wanted(void)
{
    return scaled(TZ_ASAN || TZ_TSAN ? SIGNALS / 4 : SIGNALS);
}

static void fill(struct holder *h, uint64_t seed)
{
    for (int i = 0; i < 32 * 8; i++)
        h->is.vector[i] = (seed << 32 | (uint32_t)i) * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 8; i++) {
        h->is.x87[i][0] = h->is.vector[i] | 1ull << 63; // a normal number
        h->is.x87[i][1] = 0x3fff + (uint64_t)i;
        if (hold == hold_avx512 && i > 0)
            h->is.mask[i] = h->is.vector[i] & 0xffff;
    }
}

// Holds amid signals that a timer sends to this thread, whenever it runs.
static void hold_on(void *arg)
{
    struct holder *h = arg;
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
    event.sigev_signo = TZ_SIG_STOP;
    event._sigev_un._tid = (pid_t)api_thread();
    struct itimerspec often = { .it_interval = { 0, h->interval_ns } };
    often.it_value = often.it_interval;
    timer_t timer;
    need(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    tz_store_rel(&h->tid, api_thread());
    need(timer_settime(timer, 0, &often, NULL) == 0);
    h->faults = hold(&h->is, &h->seen, &h->rounds, &stop);
    timer_delete(timer);
    tuza_waitgroup_done(&group);
}

// The program's handler: leaves nothing in the registers as it was, and counts.
TZ_NO_SANITIZE static void on_urgent(int signo, siginfo_t *info, void *uc)
{
    (void)signo, (void)info;
    struct _libc_fpstate *saved = ((ucontext_t *)uc)->uc_mcontext.fpregs;
    uint32_t spoil = tz_xchg(&to_spoil, 0);
    if (spoil & 1)
        saved->_xmm[13].element[2] ^= 1;
    if (spoil & 2)
        saved->_st[6].significand[1] ^= 1;
    __asm__ volatile("fninit\n"
                     ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
                     "pcmpeqd %%xmm\\n, %%xmm\\n\n"
                     ".endr" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                           "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                           "xmm12", "xmm13", "xmm14", "xmm15");
    if (hold != hold_sse)
        __asm__ volatile("vzeroall");
    tz_xadd(&handled, 1);
}

static int hold_amid_signals(int argc, char **argv)
{
    uint32_t stops = 0;
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, HOLDERS);
    for (int i = 0; i < HOLDERS; i++) {
        fill(&holders[i], (uint64_t)i + 1);
        holders[i].interval_ns = INTERVAL_NS + 100 * i;
        tuza_spawn(hold_on, &holders[i]);
    }
    while (tz_load(&handled) < (uint32_t)wanted || stops < SOME_STOPS) {
        tuza_gc();
        stops++;
        tuza_sleep(TUZA_US(200));
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    for (int i = 0; i < HOLDERS; i++) {
        need(holders[i].rounds > 0);
        need_eq(holders[i].faults, 0);
    }
    printf("%u signals, %u stops, %llu rounds\n", tz_load(&handled), stops,
           (unsigned long long)(holders[0].rounds + holders[1].rounds));
    return 0;
}

static void handle_urgent(void)
{
    struct sigaction act = { .sa_sigaction = on_urgent };
    act.sa_flags = SA_SIGINFO;
    sigaction(TZ_SIG_STOP, &act, NULL);
}

static void hold_all_with(hold_fn *fn)
{
    hold = fn;
    handle_urgent();
    api_run(hold_amid_signals, HOLDERS + 1);
}

// AVX-512 registers hold the AVX ones, and these the SSE ones.
START_TEST(a_million_signals_leave_all_registers_alone)
{
    wanted = signals_wanted();
    if (__builtin_cpu_supports("avx512f"))
        hold_all_with(hold_avx512);
    else if (__builtin_cpu_supports("avx"))
        hold_all_with(hold_avx);
    else
        hold_all_with(hold_sse);
}
END_TEST

START_TEST(signals_leave_registers_alone_in_code_without_avx)
{
    wanted = signals_wanted() / 20;
    hold_all_with(hold_sse);
}
END_TEST

// That the loops see what a kernel loses: each is told as often as it was.
static int spoil_registers(int argc, char **argv)
{
    struct holder *h = &holders[0];
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 1);
    fill(h, 1);
    tuza_spawn(hold_on, h);
    for (uint32_t i = 0; i < 100; i++) {
        uint64_t at = tz_load_rlx(&h->rounds);
        while (tz_load_rlx(&h->rounds) < at + 2)
            tuza_yield();
        tz_store(&to_spoil, i % 2 + 1);
        syscall(SYS_tgkill, getpid(), tz_load_acq(&h->tid), TZ_SIG_STOP);
        while (tz_load(&to_spoil))
            tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    // x87 registers are not in use while they are being compared.
    need(h->faults >= 40 && h->faults <= 100);
    return 0;
}

START_TEST(a_register_that_is_lost_is_noticed)
{
    hold = hold_sse;
    handle_urgent();
    api_run(spoil_registers, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_million_signals_leave_all_registers_alone,
        signals_leave_registers_alone_in_code_without_avx,
        a_register_that_is_lost_is_noticed,
    };
    Suite *suite = suite_create("vectors_amd64");
    for (size_t i = 0; i < tz_countof(tests); i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_tags(tc, tests[i]->name);
        tcase_set_timeout(tc, TIMEOUT_S);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(suite, tc);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
