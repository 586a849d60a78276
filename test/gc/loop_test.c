// SPDX-License-Identifier: BSD-3-Clause
// test/gc/loop_test.c: a goroutine that does nothing but collect leaves the
// others their turns.

#include "gc/canary.h"
#include "support/goroutines.h"

static int stop; // atomic

static void set_stop(void *arg)
{
    (void)arg;
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
}

static void collect_until_stop(void)
{
    need_eq(tuza_spawn(set_stop, NULL), 0);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        tuza_gc();
}

// On the same P: the loop's own turn has to end.
IN_GOROUTINES(a_loop_of_collections_leaves_its_p, 1) { collect_until_stop(); }

static int steps; // atomic

static void step_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        tuza_yield();
        __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
    }
    set_stop(NULL);
}

// On another P, whose thread may wake from one stop when the next has begun.
IN_GOROUTINES(who_wakes_late_from_a_stop_runs_before_the_next, 2)
{
    need_eq(tuza_spawn(step_on, NULL), 0);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        tuza_gc();
    need_eq(steps, 2000);
}

int main(void)
{
    return api_check("gc/loop",
                     (const TTest *const[]){
                         a_loop_of_collections_leaves_its_p,
                         who_wakes_late_from_a_stop_runs_before_the_next,
                         NULL });
}
