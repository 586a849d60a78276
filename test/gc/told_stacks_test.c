// SPDX-License-Identifier: BSD-3-Clause
// test/gc/told_stacks_test.c: marks of programs that tell of their stores (mode M2),
// which read a stack whose goroutine waits when they come to it, or when it is about
// to run.

#include <pthread.h>
#include <sched.h>

#include "gc/things.h"

enum { KEEPERS = 3000, CELLS = 40000 };

// Memory that is collected: of each keeper what it keeps, while that is not on its
// stack; what it waits for; and others for the mark to be busy with.
static struct thing **cell;
static tuza_chan(int) *asked;
static uint64_t state = 88172645463325252;

// Frames of their own, of which nothing stays in the keeper's.
static __attribute__((noinline)) void put_down(struct thing **mine, uint64_t i)
{
    need_thing(*mine, i);
    tuza_store(&cell[i], *mine);
    *mine = NULL;
}

static __attribute__((noinline)) void pick_up(struct thing **mine, uint64_t i)
{
    need_thing(cell[i], i);
    *mine = cell[i];
    tuza_store(&cell[i], NULL);
}

static __attribute__((noinline)) void make(struct thing **mine, uint64_t i)
{
    *mine = thing(i);
}

// Waits with its thing on its stack alone, or in its cell alone, by turns.
tuza_fn(keep, uint64_t, i)
{
    struct thing *volatile mine;
    make((struct thing **)&mine, i);
    int how;
    while (tuza_recv(asked[i], &how) == 1) {
        if (mine)
            put_down((struct thing **)&mine, i);
        else
            pick_up((struct thing **)&mine, i);
        if (how == 1)
            TUZA_BLOCKING(sched_yield());
        else if (how == 2)
            tuza_yield();
        need_thing(mine ? mine : cell[i], i);
        tuza_send(answers, 1);
    }
    need_thing(mine ? mine : cell[i], i);
    tuza_send(answers, 1);
}

static void start_keepers(void)
{
    cell = tuza_alloc_array(CELLS, sizeof *cell);
    asked = tuza_alloc_array(KEEPERS, sizeof *asked);
    answers = tuza_chan_make(int, 64);
    for (uint64_t i = KEEPERS; i < CELLS; i++)
        tuza_store(&cell[i], thing(i));
    for (uint64_t i = 0; i < KEEPERS; i++) {
        tuza_store(&asked[i], tuza_chan_make(int, 0));
        need_eq(tuza_go(keep, i), 0);
    }
}

static void expect_answers(int n)
{
    for (int v; n > 0; n--)
        need_eq(tuza_recv(answers, &v), 1);
}

static int keepers(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { AT_ONCE = 32 };
    start_keepers();
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    for (uint64_t end = collections() + 5 + (uint64_t)scaled(60); collections() < end;) {
        for (int k = 0; k < AT_ONCE; k++)
            tuza_send(asked[rnd(&state, KEEPERS)], (int)rnd(&state, 8));
        expect_answers(AT_ONCE);
    }
    tz_store(&stop, 1);
    for (int i = 0; i < KEEPERS; i++)
        tuza_close(asked[i]);
    expect_answers(KEEPERS + 1);
    for (uint64_t i = KEEPERS; i < CELLS; i++)
        need_thing(cell[i], i);
    return 0;
}

START_TEST(what_a_stack_alone_leads_to_is_found_before_it_moves)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1", 1);
    api_run_telling(keepers, 2);
}
END_TEST

START_TEST(with_one_processor_too)
{
    setenv("TUZADEBUG", "gcmode=m3,clobberfree=1", 1);
    api_run_telling(keepers, 1);
}
END_TEST

START_TEST(wherever_goroutines_are_queued)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1,stress=yield,stress=steal", 1);
    api_run_telling(keepers, 3);
}
END_TEST

// --- goroutines that have not run yet, and threads that have just come

tuza_fn(check_argument, struct thing *, x, uint64_t, number)
{
    need_thing(x, number);
    tuza_send(answers, 1);
}

static void *come_and_go(void *arg)
{
    while (!tz_load(&stop)) {
        if (tuza_attach() != 0)
            abort();
        struct thing *volatile x = thing(MAGIC);
        for (int i = 0; i < 3; i++) {
            tuza_sleep(10000);
            need_thing(x, MAGIC);
        }
        tuza_detach();
    }
    return arg;
}

static int newcomers(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { AT_ONCE = 500 };
    start_keepers();
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        need_eq(pthread_create(&thread[i], NULL, come_and_go, NULL), 0);
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    for (uint64_t end = collections() + 5 + (uint64_t)scaled(30); collections() < end;) {
        for (uint64_t i = 0; i < AT_ONCE; i++)
            need_eq(tuza_go(check_argument, thing(i), i), 0);
        expect_answers(AT_ONCE);
    }
    tz_store(&stop, 1);
    expect_answers(1);
    for (int i = 0; i < 2; i++)
        need_eq(TUZA_BLOCKING(pthread_join(thread[i], NULL)), 0);
    return 0;
}

START_TEST(arguments_and_threads_that_come_are_found)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1", 1);
    api_run_telling(newcomers, 2);
}
END_TEST

int main(void)
{
    return api_check("told_stacks",
                     (const TTest *const[]){
                         what_a_stack_alone_leads_to_is_found_before_it_moves,
                         with_one_processor_too,
                         wherever_goroutines_are_queued,
                         arguments_and_threads_that_come_are_found, NULL });
}
