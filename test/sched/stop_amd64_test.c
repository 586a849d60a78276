// SPDX-License-Identifier: BSD-3-Clause
// test/sched/stop_amd64_test.c: a signal that stops a goroutine leaves its
// registers alone: all vector registers and those general ones that a loop
// without calls may use.

#include <sched.h>

#include "sched/proc.h"
#include "support/goroutines.h"

static tuza_waitgroup group;
static uint32_t stop; // atomic
static uint64_t register_rounds, register_faults;

// rdi: where to count, rsi: stop. Returns how often a register was not what it
// should be.
uint64_t hold_registers(uint64_t *rounds, uint32_t *stop_flag);
__asm__(".text\n"
        ".p2align 4\n"
        ".type hold_registers, @function\n"
        "hold_registers:\n"
        "        movabsq $0x0123456789abcdef, %r8\n"
        "        movq    %r8, %r9\n"
        "        notq    %r9\n"
        "        movq    %r8, %r10\n"
        "        xorl    %eax, %eax\n"
        "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14\n"
        "        addq    $\\n, %r10\n"
        "        movq    %r10, %xmm\\n\n"
        "        pshufd  $0x44, %xmm\\n, %xmm\\n\n"
        "        .endr\n"
        "1:      movq    %r8, %r10\n"
        "        movq    %r8, %rcx\n"
        "        .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14\n"
        "        addq    $\\n, %r10\n"
        "        movq    %xmm\\n, %r11\n"
        "        cmpq    %r10, %r11\n"
        "        jne     2f\n"
        "        movhlps %xmm\\n, %xmm15\n"
        "        movq    %xmm15, %r11\n"
        "        cmpq    %r10, %r11\n"
        "        jne     2f\n"
        "        .endr\n"
        "        notq    %rcx\n"
        "        cmpq    %r9, %rcx\n"
        "        je      3f\n"
        "2:      incq    %rax\n"
        "3:      incq    (%rdi)\n"
        "        cmpl    $0, (%rsi)\n"
        "        je      1b\n"
        "        ret\n"
        ".size hold_registers, .-hold_registers\n");

static void keep_registers(void *arg)
{
    (void)arg;
    register_faults = hold_registers(&register_rounds, &stop);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(a_stop_leaves_all_registers_alone, 2)
{
    tuza_waitgroup_add(&group, 1);
    tuza_spawn(keep_registers, NULL);
    for (int i = 0; i < scaled(500); i++) {
        uint64_t at = tz_load_rlx(&register_rounds);
        while (tz_load_rlx(&register_rounds) == at)
            sched_yield();
        tuza_gc();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    need_eq(register_faults, 0);
}

int main(void)
{
    return api_check(
        "stop_amd64",
        (const TTest *const[]){ a_stop_leaves_all_registers_alone, NULL });
}
