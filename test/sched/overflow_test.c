// SPDX-License-Identifier: BSD-3-Clause
// test/sched/overflow_test.c: stack overflows are reported as such, wherever
// they happen.

#include <sys/mman.h>

#include "base/san.h"
#include "support/goroutines.h"

// Calls go by variables, so that no compiler sees where this leads.
static int deeper(volatile char *above, int depth);
static int (*volatile call_deeper)(volatile char *, int) = deeper;

static int deeper(volatile char *above, int depth)
{
    volatile char here[200];
    here[0] = (char)(above[0] + 1);
    return call_deeper(here, depth + 1) + here[0];
}

static tuza_waitgroup group;

tuza_fn(recurse)
{
    volatile char zero = 0;
    deeper(&zero, 0);
}

DEATH(deep_recursion_is_an_overflow, "stack overflow in goroutine 2 (recurse")
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(recurse);
    tuza_waitgroup_wait(&group);
}

// libc is where it runs out: each level prints with a frame of libc's of
// several KiB below it.
static int print_deeper(volatile char *above, int depth);
static int (*volatile call_print)(volatile char *, int) = print_deeper;

static int print_deeper(volatile char *above, int depth)
{
    static char out[512];
    volatile char here[16];
    here[0] = (char)(above[0] + 1);
    snprintf(out, sizeof out, "%.300f %d %s", 1e300 * depth, depth, "text");
    return call_print(here, depth + 1) + here[0];
}

tuza_fn(print_much)
{
    volatile char zero = 0;
    print_deeper(&zero, 0);
}

DEATH(an_overflow_inside_of_printf_is_reported, "stack overflow in goroutine 2")
{
    tuza_waitgroup_add(&group, 1);
    tuza_go(print_much);
    tuza_waitgroup_wait(&group);
}

// Beside others that run, park and collect.
static void busy(void *arg)
{
    (void)arg;
    for (;;) {
        tuza_alloc(100);
        tuza_yield();
    }
}

static int overflow_among_others(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 20; i++)
        tuza_spawn(busy, NULL);
    tuza_go(recurse);
    for (;;) {
        tuza_gc();
        tuza_yield();
    }
    return 0;
}
static void among_others(void) { api_run(overflow_among_others, 4); }

START_TEST(an_overflow_among_others_is_reported)
{
    for (int i = 0; i < 10; i++)
        api_ended_with(api_child(among_others, 25), 2,
                       (const char *[]){ "stack overflow in goroutine 22",
                                         "larger stacks: TUZASTACK", NULL });
}
END_TEST

// What was done before with a goroutine's stack does not hide the guard.
static void fill(void *arg)
{
    volatile char frame[100 * 1024];
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = 1;
    (void)arg;
    tuza_waitgroup_done(&group);
}

DEATH(a_reused_stack_is_guarded_too, "stack overflow in goroutine 1002")
{
    for (int i = 0; i < 1000; i++) {
        tuza_waitgroup_add(&group, 1);
        tuza_spawn(fill, NULL);
        tuza_waitgroup_wait(&group);
    }
    tuza_waitgroup_add(&group, 1);
    tuza_go(recurse);
    tuza_waitgroup_wait(&group);
}

// ThreadSanitizer's own limit is told before it is met.
static void park_for_ever(void *arg)
{
    (void)arg;
    tuza_chan_recv(NULL, NULL);
}

static int too_many(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int i = 0; i < 8200; i++) {
        tuza_spawn(park_for_ever, NULL);
        tuza_yield();
    }
    return 0;
}
static void too_many_child(void) { api_run(too_many, 1); }

START_TEST(more_goroutines_than_thread_sanitizer_has_room_for)
{
    const struct api_ended *e = api_child(too_many_child, 100);
    if (TZ_TSAN)
        api_ended_with(e, 2, (const char *[]){
                                 "ThreadSanitizer follows 8000 goroutines",
                                 NULL });
    else
        ck_assert_int_eq(e->status, 0);
}
END_TEST

// A wild access is none, and dies by its signal.
static int wild(int argc, char **argv)
{
    (void)argv;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile char *)(page + argc) = 1;
    return 0;
}
static void wild_child(void) { api_run(wild, 1); }

START_TEST(a_fault_elsewhere_is_no_overflow)
{
    const struct api_ended *e = api_child(wild_child, 25);
    ck_assert_ptr_null(strstr(e->text, "stack overflow in goroutine"));
    ck_assert_int_ne(e->status, 0);
    ck_assert_int_ne(e->status, 2);
}
END_TEST

int main(void)
{
    return api_check("overflow",
                     (const TTest *const[]){
                         deep_recursion_is_an_overflow,
                         an_overflow_inside_of_printf_is_reported,
                         an_overflow_among_others_is_reported,
                         a_reused_stack_is_guarded_too,
                         more_goroutines_than_thread_sanitizer_has_room_for,
                         a_fault_elsewhere_is_no_overflow, NULL });
}
