// SPDX-License-Identifier: BSD-3-Clause
// test: parts no-i386 no-arm no-arm64 no-tsan
// test/stack/unwind_test.c: our unwinder against libgcc's, at every
// instruction of a program that calls, recurses, switches stacks and goes
// through libc; and against stacks and tables that are nonsense.
// unwind_flags_test.sh compiles it in other ways.

#include <link.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unwind.h>

#include "arch/ctx.h"
#include "base/cpu.h"
#include "os/module.h"
#include "os/os_check.h"
#include "stack/unwind.h"

enum { FRAMES = 200 };

struct trace {
    uintptr_t pc[FRAMES];
    size_t n;
};

static _Unwind_Reason_Code note(struct _Unwind_Context *c, void *arg)
{
    struct trace *t = arg;
    if (t->n < FRAMES)
        t->pc[t->n++] = (uintptr_t)_Unwind_GetIP(c);
    return t->n < FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void by_libgcc(struct trace *t)
{
    t->n = 0;
    _Unwind_Backtrace(note, t);
    // The end has a frame with the pc 0 in some versions.
    while (t->n && t->pc[t->n - 1] == 0)
        t->n--;
}

// The thread's stack, and one that calls are made on.
static uintptr_t thread_lo, thread_hi;
static char other[128 * 1024] TZ_ALIGNED(64);

static struct tz_stack_link link_to(struct tz_stack_link *older, uintptr_t lo,
                                 uintptr_t hi)
{
    return (struct tz_stack_link){ older, { lo, hi }, lo, { 0, 0 } };
}

static void by_us(const struct tz_machine *at, struct trace *t)
{
    uintptr_t lo = (uintptr_t)other, hi = lo + sizeof other;
    struct tz_stack_link older = link_to(NULL, thread_lo, thread_hi);
    uintptr_t sp = at->reg[tz_unwind_cpu.sp];
    if (sp >= lo && sp <= hi) {
        t->n = tz_unwind(at, lo, hi, &older, t->pc, FRAMES);
    } else {
        t->n = tz_unwind(at, thread_lo, thread_hi, NULL, t->pc, FRAMES);
    }
}

static void explain(const struct trace *a, const struct trace *b, size_t from)
{
    for (size_t i = 0; i < b->n || i + from < a->n; i++)
        fprintf(stderr, "%zu: libgcc %#zx, we %#zx\n", i,
                i + from < a->n ? a->pc[i + from] : 0,
                i < b->n ? b->pc[i] : 0);
}

static void must_agree(const struct trace *gcc, const struct trace *we,
                       size_t from)
{
    bool same = gcc->n - from == we->n;
    for (size_t i = 0; same && i < we->n; i++)
        same = gcc->pc[i + from] == we->pc[i];
    if (same)
        return;
    explain(gcc, we, from);
    ck_abort_msg("the traces differ");
}

// --- at every instruction

static volatile long steps, compared, deepest, limit;
static uintptr_t signal_lo, signal_hi; // the stack of the handler

// What the thread was doing, and then the handler, through its signal frame.
static void compare_interrupted(void *uc)
{
    struct trace gcc, we;
    struct tz_sigctx ctx = { .uc = uc };
    struct tz_machine at;
    tz_machine_of_signal(&ctx, &at);
    by_us(&at, &we);
    by_libgcc(&gcc);
    size_t from = 0;
    while (from < gcc.n && gcc.pc[from] != at.reg[tz_unwind_cpu.pc])
        from++;
    must_agree(&gcc, &we, from);
    if ((long)we.n > deepest)
        deepest = (long)we.n;
}

static void compare_handler(void)
{
    struct trace gcc, we;
    ucontext_t here;
    struct tz_machine at;
    struct tz_stack_link thread = link_to(NULL, thread_lo, thread_hi);
    uintptr_t lo = (uintptr_t)other;
    struct tz_stack_link chain = link_to(&thread, lo, lo + sizeof other);
    by_libgcc(&gcc);
    getcontext(&here);
    struct tz_sigctx ctx = { .uc = &here };
    tz_machine_of_signal(&ctx, &at);
    we.n = tz_unwind(&at, signal_lo, signal_hi, &chain, we.pc, FRAMES);
    // Each was called at a place of its own in this function, and libgcc's
    // trace begins one deeper.
    size_t from = 0;
    while (from < gcc.n && gcc.pc[from] != we.pc[1])
        from++;
    ck_assert_uint_lt(from, gcc.n);
    gcc.pc[from - 1] = we.pc[0];
    must_agree(&gcc, &we, from - 1);
}

static void on_step(int sig, siginfo_t *info, void *uc)
{
    (void)sig, (void)info;
    if (++steps > limit) {
        ((ucontext_t *)uc)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
        return;
    }
    compare_interrupted(uc);
    // Always on a stack that is empty still.
    uintptr_t sp =
        (uintptr_t)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RSP];
    if (steps % 64 == 0 || sp == (uintptr_t)other + sizeof other)
        compare_handler();
    compared++;
}

