// SPDX-License-Identifier: BSD-3-Clause
// test/gc/told_test.c: marks of what could be reached when they began (modes M2 and
// M3): when they are chosen, and that a store which is not told is found.

#include "support/goroutines.h"

enum { CELLS = 100000, MAGIC = 0x70cd };

struct thing {
    uint64_t magic, number;
};

static struct thing **cell; // CELLS of them, in memory that is collected
static uint64_t state = 88172645463325252;
static uint32_t stop; // atomic

static uint64_t collections(void)
{
    tuza_memstats s = { .size = sizeof s };
    tuza_memstats_read(&s);
    return s.num_gc;
}

static void collect_all_the_time(void *arg)
{
    (void)arg;
    while (!tz_load(&stop))
        tuza_gc();
}

static void fill(void)
{
    cell = tuza_alloc_array(CELLS, sizeof *cell);
    for (uint64_t i = 0; i < CELLS; i++) {
        struct thing *x = tuza_new(struct thing);
        x->magic = MAGIC;
        x->number = i;
        tuza_store(&cell[i], x);
    }
}

// A mark that has seen one of the two and not the other misses what goes from there
// to here.
static void swap(bool tell)
{
    uint32_t i = rnd(&state, CELLS), j = rnd(&state, CELLS);
    struct thing *x = cell[i], *y = cell[j];
    if (tell) {
        tuza_store(&cell[i], y);
        tuza_store(&cell[j], x);
    } else {
        cell[i] = y;
        cell[j] = x;
    }
}

static void swap_beside(bool tell, uint64_t most)
{
    fill();
    need_eq(tuza_spawn(collect_all_the_time, NULL), 0);
    for (uint64_t end = collections() + most; collections() < end;)
        for (int i = 0; i < 10000; i++)
            swap(tell);
    tz_store(&stop, 1);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < CELLS; i++) {
        need_eq(cell[i]->magic, MAGIC);
        sum += cell[i]->number;
    }
    need_eq(sum, (uint64_t)CELLS * (CELLS - 1) / 2);
}

static int swaps_told(int argc, char **argv)
{
    (void)argc, (void)argv;
    swap_beside(true, 5 + (uint64_t)scaled(50));
    return 0;
}

static int swaps_not_told(int argc, char **argv)
{
    (void)argc, (void)argv;
    swap_beside(false, 10000);
    return 0;
}

START_TEST(swaps_beside_marks_lose_nothing_if_they_are_told)
{
    setenv("TUZADEBUG", "gcmode=m3,clobberfree=1", 1);
    api_run_telling(swaps_told, 2);
}
END_TEST

// --- in processes of their own

static int collect_twice(int argc, char **argv)
{
    (void)argc, (void)argv;
    tuza_gc(), tuza_gc();
    return 0;
}

static void child_not_told(void) { api_run_telling(swaps_not_told, 2); }
static void child_telling(void) { api_run_telling(collect_twice, 2); }
static void child_with_nothing(void) { api_run(collect_twice, 2); }

static void ends(const char *debug, void (*child)(void), int status,
                 const char *says)
{
    const char *const texts[] = { says, NULL };
    setenv("TUZADEBUG", debug, 1);
    api_ended_with(api_child(child, 60), status, texts);
}

START_TEST(a_store_that_is_not_told_is_found)
{
    ends("gcmode=m3", child_not_told, 2, "a store was not told to the collector");
}
END_TEST

START_TEST(who_promises_to_tell_is_marked_so)
{
    ends("gcmode=m2,gctrace=1", child_telling, 0, " P (forced), m2\n");
    ends("gcmode=m3,gctrace=1", child_telling, 0, " P (forced), m3\n");
    ends("gctrace=1", child_telling, 0, " P (forced), m0"); // it is small
    ends("gcmode=m0,gctrace=1", child_telling, 0, " P (forced), m0\n");
}
END_TEST

START_TEST(who_does_not_is_told_so)
{
    ends("gcmode=m2,gctrace=1", child_with_nothing, 0,
         ": the program does not tell of its stores\n");
}
END_TEST

int main(void)
{
    return api_check("told", (const TTest *const[]){
                                 swaps_beside_marks_lose_nothing_if_they_are_told,
                                 a_store_that_is_not_told_is_found,
                                 who_promises_to_tell_is_marked_so,
                                 who_does_not_is_told_so, NULL });
}
