// SPDX-License-Identifier: BSD-3-Clause
// test/os/sig_test.c: handlers, what they see, whom they hand on to, and the
// stacks they run on.

#include <sys/mman.h>
#include <sys/syscall.h>

#include "os_check.h"
#include "base/san.h"
#include "os/sig.h"
#include "os/thread.h"
#include "os/vm.h"
#include "os/vm_sys.h"

static void unblock_all(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
}

static struct {
    struct tz_sigctx ctx; // of the last signal handled
    int seen;             // atomic; how many our handler got
    int chained;          // how many the one before got
    int signo, code;      // what that one was told
    void *uc, *info_addr; // the same
    uintptr_t handler_sp; // where the handler ran
    char *page;
    bool found[4];
    int tid;  // atomic
    int spin; // atomic
} t;

// Not values that a register or a mask could have by chance.
static const uint64_t magic_general = UINT64_C(0x7a1d00c0ffee1357);
static const uint64_t magic_vector[4] = {
    UINT64_C(0x7a1d11c0ffee2468), UINT64_C(0x7a1d22c0ffee3579),
    UINT64_C(0x7a1d33c0ffee468a), UINT64_C(0x7a1d44c0ffee579b)
};

// Sanitizers give each thread one; take it away.
static void no_altstack(void)
{
    stack_t none = { .ss_flags = SS_DISABLE };
    ck_assert_int_eq(sigaltstack(&none, NULL), 0);
}

TZ_NO_SANITIZE static bool take(struct tz_sigctx *ctx)
{
    char local;
    t.handler_sp = (uintptr_t)&local;
    t.ctx = *ctx;
    tz_xadd(&t.seen, 1);
    return true;
}

TZ_NO_SANITIZE static bool pass(struct tz_sigctx *ctx)
{
    take(ctx);
    errno = 5;
    return false;
}

TZ_NO_SANITIZE static bool repair(struct tz_sigctx *ctx)
{
    take(ctx);
    mprotect(t.page, 4096, PROT_READ | PROT_WRITE);
    return true;
}

// The instruction that faults; its address is the function's start.
__attribute__((naked, noinline)) static void
store_to(__attribute__((unused)) char *p)
{
    __asm__("movb $1, (%rdi)\n\tret");
}

START_TEST(a_fault_tells_where_and_at_what)
{
    t.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(tz_sig_altstack(), 0);
    ck_assert_int_eq(tz_sig_install(SIGSEGV, repair), 0);
    char local;
    store_to(t.page + 123);
    ck_assert_int_eq(t.page[123], 1);
    ck_assert_int_eq(t.seen, 1);
    ck_assert_int_eq(t.ctx.signo, SIGSEGV);
    ck_assert_int_eq(t.ctx.code, SEGV_ACCERR);
    ck_assert_uint_eq(t.ctx.fault_addr, (uintptr_t)t.page + 123);
    ck_assert_uint_eq(t.ctx.pc, (uintptr_t)store_to);
    uintptr_t here = (uintptr_t)&local;
    ck_assert(t.ctx.sp > here - 4096 && t.ctx.sp < here + 4096);
    ck_assert(t.ctx.fp > here - 4096 && t.ctx.fp < here + 65536);
}
END_TEST

START_TEST(a_sent_signal_has_no_fault_address)
{
    ck_assert_int_eq(tz_sig_install(SIGSEGV, take), 0);
    ck_assert_int_eq(tz_thread_signal(tz_thread_id(), SIGSEGV), 0);
    ck_assert_int_eq(t.seen, 1);
    ck_assert_int_eq(t.ctx.code, TZ_THREAD_SIGNAL);
    ck_assert_uint_eq(t.ctx.fault_addr, 0);
}
END_TEST

TZ_NO_SANITIZE static bool in_regs(const struct tz_sigctx *ctx, uint64_t what)
{
    const char *p = ctx->regs;
    for (size_t i = 0; i + 8 <= ctx->regs_size; i += 8)
        if (*(const volatile uint64_t *)(p + i) == what)
            return true;
    return false;
}