// --- what is stepped through

typedef int step_fn(int, volatile int *);
static step_fn * volatile call;

static TZ_NOINLINE int leaf(int n, volatile int *p)
{
    return n * 3 + *p;
}

static TZ_NOINLINE int large(int n, volatile int *p)
{
    volatile char frame[5000];
    frame[n % 5000] = (char)n;
    return call(frame[n % 5000], p) + 1;
}

static TZ_NOINLINE int dynamic(int n, volatile int *p)
{
    volatile char *frame = __builtin_alloca((size_t)n % 300 + 16);
    frame[3] = 1;
    return call(frame[3] + n, p) + 1;
}

// More live values than registers.
static TZ_NOINLINE int many(int n, volatile int *p)
{
    int a = *p, b = *p, c = *p, d = *p, e = *p, f = *p, g = *p, h = *p;
    int r = call(n, p);
    return r + a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

static TZ_NOINLINE int recurse(int n, volatile int *p)
{
    return n <= 0 ? call(n, p) : recurse(n - 1, p) + *p;
}

static int compare_ints(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static TZ_NOINLINE void there(void *arg)
{
    volatile int *p = arg;
    call = leaf;
    *p += many(3, p);
}

static TZ_NOINLINE int everything(volatile int *p)
{
    static step_fn *const list[] = { leaf, large, dynamic, many };
    int sum = 0;
    for (size_t i = 0; i < tz_countof(list); i++) {
        call = leaf;
        sum += list[i](7, p);
        call = list[i];
        if (i == 0)
            sum += recurse(20, p);
    }
    uintptr_t top = (uintptr_t)other + sizeof other;
    tz_ctx_call_on(top, there, (void *)p);
    int v[] = { 5, 2, 9, 1 };
    qsort(v, tz_countof(v), sizeof *v, compare_ints);
    char text[100];
    snprintf(text, sizeof text, "%d %s %.3f", v[0], "text", 1.5);
    return sum + text[0];
}

static void bounds(void)
{
    pthread_attr_t attr;
    void *lo;
    size_t size;
    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &lo, &size);
    pthread_attr_destroy(&attr);
    thread_hi = (uintptr_t)lo + size;
    thread_lo = tz_max((uintptr_t)lo, tz_sp() - 256 * 1024);
    tz_module_init();
}

static void step_over(volatile int *p)
{
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    everything(p);
    __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory",
                     "cc");
}

START_TEST(we_see_what_libgcc_sees_at_every_instruction)
{
    static char signal_stack[256 * 1024] __attribute__((aligned(4096)));
    signal_lo = (uintptr_t)signal_stack;
    signal_hi = signal_lo + sizeof signal_stack;
    stack_t ss = { .ss_sp = signal_stack, .ss_size = sizeof signal_stack };
    struct sigaction sa = { .sa_sigaction = on_step,
                            .sa_flags = SA_SIGINFO | SA_ONSTACK };
    volatile int one = 1;
    struct trace warm;
    bounds();
    by_libgcc(&warm); // what it loads and links it does now
    everything(&one);
    sigaltstack(&ss, NULL);
    sigaction(SIGTRAP, &sa, NULL);
    limit = 20000;
    step_over(&one);
    signal(SIGTRAP, SIG_DFL);
    ck_assert_int_gt(compared, 1000);
    ck_assert_int_gt(deepest, 25);
}
END_TEST

// --- nonsense

