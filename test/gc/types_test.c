// SPDX-License-Identifier: BSD-3-Clause
// test/gc/types_test.c: of a typed object what its type names keeps, and
// nothing else does; what is not collected keeps what it points to.

#include <sys/mman.h>

#include "base/rand.h"
#include "gc/dying.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "mem/types.h"

enum { N = 64 };
static uintptr_t hidden[2][N];

// Makes canaries for `named` and `unnamed`; collects; and looks who is there.
static void made(int which)
{
    make_canaries(hidden[which], N, 48);
}

static void *seen(int which, int i)
{
    return (void *)~hidden[which][i];
}

// The canaries must not lie on this stack: stored by another frame.
struct small {
    uint64_t number;
    void *named;
    uintptr_t unnamed;
    void *array[3];
};
static const tuza_type small_type = TUZA_TYPE(struct small, named, array);
static struct small *volatile smalls[N];

static NOINLINE void store_small(void)
{
    for (int i = 0; i < N; i++) {
        smalls[i] = tuza_alloc_typed(&small_type, 1);
        need(smalls[i]);
        if (i % 2)
            smalls[i]->named = seen(0, i);
        else
            smalls[i]->array[i % 3] = seen(0, i);
        smalls[i]->unnamed = (uintptr_t)seen(1, i);
    }
}

IN_GOROUTINES(only_named_words_of_a_small_object_keep, 1)
{
    need_eq(small_type.bits, 2 | 7 << 3);
    int percent = tuza_gc_set_percent(-1);
    made(0), made(1);
    store_small();
    tuza_gc_set_percent(percent);
    collect_well();
    need_all_whole(hidden[0], N, 48);
    need_reclaimed(hidden[1], N);
}

// Elements in one object: of 64 words at most, of more, of pieces.
static void *volatile array; // only read by the collector
static NOINLINE void store_array(size_t n)
{
    struct small *a = tuza_alloc_typed(&small_type, n);
    need(a);
    array = a;
    for (int i = 0; i < N; i++) {
        size_t at = n < N ? (size_t)i % n : (n - 1) * (size_t)i / (N - 1);
        if (n >= N || i < (int)n) {
            a[at].named = seen(0, i);
            a[at].unnamed = (uintptr_t)seen(1, i);
        }
    }
}

static void array_of(size_t n)
{
    int percent = tuza_gc_set_percent(-1);
    made(0), made(1);
    store_array(n);
    tuza_gc_set_percent(percent);
    collect_well();
    need_all_whole(hidden[0], n < N ? (int)n : N, 48);
    need_reclaimed(hidden[1], N);
}

IN_GOROUTINES(elements_of_arrays_of_all_sizes_keep, 1)
{
    for (size_t n = 1; n <= 10; n++)
        array_of(n); // 48 to 480 bytes: bits
    array_of(11);    // the type itself
    array_of(21);    // several pages
    array_of(600);
    array_of(1000);  // a span of its own
    array_of(10000); // scanned in pieces
}

// A type of more than 64 words.
struct wide {
    uint64_t before[100];
    void *named;
    uintptr_t unnamed;
    uint64_t after[30];
};
static const uint64_t wide_mask[3] = {0, UINT64_C(1) << 36, 0};
static const tuza_type wide_type = {sizeof(struct wide), "wide", 0, wide_mask, NULL};
static struct wide *volatile wides[N];

static NOINLINE void store_wide(void)
{
    for (int i = 0; i < N; i++) {
        wides[i] = tuza_alloc_typed(&wide_type, 1 + (size_t)i % 5);
        wides[i][i % 5].named = seen(0, i);
        wides[i][i % 5].unnamed = (uintptr_t)seen(1, i);
    }
}

IN_GOROUTINES(a_mask_says_it_for_wide_types, 1)
{
    need_eq(sizeof(struct wide) / 8, 132);
    int percent = tuza_gc_set_percent(-1);
    made(0), made(1);
    store_wide();
    tuza_gc_set_percent(percent);
    collect_well();
    need_all_whole(hidden[0], N, 48);
    need_reclaimed(hidden[1], N);
}

// Slots change their type: what the record says is of the present object.
struct other {
    uintptr_t unnamed[4];
    void *named;
    uint64_t number;
};
static const tuza_type other_type = TUZA_TYPE(struct other, named);
static struct other *volatile others[N];

