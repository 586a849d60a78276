// SPDX-License-Identifier: BSD-3-Clause
// test/gc/model_test.c: a random graph of objects beside a model of it that the
// collector cannot see. After each collection every object that the model
// reaches must be whole: its number, its references, its contents.

#include "mem/mheap.h"
#include "support/goroutines.h"

enum { OBJECTS = 3000, EDGES = 6, ROOTS = 24, MAGIC = 0x0b1ec7 };

// The real object: MAGIC, number | version, edges, then bytes of a pattern.
struct object {
    uint64_t magic, id;
    struct object *edge[EDGES];
    unsigned char data[];
};

// An array of these; what lies under data is no address.
static const tuza_type object_type = TUZA_TYPE(struct object, edge);

// The model, in memory of malloc's: no address stands there as it is.
struct shadow {
    uintptr_t hidden; // complement; 0 unused
    uint64_t id;
    size_t data;      // bytes
    int edge[EDGES];  // numbers of shadows, -1 none
    int seen;         // by the walk of that number
};

struct world {
    struct shadow *shadow;
    struct object *volatile *root; // ROOTS of them, static
    int root_of[ROOTS];
    int walk;
    int *stack;
    uint64_t seed, made;
};

static struct object *volatile roots[4][ROOTS];
static tuza_waitgroup group;

static struct object *object_of(const struct world *w, int i)
{
    return i < 0 ? NULL : (struct object *)~w->shadow[i].hidden;
}

static void check_object(const struct world *w, int i)
{
    const struct shadow *s = &w->shadow[i];
    const struct object *o = object_of(w, i);
    struct tz_object found;
    need(tz_heap_find((uintptr_t)o, &found) && found.base == (uintptr_t)o);
    need_eq(o->magic, MAGIC);
    need_eq(o->id, s->id);
    for (int e = 0; e < EDGES; e++)
        need(o->edge[e] == object_of(w, s->edge[e]));
    for (size_t k = 0; k < s->data; k++)
        need_eq(o->data[k], (unsigned char)(s->id + k));
}

// Walks the model from its roots; with check, looks at the real ones. Shadows
// that were not reached are free afterwards.
static int walk(struct world *w, bool check)
{
    int n = 0, reached = 0;
    w->walk++;
    for (int r = 0; r < ROOTS; r++)
        if (w->root_of[r] >= 0 && w->shadow[w->root_of[r]].seen != w->walk) {
            w->shadow[w->root_of[r]].seen = w->walk;
            w->stack[n++] = w->root_of[r];
        }
    while (n > 0) {
        struct shadow *s = &w->shadow[w->stack[--n]];
        reached++;
        if (check)
            check_object(w, (int)(s - w->shadow));
        for (int e = 0; e < EDGES; e++)
            if (s->edge[e] >= 0 && w->shadow[s->edge[e]].seen != w->walk) {
                w->shadow[s->edge[e]].seen = w->walk;
                w->stack[n++] = s->edge[e];
            }
    }
    for (int i = 0; i < OBJECTS; i++)
        if (w->shadow[i].seen != w->walk)
            w->shadow[i].hidden = 0;
    return reached;
}

// Some object that is in reach: along edges from a root.
static int pick(struct world *w)
{
    int i = w->root_of[rnd(&w->seed, ROOTS)];
    for (int steps = (int)rnd(&w->seed, 12); i >= 0 && steps > 0; steps--) {
        int next = w->shadow[i].edge[rnd(&w->seed, EDGES)];
        i = next >= 0 ? next : i;
    }
    return i;
}

static int unused(struct world *w)
{
    for (int tries = 0; tries < 20; tries++) {
        int i = (int)rnd(&w->seed, OBJECTS);
        if (!w->shadow[i].hidden)
            return i;
    }
    return -1;
}

static void set_root(struct world *w, int r, int i)
{
    w->root[r] = object_of(w, i);
    w->root_of[r] = i;
}

static void set_edge(struct world *w, int i, int e, int to)
{
    object_of(w, i)->edge[e] = object_of(w, to);
    w->shadow[i].edge[e] = to;
}

