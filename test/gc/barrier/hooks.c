// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/hooks.c: a program compiled with the flags of `tuza-cflags
// --barrier`: each kind of store, plain in the source, tells what it overwrites.
// It has its own tuza__barrier_log and its like in place of the library's, so
// that each call is seen.

#define _GNU_SOURCE
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tuza/barrier.h"

#define NOINLINE __attribute__((noinline, noclone))
#ifdef __clang__
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

__attribute__((used)) uint32_t tuza__barrier; // also by what gcc does not read

static struct {
    uintptr_t word[4096]; // old values, of words that overlap what is stored
    size_t n;
} logged;

__attribute__((no_sanitize_address)) void tuza__barrier_log(const void *p,
                                                            size_t n)
{
    uintptr_t w = (uintptr_t)p & ~(sizeof w - 1);
    for (; n && w < (uintptr_t)p + n; w += sizeof w)
        if (logged.n < 4096)
            logged.word[logged.n++] = *(uintptr_t *)w;
}

// What src/gc/barrier_amd64.S calls.
void tz_barrier_log(const void *p, size_t n);
__attribute__((no_sanitize_address, used)) void tz_barrier_log(const void *p, size_t n)
{
    tuza__barrier_log(p, n);
}

__attribute__((no_sanitize_address)) void *
tuza__barrier_move(void *to, const void *from, size_t n,
                   void *(*move)(void *, const void *, size_t))
{
    if (tuza__barrier)
        tuza__barrier_log(to, n);
    return move(to, from, n);
}

__attribute__((no_sanitize_address)) void *tuza__barrier_hold(const void *base,
                                                              size_t n)
{
    if (tuza__barrier)
        tuza__barrier_log(base, n);
    return NULL;
}

static int bad, good;

static bool was_logged(uintptr_t word)
{
    for (size_t i = 0; i < logged.n; i++)
        if (logged.word[i] == word)
            return true;
    return false;
}

// Whether all n words of what p was are logged.
static void expect(const char *what, const uintptr_t *before, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= was_logged(before[i]);
    if (!ok)
        printf("FAILED: %s\n", what);
    *(ok ? &good : &bad) += 1;
}

struct node { struct node *left, *right; };
struct big { void *w[12]; };
struct bits { uintptr_t tag : 3, rest : 61; };
struct small { char c[8]; };

#define STORE(name, ...)                                                       \
    static NOINLINE void name(void **p, void **q)                              \
    {                                                                          \
        (void)q;                                                               \
        __VA_ARGS__;                                                           \
    }

static NOINLINE void *give(void) { return NULL; }
static NOINLINE struct node give_node(void **q)
{
    return (struct node){ (void *)q, NULL };
}
static NOINLINE struct big give_big(void **q)
{
    struct big b;
    for (int i = 0; i < 12; i++)
        b.w[i] = q;
    return b;
}
static int by_address(const void *a, const void *b)
{
    return (*(const uintptr_t *)a > *(const uintptr_t *)b) -
           (*(const uintptr_t *)a < *(const uintptr_t *)b);
}
static int by_address_r(const void *a, const void *b, void *arg)
{
    (void)arg;
    return -by_address(a, b);
}
static size_t NOINLINE dozen(void)
{
    volatile size_t n = 12;
    return n;
}

