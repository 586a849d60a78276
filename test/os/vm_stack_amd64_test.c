// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_stack_amd64_test.c: a hook's stack is aligned, wherever the
// goroutine's stack pointer stood.

#include <sys/mman.h>

#include "api_check.h"
#include "base/base.h"
#include "os/port.h"
#include "os/vm.h"

// Volatile, since the compiler does not see the calls that change it.
static volatile struct {
    int calls, misaligned;
} a;

// A compiler takes it for granted that the stack is aligned, and stores to a
// local with movaps, which faults elsewhere.
TZ_NOINLINE static void aligned_store(void)
{
    char local[16] __attribute__((aligned(16)));
    uintptr_t at;
    __asm__ volatile("xorps %%xmm0, %%xmm0\n\t"
                     "movaps %%xmm0, %1\n\t"
                     "lea %1, %0"
                     : "=r"(at), "=m"(local)
                     :
                     : "xmm0");
    a.misaligned = a.misaligned + (at % 16 != 0);
    a.calls = a.calls + 1;
}

static void *movaps_mmap(void *p, size_t n, int prot, int flags, int fd,
                         off_t off)
{
    aligned_store();
    return mmap(p, n, prot, flags, fd, off);
}

static int movaps_munmap(void *p, size_t n)
{
    aligned_store();
    return munmap(p, n);
}

static void map_and_unmap(void *arg)
{
    size_t n = *(size_t *)arg;
    void *p = tz_vm_alloc(n, TZ_VM_META);
    if (p)
        tz_vm_free(p, n, TZ_VM_META, TZ_VM_READY);
}

// Calls tz_port_system_stack(map_and_unmap, &n) with the stack pointer `by`
// bytes further down than the ABI has it.
TZ_NOINLINE static void call_misaligned(size_t *n, uintptr_t by)
{
    register uintptr_t saved __asm__("rbx");
    __asm__ volatile("movq %%rsp, %0\n\t"
                     "subq $256, %%rsp\n\t" // past the red zone
                     "andq $-16, %%rsp\n\t"
                     "subq %3, %%rsp\n\t"
                     "movq %1, %%rdi\n\t"
                     "movq %2, %%rsi\n\t"
                     "call *%4\n\t"
                     "movq %0, %%rsp"
                     : "=&r"(saved)
                     : "r"(map_and_unmap), "r"(n), "r"(by),
                       "r"(tz_port_system_stack)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
                       "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

static int at_every_alignment(int argc, char **argv)
{
    (void)argc, (void)argv;
    size_t n = tz_vm_page();
    for (uintptr_t by = 0; by < 16; by++) {
        a.calls = 0;
        call_misaligned(&n, by);
        if (a.calls != 2 || a.misaligned)
            return 1;
    }
    return 0;
}

START_TEST(s0_08_a_hook_finds_its_stack_aligned)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = movaps_mmap,
                        .munmap = movaps_munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&h), 0);
    api_run(at_every_alignment, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_08_a_hook_finds_its_stack_aligned,
        NULL,
    };
    return api_check("os/vm_stack_amd64", tests);
}
