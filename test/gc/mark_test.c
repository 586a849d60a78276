// SPDX-License-Identifier: BSD-3-Clause
// test/gc/mark_test.c: what marking reaches, in graphs of every shape, alone
// and with helpers.

#include <sched.h>

#include "canary.h"
#include "gc/beside.h"
#include "gc/gc.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "gc/told.h"
#include "gc/track.h"
#include "gc/worker.h"
#include "mem/malloc.h"
#include "mem/mcentral.h"
#include "sched/proc.h"

struct node {
    struct node *next, *other;
    uint64_t number;
};

static struct node *volatile root;

static uint64_t heap_live(void)
{
    tuza_memstats st = { .size = sizeof st };
    tuza_memstats_read(&st);
    return st.heap_live;
}

static uint64_t live_after_collection(void)
{
    collect_well();
    return heap_live();
}

// Builds in a goroutine of its own, so that no stale word is left on ours.
static int built;

static void run_builder(void (*build)(void *), void *arg)
{
    built = 0;
    tuza_spawn(build, arg);
    while (!tz_load(&built))
        tuza_yield();
}

static void build_list(void *arg)
{
    int n = *(int *)arg;
    struct node *list = NULL;
    for (int i = 0; i < n; i++) {
        struct node *x = tuza_new(struct node);
        x->next = list;
        x->number = (uint64_t)i;
        list = x;
        if (i % 1000 == 0)
            root = list; // a collection may come by itself
    }
    root = list;
    tz_store(&built, 1);
}

IN_GOROUTINES(s3_30_a_list_of_a_million_is_marked_without_recursion, 2)
{
    int n = scaled(1000000);
    uint64_t before = live_after_collection();
    run_builder(build_list, &n);
    for (int k = 0; k < 3; k++) {
        tuza_gc();
        uint64_t i = (uint64_t)n;
        for (struct node *x = root; x; x = x->next)
            need_eq(x->number, --i);
        need_eq(i, 0);
    }
    need(heap_live() >= before + (uint64_t)n * sizeof(struct node));
    root = NULL;
    need(live_after_collection() < before + (uint64_t)n);
}

static void build_fan(void *arg)
{
    int n = *(int *)arg;
    struct node **fan = tuza_new_array(struct node *, (size_t)n);
    root = (struct node *)fan;
    for (int i = 0; i < n; i++) {
        fan[i] = tuza_new(struct node);
        fan[i]->number = (uint64_t)i;
    }
    tz_store(&built, 1);
}

IN_GOROUTINES(an_object_may_refer_to_very_many, 2)
{
    int n = scaled(300000);
    uint64_t before = live_after_collection();
    run_builder(build_fan, &n);
    for (int k = 0; k < 3; k++) {
        tuza_gc();
        struct node **fan = (struct node **)root;
        for (int i = 0; i < n; i++)
            need_eq(fan[i]->number, i);
    }
    memset(root, 0, (size_t)n * sizeof root); // a stale word keeps little
    root = NULL;
    need(live_after_collection() < before + (uint64_t)n * 4);
}

static void build_rings(void *arg)
{
    for (int k = 0; k < *(int *)arg; k++) {
        struct node *first = tuza_new(struct node), *last = first;
        for (int i = 0; i < 9; i++) {
            struct node *x = tuza_new(struct node);
            x->other = last;
            last->next = x;
            last = x;
        }
        last->next = first;
        first->other = last;
    }
    tz_store(&built, 1);
}

IN_GOROUTINES(cycles_nobody_refers_to_are_reclaimed, 2)
{
    int n = scaled(20000);
    uint64_t before = live_after_collection();
    run_builder(build_rings, &n);
    need(live_after_collection() < before + (uint64_t)n * 10);
}

IN_GOROUTINES(garbage_is_reclaimed_again_and_again, 2)
{
    uint64_t first = 0;
    for (int round = 0; round < 10; round++) {
        int n = scaled(50000);
        run_builder(build_list, &n);
        root = NULL;
        uint64_t live = live_after_collection();
        if (round == 0)
            first = live;
        need(live < first + 100000);
    }
}