static NOINLINE void churn_types(void)
{
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < N; i++) {
            smalls[i] = tuza_alloc_typed(&small_type, 1);
            others[i] = tuza_alloc_typed(&other_type, 1);
            if (round % 3 == 0)
                tuza_free(smalls[i]);
            if (round % 5 == 0)
                tuza_free(others[i]);
        }
    for (int i = 0; i < N; i++)
        smalls[i] = NULL, others[i] = NULL;
}

static NOINLINE void store_other(void)
{
    for (int i = 0; i < N; i++) {
        others[i] = tuza_alloc_typed(&other_type, 1);
        others[i]->named = seen(0, i);
        others[i]->unnamed[i % 4] = (uintptr_t)seen(1, i);
    }
}

IN_GOROUTINES(a_slot_used_again_has_its_new_type, 1)
{
    churn_types();
    tuza_gc();
    int percent = tuza_gc_set_percent(-1);
    made(0), made(1);
    store_other();
    tuza_gc_set_percent(percent);
    collect_well();
    need_all_whole(hidden[0], N, 48);
    need_reclaimed(hidden[1], N);
}

// Of each size in words three types, of which mostly the same follows, sometimes
// another one or an array: what the next ones are described as beforehand is not
// what they are told to be then.
enum { WORDS = 64, KINDS = 3, ALIKE = 20000 };
static tuza_type likes[WORDS + 1][KINDS];
static struct like {
    void *p;
    uint32_t words, n;
    uint64_t bits; // of one
} like[ALIKE];

static void make_likes(void)
{
    for (uint32_t w = 1; w <= WORDS; w++)
        for (uint32_t k = 0; k < KINDS; k++) {
            uint64_t all = w == 64 ? UINT64_MAX : (UINT64_C(1) << w) - 1;
            uint64_t bits[KINDS] = { all, 1, UINT64_C(1) << (w - 1) };
            likes[w][k] = (tuza_type){ w * 8, "like", bits[k], NULL, NULL };
        }
}

static void make_like(struct like *x, uint32_t words, uint32_t kind)
{
    x->words = words;
    x->n = tz_rand_n(10) ? 1 : 1 + tz_rand_n(64 / words);
    x->bits = likes[words][kind].bits;
    x->p = tuza_alloc_typed(&likes[words][kind], x->n);
}

static void need_like(const struct like *x)
{
    struct tz_object o;
    uint64_t bits = 0;
    need(tz_heap_find((uintptr_t)x->p, &o));
    for (uint32_t i = 0; i < x->n; i++)
        bits |= x->bits << i * x->words;
    need_eq(tz_types_bits(o.span, o.index), bits);
}

IN_GOROUTINES(each_object_is_described_as_its_own_type, 2)
{
    uint32_t words = 1, kind = 0;
    make_likes();
    for (int i = 0; i < ALIKE; i++) {
        if (tz_rand_n(8) == 0)
            kind = tz_rand_n(KINDS);
        if (tz_rand_n(64) == 0)
            words = 1 + tz_rand_n(WORDS);
        make_like(&like[i], words, kind);
        if (i >= 100 && tz_rand_n(2)) {
            tuza_free(like[i - 100].p);
            make_like(&like[i - 100], words, kind);
        }
        if (i % 4000 == 0)
            tuza_gc();
    }
    for (int i = 0; i < ALIKE; i++)
        need_like(&like[i]);
}

// Of small objects only bits are kept: the type may go, and another be in its place.
IN_GOROUTINES(a_type_of_small_objects_may_go, 1)
{
    struct like x = { NULL, 5, 1, 0 };
    tuza_type *t = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(t != MAP_FAILED);
    make_likes();
    for (int i = 0; i < 1000; i++) {
        *t = likes[5][i / 250 % KINDS];
        x.bits = t->bits;
        x.p = tuza_alloc_typed(t, 1);
        need_like(&x);
    }
    munmap(t, 4096);
    for (int i = 0; i < 1000; i++) // also of runs that come after that
        make_like(&like[i], 5, 1);
    for (int i = 0; i < 1000; i++)
        need_like(&like[i]);
}

// Types of neighbours are written by several Ps at once.
enum { CROWD = 4, EACH = 4000 };
static struct small *crowd[CROWD][EACH];
static int crowd_done;

static void crowd_fill(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        struct small *s = tuza_alloc_typed(&small_type, 1);
        crowd[me][i] = s;
        s->number = (uint64_t)i;
        s->named = tuza_alloc(16);
        *(uint64_t *)s->named = (uint64_t)i;
        if (i % 3 == 0 && i > 100) {
            tuza_free(crowd[me][i - 99]->named);
            tuza_free(crowd[me][i - 99]);
            crowd[me][i - 99] = NULL;
        }
        if (i % 500 == 0)
            tuza_gc();
        if (i % 50 == 0)
            tuza_yield();
    }
    __atomic_add_fetch(&crowd_done, 1, __ATOMIC_SEQ_CST);
}

