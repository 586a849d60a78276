// SPDX-License-Identifier: BSD-3-Clause
// test: parts
// test/stack/stackpool_test.c: fixed stacks, and the spans they are cut from.

#include "arch/ctx.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "stack/stackcache.h"
#include "stack_check.h"

static void start(void)
{
    tz_central_init();
    ck_assert_int_eq(tz_heap_init(), 0);
}

static uintptr_t fixed_get(struct tz_stackcache *c, unsigned order)
{
    uintptr_t lo = 0;
    int err = tz_stackpool_get(c, order, &lo);
    if (err || !lo || lo % tz_stackpool_size(order)) // a ck_assert is slow
        ck_abort_msg("order %u: %d, %p", order, err, (void *)lo);
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
            tz_stackpool_check(UINT32_MAX);
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

static void order_3000_body(void) { tz_stackpool_order(3000); }

static void order_4_body(void)
{
    uintptr_t lo;
    tz_stackpool_get(NULL, 4, &lo);
}

START_TEST(s1_17_another_size_is_the_end)
{
    struct os_ended e = os_child(order_3000_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "a fixed stack of 3000 bytes: there are 1, 2, 4");
    e = os_child(order_4_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, "fixed stacks have no order 4");
}
END_TEST

static struct tz_stack home; // that something runs on

static void get_fixed(void *arg)
{
    uintptr_t lo;
    tz_stackpool_get(arg, 1, &lo);
}

static void put_fixed(void *arg) { tz_stackpool_put(NULL, 1, (uintptr_t)arg); }

static void get_any(void *arg)
{
    struct tz_stack st;
    tz_stack_get(arg, 0, NULL, &st);
}

static void (*doing)(void *);
static void *doing_with;

// With nobody who knows a system stack: on the goroutine's stack all the way.
static void on_a_stack_body(void)
{
    tz_ctx_call_on(tz_align_down(home.hi, 16), doing, doing_with);
}

static void is_the_end(void (*fn)(void *), void *arg, const char *words)
{
    doing = fn;
    doing_with = arg;
    struct os_ended e = os_child(on_a_stack_body);
    ck_assert_int_eq(e.status, -SIGABRT);
    os_assert_has(e.text, words);
    os_assert_has(e.text, "on a goroutine's stack (sp 0x");
}

START_TEST(s1_17_the_slow_path_needs_the_system_stack)
{
    start();
    tz_stack_init(0, 0);
    home = stack_get(NULL, 0, NULL);
    uintptr_t fixed = fixed_get(NULL, 1);
    is_the_end(get_fixed, NULL, "a fixed stack is taken");
    is_the_end(get_fixed, tz_stackcache_make(), "a fixed stack is taken");
    is_the_end(put_fixed, (void *)fixed, "a fixed stack is put back");
    is_the_end(get_any, NULL, "a stack is taken");
    is_the_end(get_any, tz_stackcache_make(), "a stack is taken");
    // What the cache holds may be taken anywhere.
    struct tz_stackcache *c = tz_stackcache_make();
    struct tz_stack st = stack_get(c, 0, NULL);
    tz_stack_put(c, &st);
    doing = get_any;
    doing_with = c;
    ck_assert_int_eq(os_child(on_a_stack_body).status, 0);
}
END_TEST

// A fixed stack is memory of the heap in which nobody finds an object.
START_TEST(s3_11_no_scan_takes_a_fixed_stack_for_an_object)
{
    start();
    struct tz_object o;
    uintptr_t lo = fixed_get(NULL, 3);
    struct tz_span *span = tz_heap_manual_of(lo);
    ck_assert_ptr_nonnull(span);
    ck_assert_uint_eq(span->base % TZ_PAGE_SIZE, 0);
    for (size_t off = 0; off < 32768; off += 8) {
        ck_assert(!tz_heap_find(span->base + off, &o));
        ck_assert_ptr_eq(tz_heap_manual_of(span->base + off), span);
    }
    ck_assert_ptr_null(tz_heap_manual_of(span->base - 1));
    ck_assert_ptr_null(tz_heap_manual_of(span->base + 32768));
    ck_assert_ptr_null(tz_heap_manual_of((uintptr_t)&o));
    uintptr_t base = span->base;
    tz_stackpool_put(NULL, 3, lo);
    ck_assert_ptr_null(tz_heap_manual_of(base));
}
END_TEST

START_TEST(s1_22_spans_are_charged_to_stacks_and_back)
{
    start();
    fixed_get(NULL, 0);
    struct tz_heap_stats before, with, after;
    struct tz_vm_stats vm[3];
    tz_heap_stats_read(&before);
    tz_vm_stats_read(&vm[0]);
    uintptr_t lo[100];
    for (int i = 0; i < 100; i++) // 7 spans of 32 KiB
        lo[i] = fixed_get(NULL, 1);
    tz_heap_stats_read(&with);
    tz_vm_stats_read(&vm[1]);
    for (int i = 0; i < 100; i++)
        tz_stackpool_put(NULL, 1, lo[i]);
    tz_heap_stats_read(&after);
    tz_vm_stats_read(&vm[2]);
    ck_assert_uint_eq(before.sys - with.sys, 7 * 32768);
    ck_assert_uint_eq(vm[1].ready[TZ_VM_STACK] - vm[0].ready[TZ_VM_STACK],
                      7 * 32768);
    ck_assert_uint_eq(after.sys, before.sys);
    ck_assert_uint_eq(vm[2].ready[TZ_VM_STACK], vm[0].ready[TZ_VM_STACK]);
    ck_assert_uint_eq(with.inuse, before.inuse);
    ck_assert_uint_eq(with.sys, with.inuse + with.cached + with.idle +
                                    with.untouched + with.released);
    ck_assert_uint_eq(stats().sys, 32768);
    ck_assert_uint_eq(stats().inuse, 1024);
}
END_TEST

static uintptr_t one; // a stack of order 2

static void empty_list_body(void)
{
    tz_heap_manual_of(one)->cut = 0; // seven are free
    fixed_get(NULL, 2);
}

static void stale_list_body(void)
{
    struct tz_span *s = tz_heap_manual_of(one);
    tz_stackpool_put(NULL, 2, one); // to the heap
    s->cut = one;                   // somebody still writes there
    one = fixed_get(NULL, 2);
}

static void wrong_order_body(void) { tz_stackpool_put(NULL, 1, one); }

static void ring_body(void)
{
    struct tz_span *s = tz_heap_manual_of(one);
    *(uintptr_t *)s->cut = s->cut;
    tz_stackpool_check(1);
}

START_TEST(s1_18_a_broken_span_is_the_end)
{
    start();
    one = fixed_get(NULL, 2);
    static const struct {
        void (*body)(void);
        const char *words;
    } table[] = {
        { empty_list_body, "is on its list and has no free stack" },
        { stale_list_body, "is fresh, with 0 stacks in use and a list" },
        { wrong_order_body, "is no stack of 2048 bytes in use" },
        { ring_body, "check failed: ++nfree <= s->nelems" },
    };
    for (size_t i = 0; i < tz_countof(table); i++) {
        struct os_ended e = os_child(table[i].body);
        ck_assert_int_eq(e.status, -SIGABRT);
        os_assert_has(e.text, table[i].words);
    }
}
END_TEST

START_TEST(s1_18_a_span_is_listed_while_it_has_a_free_stack)
{
    start();
    uintptr_t lo[16];
    for (int i = 0; i < 16; i++) {
        lo[i] = fixed_get(NULL, 1); // 16 to a span
        struct tz_span *s = tz_heap_manual_of(lo[0]);
        ck_assert_ptr_eq(tz_heap_manual_of(lo[i]), s);
        ck_assert_uint_eq(s->nalloc, (unsigned)i + 1);
        ck_assert_int_eq(tz_list_on(&s->node), i < 15);
        tz_stackpool_check(UINT32_MAX);
    }
    struct tz_span *s = tz_heap_manual_of(lo[0]);
    for (int i = 0; i < 15; i++) {
        tz_stackpool_put(NULL, 1, lo[i]);
        ck_assert(tz_list_on(&s->node));
        ck_assert_uint_eq(s->cut, lo[i]); // linked through its first word
        ck_assert_uint_eq(*(uintptr_t *)lo[i], i ? lo[i - 1] : 0);
    }
}
END_TEST

// However gets and puts alternate, half a cache of them lies between two times
// that the lock is taken.
START_TEST(s1_19_the_lock_is_taken_once_in_half_a_cache)
{
    enum { OPS = 1000000, HELD = 200 };
    start();
    struct tz_stackcache *c = tz_stackcache_make();
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        uint64_t half = 16384 / tz_stackpool_size(order);
        uintptr_t held[HELD];
        uint64_t n = 0, seed = 7, before = stats().exchanges, ops = 0;
        while (ops < OPS) {
            uint64_t run = tz_rand_next(&seed) % (2 * half) + 1;
            bool up = tz_rand_next(&seed) % 2;
            for (; run && (up ? n < HELD : n > 0); run--, ops++) {
                if (up)
                    held[n++] = fixed_get(c, order);
                else
                    tz_stackpool_put(c, order, held[--n]);
            }
        }
        ck_assert_uint_le(stats().exchanges - before, ops / half + 1);
        while (n)
            tz_stackpool_put(c, order, held[--n]);
        ck_assert_uint_le(c->order[order].bytes, 32768);
    }
}
END_TEST

