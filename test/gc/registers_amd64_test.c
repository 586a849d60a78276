// SPDX-License-Identifier: BSD-3-Clause
// test/gc/registers_amd64_test.c: an object whose only reference is in a
// register, or in the red zone, at the moment of a collection.
//
// Each routine gets the complement of an address, makes the pointer in one
// place only, waits there, and gives the complement of what it finds back.

#include <unistd.h>

#include "canary.h"
#include "sched/proc.h"

static tuza_waitgroup group;
static uint32_t go_on; // atomic

// Holds it in a callee-saved register while fn() runs.
#define HOLD_IN(reg)                                                           \
    uintptr_t hold_in_##reg(uintptr_t hidden, void (*fn)(void));               \
    __asm__(".text\n.type hold_in_" #reg ", @function\n"                       \
            "hold_in_" #reg ":\n"                                              \
            "        pushq   %" #reg "\n"                                      \
            "        movq    %rdi, %" #reg "\n"                                \
            "        notq    %" #reg "\n"                                      \
            "        xorl    %edi, %edi\n"                                     \
            "        call    *%rsi\n"                                          \
            "        movq    %" #reg ", %rax\n"                                \
            "        notq    %rax\n"                                           \
            "        popq    %" #reg "\n"                                      \
            "        ret\n"                                                    \
            ".size hold_in_" #reg ", .-hold_in_" #reg "\n");
HOLD_IN(rbx)
HOLD_IN(rbp)
HOLD_IN(r12)
HOLD_IN(r13)
HOLD_IN(r14)
HOLD_IN(r15)

// Holds it in a declared call: enter, fn, exit are called with it in rbx.
uintptr_t hold_in_call(uintptr_t hidden, void (*fn)(void));
__asm__(".text\n.type hold_in_call, @function\n"
        "hold_in_call:\n"
        "        pushq   %rbx\n"
        "        pushq   %r12\n"
        "        subq    $8, %rsp\n"
        "        movq    %rdi, %rbx\n"
        "        notq    %rbx\n"
        "        movq    %rsi, %r12\n"
        "        xorl    %edi, %edi\n"
        "        call    tuza_blocking_enter\n"
        "        call    *%r12\n"
        "        call    tuza_syscall_exit\n"
        "        movq    %rbx, %rax\n"
        "        notq    %rax\n"
        "        addq    $8, %rsp\n"
        "        popq    %r12\n"
        "        popq    %rbx\n"
        "        ret\n"
        ".size hold_in_call, .-hold_in_call\n");

// Holds it in a loop without calls, in a place that only a signal can save:
// `put` moves rdi there, `get` moves it to rax; rsi is the flag to wait for.
#define HOLD_WHILE_SPINNING(name, put, get)                                    \
    uintptr_t name(uintptr_t hidden, uint32_t *flag);                          \
    __asm__(".text\n.type " #name ", @function\n" #name ":\n"                  \
            "        notq    %rdi\n"                                           \
            "        " put "\n"                                                \
            "        xorl    %edi, %edi\n"                                     \
            "1:      cmpl    $0, (%rsi)\n"                                     \
            "        je      1b\n"                                             \
            "        " get "\n"                                                \
            "        notq    %rax\n"                                           \
            "        ret\n"                                                    \
            ".size " #name ", .-" #name "\n");
HOLD_WHILE_SPINNING(spin_r11, "movq %rdi, %r11", "movq %r11, %rax")
HOLD_WHILE_SPINNING(spin_xmm0, "movq %rdi, %xmm0", "movq %xmm0, %rax")
HOLD_WHILE_SPINNING(spin_xmm15, "movq %rdi, %xmm15", "movq %xmm15, %rax")
HOLD_WHILE_SPINNING(spin_xmm7_high,
                    "movq %rdi, %xmm6\n pxor %xmm7, %xmm7\n"
                    "movlhps %xmm6, %xmm7\n pxor %xmm6, %xmm6",
                    "movhlps %xmm7, %xmm6\n movq %xmm6, %rax")
HOLD_WHILE_SPINNING(spin_red_zone_top, "movq %rdi, -8(%rsp)",
                    "movq -8(%rsp), %rax")
HOLD_WHILE_SPINNING(spin_red_zone_end, "movq %rdi, -128(%rsp)",
                    "movq -128(%rsp), %rax")
// The control: nothing holds it.
HOLD_WHILE_SPINNING(spin_holding_nothing, "notq %rdi\n movq %rdi, %rdx",
                    "movq %rdx, %rax\n notq %rax")

static void collect_here(void) { collect_well(); }

static void kept_in(uintptr_t (*hold)(uintptr_t, void (*)(void)),
                    void (*fn)(void))
{
    uintptr_t h;
    make_canaries(&h, 1, 48);
    need_eq(hold(h, fn), h);
    need(is_whole(h, 0, 48));
}

IN_GOROUTINES(s3_25_callee_saved_registers_keep, 2)
{
    for (int i = 0; i < 10; i++) {
        kept_in(hold_in_rbx, collect_here);
        kept_in(hold_in_rbp, collect_here);
        kept_in(hold_in_r12, collect_here);
        kept_in(hold_in_r13, collect_here);
        kept_in(hold_in_r14, collect_here);
        kept_in(hold_in_r15, collect_here);
    }
}

// The holder is parked while another goroutine collects.
static int collected;

static void collect_for_other(void *arg)
{
    (void)arg;
    collect_well();
    collected = 1;
    tuza_waitgroup_done(&group);
}

static void park_until_collected(void)
{
    collected = 0;
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(collect_for_other, NULL);
    tuza_waitgroup_wait(&group);
    need(collected);
}

IN_GOROUTINES(s3_26_registers_of_a_parked_goroutine_keep, 1)
{
    for (int i = 0; i < 10; i++) {
        kept_in(hold_in_rbx, park_until_collected);
        kept_in(hold_in_r12, park_until_collected);
        kept_in(hold_in_r15, park_until_collected);
    }
}

// In a call while another goroutine collects.
static int fd[2];

static void read_in_call(void)
{
    char byte;
    need_eq(read(fd[0], &byte, 1), 1);
}

static void collect_and_write(void *arg)
{
    uint64_t handoffs = *(uint64_t *)arg;
    while (tz_load(&tz_sched.handoffs) == handoffs)
        tuza_yield();
    collect_well();
    need_eq(write(fd[1], "x", 1), 1);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(s3_26_registers_of_a_goroutine_in_a_call_keep, 1)
{
    ck_assert_int_eq(pipe(fd), 0);
    for (int i = 0; i < 20; i++) {
        uint64_t handoffs = tz_load(&tz_sched.handoffs);
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(collect_and_write, &handoffs);
        kept_in(hold_in_call, read_in_call);
        tuza_waitgroup_wait(&group);
    }
}

// Spinning while another goroutine collects.
static uintptr_t spin_hidden, spin_result;
static uintptr_t (*spin_in)(uintptr_t, uint32_t *);
static int spinning;

static void spinner(void *arg)
{
    (void)arg;
    tz_store(&spinning, 1);
    spin_result = spin_in(spin_hidden, &go_on);
    tuza_waitgroup_done(&group);
}

static bool kept_while_spinning(uintptr_t (*hold)(uintptr_t, uint32_t *))
{
    spin_in = hold;
    go_on = 0;
    spinning = 0;
    make_canaries(&spin_hidden, 1, 48);
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(spinner, NULL);
    while (!tz_load(&spinning))
        tuza_yield();
    for (int i = 0; i < 10000; i++) // it is in the loop by now, or nearly
        tz_compiler_barrier();
    collect_well();
    bool whole = is_whole(spin_hidden, 0, 48);
    tz_store(&go_on, 1);
    tuza_waitgroup_wait(&group);
    need_eq(spin_result, spin_hidden);
    return whole;
}

IN_GOROUTINES(what_only_a_signal_frame_holds_is_kept, 2)
{
    for (int i = 0; i < 20; i++) {
        need(kept_while_spinning(spin_r11));
        need(kept_while_spinning(spin_xmm0));
        need(kept_while_spinning(spin_xmm15));
        need(kept_while_spinning(spin_xmm7_high));
    }
}

IN_GOROUTINES(s3_28_the_red_zone_keeps, 2)
{
    for (int i = 0; i < 20; i++) {
        need(kept_while_spinning(spin_red_zone_top));
        need(kept_while_spinning(spin_red_zone_end));
    }
}

IN_GOROUTINES(what_no_place_holds_is_reclaimed, 2)
{
    int kept = 0;
    for (int i = 0; i < 40; i++)
        kept += kept_while_spinning(spin_holding_nothing);
    need(kept < 20);
}

int main(void)
{
    return api_check("registers_amd64",
                     (const TTest *const[]){
                         s3_25_callee_saved_registers_keep,
                         s3_26_registers_of_a_parked_goroutine_keep,
                         s3_26_registers_of_a_goroutine_in_a_call_keep,
                         what_only_a_signal_frame_holds_is_kept,
                         s3_28_the_red_zone_keeps, what_no_place_holds_is_reclaimed,
                         NULL });
}
