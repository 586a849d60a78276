// SPDX-License-Identifier: BSD-3-Clause
// test/sched/top_test.c: where stacks begin. A stack pointer at the very top of
// a stack lies outside it, for kernels that police it.

#include <stdint.h>

#include "api_check.h"
#include "arch/ctx.h"
#include "base/tls.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/g.h"

enum { LEAST = 16 }; // bytes between the first stack pointer and the top

// The stack pointer of whoever calls this function.
#define CALLERS_SP() ((uintptr_t)__builtin_dwarf_cfa())

static struct tz_ctx home, first;
static uintptr_t began;

static void in_context(void *arg)
{
    (void)arg;
    began = CALLERS_SP();
    tz_ctx_switch(&first, &home);
}

START_TEST(s1_12_a_context_begins_below_its_top)
{
    size_t n = 16 * tz_vm_page();
    char *lo = tz_vm_alloc_stacks(n, n);
    ck_assert_ptr_nonnull(lo);
    tz_vm_stack_alloc(lo, n);
    uintptr_t hi = (uintptr_t)lo + n;
    tz_ctx_init(&first, hi, in_context, NULL);
    ck_assert_uint_le(first.sp, hi - LEAST);
    tz_ctx_switch(&home, &first);
    ck_assert_uint_le(began, hi - LEAST);
    ck_assert_uint_gt(began, hi - 1024);
}
END_TEST

static int bad, looked;

static void in_goroutine(void *arg)
{
    (void)arg;
    const struct tz_g *g = tz_tls_get()->g;
    uintptr_t sp = CALLERS_SP();
    if (sp > g->stack.hi - LEAST || sp < g->stack.lo)
        __atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&looked, 1, __ATOMIC_RELEASE);
    tuza_yield(); // the next one has another stack
}

// Of every colour.
static int goroutines(int argc, char **argv)
{
    enum { MANY = 200 };
    (void)argc, (void)argv;
    for (int i = 0; i < MANY; i++)
        if (tuza_spawn(in_goroutine, NULL) != 0)
            return 1;
    while (__atomic_load_n(&looked, __ATOMIC_ACQUIRE) < MANY)
        tuza_yield();
    return bad;
}

START_TEST(s1_12_a_goroutine_begins_below_its_top)
{
    api_run(goroutines, 2);
}
END_TEST

static int thread_state; // 1: below its top, 2: not

static void in_thread(void *arg)
{
    uintptr_t lo, hi, sp = CALLERS_SP();
    (void)arg;
    tz_thread_stack(&lo, &hi);
    __atomic_store_n(&thread_state, sp <= hi - LEAST && sp > lo ? 1 : 2,
                     __ATOMIC_RELEASE);
}

START_TEST(s1_12_a_thread_begins_below_its_top)
{
    static const size_t sizes[] = { 0, 256 * 1024 };
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        thread_state = 0;
        ck_assert_int_eq(tz_thread_start(in_thread, NULL, sizes[i]), 0);
        while (!__atomic_load_n(&thread_state, __ATOMIC_ACQUIRE))
            tz_thread_yield();
        ck_assert_int_eq(thread_state, 1);
    }
}
END_TEST

int main(void)
{
    return api_check("top", (const TTest *const[]){
        s1_12_a_context_begins_below_its_top,
        s1_12_a_goroutine_begins_below_its_top,
        s1_12_a_thread_begins_below_its_top,
        NULL,
    });
}
