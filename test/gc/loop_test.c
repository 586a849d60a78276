// SPDX-License-Identifier: BSD-3-Clause
// test/gc/loop_test.c: a goroutine that does nothing but collect leaves the
// others their turns.

#include <link.h>
#include <pthread.h>
#include <time.h>

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

// The dynamic linker's lock is held for 30 ms, over and over.
static int hold_linker(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct timespec t = { 0, 30 * 1000000 };
    (void)info, (void)size, (void)arg;
    nanosleep(&t, NULL);
    return 1;
}

static void *hold_linker_often(void *arg)
{
    for (int i = 0; i < 10; i++)
        dl_iterate_phdr(hold_linker, NULL);
    set_stop(arg);
    return NULL;
}

static tuza_waitgroup group;

static void collect(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST))
        tuza_gc();
    tuza_waitgroup_done(&group);
}

// Who collects waits for that lock, so its P is taken; those that want to collect
// as well must not keep all Ps while they wait for it.
IN_GOROUTINES(a_collector_that_has_lost_its_p_gets_one_from_those_who_wait, 2)
{
    pthread_t outside;
    need_eq(pthread_create(&outside, NULL, hold_linker_often, NULL), 0);
    tuza_waitgroup_add(&group, 6);
    for (int i = 0; i < 6; i++)
        need_eq(tuza_spawn(collect, NULL), 0);
    tuza_waitgroup_wait(&group);
    pthread_join(outside, NULL);
}

int main(void)
{
    return api_check("gc/loop",
                     (const TTest *const[]){
                         a_loop_of_collections_leaves_its_p,
                         who_wakes_late_from_a_stop_runs_before_the_next,
                         a_collector_that_has_lost_its_p_gets_one_from_those_who_wait,
                         NULL });
}