TZ_NO_SANITIZE static bool find_magic(struct tz_sigctx *ctx)
{
    take(ctx);
    t.found[0] = in_regs(ctx, magic_general);
    t.found[1] = in_regs(ctx, magic_vector[0]);
    t.found[2] = in_regs(ctx, magic_vector[1]);
    t.found[3] = in_regs(ctx, magic_vector[3]);
    return true;
}

// Loads the values into r13 and xmm9 (ymm9) and sends the signal from there, so
// that they are nowhere but in these registers.
static void raise_with_registers(bool avx)
{
    long nr = SYS_tgkill, process = getpid(), thread = tz_thread_id();
    register long pid __asm__("rdi") = process;
    register long tid __asm__("rsi") = thread;
    register long signo __asm__("rdx") = SIGUSR1;
    if (avx)
        __asm__ volatile("movq %[g], %%r13\n\t"
                         "vmovdqu %[v], %%ymm9\n\t"
                         "syscall\n\t"
                         "vzeroupper"
                         : "+a"(nr)
                         : "r"(pid), "r"(tid), "r"(signo),
                           [g] "m"(magic_general), [v] "m"(magic_vector)
                         : "rcx", "r11", "r13", "xmm9", "memory");
    else
        __asm__ volatile("movq %[g], %%r13\n\t"
                         "movdqu %[v], %%xmm9\n\t"
                         "syscall"
                         : "+a"(nr)
                         : "r"(pid), "r"(tid), "r"(signo),
                           [g] "m"(magic_general), [v] "m"(magic_vector)
                         : "rcx", "r11", "r13", "xmm9", "memory");
    ck_assert_int_eq(nr, 0);
}

START_TEST(all_registers_are_in_the_context)
{
    bool avx = __builtin_cpu_supports("avx");
    ck_assert_int_eq(tz_sig_altstack(), 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, find_magic), 0);
    raise_with_registers(avx);
    ck_assert_int_eq(t.seen, 1);
    ck_assert(t.found[0]);
    ck_assert(t.found[1] && t.found[2]);
    ck_assert(t.found[3] || !avx);
    ck_assert_uint_lt(t.ctx.regs_size, 64 * 1024);
}
END_TEST

START_TEST(the_handler_runs_on_the_alternate_stack)
{
    stack_t ss;
    no_altstack();
    ck_assert_int_eq(tz_sig_altstack(), 0);
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    ck_assert_uint_ge(ss.ss_size, 60 * 1024);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, take), 0);
    raise(SIGUSR1);
    uintptr_t lo = (uintptr_t)ss.ss_sp, hi = lo + ss.ss_size;
    ck_assert(lo < t.handler_sp && t.handler_sp < hi);
    uintptr_t regs = (uintptr_t)t.ctx.regs;
    ck_assert(lo < regs && regs + t.ctx.regs_size <= hi);
    ck_assert(t.ctx.sp < lo || t.ctx.sp >= hi);
}
END_TEST

// --- chaining

static void before_info(int signo, siginfo_t *info, void *uc)
{
    t.chained++;
    t.signo = signo;
    t.code = info->si_code;
    t.info_addr = info;
    t.uc = uc;
}

static void before_plain(int signo)
{
    t.chained++;
    t.signo = signo;
}

static void set_before(int signo, void (*plain)(int), int flags)
{
    struct sigaction act = { .sa_handler = plain };
    act.sa_flags = flags;
    ck_assert_int_eq(sigaction(signo, &act, NULL), 0);
}

START_TEST(a_refused_signal_goes_to_the_one_before_with_its_arguments)
{
    struct sigaction act = { .sa_sigaction = before_info };
    act.sa_flags = SA_SIGINFO;
    ck_assert_int_eq(sigaction(SIGUSR1, &act, NULL), 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, pass), 0);
    tz_thread_signal(tz_thread_id(), SIGUSR1);
    ck_assert_int_eq(t.seen, 1);
    ck_assert_int_eq(t.chained, 1);
    ck_assert_int_eq(t.signo, SIGUSR1);
    ck_assert_int_eq(t.code, TZ_THREAD_SIGNAL);
    ck_assert_ptr_nonnull(t.info_addr);
    if (!TZ_TSAN)
        ck_assert_ptr_eq(t.uc, t.ctx.uc);
}
END_TEST

