// SPDX-License-Identifier: BSD-3-Clause
// test/gc/finalizer_test.c: when finalizers run and what they find. Some are
// the claims of Go's mfinal_test.go.

#include "dying.h"
#include "gc/special.h"

enum { N = 256, MARK = 0x600d };

struct thing {
    struct thing *child, *other;
    uint64_t number, whole;
};

static int ran, bad, again;
static uintptr_t hidden[N], hidden_child[N];

static struct thing *make_thing(int number)
{
    struct thing *t = tuza_new(struct thing);
    t->number = (uint64_t)number;
    t->whole = MARK;
    return t;
}

static void check_child(void *obj)
{
    struct thing *t = obj;
    if (tuza_object_of(t, NULL) == 0 || tuza_object_of(t->child, NULL) == 0)
        count_one(&bad);
    if (t->whole != MARK || !t->child || t->child->whole != MARK ||
        t->child->number != t->number + 1000)
        count_one(&bad);
    count_one(&ran);
}

static void make_families(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct thing *t = make_thing(i);
        t->child = make_thing(i + 1000);
        need_eq(tuza_finalizer_set(t, check_child), 0);
        hidden[i] = hide(t);
        hidden_child[i] = hide(t->child);
    }
}

static bool is_thing(uintptr_t h)
{
    struct tz_object o;
    return tz_heap_find(~h, &o) && o.base == ~h &&
           ((struct thing *)~h)->whole == MARK;
}

static int things(const uintptr_t *h)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += is_thing(h[i]);
    return n;
}

IN_GOROUTINES(s3_31_what_a_finalizer_leads_to_is_whole_and_goes_afterwards, 2)
{
    elsewhere(make_families, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
    scrub_stacks();
    collect_well();
    need(things(hidden) <= N / 8 && things(hidden_child) <= N / 8);
    collect_well();
    need(ran <= N); // none twice
}

IN_GOROUTINES(s3_31_the_object_is_not_kept_by_its_own_finalizer, 1)
{
    elsewhere(make_families, NULL);
    need_eq(things(hidden), N);
    // One collection finds nearly all of them, not one after another.
    scrub_stacks();
    tuza_gc();
    tz_special_lock();
    need(tz_special_count(TZ_SPECIAL_FINALIZER) <= N / 8);
    tz_special_unlock();
    need_eq(things(hidden), N); // they are kept for their finalizers
    need_eq(things(hidden_child), N);
}

// --- resurrection

static struct thing *volatile saved[N];

static void save(void *obj)
{
    struct thing *t = obj;
    saved[t->number] = t;
    count_one(&ran);
}

static void save_again(void *obj)
{
    struct thing *t = obj;
    saved[t->number] = t;
    count_one(&again);
}

static void make_savers(void *arg)
{
    for (int i = 0; i < N; i++) {
        struct thing *t = make_thing(i);
        t->child = make_thing(i + 1000);
        need_eq(tuza_finalizer_set(t, arg ? save_again : save), 0);
        hidden[i] = hide(t);
    }
}

static void set_again_and_forget(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        if (saved[i])
            need_eq(tuza_finalizer_set((void *)saved[i], save_again), 0);
        saved[i] = NULL;
    }
}

IN_GOROUTINES(a_finalizer_may_make_its_object_reachable_again, 2)
{
    elsewhere(make_savers, NULL);
    collect_until(&ran, most(N));
    for (int k = 0; k < 3; k++) {
        collect_well();
        for (int i = 0; i < N; i++)
            if (saved[i])
                need(saved[i]->whole == MARK &&
                     saved[i]->child->number == (uint64_t)i + 1000);
    }
    int before = counted(&ran);
    elsewhere(set_again_and_forget, NULL);
    collect_until(&again, most(before));
    for (int i = 0; i < N; i++)
        saved[i] = NULL;
    scrub_stacks();
    collect_well();
    need(things(hidden) <= N / 8); // this time nobody has asked for them
}

// --- order

enum { CHAIN = 5 };
static int next_in_chain[N];

static void note_order(void *obj)
{
    struct thing *t = obj;
    if (t->whole != MARK || next_in_chain[t->number / CHAIN]++ !=
                                (int)(t->number % CHAIN))
        count_one(&bad);
    if (t->child && t->child->whole != MARK)
        count_one(&bad);
    t->whole = MARK + 1; // nobody finds it later
    count_one(&ran);
}

