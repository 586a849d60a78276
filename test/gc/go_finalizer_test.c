// SPDX-License-Identifier: BSD-3-Clause
// test/gc/go_finalizer_test.c: what Go's mfinal_test.go, mcleanup_test.go,
// pinner_test.go and its program FinalizerOrCleanupDeadlock observe. Each test
// names what it retells.
//
// A stale word may keep an object here or there, so there are many where Go has
// one.

#include <sys/mman.h>
#include <unistd.h>

#include "dying.h"
#include "go/modes.h"

enum { N = 128, VALUE = 97531 };

static int ran, bad; // atomic
static tuza_waitgroup group;

static void wait_for_all(void)
{
    while (something_runs())
        tuza_yield();
}

// --- FinalizerType: objects of every shape; FinalizerZeroSizedStruct

struct pair {
    uint64_t v;
    void *p;
};

static const tuza_type pair_type = TUZA_TYPE(struct pair, p);

enum shape { WORDS, TYPED, TYPED_ARRAY, BYTES, LARGE, LARGE_TYPED, SHAPES };

static void *make_shape(enum shape shape)
{
    switch (shape) {
    case WORDS:
        return tuza_alloc(16);
    case TYPED:
        return tuza_alloc_typed(&pair_type, 1);
    case TYPED_ARRAY:
        return tuza_alloc_typed(&pair_type, 10);
    case BYTES:
        return tuza_alloc_bytes(8);
    case LARGE:
        return tuza_alloc(40000);
    default:
        return tuza_alloc_typed(&pair_type, 3000);
    }
}

static void finalize_value(void *obj)
{
    if (*(uint64_t *)obj != VALUE || tuza_object_of(obj, NULL) < 8)
        count_one(&bad);
    count_one(&ran);
}

static void make_shapes(void *arg)
{
    for (int i = 0; i < N; i++) {
        uint64_t *p = make_shape(*(enum shape *)arg);
        *p = VALUE;
        need_eq(tuza_finalizer_set(p, finalize_value), 0);
    }
}

IN_MODES(objects_of_every_shape_are_finalized, 2)
{
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        ran = 0;
        elsewhere(make_shapes, &shape);
        collect_until(&ran, most(N));
        need_eq(bad, 0);
    }
}

static void count_ran(void *arg)
{
    (void)arg;
    count_one(&ran);
}

static void make_empty(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        void *p = tuza_alloc(0);
        if (i % 2)
            need_eq(tuza_finalizer_set(p, count_ran), 0);
        else
            need(tuza_cleanup_add(p, count_ran, "foo") > 0);
    }
}

// mcleanup_test.go: CleanupZeroSizedStruct too
IN_MODES(objects_without_size_have_finalizers_and_cleanups, 2)
{
    elsewhere(make_empty, NULL);
    collect_until(&ran, most(N));
}

// --- FinalizerInterfaceBig: a finalizer sees the object as it was left

struct big_value {
    uint64_t fill;
    bool it;
    char *up;
    char text[200];
};

static const char line[] = "It matters not how strait the gate";

static void check_big(void *obj)
{
    struct big_value *v = obj;
    if (v->fill != 0xdeadbeefdeadbeef || !v->it || strcmp(v->up, line) != 0 ||
        memcmp(v->text, line, sizeof line) != 0 || v->text[199] != 'x')
        count_one(&bad);
    count_one(&ran);
}

static void make_big_values(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct big_value *v = tuza_new(struct big_value);
        v->fill = 0xdeadbeefdeadbeef;
        v->it = true;
        v->up = tuza_alloc_bytes(sizeof line);
        memcpy(v->up, line, sizeof line);
        memcpy(v->text, line, sizeof line);
        v->text[199] = 'x';
        need_eq(tuza_finalizer_set(v, check_big), 0);
    }
}

IN_MODES(a_finalizer_sees_the_object_as_it_was_left, 2)
{
    elsewhere(make_big_values, NULL);
    collect_until(&ran, most(N));
    need_eq(bad, 0);
}