START_TEST(a_plain_handler_before_is_called)
{
    set_before(SIGUSR1, before_plain, 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, pass), 0);
    errno = 77;
    raise(SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(t.seen, 2);
    ck_assert_int_eq(t.chained, 2);
    ck_assert_int_eq(t.signo, SIGUSR1);
}
END_TEST

START_TEST(a_handled_signal_does_not_go_on)
{
    set_before(SIGUSR1, before_plain, 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, take), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(t.chained, 0);
}
END_TEST

START_TEST(installing_twice_does_not_chain_to_ourselves)
{
    set_before(SIGUSR1, before_plain, 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, take), 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, pass), 0);
    raise(SIGUSR1);
    ck_assert_int_eq(t.seen, 1);
    ck_assert_int_eq(t.chained, 1);
}
END_TEST

START_TEST(a_one_shot_handler_before_is_called_once)
{
    set_before(SIGURG, before_plain, (int)SA_RESETHAND);
    ck_assert_int_eq(tz_sig_install(SIGURG, pass), 0);
    raise(SIGURG);
    raise(SIGURG); // the default: ignored
    ck_assert_int_eq(t.seen, 2);
    ck_assert_int_eq(t.chained, 1);
}
END_TEST

START_TEST(an_ignored_signal_stays_ignored)
{
    set_before(SIGUSR1, SIG_IGN, 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, pass), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    ck_assert_int_eq(t.seen, 2);
}
END_TEST

START_TEST(a_signal_without_effect_keeps_our_handler)
{
    static const int harmless[] = { SIGURG, SIGCHLD, SIGWINCH, SIGCONT };
    for (size_t i = 0; i < tz_countof(harmless); i++) {
        signal(harmless[i], SIG_DFL);
        ck_assert_int_eq(tz_sig_install(harmless[i], pass), 0);
        raise(harmless[i]);
        raise(harmless[i]);
        ck_assert_int_eq(t.seen, 2 * (int)(i + 1));
    }
}
END_TEST

static void die_by_term(void)
{
    signal(SIGTERM, SIG_DFL);
    tz_sig_install(SIGTERM, pass);
    raise(SIGTERM);
}

static void fault_with(void (*before)(int))
{
    set_before(SIGSEGV, before, 0);
    tz_sig_install(SIGSEGV, pass);
    t.page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    store_to(t.page);
}

static void die_by_fault(void)
{
    fault_with(SIG_DFL);
}

static void die_by_ignored_fault(void)
{
    fault_with(SIG_IGN);
}

static void die_by_sent_fault(void)
{
    set_before(SIGSEGV, SIG_DFL, 0);
    tz_sig_install(SIGSEGV, pass);
    raise(SIGSEGV);
}

START_TEST(the_default_action_ends_the_process_by_the_signal)
{
    ck_assert_int_eq(os_child(die_by_term).status, -SIGTERM);
    ck_assert_int_eq(os_child(die_by_fault).status, -SIGSEGV);
    ck_assert_int_eq(os_child(die_by_ignored_fault).status, -SIGSEGV);
    ck_assert_int_eq(os_child(die_by_sent_fault).status, -SIGSEGV);
}
END_TEST

START_TEST(what_is_no_signal_is_refused)
{
    errno = 77;
    ck_assert_int_eq(tz_sig_install(0, take), -EINVAL);
    ck_assert_int_eq(tz_sig_install(65, take), -EINVAL);
    ck_assert_int_eq(tz_sig_install(-1, take), -EINVAL);
    ck_assert_int_eq(tz_sig_install(SIGKILL, take), -EINVAL);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, NULL), -EINVAL);
    ck_assert_int_eq(errno, 77);
}
END_TEST

