// SPDX-License-Identifier: BSD-3-Clause
// test/gc/weak_test.c: weak handles.

#include "dying.h"
#include "gc/special.h"

enum { N = 256 };

static int ran, bad;
static uintptr_t hidden[N];
static tuza_weak *weak[N];
static void *volatile held[N];
static tuza_waitgroup group;

static uint64_t *make_object(int i)
{
    uint64_t *p = tuza_alloc(48);
    p[0] = CANARY + (uint64_t)i;
    hidden[i] = hide(p);
    return p;
}

static void make_weak(void *arg)
{
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_object(i);
        if (arg)
            held[i] = p;
        weak[i] = tuza_weak_make(p);
        need(weak[i]);
    }
}

static int NOINLINE empty(void)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += tuza_weak_get(weak[i]) == NULL;
    return n;
}

IN_GOROUTINES(a_handle_keeps_nothing_and_is_cleared, 2)
{
    elsewhere(make_weak, NULL);
    scrub_stacks();
    collect_well();
    need(empty() >= most(N));
    need_reclaimed(hidden, N);
    for (int i = 0; i < N; i++) // what is left is the object, whole
        if (tuza_weak_get(weak[i]))
            need_eq(*(uint64_t *)tuza_weak_get(weak[i]), CANARY + (uint64_t)i);
}

IN_GOROUTINES(a_handle_gives_its_object_while_that_is_reachable, 2)
{
    elsewhere(make_weak, (void *)1);
    for (int k = 0; k < 3; k++) {
        collect_well();
        for (int i = 0; i < N; i++) {
            need(tuza_weak_get(weak[i]) == held[i]);
            need(tuza_weak_make(held[i]) == weak[i]); // the same
            need(tuza_weak_make((char *)held[i] + 13) == weak[i]);
        }
    }
    for (int i = 0; i < N; i++)
        held[i] = NULL;
    scrub_stacks();
    collect_well();
    need(empty() >= most(N));
}

// Nobody refers to the handle between: it is found by its object.
static void make_and_forget(void *arg)
{
    make_weak(arg);
    for (int i = 0; i < N; i++)
        weak[i] = NULL;
}

IN_GOROUTINES(a_handle_lives_as_long_as_its_object, 1)
{
    elsewhere(make_and_forget, (void *)1);
    collect_well();
    tz_special_lock();
    need_eq(tz_special_count(TZ_SPECIAL_WEAK), N);
    tz_special_unlock();
    for (int i = 0; i < N; i++) {
        tuza_weak *w = tuza_weak_make(held[i]);
        need(tuza_weak_get(w) == held[i]);
    }
    for (int i = 0; i < N; i++)
        held[i] = NULL;
    scrub_stacks();
    collect_well();
    tz_special_lock();
    need(tz_special_count(TZ_SPECIAL_WEAK) <= N / 8);
    tz_special_unlock();
}

static void tiny_ones(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++)
        weak[i] = tuza_weak_make(tuza_alloc_bytes(1));
}

IN_GOROUTINES(handles_of_tiny_objects_are_cleared_each, 1)
{
    elsewhere(tiny_ones, NULL);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            need(weak[i] != weak[k]);
    scrub_stacks();
    collect_well();
    need(empty() >= most(N));
}

IN_GOROUTINES(what_is_no_object_has_no_handle, 1)
{
    static int global;
    need(!tuza_weak_make(&global) && !tuza_weak_make(NULL));
    need(!tuza_weak_get(NULL));
}

// --- with finalizers

static void save(void *obj)
{
    int i = (int)(*(uint64_t *)obj - CANARY);
    if (tuza_weak_get(weak[i]))
        count_one(&bad); // cleared before this was queued
    held[i] = obj;
    count_one(&ran);
}

static void make_finalized(void *arg)
{
    make_weak(NULL);
    for (int i = 0; i < N; i++)
        need_eq(tuza_finalizer_set(tuza_weak_get(weak[i]), save), 0);
    (void)arg;
}