// Large objects are scanned in pieces: a pointer in any word counts.
static void build_large(void *arg)
{
    size_t words = *(size_t *)arg;
    struct node **big = tuza_new_array(struct node *, words);
    root = (struct node *)big;
    for (size_t i = 0; i < words; i += 97) {
        big[i] = tuza_new(struct node);
        big[i]->number = i;
    }
    big[words - 1] = tuza_new(struct node);
    big[words - 1]->number = words - 1;
    tz_store(&built, 1);
}

IN_GOROUTINES(every_word_of_a_large_object_counts, 2)
{
    static const size_t sizes[] = { 16383, 16384, 16385, 32768, 40000, 500001 };
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        size_t words = sizes[k];
        run_builder(build_large, &words);
        collect_well();
        struct node **big = (struct node **)root;
        for (size_t i = 0; i < words; i += 97)
            need_eq(big[i]->number, i);
        need_eq(big[words - 1]->number, words - 1);
        root = NULL;
    }
}

// An object without pointers is not looked into.
enum { N = 64 };
static uintptr_t hidden[N];
static void *volatile held[N];

static NOINLINE void put_into(void *volatile *where)
{
    for (int i = 0; i < N; i++)
        where[i] = (void *)~hidden[i];
}

static void holds(bool noscan, size_t size)
{
    make_canaries(hidden, N, 48);
    void *box = noscan ? tuza_alloc_bytes(size) : tuza_alloc(size);
    memset(box, 0, size);
    held[0] = box;
    put_into((void *volatile *)box);
    collect_well();
    if (noscan)
        need_reclaimed(hidden, N);
    else
        need_all_whole(hidden, N, 48);
    need(tuza_object_of(box, NULL) >= size); // itself it stays
    held[0] = NULL;
}

IN_GOROUTINES(s3_30_objects_without_pointers_are_not_looked_into, 2)
{
    static const size_t sizes[] = { N * 8, 1024, 32768, 40000, 300000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        holds(false, sizes[i]);
        holds(true, sizes[i]);
    }
}

// A word that points at a free slot brings nothing back to life, and does not
// disturb what gets the slot later.
IN_GOROUTINES(s3_30_a_pointer_to_a_freed_slot_does_not_revive_it, 2)
{
    make_canaries(hidden, N, 48);
    tuza_gc();
    tuza_gc(); // free now
    need_reclaimed(hidden, N);
    int there = count_there(hidden, N);
    put_into(held);
    for (int i = 0; i < 3; i++) {
        tuza_gc();
        need(count_there(hidden, N) <= there);
    }
    for (int i = 0; i < 10000; i++)
        need_eq(*(uint64_t *)tuza_alloc(48), 0);
    tuza_gc();
    for (int i = 0; i < 10000; i++)
        need_eq(*(uint64_t *)tuza_alloc(48), 0);
}

// Words that look like pointers but are none: everywhere around the heap.
IN_GOROUTINES(words_that_are_no_pointers_do_no_harm, 2)
{
    enum { WORDS = 100000 };
    uint64_t seed = test_seed();
    uintptr_t *junk = tuza_alloc(WORDS * sizeof *junk);
    uintptr_t somewhere = (uintptr_t)junk;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < WORDS; i++) {
            uint64_t r = (uint64_t)rnd(&seed, 1u << 31) << rnd(&seed, 33);
            junk[i] = i % 3 == 0 ? r : i % 3 == 1 ? somewhere + r
                                                  : somewhere - r;
        }
        tuza_gc();
    }
    tuza_keepalive(junk);
}

// Marking alone and with helpers, as a small and as a large heap, must find the same:
// by the mark bits of all pages, with the world stopped in between.
enum { GRAPH = 30000, ROOTS = 40, WAYS = 6 };
static void **volatile graph_roots[ROOTS];
static uint32_t next_job, njobs;
static struct tz_gcwork work[TZ_WORKERS_MAX + 1];
static uint64_t sum[WAYS], bits[WAYS];
static uint64_t cycle = UINT64_C(1) << 40, near; // of the next mark