STORE(store_pointer, *p = q)
STORE(store_field, ((struct node *)p)->right = (void *)q)
STORE(store_result, *p = give())
STORE(store_struct, *(struct node *)p = *(struct node *)q)
STORE(store_big, *(struct big *)p = *(struct big *)q)
STORE(store_given, *(struct node *)p = give_node(q))
STORE(store_given_big, *(struct big *)p = give_big(q))
STORE(store_initialised, *(struct node *)p = (struct node){ 0 })
STORE(store_loop, for (size_t i = 0; i < 12; i++) p[i] = q[i])
STORE(store_zero_loop, for (size_t i = 0; i < 12; i++) p[i] = NULL)
STORE(store_reversed, for (size_t i = 0; i < 12; i++) p[i] = q[11 - i])
STORE(store_memcpy, memcpy(p, q, dozen() * sizeof *p))
STORE(store_memcpy_one, memcpy(p, q, sizeof *p))
STORE(store_memcpy_two, memcpy(p, q, 2 * sizeof *p))
STORE(store_memcpy_const, memcpy(p, q, 12 * sizeof *p))
STORE(store_mempcpy, mempcpy(p, q, dozen() * sizeof *p))
STORE(store_memmove, memmove(p, q, dozen() * sizeof *p))
STORE(store_memmove_one, memmove(p, q, sizeof *p))
STORE(store_memset, memset(p, 0, dozen() * sizeof *p))
STORE(store_memset_const, memset(p, 0, 12 * sizeof *p))
STORE(store_bzero, bzero(p, dozen() * sizeof *p))
STORE(store_bcopy, bcopy(q, p, dozen() * sizeof *p))
STORE(store_qsort, qsort(p, dozen(), sizeof *p, by_address))
STORE(store_qsort_r, qsort_r(p, dozen(), sizeof *p, by_address_r, NULL))
STORE(store_atomic, atomic_store((_Atomic(void *) *)p, q))
STORE(store_relaxed, __atomic_store_n(p, q, __ATOMIC_RELAXED))
STORE(store_exchange, (void)__atomic_exchange_n(p, q, __ATOMIC_SEQ_CST))
STORE(store_cas, void *x = *p; (void)__atomic_compare_exchange_n(
                     p, &x, q, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
STORE(store_sync, (void)__sync_bool_compare_and_swap(p, *p, q))
STORE(store_fetch_add, (void)__atomic_fetch_add((uintptr_t *)p, 8,
                                                __ATOMIC_SEQ_CST))
STORE(store_bits, ((struct bits *)p)->tag = 5)
STORE(store_char, ((struct small *)p)->c[3] = 1)
STORE(store_int, ((int *)p)[1] = 1)
STORE(store_short, ((short *)p)[1] = 1)
STORE(store_volatile, *(void *volatile *)p = q)
STORE(store_unaligned, memcpy((char *)p + 4, q, 8))
STORE(store_asm_result, void *a[dozen()]; a[0] = q; memcpy(p, a, 8))

static NOINLINE void vararg(void **p, ...)
{
    va_list ap;
    va_start(ap, p);
    *p = va_arg(ap, void *);
    va_end(ap);
}
STORE(store_vararg, vararg(p, q))
static __thread void **by_tls;
STORE(store_by_tls, by_tls = p; *by_tls = q)
STORE(store_swap, void *t = p[0]; p[0] = p[1]; p[1] = t)

static const struct kind {
    const char *name;
    void (*fn)(void **p, void **q);
    size_t words; // that it overwrites, the first ones
    size_t skip;
} kinds[] = {
#define K(name, words) { #name, name, words, 0 }
    K(store_pointer, 1), { "store_field", store_field, 1, 1 },
    K(store_result, 1), K(store_struct, 2), K(store_big, 12),
    K(store_given, 2), K(store_given_big, 12), K(store_initialised, 2),
    K(store_loop, 12), K(store_zero_loop, 12), K(store_reversed, 12),
    K(store_memcpy, 12), K(store_memcpy_one, 1), K(store_memcpy_two, 2),
    K(store_memcpy_const, 12), K(store_mempcpy, 12), K(store_memmove, 12),
    K(store_memmove_one, 1), K(store_memset, 12), K(store_memset_const, 12),
    K(store_bzero, 12), K(store_bcopy, 12), K(store_qsort, 12),
    K(store_qsort_r, 12), K(store_atomic, 1), K(store_relaxed, 1),
    K(store_exchange, 1), K(store_cas, 1), K(store_sync, 1),
    K(store_fetch_add, 1), K(store_bits, 1), K(store_char, 1),
    K(store_int, 1), K(store_short, 1), K(store_volatile, 1),
    K(store_unaligned, 2), K(store_asm_result, 1), K(store_vararg, 1),
    K(store_by_tls, 1), K(store_swap, 2),
};

int main(void)
{
    uintptr_t *p = malloc(12 * sizeof *p), *q = malloc(12 * sizeof *q);
    uintptr_t before[12], after[2][12];
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (int on = 0; on < 2; on++) { // both do the same to memory
            for (size_t i = 0; i < 12; i++) {
                p[i] = before[i] = (uintptr_t)(0x1000000 + (k * 16 + i) * 64);
                q[i] = (uintptr_t)(0x9000000 + (k * 16 + i) * 64);
            }
            logged.n = 0;
            tuza__barrier = -(uint32_t)on;
            kinds[k].fn((void **)p, (void **)q);
            tuza__barrier = 0;
            if (!on && logged.n)
                bad++, printf("FAILED: %s: logs when off\n", kinds[k].name);
            for (size_t i = 0; i < 12; i++)
                after[on][i] = p[i];
        }
        expect(kinds[k].name, before + kinds[k].skip, kinds[k].words);
        for (size_t i = 0; i < 12; i++)
            if (after[0][i] != after[1][i]) {
                bad++, printf("FAILED: %s: word %zu\n", kinds[k].name, i);
                break;
            }
    }
    printf("%d kinds of stores logged, %d not\n", good, bad);
    return bad != 0;
}
