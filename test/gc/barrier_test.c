// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier_test.c: what stores overwrite is logged, all of it.
//
// An old value is the address of a byte of one block; what comes out is counted
// by byte. No mark takes part: the test starts and stops the logging itself.

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "canary.h"
#include "gc/barrier.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "tuza/thread.h"

enum { VALUES = 1 << 20 };

static char *block;           // of values
static uint32_t seen[VALUES]; // atomic; how often each has come out
static size_t strange;        // words that were none of them

static void count(void *arg, const uintptr_t *words, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        uintptr_t k = words[i] - (uintptr_t)block;
        if (k < VALUES)
            tz_xadd_rlx(&seen[k], 1);
        else
            strange++;
    }
}

static void start_there(void *arg)
{
    (void)arg;
    tz_barrier_start();
}

static void flush_there(void *arg)
{
    *(size_t *)arg = tz_barrier_flush_all(count, NULL);
}

static void stop_there(void *arg)
{
    (void)arg;
    tz_barrier_stop();
}

static void begin(void)
{
    block = tuza_alloc_bytes(VALUES);
    need(block);
    memset(seen, 0, sizeof seen);
    tz_world_call(start_there, NULL);
}

static size_t flush_all(void)
{
    size_t n = 0;
    tz_world_call(flush_there, &n);
    return n;
}

static void end(void)
{
    tz_world_call(stop_there, NULL);
}

// Words [0, n) hold the values from `first` on.
static void **filled(size_t n, size_t first)
{
    void **a = tuza_alloc_array(n, sizeof *a);
    need(a);
    for (size_t i = 0; i < n; i++)
        a[i] = block + first + i;
    return a;
}

static void need_seen(size_t first, size_t n, uint32_t times)
{
    for (size_t i = first; i < first + n; i++)
        if (seen[i] != times)
            ck_abort_msg("value %zu was seen %u times", i, seen[i]);
}

IN_GOROUTINES(each_macro_logs_what_it_overwrites, 2)
{
    begin();
    void **a = filled(64, 0);
    tuza_store(&a[0], NULL);
    tuza_store_atomic(&a[1], NULL);
    need(tuza_exchange(&a[2], (void *)a) == block + 2 && a[2] == a);
    void *was = block + 3;
    need(tuza_cas(&a[3], &was, NULL) && !a[3]);
    was = block;
    need(!tuza_cas(&a[4], &was, NULL) && was == block + 4 && a[4] == was);
    void *two[2] = { NULL, NULL };
    tuza_store_range(&a[8], two, 2);
    tuza_memset(&a[10], 0, 3 * sizeof *a);
    tuza_memmove(&a[20], &a[30], 4 * sizeof *a);
    struct pair { void *x, *y; } *p = (void *)&a[40], none = { NULL, NULL };
    tuza_store(p, none);
    tuza_barrier((char *)&a[50] + 4, 8); // two words, each in part
    tuza_store_first(&a[60], NULL); // as it says, whatever was there
    need_eq(flush_all(), 4 + 2 + 3 + 4 + 2 + 2);
    need_seen(0, 4, 1);
    need_seen(4, 4, 0);
    need_seen(8, 5, 1);
    need_seen(20, 4, 1);
    need_seen(40, 2, 1);
    need_seen(50, 2, 1);
    need_seen(60, 1, 0);
    need(!a[60] && a[8] == NULL && a[12] == NULL && a[20] == block + 30);
    end();
}

