// SPDX-License-Identifier: BSD-3-Clause
// test/gc/ephemeron_test.c: values that live as long as their keys.

#include "dying.h"
#include "gc/special.h"

enum { N = 256 };

static int ran;
static uintptr_t hidden[N], hidden_key[N];
static tuza_ephemeron *pair[N];
static void *volatile held[N];

static uint64_t *make_object(uintptr_t *hide_at, int i)
{
    uint64_t *p = tuza_alloc(48);
    p[0] = CANARY + (uint64_t)i;
    hide_at[i] = hide(p);
    return p;
}

// The value of each refers to its key.
static void make_pairs(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *key = make_object(hidden_key, i);
        uint64_t *value = make_object(hidden, i);
        *(void **)(value + 1) = key;
        held[i] = key;
        pair[i] = tuza_ephemeron_make(key + i % 4, value);
        need(pair[i]);
    }
}

static NOINLINE int dead(void)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += tuza_ephemeron_dead(pair[i]);
    return n;
}

IN_GOROUTINES(a_value_lives_as_long_as_its_key, 2)
{
    elsewhere(make_pairs, NULL);
    for (int k = 0; k < 3; k++) {
        collect_well();
        need_all_whole(hidden, N, 8);
        for (int i = 0; i < N; i++) {
            need(tuza_ephemeron_get(pair[i]) == (void *)~hidden[i]);
            need(tuza_ephemeron_key(pair[i]) ==
                 (uint64_t *)~hidden_key[i] + i % 4);
        }
    }
    for (int i = 0; i < N; i++)
        held[i] = NULL;
    scrub_stacks();
    collect_well();
    need(dead() >= most(N));
    need_reclaimed(hidden, N);
    need_reclaimed(hidden_key, N);
    for (int i = 0; i < N; i++)
        if (tuza_ephemeron_dead(pair[i]))
            need(!tuza_ephemeron_get(pair[i]) && !tuza_ephemeron_key(pair[i]));
}

IN_GOROUTINES(an_ephemeron_that_nobody_has_keeps_nothing, 2)
{
    elsewhere(make_pairs, NULL);
    for (int i = 0; i < N; i++)
        pair[i] = NULL;
    scrub_stacks();
    collect_well();
    need_all_whole(hidden_key, N, 8);
    need_reclaimed(hidden, N);
    tz_special_lock();
    need(tz_special_count(TZ_SPECIAL_KEY) <= N / 8);
    tz_special_unlock();
}

// Each value is the key of the next, made in any order.
enum { LONG = 20000 };
static tuza_ephemeron *chain_link[LONG];
static int order[LONG];

static void make_long(void *arg)
{
    int n = scaled(LONG);
    void **object = tuza_new_array(void *, (size_t)n + 1);
    for (int i = 0; i <= n; i++)
        object[i] = tuza_alloc(16);
    for (int i = 0; i < n; i++)
        chain_link[order[i]] =
            tuza_ephemeron_make(object[order[i]], object[order[i] + 1]);
    held[0] = object[0];
    memset(object, 0, ((size_t)n + 1) * sizeof *object);
    (void)arg;
}

static void long_chain(void)
{
    int n = scaled(LONG);
    elsewhere(make_long, NULL);
    scrub_stacks();
    int64_t begin = tuza_now();
    for (int k = 0; k < 4; k++)
        tuza_gc();
    for (int i = 0; i < n; i++)
        need(!tuza_ephemeron_dead(chain_link[i]));
    // Quadratic, it would be minutes.
    need(tuza_now() - begin < 20 * INT64_C(1000000000));
    held[0] = NULL;
    int gone = 0;
    for (int k = 0; k < 50 && gone < n / 2; k++) { // a stale word keeps all behind it
        scrub_stacks();
        tuza_gc();
        gone = 0;
        for (int i = 0; i < n; i++)
            gone += tuza_ephemeron_dead(chain_link[i]);
    }
    need(gone >= n / 2);
}

IN_GOROUTINES(a_chain_of_ephemerons_is_followed_forwards, 2)
{
    for (int i = 0; i < LONG; i++)
        order[i] = i;
    long_chain();
}