static void build_graph(void *arg)
{
    uint64_t *seed = arg;
    void ***all = tuza_new_array(void **, GRAPH);
    held[0] = all;
    for (int i = 0; i < GRAPH; i++) {
        size_t words = 2 + rnd(seed, rnd(seed, 50) ? 30 : 500);
        if (i % 3000 == 0)
            words = 40000; // in pieces
        all[i] = rnd(seed, 5) ? tuza_alloc(words * 8)
                              : tuza_alloc_bytes(words * 8);
        for (size_t w = 0; w < words; w++)
            all[i][w] = i && rnd(seed, 3) == 0
                            ? all[rnd(seed, (uint32_t)i)] : (void *)w;
    }
    for (int i = 0; i < ROOTS; i++)
        graph_roots[i] = all[rnd(seed, GRAPH)];
    held[0] = NULL;
    tz_store(&built, 1);
}

static void begin(struct tz_gcwork *w, uint32_t i)
{
    tz_mark_begin(w, cycle);
    w->near = near;
    w->countdown = 1 + i; // share early
}

static void mark_worker(uint32_t i)
{
    struct tz_gcwork *w = &work[i];
    uint32_t job;
    begin(w, i);
    while ((job = tz_xadd(&next_job, 1)) < njobs)
        tz_markroot(w, job);
    tz_mark_drain(w);
    tz_work_release(w);
}

// Adds up the mark bits, and clears them.
static void gather_marks(int k)
{
    sum[k] = 1469598103934665603u;
    bits[k] = 0;
    for (uint32_t id = 0; id < tz_mem.nregions; id++) {
        struct tz_region *r = &tz_mem.region[id];
        size_t pages = (size_t)r->pages.nchunks * TZ_CHUNK_PAGES;
        for (size_t page = 0; page < pages; page++) {
            if (!tz_page_has_objects(r->cls[page]))
                continue;
            for (int i = 0; i < 8; i++) {
                uint64_t *m = &r->bits[page].word[i].mark;
                bits[k] += (uint64_t)__builtin_popcountll(*m);
                sum[k] = (sum[k] ^ *m) * 1099511628211u + page;
                need((*m & ~r->bits[page].word[i].alloc) == 0);
                *m = 0;
            }
            need_eq(r->queued[page], 0);
        }
    }
}

static void mark_each_way(void *arg)
{
    (void)arg;
    while (tz_central_sweep_one())
        ;
    while (!tz_central_swept())
        sched_yield();
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        tz_mcache_flush(tz_sched.allp[i]->cache);
    for (int k = 0; k < WAYS; k++, cycle++) {
        uint32_t workers = k % 3 ? 2 : 1;
        near = k < 3 ? UINT64_MAX : 0;
        njobs = tz_markroot_prepare();
        next_job = 0;
        tz_work_start(workers);
        tz_worker_run(mark_worker, workers);
        gather_marks(k);
    }
}

IN_GOROUTINES(helpers_mark_what_one_worker_marks, 2)
{
    uint64_t seed = test_seed();
    tz_worker_want(1);
    while (tz_worker_count() == 0)
        tuza_yield();
    for (int round = 0; round < scaled(20); round++) {
        run_builder(build_graph, &seed);
        tuza_gc();
        tz_world_call(mark_each_way, NULL);
        need(bits[0] > 1000);
        for (int k = 1; k < WAYS; k++)
            need(bits[k] == bits[0] && sum[k] == sum[0]);
    }
}

// Pages are queued for their objects while that pays: where many objects are found
// before a page's turn comes, and not along a list.
enum { NODES = 40000 };
enum { EDGES = 8 };
struct place {
    struct place *next[EDGES];
};
static struct place *places[NODES];
static unsigned place_class;

static void build_places(void *arg)
{
    uint64_t *seed = arg; // NULL: a list, else a graph
    for (int i = 0; i < NODES; i++)
        places[i] = tuza_new(struct place);
    for (int i = 0; i < NODES; i++) {
        places[i]->next[0] = places[(i + 1) % NODES];
        for (int e = 1; seed && e < EDGES; e++)
            places[i]->next[e] = places[rnd(seed, NODES)];
    }
    held[0] = places[0];
    memset(places, 0, sizeof places);
    tz_store(&built, 1);
}