#ifdef __x86_64__
// As the macros do it, with a number in each register and below the stack pointer.
static uint64_t log_with_numbers(void **p)
{
    uint64_t changed;
    __asm__ volatile("mov $1, %%eax\n\tmov $2, %%ecx\n\tmov $3, %%edx\n\t"
                     "mov $4, %%r8d\n\tmov $5, %%r9d\n\tmov $6, %%esi\n\t"
                     "mov %%rsp, %%rbx\n\tmov %%rdi, %%r12\n\t"
                     "movq $7, -8(%%rsp)\n\tmovq $8, -128(%%rsp)\n\t"
                     "mov %%rdi, %%r10\n\tlea 1f(%%rip), %%r11\n\t"
                     "jmp *tuza__barrier_log_word@GOTPCREL(%%rip)\n"
                     "1:\n\t"
                     "xor $1, %%rax\n\txor $2, %%rcx\n\txor $3, %%rdx\n\t"
                     "xor $4, %%r8\n\txor $5, %%r9\n\txor $6, %%rsi\n\t"
                     "xor %%rsp, %%rbx\n\txor %%rdi, %%r12\n\t"
                     "xorq $7, -8(%%rsp)\n\txorq $8, -128(%%rsp)\n\t"
                     "or %%rcx, %%rax\n\tor %%rdx, %%rax\n\tor %%r8, %%rax\n\t"
                     "or %%r9, %%rax\n\tor %%rbx, %%rax\n\t"
                     "or %%r12, %%rax\n\tor %%rsi, %%rax\n\t"
                     "or -8(%%rsp), %%rax\n\tor -128(%%rsp), %%rax"
                     : "=&a"(changed), "+D"(p)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15", "cc", "memory");
    return changed;
}

IN_GOROUTINES(who_stores_keeps_its_registers_and_red_zone, 2)
{
    begin();
    void **a = filled(4000, 0); // buffers fill up
    for (int i = 0; i < 4000; i++)
        need_eq(log_with_numbers(&a[i]), 0);
    need_eq(flush_all(), 4000);
    need_seen(0, 4000, 1);
    end();
}
#endif

static double summed(void **a, double by, uint64_t k)
{
    double sum = 1;
    for (int i = 0; i < 1000; i++) {
        sum = sum * by + (double)k;
        tuza_store(&a[i], NULL);
        k = k * 3 + 1;
    }
    return sum + (double)(k % 1000);
}

IN_GOROUTINES(what_is_computed_beside_a_logged_store_stays_right, 2)
{
    begin();
    double logged = summed(filled(1000, 0), 0.5, 3);
    need_eq(flush_all(), 1000);
    end();
    ck_assert_double_eq(summed(filled(1000, 0), 0.5, 3), logged);
}

IN_GOROUTINES(nothing_is_logged_before_the_start_and_after_the_stop, 2)
{
    begin();
    end();
    void **a = filled(2000, 0);
    for (int i = 0; i < 1000; i++)
        tuza_store(&a[i], NULL);
    tz_world_call(start_there, NULL);
    need_eq(flush_all(), 0);
    for (int i = 1000; i < 1900; i++)
        tuza_store(&a[i], NULL);
    end(); // forgets them, full buffers as well
    tz_world_call(start_there, NULL);
    need_eq(flush_all(), 0);
    end();
}

IN_GOROUTINES(what_is_no_address_of_the_heap_is_not_logged, 2)
{
    begin();
    uintptr_t *a = tuza_alloc_array(4, sizeof *a);
    static int outside;
    a[0] = 42;
    a[1] = (uintptr_t)&outside;
    a[2] = (uintptr_t)block;
    for (int i = 0; i < 4; i++)
        tuza_store(&a[i], 0u);
    need_eq(flush_all(), 1);
    end();
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

IN_GOROUTINES(sorting_logs_the_array_and_keeps_a_copy, 2)
{
    begin();
    enum { N = 5000 };
    void **a = tuza_alloc_array(N, sizeof *a);
    for (size_t i = 0; i < N; i++)
        a[i] = block + (i * 7919) % N;
    tuza_qsort(a, N, sizeof *a, by_address);
    for (size_t i = 0; i < N; i++)
        need(a[i] == block + i);
    need_eq(flush_all(), N);
    need_seen(0, N, 1);
    end();
    void **copy = tuza__barrier_hold(a, N * sizeof *a);
    need(copy && copy != a && memcmp(copy, a, N * sizeof *a) == 0);
    need(!tuza__barrier_hold(block, 100)); // leads nowhere
}

IN_GOROUTINES(a_long_move_within_an_array_is_a_move, 2)
{
    begin();
    enum { N = 20000 };
    void **a = filled(N, 0);
    tuza_memmove(a, a + 1, (N - 1) * sizeof *a);
    for (size_t i = 0; i < N - 1; i++)
        need(a[i] == block + i + 1);
    tuza_memmove(a + 3, a, (N - 3) * sizeof *a);
    for (size_t i = 3; i < N; i++)
        need(a[i] == block + i - 2);
    flush_all();
    for (size_t i = 0; i < N; i++)
        need(seen[i] >= 1);
    end();
}

// --- several threads

enum { EACH = 60000, THREADS = 7 };
static uint32_t done, mistakes; // atomic

static void overwrite(void **a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i % 3 == 0) {
            tuza_store(&a[i], NULL);
        } else if (i % 3 == 1) {
            if (tuza_exchange(&a[i], NULL) == NULL)
                tz_xadd(&mistakes, 1);
        } else {
            tuza__barrier_move(&a[i], &a[0], sizeof *a, memmove);
        }
    }
}

