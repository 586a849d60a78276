// SPDX-License-Identifier: BSD-3-Clause
// test/gc/told_records_test.c: marks of programs that tell of their stores (mode M2),
// which read what records and objects that are not collected keep while the program
// runs, and takes it away.

#include "gc/things.h"
#include "tuza/gc.h"

enum { CELLS = 100000 };

// Of each thing a handle, or a cell that leads to it.
static struct thing **cell;
static uintptr_t handle[CELLS];
static uint64_t state = 88172645463325252;

// Frames of their own, of which nothing stays.
static __attribute__((noinline)) void move_to_handle(uint64_t i)
{
    need_thing(cell[i], i);
    handle[i] = tuza_handle_new(cell[i]);
    need(handle[i]);
    tuza_store(&cell[i], NULL);
}

static __attribute__((noinline)) void move_to_cell(uint64_t i)
{
    struct thing *x = tuza_handle_get(handle[i]);
    need_thing(x, i);
    tuza_handle_delete(handle[i]);
    handle[i] = 0;
    tuza_store(&cell[i], x);
}

// Moves all things away from their cells, and then some to and fro beside collections.
static void move_about(void (*away)(uint64_t i), void (*back)(uint64_t i))
{
    enum { AT_ONCE = 100 };
    answers = tuza_chan_make(int, 1);
    cell = tuza_alloc_array(CELLS, sizeof *cell);
    for (uint64_t i = 0; i < CELLS; i++) {
        tuza_store(&cell[i], thing(i));
        away(i);
    }
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    for (uint64_t end = collections() + 5 + (uint64_t)scaled(60); collections() < end;) {
        for (int k = 0; k < AT_ONCE; k++) {
            uint64_t i = rnd(&state, CELLS);
            if (cell[i])
                away(i);
            else
                back(i);
        }
        tuza_yield();
    }
    tz_store(&stop, 1);
    int v;
    need_eq(tuza_recv(answers, &v), 1);
    for (uint64_t i = 0; i < CELLS; i++) {
        if (!cell[i])
            back(i);
        need_thing(cell[i], i);
    }
}

static int handles(int argc, char **argv)
{
    (void)argc, (void)argv;
    move_about(move_to_handle, move_to_cell);
    return 0;
}

START_TEST(what_a_handle_alone_kept_is_found_when_it_is_deleted)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1", 1);
    api_run_telling(handles, 2);
}
END_TEST

START_TEST(with_one_processor_too)
{
    setenv("TUZADEBUG", "gcmode=m3,clobberfree=1", 1);
    api_run_telling(handles, 1);
}
END_TEST

// --- objects that are not collected, which are changed and freed by hand

static struct thing ***kept;

static __attribute__((noinline)) void move_to_kept(uint64_t i)
{
    need_thing(cell[i], i);
    struct thing **u = tuza_alloc_uncollectable(sizeof *u);
    need(u);
    tuza_store(u, cell[i]);
    kept[i] = u;
    tuza_store(&cell[i], NULL);
}

static __attribute__((noinline)) void move_from_kept(uint64_t i)
{
    struct thing *x = *kept[i];
    need_thing(x, i);
    if (i % 2)
        tuza_store(kept[i], NULL);
    tuza_free(kept[i]);
    kept[i] = NULL;
    tuza_store(&cell[i], x);
}

static int uncollectable(int argc, char **argv)
{
    (void)argc, (void)argv;
    kept = calloc(CELLS, sizeof *kept); // nothing that is looked into leads to them
    move_about(move_to_kept, move_from_kept);
    free(kept);
    return 0;
}

START_TEST(what_is_not_collected_is_read_before_it_is_freed)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1", 1);
    api_run_telling(uncollectable, 2);
}
END_TEST

// --- cleanups give their argument to the program, and are done
//
// (Not noticed if that is not told, D103: they run when hardly any mark does.)

static uint32_t given; // atomic; how many

static void give(void *arg)
{
    struct thing *x = arg;
    tuza_store_atomic(&cell[x->number], x);
    tz_xadd(&given, 1);
}

static __attribute__((noinline)) void make_mortal(uint64_t i)
{
    need(tuza_cleanup_add(tuza_alloc(24), give, thing(i)) > 0);
}

static int cleanups(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { AT_ONCE = 1000 };
    answers = tuza_chan_make(int, 1);
    cell = tuza_alloc_array(CELLS, sizeof *cell);
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    uint64_t end = collections() + 5 + (uint64_t)scaled(60), made = 0;
    while (collections() < end) {
        for (int k = 0; k < AT_ONCE && made < CELLS; k++)
            make_mortal(made++);
        tuza_yield();
    }
    tz_store(&stop, 1);
    int v;
    need_eq(tuza_recv(answers, &v), 1);
    need(tz_load(&given) > made / 2);
    for (uint64_t i = 0; i < made; i++) {
        const struct thing *x = __atomic_load_n(&cell[i], __ATOMIC_ACQUIRE);
        if (x)
            need_thing(x, i);
    }
    return 0;
}

START_TEST(what_a_cleanup_was_given_is_found_when_it_is_done)
{
    setenv("TUZADEBUG", "gcmode=m2,clobberfree=1", 1);
    api_run_telling(cleanups, 2);
}
END_TEST

int main(void)
{
    return api_check("told_records",
                     (const TTest *const[]){
                         what_a_handle_alone_kept_is_found_when_it_is_deleted,
                         with_one_processor_too,
                         what_is_not_collected_is_read_before_it_is_freed,
                         what_a_cleanup_was_given_is_found_when_it_is_done, NULL });
}