static void mark_places(void *arg)
{
    struct tz_gcwork *w = &work[0];
    while (tz_central_sweep_one())
        ;
    tz_mcache_flush(tz_sched.allp[0]->cache);
    near = 0;
    tz_work_start(1);
    begin(w, 0);
    w->countdown = UINT32_MAX;
    tz_mark_range(w, (uintptr_t)&held[0], (uintptr_t)&held[1]);
    tz_mark_drain(w);
    tz_work_release(w);
    cycle++;
    gather_marks(0);
    need_eq(bits[0], NODES);
    *(bool *)arg = w->by_page[place_class];
}

IN_GOROUTINES(pages_are_queued_where_that_pays, 1)
{
    bool by_page;
    uint64_t seed = test_seed();
    place_class = tz_spanclass(tz_sizeclass_of(sizeof(struct place)), TZ_SCAN);
    run_builder(build_places, NULL);
    tz_world_call(mark_places, &by_page);
    need(!by_page);
    run_builder(build_places, &seed);
    tz_world_call(mark_places, &by_page);
    need(by_page);
    held[0] = NULL;
}

// Where the compiler tells of stores, one may have been told before the mark began and
// come after: what a stack points to is looked into when it begins, also if a root that
// was read before leads there.
static struct node *volatile in_data;
static uintptr_t hidden_child; // ~address

static NOINLINE void make_parent(void)
{
    struct node *child = tuza_new(struct node);
    in_data = tuza_new(struct node);
    in_data->next = child;
    hidden_child = ~(uintptr_t)child;
}

static void mark_late(void *arg)
{
    struct node *parent = arg;
    struct tz_gcwork *w = &work[0];
    while (tz_central_sweep_one())
        ;
    tz_mcache_flush(tz_sched.allp[0]->cache);
    tz_work_start(1);
    begin(w, 255);
    (void)tz_markroot_prepare();
    (void)tz_told_begin(w);
    parent->next = NULL;
    tz_mark_drain(w);
    need(tz_mark_is(~hidden_child));
    need(tz_told_end(w));
    tz_work_start(1);
    tz_mark_drain(w);
    tz_work_release(w);
    cycle++;
    gather_marks(0);
}

IN_GOROUTINES(what_data_and_a_stack_point_to_is_looked_into_at_once, 1)
{
    for (int i = 0; i < 2; i++) {
        near = i ? 0 : UINT64_MAX;
        make_parent();
        struct node *volatile parent = in_data;
        tuza_gc();
        tz_world_call(mark_late, parent);
    }
    in_data = NULL;
}

// What one look at it costs a goroutine that helps is bounded, also where it marks
// nothing: by the piece.
static void mark_pieces(void *arg)
{
    struct tz_gcwork *w = &work[0];
    int looks = 1;
    tz_mcache_flush(tz_sched.allp[0]->cache);
    near = UINT64_MAX;
    tz_work_start(1);
    begin(w, 255);
    tz_mark_range(w, (uintptr_t)arg, (uintptr_t)arg + sizeof(void *));
    while (tz_mark_some(w, 16 << 10))
        looks++;
    tz_work_release(w);
    gather_marks(0);
    need_eq(bits[0], 1);
    need(looks >= 60);
}

IN_GOROUTINES(a_helper_looks_at_one_piece_of_a_large_object_at_once, 1)
{
    void **large = tuza_alloc(8 << 20); // 64 pieces
    need(large);
    tuza_gc();
    tz_world_call(mark_pieces, &large);
    tuza_keepalive(large);
}

static int is_written_all_over(int argc, char **argv)
{
    enum { PAGES = 4096 };
    (void)argc, (void)argv;
    char *p = tuza_alloc(PAGES * 4096);
    need(p);
    memset(p, 0, PAGES * 4096);
    tuza_gc(); // finds out whether the kernel tells
    const char *why;
    if (!tz_track_open(&why))
        return 0; // M1 is not to be had
    need(tz_track_begin());
    for (int i = 0; i < PAGES / 10; i++)
        p[i * 4096] = 1;
    need_eq(tz_track_written(), 0);
    for (int i = 0; i < PAGES; i++)
        p[i * 4096] = 1;
    need_eq(tz_track_written(), 8);
    uint32_t all;
    need(tz_track_sample());
    need(tz_track_sampled(&all) < 3); // on pages of other objects
    need(all >= TZ_TRACK_SAMPLE / 2 && all <= TZ_TRACK_SAMPLE);
    for (int i = 0; i < PAGES / 2; i++)
        p[i * 4096] = 2;
    uint32_t half = tz_track_sampled(&all);
    need(half > all * 3 / 8 && half < all * 5 / 8);
    for (int i = 0; i < PAGES; i++)
        p[i * 4096] = 3;
    need(tz_track_sampled(&all) > all * 7 / 8); // other objects are few
    need(tz_track_begin());
    need_eq(tz_track_written(), 0);
    tz_track_forget();
    need_eq(tz_track_written(), 8); // what is not armed counts as written
    return 0;
}