// --- masks and threads

TZ_NO_SANITIZE static bool check_mask(struct tz_sigctx *ctx)
{
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
    t.page = (char *)mask;
    return take(ctx);
}

START_TEST(all_signals_are_blocked_in_the_handler)
{
    ck_assert_int_eq(tz_sig_install(SIGUSR1, check_mask), 0);
    raise(SIGUSR1);
    uint64_t never = UINT64_C(3) << 31; // libc's own
    never |= UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1);
    ck_assert_uint_eq((uint64_t)t.page | never, UINT64_MAX);
}
END_TEST

START_TEST(a_blocked_signal_waits)
{
    ck_assert_int_eq(tz_sig_install(SIGUSR1, take), 0);
    tz_sig_block_all();
    tz_thread_signal(tz_thread_id(), SIGUSR1);
    ck_assert_int_eq(t.seen, 0);
    unblock_all();
    ck_assert_int_eq(t.seen, 1);
}
END_TEST

static int fds[2];

static void read_byte(void *arg)
{
    (void)arg;
    char c;
    unblock_all();
    tz_store(&t.tid, tz_thread_id());
    t.code = (int)read(fds[0], &c, 1);
    tz_store(&t.spin, 1);
}

START_TEST(an_interrupted_call_goes_on)
{
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(tz_sig_install(SIGUSR1, take), 0);
    ck_assert_int_eq(tz_thread_start(read_byte, NULL, 0), 0);
    while (tz_load(&t.tid) == 0)
        sched_yield();
    os_wait_asleep(tz_load(&t.tid));
    tz_thread_signal(tz_load(&t.tid), SIGUSR1);
    while (tz_load(&t.seen) == 0)
        sched_yield();
    ck_assert_int_eq(write(fds[1], "", 1), 1);
    while (tz_load(&t.spin) == 0)
        sched_yield();
    ck_assert_int_eq(t.code, 1);
}
END_TEST

TZ_NO_SANITIZE static bool stop_spinning(struct tz_sigctx *ctx)
{
    tz_store(&t.spin, 1);
    return take(ctx);
}

static void spin_without_calls(void *arg)
{
    (void)arg;
    unblock_all();
    tz_store(&t.tid, tz_thread_id());
    while (tz_load(&t.spin) == 0)
        ;
    tz_store(&t.spin, 2);
}

START_TEST(a_thread_that_makes_no_calls_is_interrupted)
{
    ck_assert_int_eq(tz_sig_install(SIGUSR1, stop_spinning), 0);
    ck_assert_int_eq(tz_thread_start(spin_without_calls, NULL, 0), 0);
    while (tz_load(&t.tid) == 0)
        sched_yield();
    tz_thread_signal(tz_load(&t.tid), SIGUSR1);
    while (tz_load(&t.spin) != 2)
        sched_yield();
}
END_TEST

// --- alternate stacks

static uint64_t meta_bytes(void)
{
    struct tz_vm_stats s;
    tz_vm_stats_read(&s);
    return s.ready[TZ_VM_META];
}

static bool has_altstack(void)
{
    stack_t ss;
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    return !(ss.ss_flags & SS_DISABLE);
}

START_TEST(an_alternate_stack_is_whole_in_memory_and_guarded)
{
    no_altstack();
    ck_assert_int_eq(tz_sig_altstack(), 0);
    stack_t ss;
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    size_t page = tz_vm_page();
    char *lo = ss.ss_sp;
    ck_assert_uint_eq((uintptr_t)lo % page, 0);
    for (char *p = lo; p < lo + ss.ss_size; p += page) {
        unsigned char in;
        ck_assert_int_eq(mincore(p, page, &in), 0);
        ck_assert_int_eq(in & 1, 1);
    }
    ck_assert(tz_vmsys_faults(lo - page));
}
END_TEST