START_TEST(s1_19_a_cache_is_filled_and_emptied_to_a_half)
{
    start();
    struct tz_stackcache *c = tz_stackcache_make();
    uintptr_t lo[40];
    lo[0] = fixed_get(c, 1);
    ck_assert_uint_eq(c->order[1].bytes, 16384 - 2048);
    for (int i = 1; i < 40; i++)
        lo[i] = fixed_get(c, 1);
    ck_assert_uint_eq(c->order[1].bytes, 0);
    for (int i = 0; i < 16; i++)
        tz_stackpool_put(c, 1, lo[i]);
    ck_assert_uint_eq(c->order[1].bytes, 32768);
    tz_stackpool_put(c, 1, lo[16]);
    ck_assert_uint_eq(c->order[1].bytes, 16384 + 2048);
    ck_assert_uint_eq(c->order[0].bytes + c->order[2].bytes, 0);
}
END_TEST

START_TEST(s1_19_the_cache_is_passed_by_while_the_collector_looks)
{
    start();
    struct tz_stackcache *c = tz_stackcache_make();
    uintptr_t lo = fixed_get(c, 0), more;
    uint32_t bytes = c->order[0].bytes;
    uint64_t exchanges = stats().exchanges;
    tz_stack_gc_begin();
    more = fixed_get(c, 0);
    tz_stackpool_put(c, 0, lo);
    ck_assert_uint_eq(c->order[0].bytes, bytes);
    ck_assert_uint_eq(stats().exchanges, exchanges + 2);
    tz_stack_gc_end();
    ck_assert_uint_eq(c->order[0].bytes, 0); // emptied
    tz_stackpool_put(c, 0, more);
    ck_assert_uint_eq(c->order[0].bytes, 1024);
    ck_assert_uint_eq(stats().exchanges, exchanges + 3);
}
END_TEST

