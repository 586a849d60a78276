// SPDX-License-Identifier: BSD-3-Clause
// test/split/programs/shapes.c: every way of passing arguments and results, at
// every depth around a boundary of segments.
//
// A recursion goes down some 4000 levels of 48 bytes and more and calls all the
// shapes from each, so that each of them is at some time the call that does not
// fit. Each says 0, or the line that is wrong.

#include <alloca.h>
#include <complex.h>
#include <immintrin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuza.h>

#define NOINLINE __attribute__((noinline, noclone))
#define EXPECT(cond)                                                           \
    do {                                                                       \
        if (!(cond))                                                           \
            return __LINE__;                                                   \
    } while (0)

static volatile int one = 1;

static NOINLINE int many(int a, int b, int c, int d, int e, int f, int g, int h,
                         long i, char j)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h +
           9 * (int)i + 10 * j;
}
static int stack_arguments(void)
{
    EXPECT(many(1, 2, 3, 4, 5, 6, 7, 8, 9, one * 10) == 385);
    return 0;
}

struct big {
    long v[9];
};
static NOINLINE struct big twice(struct big b, int n, struct big c)
{
    for (int i = 0; i < 9; i++)
        b.v[i] = b.v[i] * n + c.v[i];
    return b;
}
static int structs(void)
{
    struct big b = { { 1, 2, 3, 4, 5, 6, 7, 8, 9 } };
    struct big r = twice(b, 2 * one, b);
    for (int i = 0; i < 9; i++)
        EXPECT(r.v[i] == 3 * b.v[i]);
    return 0;
}

struct pair {
    double d;
    long l;
};
static NOINLINE struct pair swap(struct pair p)
{
    return (struct pair){ (double)p.l, (long)p.d };
}
static NOINLINE long double scale(long double x, int n) { return x * n; }
static NOINLINE double complex turn(double complex z) { return z * I; }
static NOINLINE long double complex turn_long(long double complex z)
{
    return z * I;
}
static NOINLINE __int128 square(__int128 x, long y) { return x * x + y; }
static NOINLINE float third(float a, double b, float c) { return a + c * (float)b; }
static int results(void)
{
    struct pair p = swap((struct pair){ 3.0, 4 * one });
    EXPECT(p.d == 4.0 && p.l == 3);
    EXPECT(scale(1.25L, 4 * one) == 5.0L);
    double complex z = turn(1.0 + 2.0 * I * one);
    EXPECT(creal(z) == -2.0 && cimag(z) == 1.0);
    long double complex y = turn_long(3.0L + 4.0L * I * one);
    EXPECT(creall(y) == -4.0L && cimagl(y) == 3.0L);
    __int128 big = (__int128)1 << 60;
    EXPECT(square(big * one, 5) >> 64 == (__int128)1 << 56);
    EXPECT(third(1.0f, 2.0, 3.0f) == 7.0f);
    return 0;
}

__attribute__((target("avx2"))) static NOINLINE __m256d
    add256(__m256d a, __m256d b, __m256d c, __m256d d, __m256d e, __m256d f,
           __m256d g, __m256d h)
{
    return a + b + c + d + e + f + g + h;
}
__attribute__((target("avx2"))) static int vectors(void)
{
    __m256d v = { 1, 2, 3, 4 }, r = add256(v, v, v, v, v, v, v, v * one);
    EXPECT(r[0] == 8 && r[1] == 16 && r[2] == 24 && r[3] == 32);
    return 0;
}

static NOINLINE double sum(int n, ...)
{
    va_list ap;
    double s = 0;
    va_start(ap, n);
    for (int i = 0; i < n; i++)
        s += i % 2 ? va_arg(ap, double) : va_arg(ap, int);
    va_end(ap);
    return s;
}
static int variadic(void)
{
    EXPECT(sum(0) == 0 && sum(2, 1, 0.5) == 1.5);
    EXPECT(sum(20, 1, .5, 2, .5, 3, .5, 4, .5, 5, .5, 6, .5, 7, .5, 8, .5, 9,
               .5, 10 * one, .5) == 60);
    char text[100];
    snprintf(text, sizeof text, "%d %s %.2f %d %d %d %d", 1, "x", 2.5, 3, 4, 5,
             6 * one);
    EXPECT(!strcmp(text, "1 x 2.50 3 4 5 6"));
    return 0;
}

// No address of either is taken: that would need code on the stack.
static int nested(void)
{
    int k = 5 * one;
    int inner(int j, ...)
    {
        va_list ap;
        va_start(ap, j);
        int x = va_arg(ap, int);
        va_end(ap);
        k++;
        return k + j + x;
    }
    int direct(int j) { return j ? direct(j - 1) + k : 0; }
    EXPECT(inner(1, 2) == 9 && k == 6);
    EXPECT(inner(10, 20) == 37 && direct(3) == 21);
    return 0;
}