static uint64_t random_state = 88172645463325252u;
static uint64_t rnd(void)
{
    random_state ^= random_state << 13, random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

// A word that may mislead: code, tables, stack, nothing.
static uintptr_t word(void)
{
    switch (rnd() % 8) {
    case 0: return rnd();
    case 1: return (uintptr_t)&everything + rnd() % 2000;
    case 2: return (uintptr_t)&snprintf + rnd() % 100000;
    case 3: return (uintptr_t)other + rnd() % sizeof other;
    case 4: return ((uintptr_t)other + rnd() % sizeof other) & ~(uintptr_t)7;
    case 5: return thread_hi - rnd() % 4096;
    case 6: return rnd() % 4096;
    default: return (uintptr_t)&compare_ints + 1;
    }
}

START_TEST(nonsense_on_a_stack_ends_the_walk_and_nothing_else)
{
    bounds();
    uintptr_t *w = (uintptr_t *)other;
    size_t longest = 0;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < 512; i++)
            w[rnd() % (sizeof other / sizeof *w)] = word();
        struct tz_machine at = { .exact = rnd() % 2 };
        for (int i = 0; i < TZ_UNWIND_REGS; i++)
            at.reg[i] = word();
        uintptr_t lo = (uintptr_t)other, pc[64];
        struct tz_stack_link loop = link_to(NULL, lo, lo + 4096);
        loop.older = round % 2000 ? NULL : &loop; // a chain without an end
        size_t n = tz_unwind(&at, lo, lo + sizeof other,
                             round % 8 ? NULL : &loop, pc, 64);
        ck_assert_uint_ge(n, 1);
        ck_assert_uint_le(n, 64);
        longest = tz_max(longest, n);
    }
    ck_assert_uint_gt(longest, 3); // some of it was believed
}
END_TEST

// Every byte below the bounds is unmapped, and every byte above.
START_TEST(nothing_outside_of_the_bounds_is_read)
{
    bounds();
    char *p = mmap(NULL, 3 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
    mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE);
    uintptr_t lo = (uintptr_t)p + 4096, hi = lo + 4096;
    for (int round = 0; round < 20000; round++) {
        uintptr_t *w = (uintptr_t *)lo;
        for (size_t i = 0; i < 64; i++)
            w[rnd() % 512] = rnd() % 2 ? lo - 64 + rnd() % 4300 : word();
        struct tz_machine at = { .exact = rnd() % 2 };
        for (int i = 0; i < TZ_UNWIND_REGS; i++)
            at.reg[i] = rnd() % 3 ? lo - 64 + rnd() % 4300 : word();
        at.reg[tz_unwind_cpu.pc] = word();
        uintptr_t pc[64];
        tz_unwind(&at, lo, hi, NULL, pc, 64);
    }
}
END_TEST

START_TEST(a_call_of_a_wild_pointer_shows_who_called)
{
    bounds();
    uintptr_t *w = (uintptr_t *)(other + 4096), pc[8];
    w[0] = (uintptr_t)&everything + 1;
    struct tz_machine at = { .exact = true };
    at.reg[tz_unwind_cpu.pc] = 16;
    at.reg[tz_unwind_cpu.sp] = (uintptr_t)w;
    size_t n = tz_unwind(&at, (uintptr_t)other, (uintptr_t)other + 8192, NULL,
                         pc, 8);
    ck_assert_uint_ge(n, 2);
    ck_assert_uint_eq(pc[1], w[0]);
}
END_TEST

// A frame whose CFA is an expression, and then has an offset, which only a register
// can have. The assembler passes it on.
__asm__(".text\n"
        ".globl offset_of_an_expression\n"
        "offset_of_an_expression:\n"
        ".cfi_startproc\n"
        "nop\n"
        ".cfi_escape 0x0f, 1, 0x30\n" // def_cfa_expression: 0
        ".cfi_escape 0x0e, 0xa0, 2\n" // def_cfa_offset: 288
        "nop\n"
        "nop\n"
        ".cfi_endproc\n");
void offset_of_an_expression(void);

START_TEST(an_offset_for_an_expression_is_not_read_as_its_place)
{
    bounds();
    uintptr_t pc[8];
    struct tz_machine at = { .exact = true };
    at.reg[tz_unwind_cpu.pc] = (uintptr_t)&offset_of_an_expression + 2;
    at.reg[tz_unwind_cpu.sp] = (uintptr_t)other + 4096;
    size_t n = tz_unwind(&at, (uintptr_t)other, (uintptr_t)other + 8192, NULL,
                         pc, 8);
    ck_assert_uint_eq(n, 1);
}
END_TEST

