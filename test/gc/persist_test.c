// SPDX-License-Identifier: BSD-3-Clause
// test/gc/persist_test.c: persistent memory that was asked for as roots keeps
// what it points to; the rest of it does not.

#include "canary.h"
#include "mem/persist.h"

enum { N = 64, SIZE = 48 };

static uintptr_t hidden[N];

static NOINLINE void reveal(void *volatile *to)
{
    for (int i = 0; i < N; i++)
        to[i] = (void *)~hidden[i];
}

static NOINLINE void point_from(void *volatile *block)
{
    need(block);
    make_canaries(hidden, N, SIZE);
    reveal(block);
    collect_well();
}

static NOINLINE void forget(void *volatile *block)
{
    for (int i = 0; i < N; i++)
        block[i] = NULL;
    collect_well();
    need_reclaimed(hidden, N);
}

// Of a chunk, as well as large blocks: at their ends.
static const size_t sizes[] = { N * sizeof(void *), 65528, 65536, 999999 };

static NOINLINE void *volatile *last_words(char *block, size_t n)
{
    return (void *volatile *)(block + tz_align_down(n, 8)) - N;
}

IN_GOROUTINES(s3_29_persistent_roots_keep_objects, 2)
{
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        void *volatile *block =
            last_words(tz_persist_alloc_roots(sizes[i], 8), sizes[i]);
        point_from(block);
        need_all_whole(hidden, N, SIZE);
        forget(block);
    }
}

IN_GOROUTINES(other_persistent_memory_keeps_nothing, 2)
{
    for (size_t i = 0; i < tz_countof(sizes); i++) {
        point_from(last_words(tz_persist_alloc(sizes[i], 8), sizes[i]));
        need_reclaimed(hidden, N);
    }
}

int main(void)
{
    return api_check("gc/persist",
                     (const TTest *const[]){
                         s3_29_persistent_roots_keep_objects,
                         other_persistent_memory_keeps_nothing, NULL });
}