IN_GOROUTINES(a_chain_of_ephemerons_is_followed_backwards, 2)
{
    for (int i = 0; i < LONG; i++)
        order[i] = scaled(LONG) - 1 - i;
    long_chain();
}

// The value is the ephemeron of the next, and the key is held: so it is the
// ephemeron that becomes reachable last.
static void make_nested(void *arg)
{
    (void)arg;
    tuza_ephemeron *next = NULL;
    for (int i = N - 1; i >= 0; i--) {
        held[i] = make_object(hidden_key, i);
        next = tuza_ephemeron_make(held[i], next ? (void *)next
                                                 : make_object(hidden, 0));
    }
    pair[0] = next;
}

IN_GOROUTINES(an_ephemeron_may_be_the_value_of_another, 2)
{
    elsewhere(make_nested, NULL);
    collect_well();
    tuza_ephemeron *e = pair[0];
    for (int i = 0; i < N; i++) {
        need(tuza_ephemeron_key(e) == held[i]);
        e = tuza_ephemeron_get(e);
        need(e);
    }
    need_eq(*(uint64_t *)(void *)e, CANARY);
    e = NULL;
    pair[0] = NULL;
    scrub_stacks();
    collect_well();
    tz_special_lock();
    need(tz_special_count(TZ_SPECIAL_KEY) <= N / 2);
    tz_special_unlock();
}

// --- with finalizers

static int bad;

static void finalize(void *obj)
{
    void **p = obj;
    int i = (int)(*(uint64_t *)p[1] - CANARY);
    if (counted(&ran) == 0)
        collect_well(); // the sweep is over
    if (tuza_ephemeron_key(pair[i]) != p[1] || !is_there(hidden[i]) ||
        tuza_ephemeron_get(pair[i]) != (void *)~hidden[i])
        count_one(&bad);
    count_one(&ran);
}

static void make_finalized(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        uint64_t *key = make_object(hidden_key, i);
        void **p = tuza_alloc(32);
        p[1] = key;
        pair[i] = tuza_ephemeron_make(key, make_object(hidden, i));
        need_eq(tuza_finalizer_set(p, finalize), 0);
    }
}

IN_GOROUTINES(a_key_that_a_finalizer_leads_to_keeps_its_value, 2)
{
    elsewhere(make_finalized, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
    scrub_stacks();
    collect_well();
    need(dead() >= most(N));
}

static void count_ran(void *obj)
{
    int i = (int)(*(uint64_t *)obj - CANARY);
    if (!tuza_ephemeron_dead(pair[i]))
        count_one(&bad);
    count_one(&ran);
}

static void make_final_keys(void *arg)
{
    make_pairs(arg);
    for (int i = 0; i < N; i++) {
        need_eq(tuza_finalizer_set((void *)held[i], count_ran), 0);
        held[i] = NULL;
    }
}

IN_GOROUTINES(a_key_that_is_finalized_is_dead_before, 2)
{
    elsewhere(make_final_keys, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
}

static void free_keys(void *arg)
{
    (void)arg;
    make_pairs(NULL);
    for (int i = 0; i < N; i++) {
        tuza_free((void *)held[i]);
        held[i] = NULL;
        need(tuza_ephemeron_dead(pair[i]) && !tuza_ephemeron_get(pair[i]));
    }
}

IN_GOROUTINES(a_key_that_is_freed_is_dead, 1)
{
    elsewhere(free_keys, NULL);
    need_eq(dead(), N);
    static int global;
    need(!tuza_ephemeron_make(&global, NULL));
    need(!tuza_ephemeron_make(NULL, NULL));
}

int main(void)
{
    return api_check("ephemeron",
                     (const TTest *const[]){
                         a_value_lives_as_long_as_its_key,
                         an_ephemeron_that_nobody_has_keeps_nothing,
                         a_chain_of_ephemerons_is_followed_forwards,
                         a_chain_of_ephemerons_is_followed_backwards,
                         an_ephemeron_may_be_the_value_of_another,
                         a_key_that_a_finalizer_leads_to_keeps_its_value,
                         a_key_that_is_finalized_is_dead_before,
                         a_key_that_is_freed_is_dead,
                         NULL });
}