// --- tables that are nonsense: of a copy of this program, spoilt

static const char *const child_words[] = {
    "zero", "ones", "random", "shift", "short"
};

static void spoil(unsigned char *p, size_t n, int how)
{
    for (size_t i = 0; i < n; i++) {
        if (how == 0 && i >= 4)
            p[i] = 0;
        else if (how == 1 && i >= 4)
            p[i] = 0xff;
        else if (how == 2 && rnd() % 16 == 0)
            p[i] = (unsigned char)rnd();
        else if (how == 3 && i >= 4 && i + 1 < n)
            p[i] = p[i + 1];
        else if (how == 4 && i > n / 2)
            p[i] = 0x80;
    }
}

// Where this program's own tables are.
static int own_tables(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct tz_module m;
    (void)size;
    if (info->dlpi_name[0])
        return 0;
    ck_assert(tz_module_find((uintptr_t)&own_tables, &m));
    ck_assert_uint_eq(m.base, info->dlpi_addr);
    *(struct tz_module *)arg = m;
    return 1;
}

// Spoils the tables in this process, then walks.
static int how_spoilt, seed;
static void walk_spoilt(void)
{
    struct tz_module m = { .path = "" };
    bounds();
    dl_iterate_phdr(own_tables, &m);
    uintptr_t lo = m.lo & ~(uintptr_t)4095, hi = m.eh_hdr + 65536;
    hi = tz_min(hi, m.hi);
    ck_assert_int_eq(mprotect((void *)lo, m.hi - lo, PROT_READ | PROT_WRITE), 0);
    random_state += (uint64_t)seed * 977;
    uintptr_t from = m.eh_hdr + (how_spoilt == 2 ? 12 : 0);
    spoil((unsigned char *)from, hi - from, how_spoilt);
    for (int i = 0; i < 200; i++) {
        ucontext_t uc;
        struct tz_machine at;
        struct trace t;
        getcontext(&uc);
        struct tz_sigctx ctx = { .uc = &uc };
        tz_machine_of_signal(&ctx, &at);
        at.reg[tz_unwind_cpu.pc] += rnd() % 3000;
        by_us(&at, &t);
    }
    _exit(0);
}

START_TEST(nonsense_in_tables_is_not_believed)
{
    for (how_spoilt = 0; how_spoilt < (int)tz_countof(child_words);
         how_spoilt++) {
        for (seed = 0; seed < (how_spoilt == 2 ? 100 : 1); seed++) {
            struct os_ended e = os_child(walk_spoilt);
            ck_assert_msg(e.status == 0, "%s, seed %d: %d %s",
                          child_words[how_spoilt], seed, e.status, e.text);
        }
    }
}
END_TEST

// --- expressions

static uintptr_t eval(const uint8_t *code, size_t n, uintptr_t first, bool *ok)
{
    struct tz_unwind u = { .lo = (uintptr_t)other };
    u.hi = u.lo + sizeof other;
    for (uintptr_t i = 0; i < TZ_UNWIND_REGS; i++)
        u.at.reg[i] = 1000 * i;
    u.at.reg[5] = u.lo;
    uintptr_t out = 77;
    *ok = tz_unwind_expr(&u, (uintptr_t)code, n, first, &out);
    return out;
}