START_TEST(s1_20_no_span_becomes_heap_while_the_collector_marks)
{
    enum { MOST = 1000 };
    start();
    struct tz_stackcache *c = tz_stackcache_make();
    uintptr_t lo[MOST];
    struct tz_object o;
    for (int i = 0; i < MOST; i++)
        lo[i] = fixed_get(i % 2 ? c : NULL, (unsigned)i % 4);
    uint64_t mapped = stats().sys;
    tz_stack_gc_begin();
    for (int i = 0; i < MOST; i++)
        tz_stackpool_put(i % 2 ? c : NULL, (unsigned)i % 4, lo[i]);
    ck_assert_uint_eq(stats().sys, mapped);
    for (int i = 0; i < MOST; i++) {
        ck_assert_ptr_nonnull(tz_heap_manual_of(lo[i]));
        ck_assert(!tz_heap_find(lo[i], &o));
    }
    tz_stackpool_check(UINT32_MAX);
    tz_stack_gc_end();
    ck_assert_uint_eq(stats().sys + stack_stats().fixed, 0);
    for (int i = 0; i < MOST; i++)
        ck_assert_ptr_null(tz_heap_manual_of(lo[i]));
}
END_TEST

START_TEST(s1_21_the_end_of_a_collection_gives_all_free_spans_back)
{
    start();
    struct tz_stackcache *c = tz_stackcache_make();
    struct tz_heap_stats before, after;
    tz_heap_stats_read(&before);
    for (unsigned order = 0; order < TZ_STACK_ORDERS; order++) {
        uintptr_t lo[500];
        for (int i = 0; i < 500; i++)
            lo[i] = fixed_get(c, order);
        for (int i = 0; i < 500; i++)
            tz_stackpool_put(c, order, lo[i]); // some stay in the cache
        ck_assert_uint_gt(stats().sys, 0);
    }
    uintptr_t kept = fixed_get(c, 2);
    tz_stack_gc_begin();
    tz_stack_gc_end();
    ck_assert_uint_eq(stats().sys, 32768); // of the one in use
    tz_stackpool_put(NULL, 2, kept);
    tz_heap_stats_read(&after);
    ck_assert_uint_eq(after.inuse, before.inuse);
    ck_assert_uint_ge(after.sys, before.sys); // grown, and all of it heap
    ck_assert_uint_eq(stats().sys, 0);
}
END_TEST

int main(void)
{
    return os_check(
        "stack/stackpool",
        (const TTest *const[]){
            s1_16_orders_fill_spans, s1_17_another_size_is_the_end,
            s1_17_the_slow_path_needs_the_system_stack,
            s3_11_no_scan_takes_a_fixed_stack_for_an_object,
            s1_22_spans_are_charged_to_stacks_and_back,
            s1_18_a_broken_span_is_the_end,
            s1_18_a_span_is_listed_while_it_has_a_free_stack,
            s1_19_the_lock_is_taken_once_in_half_a_cache,
            s1_19_a_cache_is_filled_and_emptied_to_a_half,
            s1_19_the_cache_is_passed_by_while_the_collector_looks,
            s1_20_no_span_becomes_heap_while_the_collector_marks,
            s1_21_the_end_of_a_collection_gives_all_free_spans_back, NULL });
}
