// SPDX-License-Identifier: BSD-3-Clause
// bench/pause_bench.c: the longest time that the world stood still, by the wall
// clock, in a run with 512 MB of objects of 64 bytes of which a hot part of so
// many percent (the first argument) is replaced, 512 MB in all. An object
// points to another one. The second argument is the size in MB, the third how many
// goroutines wait meanwhile, each with an object of its own; with the fourth, 1, the
// objects that are not replaced have finalizers.

#include <stdbool.h>
#include <tuza.h>

#include "bench.h"

#ifndef STORE // pause_told_bench.c has another
#define STORE(p, v) (*(p) = (v))
#endif

struct object {
    struct object *other;
    uint64_t number, rest[5], again;
};

static const tuza_type object_type = TUZA_TYPE(struct object, other);

static struct object *object_new(struct object *other, uint64_t number)
{
    struct object *x = tuza_alloc_typed(&object_type, 1);
    STORE(&x->other, other);
    x->number = number;
    x->again = ~number;
    return x;
}

tuza_fn(wait_with, struct object *, x, tuza_chan(int), end)
{
    struct object *volatile mine = x;
    int v;
    tuza_recv(end, &v);
    (void)mine;
}

static void never(void *x)
{
    (void)x;
    abort();
}

TUZA_MAIN
{
    uint64_t percent = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t megabytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 512;
    uint64_t waiting = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t n = megabytes * 1024 * 1024 / sizeof(struct object);
    uint64_t hot = n * percent / 100, state = 88172645463325252;
    struct object **all = tuza_alloc_array(n, sizeof *all);
    tuza_chan(int) end = tuza_chan_make(int, 0);
    bool ok = end != NULL;
    for (uint64_t i = 0; i < waiting; i++)
        ok &= tuza_go(wait_with, object_new(NULL, i), end) == 0;
    for (uint64_t i = 0; i < n; i++)
        STORE(&all[i], object_new(i > 0 ? all[i / 2] : NULL, i));
    for (uint64_t i = hot; argc > 4 && *argv[4] == '1' && i < n; i++)
        ok &= tuza_finalizer_set(all[i], never) == 0;
    for (uint64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        uint64_t slot = (state >> 32) * hot >> 32;
        ok &= all[slot]->number == slot && all[slot]->again == ~slot;
        STORE(&all[slot], object_new(all[n - 1 - slot], slot));
    }
    for (uint64_t i = 0; i < n; i++)
        ok &= all[i]->number == i && all[i]->again == ~i &&
              (i == 0 || all[i]->other != NULL);
    tuza_memstats st = {.size = sizeof st};
    ok &= tuza_memstats_read(&st) == 0 && st.num_gc > 0;
    printf("value=%llu check=%s gcs=%llu\n",
           (unsigned long long)st.pause_max_ns, ok ? "ok" : "fail",
           (unsigned long long)st.num_gc);
    return ok ? 0 : 1;
}
