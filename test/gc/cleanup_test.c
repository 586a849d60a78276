// SPDX-License-Identifier: BSD-3-Clause
// test/gc/cleanup_test.c: what is done after an object is gone.

#include <pthread.h>

#include "dying.h"
#include "gc/gc.h"
#include "gc/special.h"
#include "mem/persist.h"

enum { N = 256 };

static int ran, bad, finalized;
static uintptr_t hidden[N];

struct arg {
    uint64_t number, object; // of the object, and its hidden address
};

static uint64_t *make_object(int i)
{
    uint64_t *p = tuza_alloc(64);
    p[0] = CANARY + (uint64_t)i;
    hidden[i] = hide(p);
    return p;
}

static void clean(void *arg)
{
    struct arg *a = arg;
    if (tuza_object_of(a, NULL) == 0 || a->number >= N ||
        a->object != hidden[a->number])
        count_one(&bad);
    count_one(&ran);
}

static struct arg *make_arg(int i)
{
    struct arg *a = tuza_new(struct arg);
    a->number = (uint64_t)i;
    a->object = hidden[i];
    return a;
}

static void make_cleaned(void *arg)
{
    int each = *(int *)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_object(i);
        for (int k = 0; k < each; k++) // also by an address inside
            need(tuza_cleanup_add(p + k % 8, clean, make_arg(i)) > 0);
    }
}

IN_GOROUTINES(every_cleanup_of_an_object_runs_once, 2)
{
    int each = 3;
    elsewhere(make_cleaned, &each);
    collect_until(&ran, most(3 * N));
    for (int k = 0; k < 3; k++)
        collect_well(); // args were kept, and nothing runs twice
    need_eq(bad, 0);
    need(ran <= 3 * N);
    need(count_there(hidden, N) <= N / 8);
}

static void *volatile held[N];

static void make_held(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        held[i] = make_object(i);
        need(tuza_cleanup_add((void *)held[i], clean, make_arg(i)) > 0);
    }
}

IN_GOROUTINES(no_cleanup_runs_while_its_object_is_reachable, 2)
{
    elsewhere(make_held, NULL);
    for (int k = 0; k < 3; k++)
        collect_well();
    tuza_yield();
    need_eq(ran, 0);
    need_all_whole(hidden, N, 8);
    for (int i = 0; i < N; i++)
        held[i] = NULL;
    collect_until(&ran, most(N));
    need_eq(bad, 0);
}

// The sweep follows the pause that queued it: the object is gone by then.
static int still_there;

static void look_for_object(void *arg)
{
    struct arg *a = arg;
    still_there += is_there((uintptr_t)a->object);
    count_one(&ran);
}

static void make_lookers(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++)
        need(tuza_cleanup_add(make_object(i), look_for_object,
                              make_arg(i)) > 0);
}

IN_GOROUTINES(a_cleanup_does_not_bring_its_object_back, 1)
{
    elsewhere(make_lookers, NULL);
    collect_until(&ran, most(N));
    collect_well();
    need(count_there(hidden, N) <= N / 8);
}

// --- stopping

static int64_t id[N];

static void make_stopped(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_object(i);
        id[i] = tuza_cleanup_add(p, clean, make_arg(i));
        need(id[i] > 0);
        if (i % 2)
            need_eq(tuza_cleanup_stop(id[i]), 1);
    }
}

IN_GOROUTINES(a_cleanup_that_was_stopped_does_not_run, 2)
{
    elsewhere(make_stopped, NULL);
    collect_until(&ran, most(N / 2));
    collect_well();
    need(ran <= N / 2);
    for (int i = 0; i < N; i++)
        if (i % 2)
            need_eq(tuza_cleanup_stop(id[i]), 0); // a second time
    need_eq(tuza_cleanup_stop(0), 0);
    need_eq(tuza_cleanup_stop(-1), 0);
    need_eq(tuza_cleanup_stop(INT64_MAX), 0);
}

// The first to run stops all others, which are queued by then.
static int stopped;

static void stop_the_rest(void *arg)
{
    (void)arg;
    for (int i = 0; counted(&ran) == 0 && i < N; i++)
        stopped += tuza_cleanup_stop(id[i]);
    count_one(&ran);
}

static void make_stoppers(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++)
        id[i] = tuza_cleanup_add(make_object(i), stop_the_rest, NULL);
}

IN_GOROUTINES(a_cleanup_that_is_queued_can_be_stopped, 1)
{
    elsewhere(make_stoppers, NULL);
    collect_until(&ran, 1);
    collect_well();
    need_eq(stopped, N - 1); // not itself
    need_eq(ran, 1);
}

IN_GOROUTINES(an_old_number_does_not_stop_a_new_cleanup, 1)
{
    uint64_t *p = make_object(0);
    int64_t old = tuza_cleanup_add(p, clean, NULL);
    need_eq(tuza_cleanup_stop(old), 1);
    int64_t now = tuza_cleanup_add(p, clean, NULL);
    need(now != old);
    need_eq(tuza_cleanup_stop(old), 0);
    need_eq(tuza_cleanup_stop(now), 1);
    tuza_keepalive(p);
}

// The first collects and has others write over what is free: the arguments of
// those that are queued behind it, and its own, are whole afterwards.
static void collect_and_clean(void *arg)
{
    if (counted(&ran) == 0)
        collect_well();
    clean(arg);
}

static void make_collecting(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_object(i);
        need(tuza_cleanup_add(p, collect_and_clean, make_arg(i)) > 0);
    }
}