// Half of the heap is hot by and by, or a part of it is all the time.
START_TEST(what_a_mark_will_meet_is_foreseen)
{
    static const struct {
        uint32_t once, twice, all;
        int64_t times;
        bool hot;
    } rows[] = {
        { 0, 0, 256, 1000, false },   { 0, 0, 0, 1000, false },
        { 26, 49, 256, 7, true },     { 26, 49, 256, 5, false }, // a tenth each
        { 26, 26, 256, 1000, false }, { 120, 121, 256, 5, false },
        { 120, 121, 256, 50, true },  { 128, 128, 256, 0, true },
        { 256, 256, 256, 0, true },   { 3, 3, 3, 0, true },
        { 2, 3, 5, 100, false }, // too few to tell
    };
    for (size_t i = 0; i < tz_countof(rows); i++)
        ck_assert_msg(tz_beside_foresee(rows[i].once, rows[i].twice, rows[i].all,
                                        rows[i].times) == rows[i].hot,
                      "row %zu", i);
}
END_TEST

enum { WRITTEN_MB = TZ_DEBUG ? 32 : TZ_ASAN || TZ_TSAN ? 64 : 300 };
static char *volatile written[WRITTEN_MB];
static uint32_t stop_writing; // atomic

static void write_all_the_time(void *arg)
{
    (void)arg;
    while (!tz_load_rlx(&stop_writing))
        for (int i = 0; i < WRITTEN_MB; i++)
            for (int at = 0; at < 1 << 20; at += 4096)
                ((volatile char *)written[i])[at] = 0;
}

// Collections until one says such a thing of its mode, 100 at most.
static bool some_collection_says(const char *what)
{
    uint64_t cycles = 0;
    for (int n = 0; n < 100;) {
        need(tuza_alloc_bytes(100000));
        struct tz_gcstats st;
        tz_gc_stats(&st);
        if (st.cycles == cycles)
            continue;
        cycles = st.cycles;
        n++;
        const char *why = tz_beside_missing();
        if ((why == NULL) == (what == NULL) && (!what || strstr(why, what)))
            return true;
    }
    return false;
}

static int probed(int argc, char **argv)
{
    (void)argc, (void)argv;
    enum { MARK_NS = 500 * 1000 * 1000 };
    int percent = tuza_gc_set_percent(-1); // none beside this one
    for (int i = 0; i < WRITTEN_MB; i++)
        need((written[i] = tuza_alloc(1 << 20)));
    const char *why;
    if (TZ_TSAN || !tz_track_open(&why)) // who collects alone may ask why
        return 0;
    tuza_gc_set_percent(percent);
    tuza_gc(); // one that still marks would read pages that nobody has touched yet
    need(!tz_beside_probe(UINT64_C(1) << 30, MARK_NS));
    tuza_spawn(write_all_the_time, NULL);
    bool hot = false; // unless the other thread has no processor for 40 ms
    for (int i = 0; i < 50 && !hot; i++)
        hot = tz_beside_probe(UINT64_C(1) << 30, MARK_NS);
    need(hot);
    need(some_collection_says("what is written beside a mark"));
    tz_store(&stop_writing, 1);
    need(some_collection_says(NULL));
    return 0;
}

START_TEST(a_heap_that_is_written_all_over_is_marked_in_a_stop)
{
    api_run(probed, 2);
}
END_TEST