IN_GOROUTINES(records_shared_by_threads_lose_no_bit, 2)
{
    for (intptr_t i = 0; i < CROWD; i++)
        tuza_spawn(crowd_fill, (void *)i);
    while (__atomic_load_n(&crowd_done, __ATOMIC_SEQ_CST) < CROWD)
        tuza_yield();
    collect_well();
    for (int me = 0; me < CROWD; me++)
        for (int i = 0; i < EACH; i++)
            if (crowd[me][i]) {
                need_eq(crowd[me][i]->number, (uint64_t)i);
                need_eq(*(uint64_t *)crowd[me][i]->named, (uint64_t)i);
            }
}

static const tuza_type plain_type = {24, "plain", 0, NULL, NULL};

IN_GOROUTINES(a_type_without_pointers_is_noscan_and_zero, 1)
{
    struct tz_object o;
    for (int i = 0; i < 1000; i++)
        memset(tuza_alloc_bytes(24), 0xee, 24);
    tuza_gc();
    for (int i = 0; i < 1000; i++) {
        uint64_t *p = tuza_alloc_typed(&plain_type, 1);
        need(p && !p[0] && !p[1] && !p[2]);
        need(tz_heap_find((uintptr_t)p, &o) && o.noscan);
    }
    need(!tuza_alloc_typed(&small_type, SIZE_MAX / 8));
    need(!tuza_alloc_typed(&small_type, SIZE_MAX / 48 + 1));
}

static const tuza_type odd_type = {12, "odd", 1, NULL, NULL};
DEATH(a_type_of_part_words_is_told, "type odd of 12 bytes")
{
    tuza_alloc_typed(&odd_type, 1);
}

// Between the making of an object and its description, by a collection: its
// page had small objects before, whose bits are no type.
static NOINLINE void fill_pages(void *arg)
{
    static const tuza_type pair = {16, "pair", 3, NULL, NULL};
    for (int i = 0; i < *(int *)arg; i++)
        need(tuza_alloc_typed(&pair, 1));
}

static void *volatile nondescript;
IN_GOROUTINES(an_object_not_described_yet_holds_nothing, 1)
{
    int many = 200 * 1000;
    elsewhere(fill_pages, &many);
    tuza_gc();
    tuza_gc();
    tz_crit_enter();
    while (tz_central_sweep_one())
        ;
    tz_central_trim();
    tz_crit_leave();
    for (int i = 0; i < 100; i++) {
        nondescript = tz_malloc(i % 2 ? 600 : 40000, TZ_TYPED);
        need(nondescript);
        tuza_gc();
    }
}

// --- not collected

static uintptr_t lair[N]; // complements of addresses

static NOINLINE void store_uncollectable(size_t size)
{
    for (int i = 0; i < N; i++) {
        void **p = tuza_alloc_uncollectable(size);
        need(p);
        for (size_t w = 0; w < size / 8; w++)
            need(!p[w]);
        p[size / 8 - 1] = seen(0, i);
        lair[i] = hide(p);
    }
}

static void uncollectable_of(size_t size)
{
    int percent = tuza_gc_set_percent(-1);
    made(0);
    store_uncollectable(size);
    tuza_gc_set_percent(percent);
    collect_well();
    need_all_whole(hidden[0], N, 48);
    for (int i = 0; i < N; i++)
        tuza_free((void *)~lair[i]);
    collect_well();
    need_reclaimed(hidden[0], N);
}

IN_GOROUTINES(what_is_not_collected_keeps_what_it_points_to, 1)
{
    uncollectable_of(16);
    uncollectable_of(200);
    uncollectable_of(5000);
    uncollectable_of(40000);
    uncollectable_of(300000);
}

int main(void)
{
    return api_check("gc/types",
                     (const TTest *const[]){
                         only_named_words_of_a_small_object_keep,
                         elements_of_arrays_of_all_sizes_keep,
                         a_mask_says_it_for_wide_types,
                         a_slot_used_again_has_its_new_type,
                         each_object_is_described_as_its_own_type,
                         a_type_of_small_objects_may_go,
                         records_shared_by_threads_lose_no_bit,
                         a_type_without_pointers_is_noscan_and_zero,
                         a_type_of_part_words_is_told,
                         an_object_not_described_yet_holds_nothing,
                         what_is_not_collected_keeps_what_it_points_to, NULL});
}
