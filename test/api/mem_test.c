// SPDX-License-Identifier: BSD-3-Clause
// test/api/mem_test.c: the collected heap, as a program sees it.

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/api_check.h"

static int all_sizes(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (size_t size = 0; size < 100000; size += 1 + size / 16) {
        unsigned char *p = tuza_alloc(size), *q = tuza_alloc(size);
        ck_assert(p && q && p != q);
        ck_assert_uint_eq((uintptr_t)p % 16, 0);
        bool zero = true; // an assertion a byte would take minutes
        for (size_t i = 0; i < size; i++)
            zero &= p[i] == 0 && q[i] == 0;
        ck_assert(zero);
        memset(p, 0xff, size);
        memset(q, 0xee, size);
        bool kept = true;
        for (size_t i = 0; i < size; i++)
            kept &= p[i] == 0xff;
        ck_assert(kept);
        unsigned char *r = tuza_alloc_bytes(size);
        ck_assert_uint_eq((uintptr_t)r % 16, 0);
        memset(r, 0xdd, size);
    }
    return 0;
}

START_TEST(objects_are_zeroed_aligned_and_disjoint)
{
    api_run(all_sizes, 2);
}
END_TEST

__attribute__((noinline)) static void dirty(size_t size, int n)
{
    while (n-- > 0)
        memset(tuza_alloc(size), 0xff, size);
}

static int use_again(int argc, char **argv)
{
    (void)argc, (void)argv;
    static const size_t sizes[] = { 8, 16, 48, 200, 1024, 9000, 40000, 300000 };
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        int n = sizes[s] < 10000 ? 2000 : 50;
        dirty(sizes[s], n);
        tuza_gc();
        for (int i = 0; i < 2 * n; i++) {
            const unsigned char *p = tuza_alloc(sizes[s]);
            for (size_t at = 0; at < sizes[s]; at++)
                if (p[at] != 0)
                    ck_abort_msg("byte %zu of %zu", at, sizes[s]);
        }
    }
    return 0;
}

START_TEST(memory_that_is_used_again_is_zeroed)
{
    api_run(use_again, 1);
}
END_TEST

static int absurd_sizes(int argc, char **argv)
{
    (void)argc, (void)argv;
    volatile size_t most = SIZE_MAX;
    ck_assert_ptr_null(tuza_alloc(most));
    ck_assert_ptr_null(tuza_alloc(most - 4096));
    ck_assert_ptr_null(tuza_alloc(most / 2));
    ck_assert_ptr_null(tuza_alloc_bytes(most));
    ck_assert_ptr_null(tuza_alloc_array(most, 2));
    ck_assert_ptr_null(tuza_alloc_array(most / 4, 8));
    ck_assert_ptr_null(tuza_alloc_array(2, most));
    ck_assert_ptr_nonnull(tuza_alloc_array(0, 8));
    ck_assert_ptr_nonnull(tuza_alloc_array(8, 0));
    ck_assert_ptr_nonnull(tuza_alloc(100)); // and it still works
    return 0;
}

START_TEST(absurd_sizes_give_null)
{
    api_run(absurd_sizes, 1);
}
END_TEST

static int find_objects(int argc, char **argv)
{
    (void)argc, (void)argv;
    static const size_t sizes[] = { 1, 16, 17, 1000, 32768, 40000, 3 << 20 };
    int here;
    void *base;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = tuza_alloc(sizes[i]);
        for (size_t at = 0; at < sizes[i]; at += 1 + sizes[i] / 5) {
            base = NULL;
            ck_assert_uint_ge(tuza_object_of(p + at, &base), sizes[i]);
            ck_assert_ptr_eq(base, p);
        }
        ck_assert_uint_ge(tuza_object_of(p + sizes[i] - 1, NULL), sizes[i]);
    }
    base = &here;
    ck_assert_uint_eq(tuza_object_of(&here, &base), 0);
    ck_assert_uint_eq(tuza_object_of(sizes, NULL), 0);
    ck_assert_uint_eq(tuza_object_of(NULL, NULL), 0);
    ck_assert_uint_eq(tuza_object_of((void *)UINTPTR_MAX, NULL), 0);
    return 0;
}

START_TEST(a_pointer_into_an_object_finds_it)
{
    api_run(find_objects, 1);
}
END_TEST

struct node {
    struct node *next;
    int value;
};
static struct node *from_static;
static __thread struct node *from_tls;

__attribute__((noinline)) static struct node *make_list(int n)
{
    struct node *head = NULL;
    for (int i = 0; i < n; i++) {
        struct node *x = tuza_new(struct node);
        x->value = i;
        x->next = head;
        head = x;
    }
    return head;
}

static void is_list(const struct node *x, int n)
{
    while (n-- > 0) {
        ck_assert_ptr_nonnull(x);
        ck_assert_int_eq(x->value, n);
        x = x->next;
    }
    ck_assert_ptr_null(x);
}

static void collect_and_overwrite(void)
{
    tuza_gc();
    for (int i = 0; i < 20000; i++) // over what was freed wrongly
        memset(tuza_alloc(sizeof(struct node)), 0xbb, sizeof(struct node));
    tuza_gc();
}

