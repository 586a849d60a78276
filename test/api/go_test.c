// SPDX-License-Identifier: BSD-3-Clause
// test/api/go_test.c: starting goroutines and what they are given.

#include <stdlib.h>
#include <string.h>

#include "support/api_check.h"

static tuza_waitgroup group;
static int calls;

static void called(void)
{
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    tuza_waitgroup_done(&group);
}

tuza_fn(with_0)
{
    called();
}
tuza_fn(with_1, int, a)
{
    ck_assert_int_eq(a, -1);
    called();
}
tuza_fn(with_2, char, a, double, b)
{
    ck_assert_int_eq(a, 'a');
    ck_assert_double_eq(b, 2.5);
    called();
}
tuza_fn(with_3, const char *, a, void *, b, float, c)
{
    ck_assert_str_eq(a, "text");
    ck_assert_ptr_eq(b, &calls);
    ck_assert_float_eq(c, 0.5f);
    called();
}
tuza_fn(with_4, int8_t, a, int16_t, b, int32_t, c, int64_t, d)
{
    ck_assert(a == INT8_MIN && b == INT16_MIN);
    ck_assert(c == INT32_MIN && d == INT64_MIN);
    called();
}
tuza_fn(with_5, int, a, int, b, int, c, int, d, uint64_t, e)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == UINT64_MAX);
    called();
}
tuza_fn(with_6, int, a, int, b, int, c, int, d, int, e, long double, f)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6.25L);
    called();
}
tuza_fn(with_7, int, a, int, b, int, c, int, d, int, e, int, f,
        tuza_chan(int), g)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6);
    ck_assert_int_eq(tuza_send(g, 7), 0);
    called();
}
tuza_fn(with_8, int, a, int, b, int, c, int, d, int, e, int, f, int, g,
        struct api_ended *, h)
{
    ck_assert(a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6);
    ck_assert(g == 7 && h == NULL);
    called();
}

static int start_with_all_counts(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_chan(int) c = tuza_chan_make(int, 1);
    tuza_waitgroup_add(&group, 9);
    ck_assert_int_eq(tuza_go(with_0), 0);
    ck_assert_int_eq(tuza_go(with_1, -1), 0);
    ck_assert_int_eq(tuza_go(with_2, 'a', 2.5), 0);
    ck_assert_int_eq(tuza_go(with_3, "text", &calls, 0.5), 0);
    ck_assert_int_eq(
        tuza_go(with_4, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN), 0);
    ck_assert_int_eq(tuza_go(with_5, 1, 2, 3, 4, UINT64_MAX), 0);
    ck_assert_int_eq(tuza_go(with_6, 1, 2, 3, 4, 5, 6.25L), 0);
    ck_assert_int_eq(tuza_go(with_7, 1, 2, 3, 4, 5, 6, c), 0);
    ck_assert_int_eq(tuza_go(with_8, 1, 2, 3, 4, 5, 6, 7, NULL), 0);
    tuza_waitgroup_wait(&group);
    int seven = 0;
    ck_assert_int_eq(tuza_recv(c, &seven), 1);
    ck_assert_int_eq(seven, 7);
    return calls == 9 ? 0 : 1;
}

START_TEST(arguments_arrive_whatever_their_number_and_type)
{
    api_run(start_with_all_counts, 2);
}
END_TEST

