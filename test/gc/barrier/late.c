// SPDX-License-Identifier: BSD-3-Clause
// test/gc/barrier/late.c: a program compiled with the flags, with stores that gcc
// tells of before a mark begins and that come after: *p = f(), where f returns a
// struct. What f takes out of *p stays, also when f waits for the mark on another
// stack than p is on.

#include <stdio.h>
#include <tuza.h>

enum { CELLS = 30000, TRIALS = 60, MAGIC = 0x1a7e };

struct thing {
    uint64_t magic, number, rest[4];
};
struct pair {
    struct thing *thing;
    uint64_t number, rest[4];
};

static struct pair **cell;

static struct thing *thing_new(uint64_t number)
{
    struct thing *x = tuza_new(struct thing);
    x->magic = MAGIC;
    x->number = number;
    return x;
}

static int marking(void) { return *(volatile uint32_t *)&tuza__barrier != 0; }

static uint64_t collections(void)
{
    tuza_memstats s = { .size = sizeof s };
    return tuza_memstats_read(&s) == 0 ? s.num_gc : 0;
}

static void collect_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        tuza_gc();
        tuza_sleep(1000000); // about as long without a mark as with one
    }
}

// Of one exchange; on the stack of who asks for it.
struct order {
    struct pair *from, fresh;
    uintptr_t hidden; // complement of what was there
};

static void take_out(void *arg)
{
    struct order *o = arg;
    while (!marking())
        tuza_yield();
    o->hidden = ~(uintptr_t)o->from->thing;
}

static struct pair __attribute__((noinline)) here(struct order *o)
{
    take_out(o);
    return o->fresh;
}

static volatile uint64_t zero;

// Six numbers are in the registers that calls preserve, and p not: it is on the
// older stack alone.
static struct pair __attribute__((noinline)) elsewhere(struct order *o)
{
    uint64_t a = zero, b = zero, c = zero, d = zero, e = zero, f = zero;
    if (tuza_call_big(take_out, o, 64 << 20) != 0)
        o->hidden = 0;
    zero = a + b + c + d + e + f;
    return o->fresh;
}

// Whether what was there is whole at the end of the mark.
static int exchange(uint64_t i, struct pair (*f)(struct order *o))
{
    struct pair *p = cell[i];
    struct order o = { .from = p, .fresh = { thing_new(i), i, { 0 } } };
    while (marking())
        tuza_yield();
    uint64_t end = collections() + 1;
    *p = f(&o);
    struct thing *volatile was = (struct thing *)~o.hidden;
    while (collections() < end)
        tuza_yield();
    tuza_gc(); // it is swept
    return was->magic == MAGIC && was->number == i;
}

TUZA_MAIN
{
    uint64_t state = 88172645463325252;
    int whole[2] = { 0, 0 };
    cell = tuza_alloc_array(CELLS, sizeof *cell);
    for (uint64_t i = 0; i < CELLS; i++) {
        cell[i] = tuza_new(struct pair);
        cell[i]->thing = thing_new(i);
    }
    tuza_spawn(collect_for_ever, NULL);
    for (int k = 0; k < 2 * TRIALS; k++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        whole[k % 2] += exchange((state >> 33) % CELLS, k % 2 ? elsewhere : here);
    }
    printf("%d and %d of %d are whole\n", whole[0], whole[1], TRIALS);
    return 0;
}