static void make_chains(void *arg)
{
    (void)arg;
    for (int c = 0; c < N / CHAIN; c++) {
        struct thing *next = NULL;
        for (int i = CHAIN - 1; i >= 0; i--) {
            struct thing *t = make_thing(c * CHAIN + i);
            t->child = next;
            next = t;
            need_eq(tuza_finalizer_set(t, note_order), 0);
        }
    }
}

IN_GOROUTINES(finalizers_run_from_the_outside_in, 2)
{
    elsewhere(make_chains, NULL);
    collect_until(&ran, most(N / CHAIN * CHAIN));
    need_eq(bad, 0);
}

static void count_ran(void *obj)
{
    (void)obj;
    count_one(&ran);
}

static void make_rings(void *arg)
{
    int length = *(int *)arg;
    for (int c = 0; c < N / length; c++) {
        struct thing *first = make_thing(0), *last = first;
        tuza_finalizer_set(first, count_ran);
        for (int i = 1; i < length; i++) {
            struct thing *t = make_thing(i);
            t->child = last;
            last = t;
            tuza_finalizer_set(t, count_ran);
        }
        first->child = last; // length 1: itself
    }
}

IN_GOROUTINES(objects_that_lead_back_to_themselves_are_finalized, 2)
{
    int length = 1;
    elsewhere(make_rings, &length);
    collect_until(&ran, most(N));
    ran = 0;
    length = 4;
    elsewhere(make_rings, &length);
    collect_until(&ran, most(N));
}

// --- setting

static void make_cleared(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct thing *t = make_thing(i);
        need_eq(tuza_finalizer_set(t, count_ran), 0);
        need_eq(tuza_finalizer_set(t, count_ran), -EEXIST);
        need_eq(tuza_finalizer_set(t, NULL), 0);
        need_eq(tuza_finalizer_set(t, NULL), 0);
        hidden[i] = hide(t);
    }
}

IN_GOROUTINES(a_finalizer_that_was_taken_off_does_not_run, 2)
{
    elsewhere(make_cleared, NULL);
    scrub_stacks();
    collect_well();
    need(things(hidden) <= N / 8);
    need_eq(ran, 0);
}

IN_GOROUTINES(only_starts_of_objects_have_finalizers, 1)
{
    static int global;
    int local;
    struct thing *t = make_thing(1);
    need_eq(tuza_finalizer_set(&global, count_ran), -EINVAL);
    need_eq(tuza_finalizer_set(&local, count_ran), -EINVAL);
    need_eq(tuza_finalizer_set(NULL, count_ran), -EINVAL);
    need_eq(tuza_finalizer_set(&t->number, count_ran), -EINVAL);
    need_eq(tuza_finalizer_set(t, count_ran), 0);
    tuza_gc();
    need_eq(ran, 0);
    tuza_keepalive(t);
}

static void make_empty(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        void *p = i % 2 ? tuza_alloc(0) : tuza_alloc_bytes(1);
        need_eq(tuza_finalizer_set(p, count_ran), 0);
    }
}

IN_GOROUTINES(objects_of_no_size_and_tiny_ones_are_finalized_each, 2)
{
    elsewhere(make_empty, NULL);
    collect_until(&ran, most(N));
}

static NOINLINE void *finalized_thing(int i)
{
    struct thing *t = make_thing(i);
    tuza_finalizer_set(t, count_ran);
    return t;
}

IN_GOROUTINES(keepalive_keeps_to_its_place, 1)
{
    for (int i = 0; i < 16; i++) {
        void *t = finalized_thing(i);
        int before = counted(&ran);
        tuza_gc();
        tuza_gc();
        tuza_yield();
        // Those of earlier rounds may have gone; this one has not.
        need(is_thing(hide(t)) && counted(&ran) <= i);
        need(counted(&ran) >= before);
        tuza_keepalive(t);
    }
}

// --- what a finalizer may do, and when

static tuza_chan(int) gate;

static void busy_finalizer(void *obj)
{
    struct thing *t = obj;
    if (t->number % 16 == 0)
        tuza_gc();
    if (t->number == 3)
        tuza_recv(gate, NULL); // parks
    t->child = make_thing(7);
    if (t->number % 2)
        tuza_free(t);
    count_one(&ran);
}

static void make_busy(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++)
        need_eq(tuza_finalizer_set(make_thing(i), busy_finalizer), 0);
}