// --- Finalizer, a benchmark: set and taken off again by several at once, while
// collections run

static void set_and_clear(void *arg)
{
    enum { BATCH = 500 };
    int rounds = *(int *)arg;
    void **data = tuza_new_array(void *, BATCH);
    for (int i = 0; i < BATCH; i++)
        data[i] = tuza_alloc(8);
    for (int k = 0; k < rounds || few_collections(); k++) {
        for (int i = 0; i < BATCH; i++)
            need_eq(tuza_finalizer_set(data[i], count_ran), 0);
        for (int i = 0; i < BATCH; i++)
            need_eq(tuza_finalizer_set(data[i], NULL), 0);
        tuza_yield();
    }
    tuza_keepalive(data);
    tuza_waitgroup_done(&group);
}

IN_MODES(finalizers_are_set_and_taken_off_by_several_at_once, 4)
{
    int rounds = scaled(40);
    tuza_waitgroup_add(&group, 4);
    begin_collections();
    for (int i = 0; i < 4; i++)
        tuza_spawn(set_and_clear, &rounds);
    tuza_waitgroup_wait(&group);
    end_collections();
    tuza_gc();
    need_eq(ran, 0);
    tz_special_lock();
    need_eq(tz_special_count(TZ_SPECIAL_FINALIZER), 0);
    tz_special_unlock();
}

// --- FinalizerRun, a benchmark; CleanupLost: of many that several set, each
// runs once, and none is lost: what has not run is still about an object

static void set_and_forget(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        struct pair *p = tuza_new(struct pair);
        p->v = VALUE;
        need_eq(tuza_finalizer_set(p, finalize_value), 0);
    }
    tuza_waitgroup_done(&group);
}

static void clean_value(void *arg)
{
    if ((uintptr_t)arg != VALUE)
        count_one(&bad);
    count_one(&ran);
}

static void add_and_forget(void *arg)
{
    int n = *(int *)arg;
    for (int i = 0; i < n; i++) {
        struct pair *p = tuza_new(struct pair);
        p->v = VALUE;
        need(tuza_cleanup_add(&p->v, clean_value, (void *)VALUE) > 0);
    }
    tuza_waitgroup_done(&group);
}

static void several(void (*fn)(void *), enum tz_special_kind kind)
{
    int n = scaled(10000), all = 4 * n;
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_spawn(fn, &n);
    tuza_waitgroup_wait(&group);
    collect_until(&ran, most(all));
    need_eq(bad, 0);
    int before, left;
    do {
        wait_for_all();
        before = counted(&ran);
        tz_special_lock();
        left = (int)tz_special_count(kind);
        tz_special_unlock();
    } while (something_runs() || counted(&ran) != before);
    need_eq(before + left, all);
}

IN_MODES(no_finalizer_of_many_is_lost, 4)
{
    several(set_and_forget, TZ_SPECIAL_FINALIZER);
}

IN_MODES(no_cleanup_of_many_is_lost, 4)
{
    several(add_and_forget, TZ_SPECIAL_CLEANUP);
}

// --- Cleanup, CleanupMultiple, CleanupInteriorPointer

struct wide {
    void *p;
    uint64_t i, a, b, c;
};

static int ran_of[4]; // by how many an object has

static void clean_one_of(void *arg)
{
    uintptr_t each = (uintptr_t)arg - VALUE;
    count_one(each == 1 || each == 3 ? &ran_of[each] : &bad);
}

static void make_cleaned(void *arg)
{
    int each = *(int *)arg;
    for (int i = 0; i < N; i++) {
        struct wide *w = tuza_new(struct wide);
        w->a = w->b = w->c = VALUE;
        uint64_t *at[3] = { &w->a, &w->b, &w->c };
        for (int k = 0; k < each; k++)
            need(tuza_cleanup_add(at[k], clean_one_of,
                                  (void *)((uintptr_t)VALUE +
                                           (uintptr_t)each)) > 0);
    }
}