// After a mark that met a heap that is written all over the next ones are stops.
IN_GOROUTINES(a_mark_that_was_in_vain_is_tried_more_and_more_seldom, 1)
{
    static const struct {
        uint32_t eighths, stops;
    } met[] = { { 6, 0 }, { 7, 1 }, { 8, 3 }, { 8, 7 }, { 7, 7 }, { 2, 0 }, { 8, 1 } };
    for (size_t i = 0; i < sizeof met / sizeof *met; i++) {
        tz_beside_met(met[i].eighths);
        tz_beside_put_off(true); // one that had been decided for takes none of them
        need(tz_beside_in_vain());
        tz_beside_put_off(false);
        for (uint32_t n = 0; n < met[i].stops; n++)
            need(tz_beside_in_vain());
        need(!tz_beside_in_vain());
    }
}

START_TEST(rounds_are_worth_it_unless_most_is_written)
{
    setenv("TUZADEBUG", "gcmode=m1", 1);
    api_run(is_written_all_over, 1);
}
END_TEST

// A list of large objects, which lead to one that writes to all of them when the
// collector comes to it.
enum { HOT_OBJECTS = 2048, HOT_WORDS = 2048 };

struct hot {
    const tuza_type *type;
    struct hot_object {
        void *first;
        struct hot_object *next;
        uint64_t number, rest[HOT_WORDS - 3];
    } *list;
    char large[1024]; // no page is queued for it, which would come last
};

static int times_written;

static void write_all(tuza_tracer *tracer, const void *p, size_t size)
{
    const struct hot *h = p;
    (void)size;
    tuza_trace(tracer, h->list);
    times_written++;
    for (struct hot_object *o = h->list; o; o = o->next)
        for (int i = 0; i < HOT_WORDS - 3; i += 512)
            o->rest[i] = o->number;
}

static const tuza_type hot_type = TUZA_TRACED_TYPE(struct hot, write_all);
static struct hot_object *volatile hot_root;

static int gives_up(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct hot *h = tuza_alloc_typed(&hot_type, 1);
    struct hot_object *list = NULL;
    for (uint64_t i = 0; i < HOT_OBJECTS; i++) {
        struct hot_object *o = tuza_new(struct hot_object);
        o->next = list;
        o->number = i;
        hot_root = list = o;
    }
    tuza_gc(); // finds out whether the kernel tells
    need(!tz_beside_gave_up());
    h->list = list;
    for (struct hot_object *o = list; o; o = o->next)
        o->first = h; // whichever of them is found first
    const char *why;
    for (int i = 0; i < 3; i++) {
        times_written = 0;
        tuza_gc();
        need(tz_beside_gave_up() || !tz_track_open(&why));
        need(times_written > 0);
    }
    h->list = NULL;
    tuza_gc();
    need(!tz_beside_gave_up());
    need(!tz_track_open(&why) || tz_track_written() == 8); // nothing stays armed
    uint64_t n = HOT_OBJECTS;
    for (const struct hot_object *o = list; o; o = o->next)
        need(o->number == --n && o->rest[512] == n);
    need_eq(n, 0);
    return 0;
}

START_TEST(a_mark_is_given_up_when_half_of_the_heap_is_written)
{
    setenv("TUZADEBUG", "gcmode=m1,gccheckmark=1,gcverify=1", 1);
    api_run(gives_up, 2);
}
END_TEST

int main(void)
{
    return api_check(
        "mark", (const TTest *const[]){
                    s3_30_a_list_of_a_million_is_marked_without_recursion,
                    an_object_may_refer_to_very_many,
                    cycles_nobody_refers_to_are_reclaimed,
                    garbage_is_reclaimed_again_and_again,
                    every_word_of_a_large_object_counts,
                    s3_30_objects_without_pointers_are_not_looked_into,
                    s3_30_a_pointer_to_a_freed_slot_does_not_revive_it,
                    words_that_are_no_pointers_do_no_harm,
                    helpers_mark_what_one_worker_marks,
                    pages_are_queued_where_that_pays,
                    what_data_and_a_stack_point_to_is_looked_into_at_once,
                    a_helper_looks_at_one_piece_of_a_large_object_at_once,
                    a_mark_that_was_in_vain_is_tried_more_and_more_seldom,
                    rounds_are_worth_it_unless_most_is_written,
                    what_a_mark_will_meet_is_foreseen,
                    a_heap_that_is_written_all_over_is_marked_in_a_stop,
                    a_mark_is_given_up_when_half_of_the_heap_is_written, NULL });
}
