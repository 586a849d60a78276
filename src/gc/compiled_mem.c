// SPDX-License-Identifier: BSD-3-Clause
// gc/compiled_mem.c: functions of libc that overwrite what may be pointers, for
// code compiled with the flags of `tuza-cflags --barrier`.
//
// Compilers turn copies of structs and loops into calls of memcpy and memset, and
// libc is not compiled with the flags. So code that is gets these, by being linked
// with libtuza_barrier.a: under libc's names, but hidden, so that nobody else
// gets them. Each logs what it is about to overwrite and calls libc's.
//
// Libc's are asked for by name, as here that name means ours; in a program without
// a dynamic linker there is no such way, and simple loops take their place.
//
// Not here: functions for text (strcpy), and system calls (read). They are for
// memory without pointers, which they may overwrite only in memory that is used
// anew for something else: tuza_barrier says so.

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "tuza/barrier.h"
#include "tuza/mem.h"

#undef memcpy
#undef memmove
#undef memset
#undef mempcpy
#undef qsort
#undef qsort_r
#undef bcopy
#undef bzero

typedef void *move_fn(void *, const void *, size_t);
typedef void *set_fn(void *, int, size_t);
typedef int compare_fn(const void *, const void *);
typedef void sort_fn(void *, size_t, size_t, compare_fn *);
typedef int compare_r_fn(const void *, const void *, void *);
typedef void sort_r_fn(void *, size_t, size_t, compare_r_fn *, void *);

// Before libc's is known, and where it cannot be.
static void *plain_move(void *to, const void *from, size_t n)
{
    volatile char *d = to;
    const volatile char *s = from;
    if ((uintptr_t)d - (uintptr_t)s < n)
        while (n-- > 0)
            d[n] = s[n];
    else
        for (size_t i = 0; i < n; i++)
            d[i] = s[i];
    return to;
}

static void *plain_set(void *to, int byte, size_t n)
{
    volatile char *d = to;
    for (size_t i = 0; i < n; i++)
        d[i] = (char)byte;
    return to;
}

// Written by one thread, before main or at the first dlopen.
static struct {
    move_fn *copy, *move;
    set_fn *set;
    sort_fn *sort;
    sort_r_fn *sort_r;
} libc = { plain_move, plain_move, plain_set, NULL, NULL };

__attribute__((constructor(101))) static void find(void)
{
    void *f;
    if ((f = dlsym(RTLD_NEXT, "memcpy")) != NULL)
        libc.copy = (move_fn *)f;
    if ((f = dlsym(RTLD_NEXT, "memmove")) != NULL)
        libc.move = (move_fn *)f;
    if ((f = dlsym(RTLD_NEXT, "memset")) != NULL)
        libc.set = (set_fn *)f;
    libc.sort = (sort_fn *)dlsym(RTLD_NEXT, "qsort");
    libc.sort_r = (sort_r_fn *)dlsym(RTLD_NEXT, "qsort_r");
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    tuza_barrier(to, n);
    return libc.copy(to, from, n);
}

void *mempcpy(void *restrict to, const void *restrict from, size_t n)
{
    return (char *)memcpy(to, from, n) + n;
}

// One section, because what moves may be seen nowhere for a moment; of a word
// that is so only in a register.
void *memmove(void *to, const void *from, size_t n)
{
    if (n < 2 * sizeof(void *)) {
        tuza_barrier(to, n);
        return libc.move(to, from, n);
    }
    return tuza__barrier_move(to, from, n, libc.move);
}

void *memset(void *to, int byte, size_t n)
{
    tuza_barrier(to, n);
    return libc.set(to, byte, n);
}

void bcopy(const void *from, void *to, size_t n)
{
    memmove(to, from, n);
}

void bzero(void *to, size_t n)
{
    memset(to, 0, n);
}

// What the headers call with _FORTIFY_SOURCE.
void __chk_fail(void) __attribute__((noreturn));

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room)
        __chk_fail();
    return memcpy(to, from, n);
}

void *__mempcpy_chk(void *to, const void *from, size_t n, size_t room);
void *__mempcpy_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room)
        __chk_fail();
    return mempcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room);
void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
    if (n > room)
        __chk_fail();
    return memmove(to, from, n);
}

void *__memset_chk(void *to, int byte, size_t n, size_t room);
void *__memset_chk(void *to, int byte, size_t n, size_t room)
{
    if (n > room)
        __chk_fail();
    return memset(to, byte, n);
}

void qsort(void *base, size_t n, size_t size, compare_fn *compare)
{
    void *held = tuza__barrier_hold(base, n * size);
    libc.sort(base, n, size, compare);
    tuza_keepalive(held);
}

void qsort_r(void *base, size_t n, size_t size, compare_r_fn *compare,
             void *arg)
{
    void *held = tuza__barrier_hold(base, n * size);
    libc.sort_r(base, n, size, compare, arg);
    tuza_keepalive(held);
}