static NOINLINE void fill(char *p, size_t n, char with) { memset(p, with, n); }
static NOINLINE int with_alloca(size_t n)
{
    char *a = alloca(n), *b = alloca(n);
    fill(a, n, 1);
    fill(b, n, 2);
    EXPECT((b > a ? b - a : a - b) >= (long)n);
    for (size_t i = 0; i < n; i++)
        EXPECT(a[i] == 1 && b[i] == 2);
    return 0;
}
static NOINLINE int with_vla(int n)
{
    int v[n], s = 0;
    for (int i = 0; i < n; i++)
        v[i] = i;
    for (int k = 1; k < 4; k++) {
        long w[k * n];
        fill((char *)w, sizeof w, 3);
        s += ((char *)w)[sizeof w - 1];
    }
    for (int i = 0; i < n; i++)
        EXPECT(v[i] == i);
    EXPECT(s == 9);
    return 0;
}
static int dynamic(void)
{
    int bad = with_alloca((size_t)one * 100);
    bad = bad ? bad : with_alloca((size_t)one * 3000);
    return bad ? bad : with_vla(one * 50);
}

static NOINLINE int frame_100k(int n)
{
    char here[100 * 1024];
    fill(here, sizeof here, (char)n);
    for (size_t i = 0; i < sizeof here; i += 97)
        EXPECT(here[i] == (char)n);
    return 0;
}
static int large_frame(void) { return frame_100k(one * 7); }

static NOINLINE long odd(long n, long acc);
static NOINLINE long even(long n, long acc)
{
    return n == 0 ? acc : odd(n - 1, acc + 2);
}
static NOINLINE long odd(long n, long acc)
{
    return n == 0 ? -1 : even(n - 1, acc + 1);
}
static long tail_calls = 100;
static int tails(void)
{
    EXPECT(even(tail_calls, 0) == tail_calls / 2 * 3);
    return 0;
}

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}
static int (*volatile compare_pointer)(const void *, const void *) = compare;
static int callbacks(void)
{
    int v[16];
    for (int i = 0; i < 16; i++)
        v[i] = i * 7 % 16;
    qsort(v, 16, sizeof *v, compare_pointer);
    for (int i = 0; i < 16; i++)
        EXPECT(v[i] == i);
    return 0;
}

static jmp_buf env;
static void jump_from(int n);
static void (*volatile call_jump)(int) = jump_from;
static void jump_from(int n)
{
    volatile char here[5000];
    here[0] = (char)n;
    if (n == 0)
        longjmp(env, 42);
    call_jump(n - 1);
    here[1] = here[0];
}
static int jumps(void)
{
    int before = tuza_split_segments();
    int r = setjmp(env);
    if (r == 0)
        jump_from(3 * one);
    EXPECT(r == 42 && tuza_split_segments() == before);
    return 0;
}

static int (*const shapes[])(void) = { stack_arguments, structs, results,
                                       variadic, nested, dynamic, large_frame,
                                       tails, callbacks, jumps, vectors };

static int have_avx2, deepest;

// Whether the next small frames may not fit.
static inline int near_the_guard(const volatile char *here)
{
    uintptr_t guard;
    __asm__("movq %%fs:0x70, %0" : "=r"(guard));
    return (uintptr_t)here - guard < 1500;
}

static NOINLINE int down(int n, const volatile char *above)
{
    volatile char here[16];
    here[0] = (char)(above[0] + 1);
    size_t count = sizeof shapes / sizeof *shapes;
    if (tuza_split_segments() > deepest)
        deepest = tuza_split_segments();
    for (size_t i = 0; i < count; i++) {
        int (*shape)(void) = shapes[i];
        if (shape == vectors && !have_avx2)
            continue;
        if (near_the_guard(here))
            tuza_gc(); // what does not fit takes the slow path
        int bad = shape();
        if (bad) {
            printf("level %d, line %d\n", n, bad);
            return bad;
        }
    }
    int bad = n ? down(n - 1, here) : 0;
    if (!bad && here[0] != (char)(above[0] + 1))
        bad = __LINE__;
    return bad;
}

static int bad;
tuza_fn(run, tuza_waitgroup *, group)
{
    volatile char zero = 0;
    int before = tuza_split_segments();
    bad = down(3000, &zero);
    if (!bad && (tuza_split_segments() != before || deepest == before))
        bad = __LINE__;
    if (!bad) {
        tail_calls = 1000000;
        bad = tails();
    }
    tuza_waitgroup_done(group);
}

TUZA_MAIN
{
    static tuza_waitgroup group;
    have_avx2 = __builtin_cpu_supports("avx2");
    tuza_waitgroup_add(&group, 1);
    tuza_go(run, &group);
    tuza_waitgroup_wait(&group);
    printf("shapes: %d\n", bad);
    return bad != 0;
}