// Structs of 1, 8, …, 200 bytes, each filled with its own pattern.
#define SIZED(n)                                                               \
    struct sized##n {                                                          \
        unsigned char byte[n];                                                 \
    };                                                                         \
    tuza_fn(take##n, struct sized##n, s, int, seed)                            \
    {                                                                          \
        for (int i = 0; i < n; i++)                                            \
            ck_assert_int_eq(s.byte[i], (unsigned char)(i * 7 + seed));        \
        called();                                                              \
    }                                                                          \
    static void give##n(int seed)                                              \
    {                                                                          \
        struct sized##n s;                                                     \
        for (int i = 0; i < n; i++)                                            \
            s.byte[i] = (unsigned char)(i * 7 + seed);                         \
        tuza_waitgroup_add(&group, 1);                                         \
        ck_assert_int_eq(tuza_go(take##n, s, seed), 0);                        \
        memset(&s, 0, sizeof s); /* it has been copied */                      \
    }
SIZED(1)
SIZED(8)
SIZED(40)
SIZED(43)
SIZED(44)
SIZED(45)
SIZED(48)
SIZED(64)
SIZED(127)
SIZED(200)

static int give_structs(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (int seed = 0; seed < 50; seed++) {
        give1(seed), give8(seed), give40(seed), give43(seed), give44(seed);
        give45(seed), give48(seed), give64(seed), give127(seed), give200(seed);
    }
    tuza_waitgroup_wait(&group);
    return calls == 500 ? 0 : 1;
}

START_TEST(structs_are_copied_up_to_200_bytes)
{
    api_run(give_structs, 2);
}
END_TEST

static int evaluated;

static int evaluate(int value)
{
    evaluated++;
    return value;
}

static int go_with_effects(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 1);
    tuza_go(with_1, evaluate(-1));
    ck_assert_int_eq(evaluated, 1);
    tuza_waitgroup_wait(&group);
    return 0;
}

START_TEST(arguments_are_evaluated_once_and_now)
{
    api_run(go_with_effects, 1);
}
END_TEST

// The only pointer to the object is the argument of a goroutine that has not
// run: it cannot, on one thread, until main parks.
struct large {
    char pad[120];
    int *object;
};
tuza_fn(see_small, int *, object)
{
    ck_assert_int_eq(*object, 0x600d);
    called();
}
tuza_fn(see_large, struct large, l)
{
    ck_assert_int_eq(*l.object, 0x600d);
    called();
}

__attribute__((noinline)) static int *good(void)
{
    int *object = tuza_alloc_bytes(sizeof *object);
    *object = 0x600d;
    return object;
}

__attribute__((noinline)) static void start_seers(int n)
{
    struct large l = { .pad = "" };
    for (int i = 0; i < n; i++) {
        tuza_waitgroup_add(&group, 2);
        tuza_go(see_small, good());
        l.object = good();
        tuza_go(see_large, l);
    }
    memset(&l, 0, sizeof l);
    __asm__ volatile("" : : "r"(&l) : "memory");
}

static int collect_before_they_run(int argc, char **argv)
{
    (void)argc, (void)argv;
    start_seers(100);
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        for (int j = 0; j < 1000; j++) // over what was freed wrongly
            memset(tuza_alloc_bytes(sizeof(int)), 0xbb, sizeof(int));
    }
    tuza_waitgroup_wait(&group);
    return calls == 200 ? 0 : 1;
}

START_TEST(arguments_are_roots_before_the_goroutine_runs)
{
    api_run(collect_before_they_run, 1);
}
END_TEST

static void raw(void *arg)
{
    ck_assert_ptr_eq(arg, &calls);
    called();
}

static int spawn_raw(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 2);
    ck_assert_int_eq(tuza_spawn(raw, &calls), 0);
    ck_assert_int_eq(tuza_spawn_at(raw, &calls, "somewhere:1"), 0);
    tuza_waitgroup_wait(&group);
    return calls == 2 ? 0 : 1;
}

START_TEST(spawn_passes_its_pointer)
{
    api_run(spawn_raw, 2);
}
END_TEST

enum { MANY = 1000, SKIPPED = 2 * 16 }; // at most, by two Ps
static unsigned char seen[MANY * 2 + 2 + SKIPPED];

tuza_fn(note_id)
{
    uint64_t id = tuza_goid();
    tuza_yield();
    ck_assert_uint_eq(tuza_goid(), id);
    ck_assert_uint_lt(id, sizeof seen);
    ck_assert_int_eq(__atomic_fetch_add(&seen[id], 1, __ATOMIC_RELAXED), 0);
    called();
}