IN_MODES(each_cleanup_runs_wherever_its_pointer_points, 2)
{
    for (int each = 1; each <= 3; each += 2) {
        elsewhere(make_cleaned, &each);
        collect_until(&ran_of[each], most(each * N));
        for (int i = 0; i < 3; i++)
            collect_well();
        wait_for_all();
        need(ran_of[each] <= each * N);
        need_eq(ran_of[each] % each, 0); // all of an object's, or none
        need_eq(bad, 0);
    }
}

// --- CleanupAfterFinalizer: the first collection brings the one, the second
// the other

static int finalized, cleaned; // atomic

static void finalize_first(void *obj)
{
    (void)obj;
    count_one(&finalized);
}

static void clean_after(void *arg)
{
    if ((uintptr_t)arg != VALUE || counted(&finalized) == 0)
        count_one(&bad);
    count_one(&cleaned);
}

static void make_both(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct pair *p = tuza_new(struct pair);
        need(tuza_cleanup_add(p, clean_after, (void *)VALUE) > 0);
        need_eq(tuza_finalizer_set(p, finalize_first), 0);
    }
}

static void collect_once(void)
{
    scrub_stacks();
    tuza_gc();
    wait_for_all();
}

IN_MODES(the_finalizer_comes_first_and_the_cleanup_a_collection_later, 2)
{
    int percent = tuza_gc_set_percent(-1);
    elsewhere(make_both, NULL);
    collect_once();
    need(finalized >= most(N));
    need_eq(cleaned, 0);
    collect_once();
    need(cleaned >= most(N) && cleaned <= finalized);
    need_eq(bad, 0);
    tuza_gc_set_percent(percent);
}

// --- CleanupStop, CleanupStopMultiple, CleanupStopinterleavedMultiple,
// CleanupStopAfterCleanupRuns

static int64_t id[N];

static void cleanup_must_not_run(void *arg)
{
    (void)arg;
    count_one(&bad);
}

static void make_stopped(void *arg)
{
    int times = *(int *)arg;
    for (int i = 0; i < N; i++) {
        struct pair *p = tuza_new(struct pair);
        int64_t it = tuza_cleanup_add(p, cleanup_must_not_run, (void *)VALUE);
        need(it > 0);
        for (int k = 0; k < times; k++)
            need_eq(tuza_cleanup_stop(it), k == 0);
    }
}

IN_MODES(a_cleanup_may_be_stopped_any_number_of_times, 2)
{
    for (int times = 1; times <= 3; times += 2) {
        elsewhere(make_stopped, &times);
        collect_once();
        collect_once();
        need_eq(bad, 0);
    }
}

static void make_interleaved(void *arg)
{
    (void)arg;
    for (int i = 0; i < N; i++) {
        struct pair *p = tuza_new(struct pair);
        for (int k = 0; k < 5; k++) {
            int64_t it = tuza_cleanup_add(
                p, k % 2 ? cleanup_must_not_run : clean_value, (void *)VALUE);
            if (k % 2)
                need_eq(tuza_cleanup_stop(it), 1);
            else
                id[i] = it;
        }
    }
}

IN_MODES(the_others_of_an_object_run_when_some_are_stopped, 2)
{
    elsewhere(make_interleaved, NULL);
    collect_until(&ran, most(3 * N));
    need_eq(ran % 3, 0);
    need_eq(bad, 0);
    int stopped = 0; // what has run cannot be stopped
    for (int i = 0; i < N; i++)
        stopped += tuza_cleanup_stop(id[i]);
    need_eq(stopped, N - ran / 3);
}

// --- pinner_test.go: PinnerPinKeepsAliveAndReleases, PinnerMultiplePinsSame,
// PinnerTwoPinner, PinnerPinZerosizeObj, PinnerPinTinyObj

static uintptr_t pinned[N];