tuza_fn(hold_list, tuza_chan(int), go_on, tuza_chan(int), ready)
{
    struct node *on_stack = make_list(1000);
    tuza_send(ready, 1);
    tuza_recv(go_on, NULL);
    is_list(on_stack, 1000);
    tuza_send(ready, 1);
}

static int keep_lists(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) go_on = tuza_chan_make(int, 0);
    tuza_chan(int) ready = tuza_chan_make(int, 0);
    tuza_chan(struct node *) buffer = tuza_chan_make(struct node *, 2);
    struct node *x, *here = make_list(1000);
    from_static = make_list(1000);
    from_tls = make_list(1000);
    long thread = api_thread();
    tuza_send(buffer, make_list(1000));
    tuza_go(hold_list, go_on, ready);
    tuza_recv(ready, NULL);
    collect_and_overwrite();
    is_list(here, 1000);
    is_list(from_static, 1000);
    if (api_thread() == thread) // on one proc, and in no call: it is
        is_list(from_tls, 1000);
    ck_assert_int_eq(tuza_recv(buffer, &x), 1);
    is_list(x, 1000);
    tuza_send(go_on, 1);
    tuza_recv(ready, NULL);
    return 0;
}

START_TEST(what_stacks_statics_tls_and_channels_hold_stays)
{
    api_run(keep_lists, 1);
}
END_TEST

static int small_list(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct node *x = make_list(300);
    is_list(x, 300);
    tuza_memstats st = { .size = sizeof st };
    tuza_memstats_read(&st);
    return st.num_gc >= 300 ? 0 : 1;
}

START_TEST(stress_collects_at_every_allocation)
{
    setenv("TUZADEBUG", "stress=gc", 1);
    api_run(small_list, 2);
}
END_TEST

static int churn(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats st = { .size = sizeof st };
    for (int i = 0; i < 1000; i++) // 96 MB of garbage
        make_list(6000)->value = i;
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    ck_assert_uint_gt(st.num_gc, 2);
    ck_assert_uint_lt(st.heap_sys, 64 << 20);
    return 0;
}

START_TEST(garbage_is_used_again)
{
    unsetenv("TUZAGC");
    api_run(churn, 2);
}
END_TEST

enum { ALLOCATORS = 16 };
static tuza_waitgroup group;

tuza_fn(allocate_hard)
{
    for (int i = 0; i < 100000; i++)
        tuza_alloc_bytes(512);
    tuza_waitgroup_done(&group);
}

static int outrun(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_memstats st = { .size = sizeof st };
    tuza_waitgroup_add(&group, ALLOCATORS);
    for (int i = 0; i < ALLOCATORS; i++)
        ck_assert_int_eq(tuza_go(allocate_hard), 0);
    tuza_waitgroup_wait(&group);
    ck_assert_int_eq(tuza_memstats_read(&st), 0);
    ck_assert_uint_lt(st.heap_peak, 64 << 20);
    return 0;
}

// More threads than processors: the one that collects is often not running,
// and the others must not go on for ever meanwhile. All of it is garbage.
START_TEST(threads_that_allocate_do_not_outrun_the_collector)
{
    unsetenv("TUZAGC");
    api_run(outrun, ALLOCATORS);
}
END_TEST

// A program that waits for something, its garbage swept by nobody it runs.
static int idle_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { MANY = 60000 };
    void **all = tuza_alloc(MANY * sizeof *all);
    for (int i = 0; i < MANY; i++)
        all[i] = memset(tuza_alloc(1000), 1, 1000);
    for (int i = 0; i < MANY; i++)
        all[i] = NULL;
    tuza_gc();
    tuza_memstats st = { .size = sizeof st };
    for (int i = 0; i < 500; i++) { // ends by the test's time limit otherwise
        tuza_memstats_read(&st);
        if (st.heap_sys - st.heap_released < 40 << 20)
            return 0;
        tuza_sleep(50 * 1000000);
    }
    printf("%lu of %lu bytes went back\n", (unsigned long)st.heap_released,
           (unsigned long)st.heap_sys);
    return 1;
}

START_TEST(an_idle_program_gives_its_garbage_back)
{
    api_run(idle_main, 1);
}
END_TEST

START_TEST(an_idle_program_of_two_ps_does_so_too)
{
    api_run(idle_main, 2);
}
END_TEST

int main(void)
{
    return api_check("mem",
                     (const TTest *const[]){
                         objects_are_zeroed_aligned_and_disjoint,
                         memory_that_is_used_again_is_zeroed,
                         absurd_sizes_give_null,
                         a_pointer_into_an_object_finds_it,
                         what_stacks_statics_tls_and_channels_hold_stays,
                         stress_collects_at_every_allocation,
                         garbage_is_used_again,
                         threads_that_allocate_do_not_outrun_the_collector,
                         an_idle_program_gives_its_garbage_back,
                         an_idle_program_of_two_ps_does_so_too, NULL });
}