static void make_object(struct world *w)
{
    int i = unused(w), from = pick(w);
    if (i < 0)
        return;
    struct shadow *s = &w->shadow[i];
    size_t limit = rnd(&w->seed, 30) ? 100 : rnd(&w->seed, 20) ? 5000 : 200000;
    s->data = rnd(&w->seed, (uint32_t)limit);
    s->id = ++w->made;
    size_t n = (sizeof(struct object) + s->data - 1) / sizeof(struct object) + 1;
    struct object *o = s->id % 2 ? tuza_alloc(sizeof *o + s->data)
                                 : tuza_alloc_typed(&object_type, n);
    need(o);
    for (size_t k = 0; k < sizeof *o + s->data; k++)
        need_eq(((unsigned char *)o)[k], 0);
    o->magic = MAGIC;
    o->id = s->id;
    for (size_t k = 0; k < s->data; k++)
        o->data[k] = (unsigned char)(s->id + k);
    s->hidden = ~(uintptr_t)o;
    for (int e = 0; e < EDGES; e++)
        s->edge[e] = -1;
    if (from < 0 || rnd(&w->seed, 8) == 0)
        set_root(w, (int)rnd(&w->seed, ROOTS), i);
    else
        set_edge(w, from, (int)rnd(&w->seed, EDGES), i);
    tuza_keepalive(o); // the shadow does not keep it until it is linked
}

static void operate(struct world *w)
{
    uint32_t what = rnd(&w->seed, 100);
    int a = pick(w), b = pick(w);
    if (what < 60)
        make_object(w);
    else if (what < 80 && a >= 0)
        set_edge(w, a, (int)rnd(&w->seed, EDGES), b);
    else if (what < 90 && a >= 0)
        set_edge(w, a, (int)rnd(&w->seed, EDGES), -1);
    else if (what < 95)
        set_root(w, (int)rnd(&w->seed, ROOTS), a);
    else if (what < 97)
        set_root(w, (int)rnd(&w->seed, ROOTS), -1);
    else if (a >= 0)
        check_object(w, a);
}

static struct world *new_world(int k, uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    w->shadow = calloc(OBJECTS, sizeof *w->shadow);
    w->stack = calloc(OBJECTS, sizeof *w->stack);
    w->root = roots[k];
    w->seed = seed + (uint64_t)k * 7919 + 1;
    for (int r = 0; r < ROOTS; r++)
        w->root_of[r] = -1;
    return w;
}

// ops operations, with a collection and a check at every `every`th.
static void live(struct world *w, int ops, int every)
{
    int most = 0;
    for (int i = 1; i <= ops; i++) {
        operate(w);
        if (i % every == 0) {
            tuza_gc();
            int reached = walk(w, true);
            most = reached > most ? reached : most;
        } else if (i % 64 == 0) {
            walk(w, false); // frees shadows
        }
    }
    need(most > 10 || ops < 1000);
}

static uint64_t seed;

static void run_alone(int ops, int every)
{
    seed = test_seed();
    live(new_world(0, seed), scaled(ops), every);
}

IN_GOROUTINES(reachable_objects_are_whole_with_a_collection_at_every_operation, 1)
{
    run_alone(4000, 1);
}
IN_GOROUTINES(reachable_objects_are_whole_with_a_collection_at_every_7th, 2)
{
    run_alone(20000, 7);
}
IN_GOROUTINES(reachable_objects_are_whole_with_a_collection_at_every_64th, 2)
{
    run_alone(60000, 64);
}
IN_GOROUTINES(reachable_objects_are_whole_with_a_collection_at_every_1000th, 2)
{
    run_alone(200000, 1000);
}

// Several graphs at once, on several Ps; their collections are each other's.
static void live_beside(void *arg)
{
    int k = *(int *)arg;
    live(new_world(k, seed), scaled(30000), 50 + 31 * k);
    tuza_waitgroup_done(&group);
}

static void run_four(void)
{
    static int number[4] = { 0, 1, 2, 3 };
    seed = test_seed();
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_spawn(live_beside, &number[i]);
    tuza_waitgroup_wait(&group);
}

IN_GOROUTINES(graphs_side_by_side_stay_whole_on_two_procs, 2) { run_four(); }
IN_GOROUTINES(graphs_side_by_side_stay_whole_on_four_procs, 4) { run_four(); }