IN_GOROUTINES(the_handle_of_a_resurrected_object_stays_empty, 2)
{
    elsewhere(make_finalized, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
    for (int i = 0; i < N; i++) {
        if (!held[i])
            continue;
        need(!tuza_weak_get(weak[i]));
        tuza_weak *w = tuza_weak_make(held[i]);
        need(w != weak[i] && tuza_weak_get(w) == held[i]);
    }
}

// An object that another's finalizer leads to is not gone yet.
static int found;

static void look_at_child(void *obj)
{
    void **p = obj;
    int i = (int)(*(uint64_t *)p[1] - CANARY);
    if (tuza_weak_get(weak[i]) == p[1])
        count_one(&found);
    count_one(&ran);
}

static void make_children(void *arg)
{
    (void)arg;
    make_weak(NULL);
    for (int i = 0; i < N; i++) {
        void **p = tuza_alloc(32);
        p[1] = tuza_weak_get(weak[i]);
        need_eq(tuza_finalizer_set(p, look_at_child), 0);
    }
}

IN_GOROUTINES(what_a_finalizer_leads_to_keeps_its_handle, 2)
{
    elsewhere(make_children, NULL);
    collect_until(&ran, most(N));
    need_eq(found, ran);
    scrub_stacks();
    collect_well();
    need(empty() >= most(N));
}

// --- freed by hand

static void make_freed(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = i % 2 ? tuza_alloc(48) : tuza_alloc_uncollectable(48);
        weak[i] = tuza_weak_make(p);
        tuza_gc_set_percent(100);
        need(tuza_weak_get(weak[i]) == p);
        tuza_free(p);
        need(!tuza_weak_get(weak[i]));
        uint64_t *q = tuza_alloc(48); // perhaps at the same place
        need(tuza_weak_make(q) != weak[i] && !tuza_weak_get(weak[i]));
    }
}

IN_GOROUTINES(the_handle_of_what_is_freed_is_empty, 1)
{
    elsewhere(make_freed, NULL);
    collect_well();
    need_eq(empty(), N);
}

// --- threads

static uint32_t stop;
static int got;

// What a get gave is whole for as long as it is held.
static void get_and_use(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg + 1;
    for (int n = 0; !tz_load(&stop); n++) {
        int i = (int)rnd(&seed, N);
        tuza_weak *w = tz_load(&weak[i]);
        uint64_t *p = tuza_weak_get(w);
        if (p) {
            memset(tuza_alloc_bytes(48), 0xbb, 48);
            need_eq(p[0], CANARY + (uint64_t)i);
            if (n % 2)
                tz_store(&held[i], p); // for a while
            count_one(&got);
        } else {
            p = tuza_alloc(48);
            p[0] = CANARY + (uint64_t)i;
            tz_store(&weak[i], tuza_weak_make(p));
        }
        if (n % 8 == 0)
            tz_store(&held[rnd(&seed, N)], NULL);
        tuza_keepalive(p);
        if (n % 64 == 0)
            tuza_yield();
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(gets_race_with_collections, 4)
{
    elsewhere(make_weak, NULL);
    tuza_waitgroup_add(&group, 3);
    for (uintptr_t i = 0; i < 3; i++)
        tuza_spawn(get_and_use, (void *)i);
    for (int i = 0; i < 40; i++) {
        tuza_gc();
        tuza_yield();
    }
    tz_store(&stop, 1);
    tuza_waitgroup_wait(&group);
    need(got > 0);
}

// Of one object, by several at once: one handle.
static tuza_weak *made[4];
static int arrived;

static void make_same(void *arg)
{
    tuza_weak **to = arg;
    count_one(&arrived);
    while (counted(&arrived) < 4)
        tuza_yield();
    *to = tuza_weak_make(held[0]);
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(several_threads_make_the_same_handle, 4)
{
    for (int k = 0; k < 50; k++) {
        held[0] = tuza_alloc(16);
        arrived = 0;
        tuza_waitgroup_add(&group, 4);
        for (int i = 0; i < 4; i++)
            tuza_spawn(make_same, &made[i]);
        tuza_waitgroup_wait(&group);
        for (int i = 0; i < 4; i++)
            need(made[i] && made[i] == made[0]);
    }
}

int main(void)
{
    return api_check(
        "weak",
        (const TTest *const[]){
            a_handle_keeps_nothing_and_is_cleared,
            a_handle_gives_its_object_while_that_is_reachable,
            a_handle_lives_as_long_as_its_object,
            handles_of_tiny_objects_are_cleared_each,
            what_is_no_object_has_no_handle,
            the_handle_of_a_resurrected_object_stays_empty,
            what_a_finalizer_leads_to_keeps_its_handle,
            the_handle_of_what_is_freed_is_empty,
            gets_race_with_collections,
            several_threads_make_the_same_handle,
            NULL });
}
