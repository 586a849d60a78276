// SPDX-License-Identifier: BSD-3-Clause
// bench/peers/switch_boost.c: switch.c with boost.context's fcontext, by
// its C interface.

#include <stddef.h>

#include "../bench.h"

typedef void *fcontext_t;
typedef struct {
    fcontext_t from;
    void *data;
} transfer_t;

fcontext_t make_fcontext(void *top, size_t size, void (*fn)(transfer_t));
transfer_t jump_fcontext(fcontext_t to, void *data);

enum { ROUNDS = 50000000, STACK = 64 * 1024 };
static _Alignas(16) char stack[STACK];
static uint64_t count;

static void other(transfer_t t)
{
    for (uint64_t *n = t.data;; ++*n)
        t = jump_fcontext(t.from, NULL);
}

int main(void)
{
    fcontext_t there = make_fcontext(stack + STACK, STACK, other);
    there = jump_fcontext(there, &count).from;
    int64_t start = bench_cpu_ns();
    for (int i = 0; i < ROUNDS; i++)
        there = jump_fcontext(there, NULL).from;
    return bench_report(bench_cpu_ns() - start, 2 * (uint64_t)ROUNDS,
                        count == ROUNDS);
}