static int number_them(int argc, char **argv)
{
    (void)argc, (void)argv;
    ck_assert_uint_eq(tuza_goid(), 1);
    for (int round = 0; round < 2; round++) { // the second reuses the Gs
        tuza_waitgroup_add(&group, MANY);
        for (int i = 0; i < MANY; i++)
            ck_assert_int_eq(tuza_go(note_id), 0);
        tuza_waitgroup_wait(&group);
    }
    ck_assert_uint_eq(tuza_goid(), 1);
    return seen[1]; // is main's
}

START_TEST(goids_are_never_used_again)
{
    ck_assert_uint_eq(tuza_goid(), 0);
    api_run(number_them, 2);
    ck_assert_uint_eq(tuza_goid(), 0);
}
END_TEST

static void deeper(int depth);
static void (*volatile go_deeper)(int) = deeper;

static void deeper(int depth)
{
    char local[64];
    memset(local, depth, sizeof local);
    __asm__ volatile("" : : "r"(local) : "memory");
    if (depth == 0) {
        called();
        tuza_goexit();
    }
    go_deeper(depth - 1);
}

tuza_fn(leave_from_below)
{
    deeper(10);
    ck_abort_msg("goexit has returned");
}

static int goexit_ends_one(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 100);
    for (int i = 0; i < 100; i++)
        tuza_go(leave_from_below);
    tuza_waitgroup_wait(&group);
    return calls == 100 ? 0 : 1;
}

START_TEST(goexit_ends_its_goroutine_from_any_depth)
{
    api_run(goexit_ends_one, 2);
}
END_TEST

tuza_fn(main_is_gone)
{
    for (int i = 0; i < 1000; i++)
        tuza_yield();
    exit(5);
}

static int goexit_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_go(main_is_gone);
    tuza_goexit();
}

static void child_goexit_main(void)
{
    tuza_run_main(goexit_main, 0, NULL, NULL);
}

START_TEST(the_others_go_on_after_goexit_of_main)
{
    api_ended_with(api_child(child_goexit_main, 20), 5,
                   (const char *[]){ NULL });
}
END_TEST

static int turn;

tuza_fn(take_turns, int, me, int, n)
{
    for (int i = 0; i < 1000; i++) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) % n != me)
            tuza_yield();
        __atomic_fetch_add(&turn, 1, __ATOMIC_RELEASE);
    }
    called();
}

static int yield_in_turn(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 5);
    for (int i = 0; i < 5; i++)
        tuza_go(take_turns, i, 5);
    tuza_waitgroup_wait(&group);
    return turn == 5000 ? 0 : 1;
}

START_TEST(yield_lets_every_other_run)
{
    api_run(yield_in_turn, 1);
}
END_TEST

tuza_fn(tree, int, depth)
{
    for (int i = 0; depth > 0 && i < 2; i++) {
        tuza_waitgroup_add(&group, 1);
        ck_assert_int_eq(tuza_go(tree, depth - 1), 0);
    }
    called();
}

static int grow_tree(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_waitgroup_add(&group, 1);
    tuza_go(tree, 11);
    tuza_waitgroup_wait(&group);
    return calls == (1 << 12) - 1 ? 0 : 1;
}

START_TEST(goroutines_start_goroutines)
{
    api_run(grow_tree, 4);
}
END_TEST

int main(void)
{
    return api_check("go", (const TTest *const[]){
                               arguments_arrive_whatever_their_number_and_type,
                               structs_are_copied_up_to_200_bytes,
                               arguments_are_evaluated_once_and_now,
                               arguments_are_roots_before_the_goroutine_runs,
                               spawn_passes_its_pointer,
                               goids_are_never_used_again,
                               goexit_ends_its_goroutine_from_any_depth,
                               the_others_go_on_after_goexit_of_main,
                               yield_lets_every_other_run,
                               goroutines_start_goroutines,
                               NULL });
}