START_TEST(expressions_compute)
{
    static const struct {
        uint8_t code[12];
        size_t n;
        bool ok;
        uintptr_t result;
    } row[] = {
        { { 0 }, 0, true, 5 },                          // the first
        { { 0x35 }, 1, true, 5 },                       // lit5
        { { 0x09, 0x80 }, 2, true, (uintptr_t)-128 },   // const1s
        { { 0x0a, 1, 2 }, 3, true, 513 },               // const2u
        { { 0x10, 0x80, 1 }, 3, true, 128 },            // constu
        { { 0x11, 0x7f }, 2, true, (uintptr_t)-1 },     // consts
        { { 0x73, 8 }, 2, true, 3008 },                 // breg3
        { { 0x92, 3, 0x78 }, 3, true, 2992 },           // bregx
        { { 0x90, 3 }, 2, false, 77 },                  // a place, no value
        { { 0x33, 0x22 }, 2, true, 8 },                 // 3 + first
        { { 0x33, 0x1c }, 2, true, 2 },                 // minus
        { { 0x33, 0x1e }, 2, true, 15 },                // mul
        { { 0x32, 0x1b }, 2, true, 2 },                 // div
        { { 0x30, 0x1b }, 2, false, 77 },               // by 0
        { { 0x30, 0x1d }, 2, false, 77 },               // mod 0
        { { 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24 }, 6, true, 0 }, // the PLT's
        { { 0x12, 0x22 }, 2, true, 10 },                // dup
        { { 0x31, 0x14, 0x22, 0x22 }, 4, true, 11 },    // over
        { { 0x31, 0x16, 0x1c }, 3, true, (uintptr_t)-4 }, // swap
        { { 0x31, 0x32, 0x17, 0x1c, 0x1c }, 5, true, (uintptr_t)-2 }, // rot
        { { 0x31, 0x28, 1, 0, 0x37, 0x32 }, 6, true, 2 }, // bra over lit7
        { { 0x2f, 0xfd, 0xff }, 3, false, 77 },         // skip to itself
        { { 0x2f, 0, 0x40 }, 3, false, 77 },            // out of it
        { { 0x13, 0x13 }, 2, false, 77 },               // more than there is
        { { 0x06 }, 1, false, 77 },                     // reads address 5
        { { 0x75, 8, 0x06 }, 3, true, 0xabcd },         // reads the stack
        { { 0x75, 8, 0x94, 1 }, 4, true, 0xcd },
        { { 0x75, 8, 0x94, 9 }, 4, false, 77 },
        { { 0x33, 0x26 }, 2, true, 0 },                 // 5 >> 3
        { { 0x20, 0x1f }, 2, true, 6 },                 // -(~5)
        { { 0x23, 0x7b }, 2, true, 128 },               // plus_uconst
        { { 0xee }, 1, false, 77 },
        { { 0x0e, 1 }, 2, false, 77 },                  // cut off
    };
    ((uintptr_t *)other)[1] = 0xabcd;
    for (size_t i = 0; i < tz_countof(row); i++) {
        bool ok;
        uintptr_t r = eval(row[i].code, row[i].n, 5, &ok);
        ck_assert_msg(ok == row[i].ok, "row %zu: ok %d", i, ok);
        if (ok)
            ck_assert_msg(r == row[i].result, "row %zu: %#zx", i, (size_t)r);
    }
}
END_TEST

START_TEST(numbers_are_read_as_they_are_written)
{
    static const struct {
        uint8_t byte[11];
        size_t n;
        bool bad;
        uint64_t u;
        int64_t s;
    } row[] = {
        { { 0 }, 1, false, 0, 0 },
        { { 0x3f }, 1, false, 63, 63 },
        { { 0x40 }, 1, false, 64, -64 },
        { { 0x7f }, 1, false, 127, -1 },
        { { 0x80, 0x01 }, 2, false, 128, 128 },
        { { 0xff, 0x7f }, 2, false, 16383, -1 },
        { { 0x80 }, 1, true, 0, 0 },
        { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 }, 10,
          false, UINT64_MAX, -1 },
        { { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1 },
          11, true, 0, 0 },
    };
    for (size_t i = 0; i < tz_countof(row); i++) {
        uintptr_t p = (uintptr_t)row[i].byte;
        struct tz_cursor u = { p, p + row[i].n, false }, s = u;
        uint64_t got = tz_cursor_uleb(&u);
        int64_t gots = tz_cursor_sleb(&s);
        ck_assert_int_eq(u.bad, row[i].bad);
        ck_assert_int_eq(s.bad, row[i].bad);
        if (!u.bad)
            ck_assert_uint_eq(got, row[i].u);
        if (!s.bad && i != 7)
            ck_assert_int_eq(gots, row[i].s);
    }
}
END_TEST

int main(void)
{
    return os_check("stack/unwind",
                    (const TTest *const[]){
                        we_see_what_libgcc_sees_at_every_instruction,
                        nonsense_on_a_stack_ends_the_walk_and_nothing_else,
                        nothing_outside_of_the_bounds_is_read,
                        a_call_of_a_wild_pointer_shows_who_called,
                        an_offset_for_an_expression_is_not_read_as_its_place,
                        nonsense_in_tables_is_not_believed,
                        expressions_compute,
                        numbers_are_read_as_they_are_written, NULL });
}
