// SPDX-License-Identifier: BSD-3-Clause
// test/gc/go_weak_test.c: what Go's weak/pointer_test.go and gc_test.go
// observe of weak pointers. Each test names what it retells.

#include "dying.h"
#include "go/modes.h"

enum { N = 256 };

struct thing {
    struct thing *t;
    uint64_t a, b;
};

static int ran, bad; // atomic
static tuza_waitgroup group;
static struct thing *volatile held[N];
static tuza_weak *weak[N];

static struct thing *make_thing(int i)
{
    struct thing *t = tuza_new(struct thing);
    t->a = CANARY + (uint64_t)i;
    t->b = ~t->a;
    return t;
}

static void make_weak(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        held[i] = make_thing(i);
        weak[i] = tuza_weak_make(held[i]);
        need(weak[i]);
    }
}

static void forget(void)
{
    for (int i = 0; i < N; i++)
        held[i] = NULL;
    scrub_stacks();
}

// --- Pointer: what it gives is the object while that is kept, and NULL after

static __attribute__((noinline)) int given(void)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += tuza_weak_get(weak[i]) != NULL;
    return n;
}

IN_MODES(a_handle_gives_its_object_until_the_collection_after, 2)
{
    need(!tuza_weak_get(NULL) && !tuza_weak_make(NULL));
    elsewhere(make_weak, NULL);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < N; i++)
            need(tuza_weak_get(weak[i]) == held[i]);
        tuza_gc();
    }
    forget();
    tuza_gc();
    need(given() <= N / 8);
}

// --- PointerEquality: equal are those of one object, now and later

static __attribute__((noinline)) void need_equal(void)
{
    for (int i = 0; i < N; i++) {
        struct thing *t = tuza_weak_get(weak[i]);
        need(t && t == held[i]);
        need(tuza_weak_make(t) == weak[i]);
        need(tuza_weak_make(&t->a) == weak[i]);
        need(i == 0 || weak[i] != weak[i - 1]);
    }
}

IN_MODES(handles_are_equal_if_their_objects_are, 2)
{
    elsewhere(make_weak, NULL);
    need_equal();
    tuza_gc();
    need_equal();
    forget();
    tuza_gc();
    need(given() <= N / 8);
    for (int i = 1; i < N; i++)
        need(weak[i] != weak[i - 1]);
}

// --- PointerFinalizer, PointerCleanup: empty before either runs, and from
// then on

static void look_from_finalizer(void *obj)
{
    struct thing *t = obj;
    if (tuza_weak_get(weak[t->a - CANARY]))
        count_one(&bad);
    count_one(&ran);
}

static void look_from_cleanup(void *arg)
{
    if (tuza_weak_get(arg))
        count_one(&bad);
    count_one(&ran);
}

static void make_watched(void *arg)
{
    make_weak(NULL);
    for (int i = 0; i < N; i++) {
        void *obj = held[i];
        if (arg)
            need(tuza_cleanup_add(obj, look_from_cleanup, weak[i]) > 0);
        else
            need_eq(tuza_finalizer_set(obj, look_from_finalizer), 0);
    }
}

static void need_empty_before(void *cleanups)
{
    elsewhere(make_watched, cleanups);
    tuza_gc();
    need_eq(given(), N); // not too soon
    need_eq(ran, 0);
    forget();
    tuza_gc();
    need(given() <= N / 8); // when they are queued
    collect_until(&ran, most(N));
    need_eq(bad, 0);
    tuza_gc();
    need(given() <= N / 8);
}

IN_MODES(a_handle_is_empty_before_the_finalizer_runs, 2)
{
    need_empty_before(NULL);
}

IN_MODES(a_handle_is_empty_before_the_cleanup_runs, 2)
{
    need_empty_before((void *)1);
}

// --- Issue69210: what a handle has given is kept, however it was kept before,
// by a stack that the mark has seen already

static int gave; // atomic

static __attribute__((noinline)) tuza_weak *weak_only(int i)
{
    return tuza_weak_make(make_thing(i));
}

// A second life: the object was reachable by its handle alone.
static void use(struct thing *t, int i)
{
    for (int k = 0; k < 5; k++) {
        memset(tuza_alloc_bytes(sizeof *t), 0xbb, sizeof *t);
        tuza_yield();
    }
    need_eq(t->a, CANARY + (uint64_t)i);
    need_eq(t->b, ~t->a);
    t->t = t;
    count_one(&gave);
}