IN_GOROUTINES(a_finalizer_may_park_allocate_collect_and_free, 2)
{
    gate = tuza_chan_make(int, 1);
    tuza_send(gate, 1);
    elsewhere(make_busy, NULL);
    collect_until(&ran, most(N));
}

// The first collects and has others write over what is free: what is queued
// behind it is whole, and so is its own object.
static void collect_and_check(void *obj)
{
    if (counted(&ran) == 0)
        collect_well();
    check_child(obj);
}

static void make_collecting(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct thing *t = make_thing(i);
        t->child = make_thing(i + 1000);
        need_eq(tuza_finalizer_set(t, collect_and_check), 0);
    }
}

IN_GOROUTINES(s3_31_what_is_queued_is_kept_until_its_finalizer_has_returned, 1)
{
    elsewhere(make_collecting, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
}

IN_GOROUTINES(allocation_alone_runs_finalizers_with_one_thread, 1)
{
    elsewhere(make_families, NULL);
    scrub_stacks();
    for (int i = 0; counted(&ran) < most(N); i++) {
        need(i < 100000);
        memset(tuza_alloc_bytes(32 << 10), 1, 32 << 10);
        tuza_yield();
    }
    need_eq(bad, 0);
}

static void make_many(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++)
        need_eq(tuza_finalizer_set(make_thing(i), count_ran), 0);
}

IN_GOROUTINES(a_hundred_thousand_finalizers_run, 2)
{
    int n = scaled(100000);
    elsewhere(make_many, &n);
    collect_until(&ran, most(n));
    need(ran <= n);
    // Their records are used again.
    tz_special_lock();
    uint32_t end = tz_special_end();
    tz_special_unlock();
    ran = 0;
    elsewhere(make_many, &n);
    collect_until(&ran, most(n));
    tz_special_lock();
    need(tz_special_end() < end + end / 2);
    tz_special_unlock();
}

// --- freed by hand

static void make_freed(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct thing *t = make_thing(i);
        need_eq(tuza_finalizer_set(t, count_ran), 0);
        tuza_free(t);
    }
    for (int i = 0; i < N; i++) // their slots, again
        hidden[i] = hide(make_thing(i));
}

IN_GOROUTINES(the_finalizer_of_what_is_freed_does_not_run, 1)
{
    elsewhere(make_freed, NULL);
    scrub_stacks();
    collect_well();
    need_eq(ran, 0);
    need(things(hidden) <= N / 8);
}

// --- the goroutine that runs them

static uint64_t goroutines(void)
{
    tuza_schedstats st = { .size = sizeof st };
    tuza_schedstats_read(&st);
    return st.goroutines;
}

IN_GOROUTINES(the_runtimes_own_goroutines_are_not_counted, 1)
{
    need_eq(goroutines(), 1);
    elsewhere(make_families, NULL);
    need_eq(goroutines(), 1);
    collect_until(&ran, 1);
    need_eq(goroutines(), 1);
}

DEATH(a_deadlock_is_told_although_a_finalizer_may_come,
      "all goroutines are asleep - deadlock!")
{
    elsewhere(make_families, NULL);
    collect_until(&ran, 1);
    tuza_recv(tuza_chan_make(int, 0), NULL);
}

int main(void)
{
    return api_check(
        "finalizer",
        (const TTest *const[]){
            s3_31_what_a_finalizer_leads_to_is_whole_and_goes_afterwards,
            s3_31_the_object_is_not_kept_by_its_own_finalizer,
            a_finalizer_may_make_its_object_reachable_again,
            finalizers_run_from_the_outside_in,
            objects_that_lead_back_to_themselves_are_finalized,
            a_finalizer_that_was_taken_off_does_not_run,
            only_starts_of_objects_have_finalizers,
            objects_of_no_size_and_tiny_ones_are_finalized_each,
            keepalive_keeps_to_its_place,
            a_finalizer_may_park_allocate_collect_and_free,
            s3_31_what_is_queued_is_kept_until_its_finalizer_has_returned,
            allocation_alone_runs_finalizers_with_one_thread,
            a_hundred_thousand_finalizers_run,
            the_finalizer_of_what_is_freed_does_not_run,
            the_runtimes_own_goroutines_are_not_counted,
            a_deadlock_is_told_although_a_finalizer_may_come,
            NULL });
}