// And with a collection at every allocation of all the library.
static int stressed(int argc, char **argv)
{
    (void)argc, (void)argv;
    seed = test_seed();
    live(new_world(0, seed), scaled(4000), 10);
    return 0;
}

START_TEST(reachable_objects_are_whole_under_stress)
{
    setenv("TUZADEBUG", "stress=gc", 1);
    api_run(stressed, 2);
}
END_TEST

// When the roots go, so does the graph.
IN_GOROUTINES(a_graph_without_roots_is_reclaimed, 2)
{
    tuza_memstats before = { .size = sizeof before }, after = before;
    seed = test_seed();
    tuza_gc();
    tuza_memstats_read(&before);
    struct world *w = new_world(0, seed);
    live(w, scaled(20000), 500);
    for (int r = 0; r < ROOTS; r++)
        set_root(w, r, -1);
    for (int i = 0; i < 3; i++)
        tuza_gc();
    tuza_memstats_read(&after);
    need(after.heap_live < before.heap_live + (4 << 20));
}

// Collections go on without end beside four graphs that change; what was lost is
// overwritten, and nobody stops to collect before it is checked.
static void live_meanwhile(void *arg)
{
    int k = *(int *)arg;
    struct world *w = new_world(k, seed);
    for (int i = 1; i <= scaled(300000); i++) {
        operate(w);
        if (i % 64 == 0)
            walk(w, i % (64 * 32) == 0);
    }
    walk(w, true);
    tuza_waitgroup_done(&group);
}

static int meanwhile(int argc, char **argv)
{
    (void)argc, (void)argv;
    static int number[4] = { 0, 1, 2, 3 };
    tuza_memstats before = { .size = sizeof before }, after = before;
    tuza_memstats_read(&before);
    seed = test_seed();
    tuza_waitgroup_add(&group, 4);
    for (int i = 0; i < 4; i++)
        tuza_spawn(live_meanwhile, &number[i]);
    tuza_waitgroup_wait(&group);
    tuza_memstats_read(&after);
    need(after.num_gc >= before.num_gc + 20);
    return 0;
}

static void run_meanwhile(int maxprocs)
{
    setenv("TUZADEBUG", "gcmode=m1,clobberfree=1", 1);
    setenv("TUZAGC", "1", 1);
    api_run(meanwhile, maxprocs);
}

START_TEST(graphs_stay_whole_beside_the_mark)
{
    run_meanwhile(4);
}
END_TEST

START_TEST(graphs_stay_whole_beside_the_mark_on_one_proc)
{
    run_meanwhile(1);
}
END_TEST

// Each collection by one graph is beside the others'.
static int forced(int argc, char **argv)
{
    (void)argc, (void)argv;
    run_four();
    return 0;
}

#define BESIDE(k, fn)                                                          \
    START_TEST(beside_a_mark_at_every_allocation_##k)                          \
    {                                                                          \
        setenv("TUZADEBUG",                                                    \
               "gcmode=m1,clobberfree=1,gccheckmark=1,gcevery=" #k, 1);        \
        api_run(fn, 2);                                                        \
    }                                                                          \
    END_TEST
BESIDE(1, stressed)
BESIDE(7, stressed)
BESIDE(64, forced)

START_TEST(beside_marks_that_were_asked_for)
{
    setenv("TUZADEBUG", "gcmode=m1,clobberfree=1", 1);
    api_run(forced, 2);
}
END_TEST

int main(void)
{
    return api_check(
        "model",
        (const TTest *const[]){
            reachable_objects_are_whole_with_a_collection_at_every_operation,
            reachable_objects_are_whole_with_a_collection_at_every_7th,
            reachable_objects_are_whole_with_a_collection_at_every_64th,
            reachable_objects_are_whole_with_a_collection_at_every_1000th,
            graphs_side_by_side_stay_whole_on_two_procs,
            graphs_side_by_side_stay_whole_on_four_procs,
            reachable_objects_are_whole_under_stress,
            a_graph_without_roots_is_reclaimed,
            graphs_stay_whole_beside_the_mark,
            graphs_stay_whole_beside_the_mark_on_one_proc,
            beside_marks_that_were_asked_for,
            beside_a_mark_at_every_allocation_1,
            beside_a_mark_at_every_allocation_7,
            beside_a_mark_at_every_allocation_64, NULL });
}
