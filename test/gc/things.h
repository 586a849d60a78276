// SPDX-License-Identifier: BSD-3-Clause
// test/gc/things.h: objects that tell whether they are whole, and collections all the
// time, until they are to stop.
#ifndef TEST_GC_THINGS_H
#define TEST_GC_THINGS_H

#include "support/goroutines.h"

enum { MAGIC = 0x5ac4 };

struct thing {
    uint64_t magic, number, rest[2];
};

static inline struct thing *thing(uint64_t number)
{
    struct thing *x = tuza_new(struct thing);
    x->magic = MAGIC;
    x->number = number;
    return x;
}

static inline void need_thing(const struct thing *x, uint64_t number)
{
    need(x != NULL);
    need_eq(x->magic, MAGIC);
    need_eq(x->number, number);
}

static inline uint64_t collections(void)
{
    tuza_memstats s = { .size = sizeof s };
    tuza_memstats_read(&s);
    return s.num_gc;
}

static uint32_t stop; // atomic
static tuza_chan(int) answers;

static void collect_all_the_time(void *arg)
{
    (void)arg;
    while (!tz_load(&stop))
        tuza_gc();
    tuza_send(answers, 1);
}

#endif