START_TEST(alternate_stacks_come_and_go)
{
    no_altstack();
    tz_vm_guard_works(); // its probe is not to be counted
    uint64_t before = meta_bytes();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(tz_sig_altstack(), 0);
        uint64_t one = meta_bytes();
        ck_assert_uint_gt(one, before);
        ck_assert(has_altstack());
        ck_assert_int_eq(tz_sig_altstack(), 0); // has one
        ck_assert_uint_eq(meta_bytes(), one);
        tz_sig_altstack_free();
        ck_assert(!has_altstack());
        ck_assert_uint_eq(meta_bytes(), before);
        tz_sig_altstack_free(); // has none
    }
}
END_TEST

START_TEST(somebody_elses_alternate_stack_stays)
{
    static char theirs[64 * 1024] __attribute__((aligned(65536)));
    stack_t ss = { .ss_sp = theirs, .ss_size = sizeof theirs };
    no_altstack();
    ck_assert_int_eq(sigaltstack(&ss, NULL), 0);
    uint64_t before = meta_bytes();
    ck_assert_int_eq(tz_sig_altstack(), 0);
    tz_sig_altstack_free();
    ck_assert_int_eq(sigaltstack(NULL, &ss), 0);
    ck_assert_ptr_eq(ss.ss_sp, theirs);
    ck_assert(has_altstack());
    ck_assert_uint_eq(meta_bytes(), before);
    no_altstack();
}
END_TEST

static void with_altstack(void *arg)
{
    (void)arg;
    no_altstack();
    ck_assert_int_eq(tz_sig_altstack(), 0);
    tz_xadd(&t.tid, 1);
    while (tz_load(&t.spin) == 0)
        sched_yield();
    tz_sig_altstack_free();
    ck_assert(!has_altstack());
    tz_xadd(&t.tid, -1);
}

START_TEST(each_thread_frees_its_own)
{
    enum { N = 8 };
    tz_vm_guard_works();
    uint64_t before = meta_bytes();
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(tz_thread_start(with_altstack, NULL, 0), 0);
    while (tz_load(&t.tid) < N)
        sched_yield();
    ck_assert_uint_ge(meta_bytes(), before + N * 64 * TZ_KIB);
    tz_store(&t.spin, 1);
    while (tz_load(&t.tid) > 0)
        sched_yield();
    ck_assert_uint_eq(meta_bytes(), before);
}
END_TEST

static void without_markers(void)
{
    stack_t ss;
    if (mlockall(MCL_FUTURE) != 0)
        _exit(77);
    if (tz_vm_guard_works() || tz_sig_altstack() || sigaltstack(NULL, &ss))
        _exit(3);
    _exit(tz_vmsys_faults((char *)ss.ss_sp - tz_vm_page()) ? 5 : 4);
}

START_TEST(an_alternate_stack_is_guarded_where_markers_are_refused)
{
    if (TZ_SAN_OWNS_ADDRESSES)
        return; // sanitizers lock nothing
    int status = os_child(without_markers).status;
    ck_assert_msg(status == 5 || status == 77, "status %d", status);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_fault_tells_where_and_at_what,
        a_sent_signal_has_no_fault_address,
        all_registers_are_in_the_context,
        the_handler_runs_on_the_alternate_stack,
        a_refused_signal_goes_to_the_one_before_with_its_arguments,
        a_plain_handler_before_is_called,
        a_handled_signal_does_not_go_on,
        installing_twice_does_not_chain_to_ourselves,
        a_one_shot_handler_before_is_called_once,
        an_ignored_signal_stays_ignored,
        a_signal_without_effect_keeps_our_handler,
        the_default_action_ends_the_process_by_the_signal,
        what_is_no_signal_is_refused,
        all_signals_are_blocked_in_the_handler,
        a_blocked_signal_waits,
        an_interrupted_call_goes_on,
        a_thread_that_makes_no_calls_is_interrupted,
        an_alternate_stack_is_whole_in_memory_and_guarded,
        an_alternate_stack_is_guarded_where_markers_are_refused,
        alternate_stacks_come_and_go,
        somebody_elses_alternate_stack_stays,
        each_thread_frees_its_own,
        NULL,
    };
    return os_check("os/sig", tests);
}