static void get_what_only_handles_have(void *arg)
{
    int64_t end = *(int64_t *)arg;
    while (tuza_now() < end || few_collections())
        for (int i = 0; i < 8; i++) {
            tuza_weak *w = weak_only(i);
            scrub_here();
            tuza_yield();
            struct thing *t = tuza_weak_get(w);
            if (t)
                use(t, i);
            tuza_keepalive(t);
        }
    tuza_waitgroup_done(&group);
}

IN_MODES(what_a_handle_gives_meanwhile_is_kept, 4)
{
    int64_t end = tuza_now() + TUZA_MS(100);
    tuza_waitgroup_add(&group, 3);
    begin_collections();
    for (int i = 0; i < 3; i++)
        tuza_spawn(get_what_only_handles_have, &end);
    tuza_waitgroup_wait(&group);
    end_collections();
    need(gave > 0);
}

// --- Issue70739: into an object of 2 MB, 512 KB from its start

IN_MODES(a_pointer_far_into_an_object_finds_its_handle, 1)
{
    enum { WORDS = 4 << 16 };
    uint64_t **x = tuza_new_array(uint64_t *, WORDS);
    tuza_weak *first = tuza_weak_make(&x[1 << 16]);
    need(first && tuza_weak_make(&x[1 << 16]) == first);
    need(tuza_weak_make(x) == first);
    need(tuza_weak_make(&x[WORDS - 1]) == first);
    tuza_gc();
    need(tuza_weak_make(&x[3 << 16]) == first);
    need(tuza_weak_get(first) == x);
    tuza_keepalive(x);
}

// --- PointerTiny: of a thousand that are smaller than a handle

enum { TINY = 1000 };
static tuza_weak *tiny[TINY];

static void make_tiny(void *arg)
{
    (void)arg;
    for (int i = 0; i < TINY; i++) {
        int *x = tuza_alloc_bytes(sizeof *x);
        *x = i;
        tiny[i] = tuza_weak_make(x);
    }
}

IN_MODES(handles_of_tiny_objects_do_not_keep_them, 2)
{
    tuza_gc();
    elsewhere(make_tiny, NULL);
    scrub_stacks();
    tuza_gc();
    int n = 0;
    for (int i = 0; i < TINY; i++)
        n += tuza_weak_get(tiny[i]) == NULL;
    need(n >= TINY * 3 / 4);
}

// --- gc_test.go: WeakToStrongMarkTermination: thousands are read by as many
// goroutines while one collection ends

enum { MANY = 2048 };
static tuza_weak *many[MANY];

static void make_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        struct thing *t = make_thing(i);
        t->t = make_thing(i + MANY);
        many[i] = tuza_weak_make(t);
    }
}

static void read_one(void *arg)
{
    int i = (int)(uintptr_t)arg;
    struct thing *t = tuza_weak_get(many[i]);
    if (t) {
        need_eq(t->a, CANARY + (uint64_t)i);
        tuza_yield();
        need_eq(t->t->a, CANARY + (uint64_t)i + MANY);
        need_eq(t->t->b, ~t->t->a);
        tuza_keepalive(t);
    }
    tuza_waitgroup_done(&group);
}

IN_MODES(handles_are_read_while_a_mark_ends, 2)
{
    int percent = tuza_gc_set_percent(-1);
    begin_collections();
    do {
        elsewhere(make_many, NULL);
        tuza_waitgroup_add(&group, MANY);
        for (uintptr_t i = 0; i < MANY; i++)
            tuza_spawn(read_one, (void *)i);
        tuza_waitgroup_wait(&group);
    } while (few_collections());
    end_collections();
    scrub_stacks();
    tuza_gc();
    int left = 0;
    for (int i = 0; i < MANY; i++)
        left += tuza_weak_get(many[i]) != NULL;
    need(left <= MANY / 8);
    tuza_gc_set_percent(percent);
}

int main(void)
{
    return api_check(
        "gc/go_weak",
        (const TTest *const[]){
            MODES(a_handle_gives_its_object_until_the_collection_after),
            MODES(handles_are_equal_if_their_objects_are),
            MODES(a_handle_is_empty_before_the_finalizer_runs),
            MODES(a_handle_is_empty_before_the_cleanup_runs),
            MODES(what_a_handle_gives_meanwhile_is_kept),
            MODES(a_pointer_far_into_an_object_finds_its_handle),
            MODES(handles_of_tiny_objects_do_not_keep_them),
            MODES(handles_are_read_while_a_mark_ends),
            NULL });
}
