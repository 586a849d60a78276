// SPDX-License-Identifier: BSD-3-Clause
// model/race.c: plain accesses must be ordered by releases and acquires.
//
// The sources are compiled with -fsanitize=thread, so that every plain access
// of shared memory comes through here; but ThreadSanitizer is not linked. Two
// accesses of which one writes and one is plain race unless the later thread
// has acquired what the earlier one released after its access. What is found
// does not depend on the values, so a lost release is seen although plain
// stores are not delayed.

#include <string.h>

#include "inner.h"

struct line *model_line(uintptr_t addr)
{
    struct explorer *x = model_x;
    uintptr_t key = addr / 64;
    for (uint32_t i = 0; i < LINES; i++) {
        struct line *n = &x->line[(key * 2654435761u + i) % LINES];
        if (n->key == 0)
            n->key = key;
        if (n->key != key)
            continue;
        if (n->gen != x->gen) {
            n->gen = x->gen;
            memset(n->wrote_at, 0, sizeof n->wrote_at);
            memset(n->read_at, 0, sizeof n->read_at);
        }
        return n;
    }
    model_fail("the program touches more than %d lines of memory", LINES);
}

// Whether the current thread knows of what thread `by` did at time `at`.
static bool knows(uint32_t by, uint16_t at)
{
    struct explorer *x = model_x;
    return by == x->cur || x->thread[x->cur].clock.at[by] >= at;
}

TZ_NORETURN TZ_COLD static void race(uintptr_t addr, const char *mine,
                                     const char *theirs, uint32_t by,
                                     const void *pc)
{
    char name[128], where[256] = "";
    model_addr(addr, name, sizeof name);
    if (pc)
        model_where(pc, where, sizeof where);
    model_fail("data race: %s of %s%s%s by T%u, after %s by T%u", mine, name,
               pc ? " in " : "", where, model_x->cur, theirs, by);
}

void model_race_atomic(struct loc *l, bool write, const struct model_site *at)
{
    struct explorer *x = model_x;
    const struct line *n = model_line(l->addr);
    uint32_t b = l->addr % 64;
    (void)at;
    if (n->wrote_at[b] && !knows(n->wrote_by[b], n->wrote_at[b]))
        race(l->addr, "an atomic access", "a plain store", n->wrote_by[b],
             NULL);
    for (uint32_t u = 0; write && u < MODEL_THREADS; u++)
        if (n->read_at[b][u] && !knows(u, n->read_at[b][u]))
            race(l->addr, "an atomic store", "a plain load", u, NULL);
    (write ? l->wrote : l->read)[x->cur] = x->thread[x->cur].clock.at[x->cur];
}

// A plain access of the variable l.
static void beside_atomic(struct loc *l, bool write, const void *pc)
{
    struct explorer *x = model_x;
    if (l->gen == x->gen)
        for (uint32_t u = 0; u < MODEL_THREADS; u++) {
            if (l->wrote[u] && !knows(u, l->wrote[u]))
                race(l->addr, write ? "a plain store" : "a plain load",
                     "an atomic store", u, pc);
            if (write && l->read[u] && !knows(u, l->read[u]))
                race(l->addr, "a plain store", "an atomic load", u, pc);
        }
    if (write && l->gen == x->gen)
        l->dirty = true;
}

static void byte(struct line *n, uint32_t b, bool write, const void *pc)
{
    struct explorer *x = model_x;
    uint16_t now = x->thread[x->cur].clock.at[x->cur];
    uintptr_t addr = n->key * 64 + b;
    if (n->loc[b])
        beside_atomic(&x->loc[n->loc[b] - 1], write, pc);
    if (n->wrote_at[b] && !knows(n->wrote_by[b], n->wrote_at[b]))
        race(addr, write ? "a plain store" : "a plain load", "a plain store",
             n->wrote_by[b], pc);
    if (!write) {
        n->read_at[b][x->cur] = now;
        return;
    }
    for (uint32_t u = 0; u < MODEL_THREADS; u++)
        if (n->read_at[b][u] && !knows(u, n->read_at[b][u]))
            race(addr, "a plain store", "a plain load", u, pc);
    n->wrote_at[b] = now;
    n->wrote_by[b] = (uint8_t)x->cur;
}

static void plain(const volatile void *p, size_t size, bool write,
                  const void *pc)
{
    if (!model_x || model_x->cur == SETUP)
        return;
    uintptr_t addr = (uintptr_t)p;
    while (size > 0) {
        struct line *n = model_line(addr);
        for (; size > 0 && addr / 64 == n->key; addr++, size--)
            byte(n, addr % 64, write, pc);
    }
}

void model_touch(const void *p, size_t size, bool write)
{
    plain(p, size, write, __builtin_return_address(0));
}

// What the compilers call before each plain access.
#define ACCESS(name, size, write)                                              \
    void __tsan_##name(void *p);                                               \
    void __tsan_##name(void *p)                                                \
    {                                                                          \
        plain(p, size, write, __builtin_return_address(0));                    \
    }
#define ACCESSES(size)                                                         \
    ACCESS(read##size, size, false)                                            \
    ACCESS(write##size, size, true)                                            \
    ACCESS(unaligned_read##size, size, false)                                  \
    ACCESS(unaligned_write##size, size, true)                                  \
    ACCESS(volatile_read##size, size, false)                                   \
    ACCESS(volatile_write##size, size, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *p, size_t n);
void __tsan_write_range(void *p, size_t n);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_init(void);

void __tsan_read_range(void *p, size_t n)
{
    plain(p, n, false, __builtin_return_address(0));
}

void __tsan_write_range(void *p, size_t n)
{
    plain(p, n, true, __builtin_return_address(0));
}

void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void) {}

void __tsan_init(void) {}

// clang calls these in place of the functions.
void *__tsan_memcpy(void *to, const void *from, size_t n);
void *__tsan_memset(void *to, int c, size_t n);

void *__tsan_memcpy(void *to, const void *from, size_t n)
{
    plain(from, n, false, __builtin_return_address(0));
    plain(to, n, true, __builtin_return_address(0));
    return memcpy(to, from, n);
}

void *__tsan_memset(void *to, int c, size_t n)
{
    plain(to, n, true, __builtin_return_address(0));
    return memset(to, c, n);
}