static void make_pinned(void *arg)
{
    int times = *(int *)arg;
    for (int i = 0; i < N; i++) {
        void *p = i % 2 ? tuza_alloc((size_t)i % 4 * 16) : tuza_alloc_bytes(1);
        need_eq(tuza_finalizer_set(p, count_ran), 0);
        for (int k = 0; k < times; k++)
            need_eq(tuza_pin(p), 0);
        pinned[i] = hide(p);
    }
}

static __attribute__((noinline)) void unpin_all(void)
{
    for (int i = 0; i < N; i++)
        need_eq(tuza_unpin((void *)~pinned[i]), 0);
}

IN_MODES(a_pinned_object_is_finalized_after_its_last_pin, 2)
{
    int all = 0;
    for (int times = 1; times <= 100; times += 33) {
        int before = counted(&ran), late = all - before; // of earlier rounds
        elsewhere(make_pinned, &times);
        all += N;
        for (int k = 0; k < times; k++) {
            if (k == 0 || k == times - 1)
                collect_once();
            need(counted(&ran) <= before + late);
            unpin_all();
        }
        collect_until(&ran, most(all));
    }
}

// --- FinalizerOrCleanupDeadlock: one that never returns is seen in dumps

static tuza_chan(int) never;
static int started; // atomic

static __attribute__((noinline)) void waits_for_ever(void *arg)
{
    (void)arg;
    count_one(&started);
    tuza_recv(never, NULL);
    __asm__ volatile(""); // no tail call
}

static void make_waiting(void *arg)
{
    for (int i = 0; i < N; i++) {
        void *p = tuza_alloc(16);
        if (arg)
            need(tuza_cleanup_add(p, waits_for_ever, NULL) > 0);
        else
            need_eq(tuza_finalizer_set(p, waits_for_ever), 0);
    }
}

static const char *dumped(void)
{
    static char text[64 * 1024];
    int fd = memfd_create("dump", 0);
    need(fd >= 0);
    need_eq(tuza_dump(fd), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    need(n > 0);
    text[n] = 0;
    close(fd);
    return text;
}

static void need_seen_waiting(void *cleanups)
{
    never = tuza_chan_make(int, 0);
    elsewhere(make_waiting, cleanups);
    for (int i = 0; counted(&started) == 0; i++) {
        need(i < 50);
        scrub_stacks();
        tuza_gc();
        tuza_yield();
    }
    while (!strstr(dumped(), "[chan receive]"))
        tuza_yield();
    need(strstr(dumped(), "waits_for_ever(...)"));
    need_eq(counted(&started), 1); // the others wait for it
}

IN_MODES(a_finalizer_that_never_returns_is_seen_in_a_dump, 2)
{
    need_seen_waiting(NULL);
}

IN_MODES(a_cleanup_that_never_returns_is_seen_in_a_dump, 2)
{
    need_seen_waiting((void *)1);
}

DEATH(a_cleanup_that_never_returns_does_not_hide_a_deadlock,
      "waits_for_ever(...)")
{
    need_seen_waiting((void *)1);
    tuza_recv(never, NULL);
}

int main(void)
{
    return api_check(
        "gc/go_finalizer",
        (const TTest *const[]){
            MODES(objects_of_every_shape_are_finalized),
            MODES(objects_without_size_have_finalizers_and_cleanups),
            MODES(a_finalizer_sees_the_object_as_it_was_left),
            MODES(finalizers_are_set_and_taken_off_by_several_at_once),
            MODES(no_finalizer_of_many_is_lost),
            MODES(no_cleanup_of_many_is_lost),
            MODES(each_cleanup_runs_wherever_its_pointer_points),
            MODES(the_finalizer_comes_first_and_the_cleanup_a_collection_later),
            MODES(a_cleanup_may_be_stopped_any_number_of_times),
            MODES(the_others_of_an_object_run_when_some_are_stopped),
            MODES(a_pinned_object_is_finalized_after_its_last_pin),
            MODES(a_finalizer_that_never_returns_is_seen_in_a_dump),
            MODES(a_cleanup_that_never_returns_is_seen_in_a_dump),
            a_cleanup_that_never_returns_does_not_hide_a_deadlock,
            NULL });
}