static void overwriter(void *arg)
{
    overwrite(arg, EACH);
    tz_xadd(&done, 1);
}

// The world does not wait for it.
static void in_a_call(void *arg)
{
    tuza_blocking_enter();
    overwrite(arg, EACH);
    (void)tuza_syscall_exit();
    tz_xadd(&done, 1);
}

static void *foreign(void *arg)
{
    overwrite(arg, EACH);
    tz_xadd(&done, 1);
    return NULL;
}

static void *attached(void *arg)
{
    if (tuza_attach() != 0)
        tz_xadd(&mistakes, 1);
    overwrite(arg, EACH);
    tuza_detach();
    tz_xadd(&done, 1);
    return NULL;
}

// Goroutines, which lose their P when there is one only, one in a declared call,
// threads that are none of the runtime's and attached ones; what is full is taken
// meanwhile.
static void many(void)
{
    begin();
    void **a[THREADS];
    pthread_t thread[2];
    for (size_t i = 0; i < THREADS; i++) {
        size_t n = EACH;
        a[i] = tuza_alloc_uncollectable(n * sizeof(void *));
        for (size_t k = 0; k < n; k++)
            a[i][k] = block + i * n + k;
    }
    need(pthread_create(&thread[0], NULL, foreign, a[0]) == 0);
    need(pthread_create(&thread[1], NULL, attached, a[1]) == 0);
    for (int i = 2; i < THREADS; i++)
        need(tuza_spawn(i == 2 ? in_a_call : overwriter, a[i]) == 0);
    for (int i = 0; tz_load(&done) < THREADS; i++) {
        tz_barrier_flush(count, NULL);
        if (i % 4 == 0)
            flush_all();
        tuza_yield();
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    flush_all();
    need_eq(tz_load(&mistakes), 0);
    need(!tz_barrier_overflowed());
    need_seen(0, (size_t)THREADS * EACH, 1);
    end();
}

IN_GOROUTINES(threads_at_once_lose_nothing, 4)
{
    many();
}

IN_GOROUTINES(goroutines_without_a_p_lose_nothing, 1)
{
    many();
}

// --- a handler of the program's that interrupts a log

enum { LOOP = 3000 };
static void **by_handler;
static volatile size_t handled;
static volatile sig_atomic_t handling;

static void on_signal(int sig)
{
    (void)sig;
    size_t i = handled;
    if (handling && i < LOOP) {
        tuza_store(&by_handler[i], NULL);
        handled = i + 1;
    }
}

static void *shoot(void *target)
{
    while (!tz_load(&done)) {
        pthread_kill(*(pthread_t *)target, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

IN_GOROUTINES(a_signal_handler_may_store_in_the_middle_of_a_log, 2)
{
    begin();
    tuza_lock_thread();
    void **a = filled(LOOP, LOOP);
    by_handler = filled(LOOP, 0);
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
    sigaction(SIGUSR1, &sa, NULL);
    pthread_t self = pthread_self(), thread;
    handling = 1;
    need(pthread_create(&thread, NULL, shoot, &self) == 0);
    for (int k = 0; k < 300 || handled < 20; k++) {
        for (size_t i = 0; i < LOOP; i++) {
            tuza_store(&a[i], NULL);
            __atomic_store_n(&a[i], block + LOOP + i, __ATOMIC_RELAXED);
        }
        tz_barrier_flush(count, NULL);
        sched_yield(); // where ThreadSanitizer lets handlers run
    }
    handling = 0;
    tz_store(&done, 1);
    pthread_join(thread, NULL);
    flush_all();
    need(!tz_barrier_overflowed());
    need_seen(0, handled, 1);
    for (size_t i = 1; i < LOOP; i++)
        need_eq(seen[LOOP + i], seen[LOOP]);
    end();
}

// --- memory is refused

static uint32_t refusing; // atomic

static void *no_mmap(void *addr, size_t len, int prot, int flags, int fd,
                     off_t off)
{
    if (tz_load(&refusing) && len == 128 * TZ_KIB) { // for buffers, only
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return mmap(addr, len, prot, flags, fd, off);
}

static int refused_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { N = 200 * TZ_BARRIER_WORDS };
    begin();
    void **a = filled(N, 0);
    tz_store(&refusing, 1);
    errno = EDOM;
    size_t i = 0;
    while (i < N && !tz_barrier_overflowed()) {
        tuza_store(&a[i], NULL);
        i++;
    }
    need(i > TZ_BARRIER_WORDS && i < N && errno == EDOM);
    // Told at once, and what was logged before is there.
    need_eq(flush_all(), i - 1);
    need_seen(0, i - 1, 1);
    for (size_t k = i; k < i + 2000; k++) // there is room again
        tuza_store(&a[k], NULL);
    need_eq(flush_all(), 2000);
    need(tz_barrier_overflowed()); // until the next start
    end();
    tz_store(&refusing, 0);
    tz_world_call(start_there, NULL);
    need(!tz_barrier_overflowed());
    end();
    return 0;
}

START_TEST(a_refused_buffer_is_told_and_nothing_else_is_lost)
{
    tuza_os_hooks hooks = { .size = sizeof hooks,
                            .mmap = no_mmap,
                            .munmap = munmap };
    ck_assert_int_eq(tuza_os_set_hooks(&hooks), 0);
    api_run(refused_main, 2);
}
END_TEST

// --- the runtime's own stores

IN_GOROUTINES(a_value_that_leaves_a_channel_is_logged, 2)
{
    begin();
    tuza_chan(void *) c = tuza_chan_make(void *, 4);
    tuza_chan(int) small = tuza_chan_make(int, 4);
    void *v;
    for (int i = 0; i < 4; i++) {
        tuza_send(c, (void *)(block + i));
        tuza_send(small, i);
    }
    need_eq(flush_all(), 0);
    for (int i = 0; i < 4; i++) {
        tuza_recv(c, &v);
        tuza_recv(small, NULL);
        need(v == block + i);
    }
    need_eq(flush_all(), 4);
    need_seen(0, 4, 1);
    end();
}

IN_GOROUTINES(what_a_weak_handle_gives_is_logged, 2)
{
    begin();
    tuza_weak *w = tuza_weak_make(block);
    tuza_ephemeron *e = tuza_ephemeron_make(block, block + 1);
    flush_all();
    memset(seen, 0, sizeof seen);
    need(tuza_weak_get(w) == block && tuza_ephemeron_get(e) == block + 1);
    need_eq(flush_all(), 2);
    need_seen(0, 2, 1);
    end();
    need(tuza_weak_get(w) == block);
    need_eq(flush_all(), 0);
}

// --- who says that stores are told

static int none_main(int argc, char **argv)
{
    (void)argv;
    const char *missing = "?";
    bool declared = tz_barrier_declared(&missing);
    return argc == 0 ? declared : !declared;
}

static void ask(int says)
{
    const char *missing = NULL;
    ck_assert(!tz_barrier_declared(&missing)); // this one has no note
    ck_assert_str_eq(missing, "");
    tuza_config c = { .size = sizeof c, .barrier = TUZA_BARRIER_NONE + 1 };
    ck_assert_int_eq(tuza_run(none_main, 0, NULL, &c), -EINVAL);
    c.barrier = says;
    ck_assert_int_eq(
        tuza_run(none_main, says == TUZA_BARRIER_COMPLETE, NULL, &c), 0);
}

START_TEST(a_program_may_deny_it)
{
    ask(TUZA_BARRIER_NONE);
}
END_TEST

START_TEST(a_program_may_promise_it)
{
    ask(TUZA_BARRIER_COMPLETE);
}
END_TEST

int main(void)
{
    return api_check(
        "barrier",
        (const TTest *const[]){
        each_macro_logs_what_it_overwrites,
        what_is_computed_beside_a_logged_store_stays_right,
#ifdef __x86_64__
        who_stores_keeps_its_registers_and_red_zone,
#endif
        nothing_is_logged_before_the_start_and_after_the_stop,
        what_is_no_address_of_the_heap_is_not_logged,
        sorting_logs_the_array_and_keeps_a_copy,
        a_long_move_within_an_array_is_a_move,
        threads_at_once_lose_nothing,
        goroutines_without_a_p_lose_nothing,
        a_signal_handler_may_store_in_the_middle_of_a_log,
        a_refused_buffer_is_told_and_nothing_else_is_lost,
        a_value_that_leaves_a_channel_is_logged,
        what_a_weak_handle_gives_is_logged,
        a_program_may_deny_it,
        a_program_may_promise_it,
        NULL });
}