IN_GOROUTINES(the_argument_is_kept_until_the_cleanup_has_returned, 1)
{
    elsewhere(make_collecting, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
}

// --- with finalizers

static bool was_finalized[N];

static void finalize(void *obj)
{
    was_finalized[*(uint64_t *)obj - CANARY] = true;
    count_one(&finalized);
}

static void clean_finalized(void *arg)
{
    struct arg *a = arg;
    if (!was_finalized[a->number])
        count_one(&bad);
    clean(arg);
}

static void make_both(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_object(i);
        need_eq(tuza_finalizer_set(p, finalize), 0);
        need(tuza_cleanup_add(p, clean_finalized, make_arg(i)) > 0);
    }
}

// Neither has run when this looks: with one P they come after it, as this does
// not yield.
IN_GOROUTINES(a_cleanup_waits_until_its_object_was_finalized, 1)
{
    elsewhere(make_both, NULL);
    scrub_stacks();
    tz_gc_collect(TZ_GC_FORCED);
    tz_special_lock();
    need(tz_special_count(TZ_SPECIAL_RUN_FINALIZER) >= (uint32_t)most(N));
    need_eq(tz_special_count(TZ_SPECIAL_RUN_CLEANUP), 0);
    tz_special_unlock();
    collect_until(&ran, most(N));
    need(finalized >= ran);
    need_eq(bad, 0);
}

// --- freed by hand

static void make_freed(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *p = i % 2 ? tuza_alloc(64) : tuza_alloc_uncollectable(64);
        hidden[i] = hide(p);
        need(tuza_cleanup_add(p, clean, make_arg(i)) > 0);
        tuza_free(p);
    }
}

IN_GOROUTINES(cleanups_of_what_is_freed_run, 2)
{
    elsewhere(make_freed, NULL);
    while (counted(&ran) < N) // no collection is needed
        tuza_yield();
    need_eq(bad, 0);
}

static void *thread_frees(void *p)
{
    tuza_free(p);
    return NULL;
}

IN_GOROUTINES(other_threads_may_free_what_has_a_cleanup, 2)
{
    for (int i = 0; i < 16; i++) {
        void *p = tuza_alloc_uncollectable(64);
        hidden[i] = hide(p);
        need(tuza_cleanup_add(p, clean, make_arg(i)) > 0);
        tuza_gc();
        need_eq(counted(&ran), i);
        pthread_t thread;
        need_eq(pthread_create(&thread, NULL, thread_frees, p), 0);
        while (counted(&ran) == i)
            tuza_yield();
        need_eq(pthread_join(thread, NULL), 0);
    }
    need_eq(bad, 0);
}

IN_GOROUTINES(s4_09_records_about_objects_lie_outside_of_the_heap, 1)
{
    int each = 8;
    elsewhere(make_cleaned, &each);
    tz_special_lock();
    need(tz_special_end() > 8 * N);
    for (uint32_t i = 1; i < tz_special_end(); i++) {
        struct tz_object o;
        need(tz_persist_contains(tz_special_at(i)));
        need(!tz_heap_find((uintptr_t)tz_special_at(i), &o));
    }
    tz_special_unlock();
}

// --- misuse

DEATH(an_argument_that_is_the_object_is_fatal,
      "lies in the object")
{
    uint64_t *p = make_object(0);
    tuza_cleanup_add(p, clean, p);
}

DEATH(an_argument_inside_the_object_is_fatal, "lies in the object")
{
    uint64_t *p = make_object(0);
    tuza_cleanup_add(p, clean, p + 3);
}

IN_GOROUTINES(a_cleanup_needs_an_object_and_a_function, 1)
{
    static int global;
    uint64_t *p = make_object(0);
    need_eq(tuza_cleanup_add(&global, clean, NULL), -EINVAL);
    need_eq(tuza_cleanup_add(NULL, clean, NULL), -EINVAL);
    need_eq(tuza_cleanup_add(p, NULL, NULL), -EINVAL);
    tuza_keepalive(p);
}

// --- many, from several threads

static tuza_waitgroup group;

static void add_and_stop(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        uint64_t *p = tuza_alloc(16 + (size_t)i % 300);
        struct arg *a = tuza_new(struct arg);
        a->object = hidden[0];
        int64_t one = tuza_cleanup_add(p, clean, a);
        if (i % 3 == 0)
            need_eq(tuza_cleanup_stop(one), 1);
        tuza_keepalive(p);
    }
    tuza_waitgroup_done(&group);
}

IN_GOROUTINES(several_threads_add_and_stop_while_others_run, 4)
{
    int n = scaled(20000);
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_spawn(add_and_stop, &n);
    for (int i = 0; i < 20; i++) {
        tuza_gc();
        tuza_yield();
    }
    tuza_waitgroup_wait(&group);
    int added = n - (n + 2) / 3;
    collect_until(&ran, most(4 * added));
    need(ran <= 4 * added);
    need_eq(bad, 0);
}

int main(void)
{
    return api_check(
        "cleanup",
        (const TTest *const[]){
            every_cleanup_of_an_object_runs_once,
            no_cleanup_runs_while_its_object_is_reachable,
            a_cleanup_does_not_bring_its_object_back,
            a_cleanup_that_was_stopped_does_not_run,
            a_cleanup_that_is_queued_can_be_stopped,
            an_old_number_does_not_stop_a_new_cleanup,
            the_argument_is_kept_until_the_cleanup_has_returned,
            a_cleanup_waits_until_its_object_was_finalized,
            cleanups_of_what_is_freed_run,
            other_threads_may_free_what_has_a_cleanup,
            s4_09_records_about_objects_lie_outside_of_the_heap,
            an_argument_that_is_the_object_is_fatal,
            an_argument_inside_the_object_is_fatal,
            a_cleanup_needs_an_object_and_a_function,
            several_threads_add_and_stop_while_others_run,
            NULL });
}
