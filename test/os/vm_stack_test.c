// SPDX-License-Identifier: BSD-3-Clause
// test/os/vm_stack_test.c: hooks that need more stack than a goroutine has, and
// hooks that call the runtime.

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api_check.h"
#include "arch/ctx.h"
#include "base/san.h"
#include "base/tls.h"
#include "os/vm.h"
#include "os/vm_fixed.h"
#include "sched/g.h"

enum {
    HOOK_STACK = 64 * 1024,
    // What tz_vm_* may take before it is on the system stack; instrumented and
    // unoptimized code takes more.
    LEFT = TZ_SAN_OWNS_ADDRESSES ? 2048 : 256,
};

static struct {
    uintptr_t lo, hi; // the goroutine's stack
    int calls;
    bool on_goroutine; // a hook ran on it
    void *p;
} s;

// Uses 64 KiB, every page of them.
TZ_NOINLINE static void use_stack(void)
{
    volatile char big[HOOK_STACK];
    for (size_t i = 0; i < sizeof big; i += 512)
        big[i] = (char)i;
    uintptr_t sp = (uintptr_t)&big[0];
    s.on_goroutine |= sp >= s.lo && sp < s.hi;
    s.calls++;
}

static void *big_mmap(void *p, size_t n, int prot, int flags, int fd, off_t off)
{
    use_stack();
    return mmap(p, n, prot, flags, fd, off);
}

static int big_munmap(void *p, size_t n)
{
    use_stack();
    return munmap(p, n);
}

static int big_mprotect(void *p, size_t n, int prot)
{
    use_stack();
    return mprotect(p, n, prot);
}

static int big_madvise(void *p, size_t n, int advice)
{
    use_stack();
    return madvise(p, n, advice);
}

static const tuza_os_hooks big = {
    .size = sizeof big,
    .mmap = big_mmap,
    .munmap = big_munmap,
    .mprotect = big_mprotect,
    .madvise = big_madvise,
};

static void alloc(void *arg)
{
    s.p = tz_vm_alloc(*(size_t *)arg, TZ_VM_META);
}

static void reserve(void *arg)
{
    s.p = tz_vm_reserve(NULL, *(size_t *)arg, 0, TZ_VM_HEAP);
}

static void map(void *arg)
{
    if (tz_vm_map(s.p, *(size_t *)arg, TZ_VM_HEAP))
        _exit(1);
}

static void unused(void *arg)
{
    tz_vm_unused(s.p, *(size_t *)arg, TZ_VM_HEAP);
}

static void used(void *arg)
{
    tz_vm_used(s.p, *(size_t *)arg, TZ_VM_HEAP);
}

static void give(void *arg)
{
    tz_vm_free(s.p, *(size_t *)arg, TZ_VM_HEAP, TZ_VM_READY);
}

static void map_at(void *arg)
{
    if (tz_vm_map_at(s.p, *(size_t *)arg, TZ_VM_HEAP))
        _exit(1);
}

static void probe(void *arg)
{
    if (tz_vm_probe(s.p, *(size_t *)arg))
        _exit(1);
}

static void guard(void *arg)
{
    if (tz_vm_guard(s.p, *(size_t *)arg))
        tz_vm_protect(s.p, *(size_t *)arg);
}

// Calls fn with LEFT bytes of this goroutine's stack below it.
static void almost_at_the_end(void (*fn)(void *), size_t *n)
{
    tz_ctx_call_on(s.lo + LEFT, fn, n);
}

static int in_a_goroutine(int argc, char **argv)
{
    (void)argc, (void)argv;
    void (*const fns[])(void *) = { reserve, map,   unused, used,
                                    give,    probe, map_at, guard,
                                    give,    alloc };
    size_t n = 16 * tz_vm_page();
    s.lo = tz_tls_get()->g->stack.lo;
    s.hi = tz_tls_get()->g->stack.hi;
    s.calls = 0;
    for (size_t i = 0; i < tz_countof(fns); i++)
        almost_at_the_end(fns[i], &n);
    return s.calls >= 8 && !s.on_goroutine && s.p ? 0 : 1;
}

// What lies below is a guard: a hook there would be an overflow.
START_TEST(s0_07_a_hook_has_64k_of_stack)
{
    ck_assert_int_eq(tuza_os_set_hooks(&big), 0);
    api_run(in_a_goroutine, 2);
}
END_TEST

// --- hooks that call back

static void nothing(void *arg)
{
    (void)arg;
}

static void *spawning_mmap(void *p, size_t n, int prot, int flags, int fd,
                           off_t off)
{
    if (s.calls)
        tuza_spawn(nothing, NULL);
    return mmap(p, n, prot, flags, fd, off);
}

static void *mapping_mmap(void *p, size_t n, int prot, int flags, int fd,
                          off_t off)
{
    if (s.calls)
        tz_vm_alloc(n, TZ_VM_META);
    return mmap(p, n, prot, flags, fd, off);
}

static void *allocating_mmap(void *p, size_t n, int prot, int flags, int fd,
                             off_t off)
{
    if (s.calls)
        tuza_alloc(100);
    return mmap(p, n, prot, flags, fd, off);
}

static int call_back(int argc, char **argv)
{
    (void)argc, (void)argv;
    s.calls = 1;
    tz_vm_alloc(tz_vm_page(), TZ_VM_META);
    return 0;
}

static void *(*hook_under_test)(void *, size_t, int, int, int, off_t);

static void run_call_back(void)
{
    tuza_os_hooks h = { .size = sizeof h, .mmap = hook_under_test,
                        .munmap = munmap };
    if (tuza_os_set_hooks(&h) == 0)
        api_run(call_back, 1);
}

START_TEST(s0_17_a_hook_that_calls_the_runtime_is_caught)
{
    if (!TZ_DEBUG)
        return; // release builds do not look
    void *(*const hooks[])(void *, size_t, int, int, int, off_t) = {
        spawning_mmap, mapping_mmap, allocating_mmap
    };
    static const char *const words[] = { "tuza: fatal: re-entered", NULL };
    for (size_t i = 0; i < tz_countof(hooks); i++) {
        hook_under_test = hooks[i];
        api_ended_with(api_child(run_call_back, 20), 2, words);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        s0_07_a_hook_has_64k_of_stack,
        s0_17_a_hook_that_calls_the_runtime_is_caught,
        NULL,
    };
    return api_check("os/vm_stack", tests);
}
