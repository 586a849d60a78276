// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/stackpool_test.c: fixed stacks, and the spans they are cut from.

#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "stack/stackpool.h"
#include "stack_check.h"

static void start(void)
{
    tz_central_init();
    ck_assert_int_eq(tz_heap_init(), 0);
}

static uintptr_t fixed_get(struct tz_stackcache *c, unsigned order)
{
    uintptr_t lo = 0;
    ck_assert_int_eq(tz_stackpool_get(c, order, &lo), 0);
    ck_assert_uint_ne(lo, 0);
    ck_assert_uint_eq(lo % tz_stackpool_size(order), 0);
    return lo;
}

static struct tz_stackpool_stats stats(void)
{
    struct tz_stackpool_stats s;
    tz_stackpool_stats(&s);
    return s;
}

START_TEST(s1_16_orders_fill_spans)
{
    enum { MOST = 100 };
    start();
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        size_t size = tz_stackpool_size(order);
        ck_assert_uint_eq(size, 1024u << order);
        ck_assert_uint_eq(tz_stackpool_order(size), order);
        uintptr_t lo[MOST];
        for (size_t k = 1; k <= MOST; k++) {
            lo[k - 1] = fixed_get(NULL, order);
            memset((void *)lo[k - 1], 0xaa, size);
            size_t spans = (k * size + 32767) / 32768;
            ck_assert_uint_eq(stats().sys, spans * 32768);
            ck_assert_uint_eq(stats().inuse, k * size);
            tz_stackpool_check();
        }
        for (size_t i = 0; i < MOST; i++)
            for (size_t k = 0; k < i; k++)
                ck_assert(lo[i] + size <= lo[k] || lo[k] + size <= lo[i]);
        for (size_t k = 0; k < MOST; k++)
            tz_stackpool_put(NULL, order, lo[k]);
        ck_assert_uint_eq(stats().sys + stats().inuse, 0);
    }
}
END_TEST

int main(void)
{
    return os_check("stack/stackpool",
                    (const TTest *const[]){ s1_16_orders_fill_spans, NULL });
}
