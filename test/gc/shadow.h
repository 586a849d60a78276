// SPDX-License-Identifier: BSD-3-Clause
// test/gc/shadow.h: a random graph of objects beside a model of it that the
// collector cannot see.
//
// The model is in memory of malloc's, with addresses complemented, so it keeps
// nothing. What it reaches from its places must be whole: number, references,
// contents. Places are what the collector takes for roots: static variables,
// memory that was named as a root, the stack of a goroutine that is parked,
// objects that are not collected. A reference may point anywhere into an
// object.
//
// The collector may keep what the model does not reach; then a weak handle
// still gives it, whole, and it may be taken back, as what a finalizer has seen
// may. Objects that were never referred to by another are also freed by hand:
// nobody who comes back can lead to them.
#ifndef TEST_GC_SHADOW_H
#define TEST_GC_SHADOW_H

#include "base/san.h"
#include "mem/mheap.h"
#include "support/goroutines.h"

enum {
    EDGES = 6,
    WORLDS = 4,
    STATICS = 16, // places: static variables,
    NAMED = 6,    // words of memory that is a root from time to time,
    HELD = 6,     // and of a parked goroutine's stack
    PLACES = STATICS + NAMED + HELD,
    KEPT = 4, // objects that are not collected
    WEAKS = 8,
    BACKS = 8,
    LARGE = 128 << 10,
    MAGIC = 0x0b1ec7
};

enum kind { CONSERVATIVE, TYPED, NOSCAN, UNCOLLECTABLE };

// The real object. Bytes of a pattern follow.
struct object {
    uint64_t magic, id;
    uint32_t kind;
    uint16_t world;
    bool finalizer; // it has one
    uint64_t size;  // of data
    void *edge[EDGES];
    unsigned char data[];
};

// An array of these; what lies under data is no address.
static const tuza_type object_type = TUZA_TYPE(struct object, edge);

struct shadow {
    uintptr_t hidden; // complement; 0 unused
    uint64_t id;
    size_t size; // of data
    enum kind kind;
    bool linked;      // another object refers to it, or has
    int edge[EDGES];  // numbers of shadows, -1 none
    size_t at[EDGES]; // where in the object the reference points
    int seen;         // by the walk of that number
};

// To the goroutine that holds references on its stack.
struct order {
    int slot;              // -1: ends
    uintptr_t hidden, was; // complements: what to hold, what it must have held
};

// What the collector sees of a world.
static struct visible {
    void *volatile place[STATICS];
    tuza_weak *volatile weak[WEAKS];
    void *volatile back[BACKS]; // from finalizers; guarded by lock
    int nback;
    uint32_t lock;
    tuza_chan(struct order) order;
    tuza_chan(int) done;
} visible[WORLDS];

struct world {
    int number, objects;
    struct shadow *shadow;
    int place[PLACES]; // shadows, -1 none
    size_t place_at[PLACES];
    int kept[KEPT];
    uint64_t weak_id[WEAKS]; // of the object that it is of
    void **named;            // of malloc's
    bool is_root;            // it is one
    int walk, *stack;
    uint64_t seed;
    uint64_t freed, came_back, weak_gone, most; // to see that all of it happens
};

static inline uint64_t next_id(void)
{
    static uint64_t made; // in all worlds
    return __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
}

// All stores of references into objects.
static inline void store(struct object *o, int e, void *p)
{
    if (!o->edge[e])
        tuza_store_first(&o->edge[e], p);
    else
        tuza_store(&o->edge[e], p);
}

static struct object *object_of(const struct world *w, int i)
{
    return i < 0 ? NULL : (struct object *)~w->shadow[i].hidden;
}

static void *address(const struct world *w, int i, size_t at)
{
    return i < 0 ? NULL : (char *)object_of(w, i) + at;
}

// --- looking at objects

static void check_data(const struct object *o)
{
    size_t step = o->size > 4096 ? 61 : 1;
    for (size_t k = 0; k < o->size; k += step)
        need_eq(o->data[k], (unsigned char)(o->id + k));
}

static void check_object(const struct world *w, int i)
{
    const struct shadow *s = &w->shadow[i];
    const struct object *o = object_of(w, i);
    struct tz_object found;
    need(tz_heap_find((uintptr_t)o, &found) && found.base == (uintptr_t)o);
    need_eq(o->magic, MAGIC);
    need_eq(o->id, s->id);
    need_eq(o->size, s->size);
    for (int e = 0; e < EDGES; e++)
        need(o->edge[e] == address(w, s->edge[e], s->at[e]));
    check_data(o);
}

// One that the model does not know: what it leads to is there.
static void check_stray(const struct object *o)
{
    need_eq(o->magic, MAGIC);
    check_data(o);
    for (int e = 0; e < EDGES; e++) {
        void *base;
        if (!o->edge[e])
            continue;
        need(tuza_object_of(o->edge[e], &base) >= sizeof *o);
        need_eq(((struct object *)base)->magic, MAGIC);
    }
}

// --- the model

static void reach(struct world *w, int i, int *n)
{
    if (i < 0 || w->shadow[i].seen == w->walk)
        return;
    w->shadow[i].seen = w->walk;
    w->stack[(*n)++] = i;
}

// Walks the model from its places; with check, looks at the real ones. Shadows
// that were not reached are free afterwards.
static void walk(struct world *w, bool check)
{
    int n = 0;
    uint64_t reached = 0;
    w->walk++;
    for (int p = 0; p < PLACES; p++)
        reach(w, w->place[p], &n);
    for (int k = 0; k < KEPT; k++)
        reach(w, w->kept[k], &n);
    while (n > 0) {
        int i = w->stack[--n];
        reached++;
        if (check)
            check_object(w, i);
        for (int e = 0; e < EDGES; e++)
            reach(w, w->shadow[i].edge[e], &n);
    }
    for (int i = 0; i < w->objects; i++)
        if (w->shadow[i].seen != w->walk)
            w->shadow[i].hidden = 0;
    w->most = reached > w->most ? reached : w->most;
}

// Some object that is in reach: along edges from a place. One that is not
// collected is next to none.
static int pick(struct world *w)
{
    uint32_t r = rnd(&w->seed, PLACES + KEPT);
    int i = r < PLACES ? w->place[r] : w->kept[r - PLACES];
    for (int steps = (int)rnd(&w->seed, 12); i >= 0 && steps > 0; steps--) {
        int next = w->shadow[i].edge[rnd(&w->seed, EDGES)];
        i = next >= 0 ? next : i;
    }
    return i;
}

static int unused(struct world *w)
{
    for (int tries = 0; tries < 20; tries++) {
        int i = (int)rnd(&w->seed, (uint32_t)w->objects);
        if (!w->shadow[i].hidden)
            return i;
    }
    return -1;
}

static int with_id(const struct world *w, uint64_t id)
{
    for (int i = 0; i < w->objects; i++)
        if (w->shadow[i].hidden && w->shadow[i].id == id)
            return i;
    return -1;
}

// A larger graph loses less often what leads to much.
static bool rare(struct world *w)
{
    return rnd(&w->seed, (uint32_t)w->objects / 100) == 0;
}

static size_t somewhere(struct world *w, int i)
{
    if (i < 0 || rnd(&w->seed, 2))
        return 0;
    return rnd(&w->seed, (uint32_t)(sizeof(struct object) + w->shadow[i].size));
}

// --- a goroutine that is parked

static void hold(void *arg)
{
    const struct visible *v = arg;
    volatile uintptr_t held[HELD] = { 0 };
    struct order o;
    while (tuza_recv(v->order, &o) == 1 && o.slot >= 0) {
        need(~held[o.slot] == o.was);
        held[o.slot] = ~o.hidden;
        o.hidden = 0;
        tuza_send(v->done, 1);
    }
    tuza_send(v->done, 0);
}

static void set_place(struct world *w, int p, int i)
{
    uintptr_t was = (uintptr_t)address(w, w->place[p], w->place_at[p]);
    int slot = p - STATICS - NAMED;
    if (p < STATICS + NAMED && p >= STATICS && !w->is_root)
        return;
    w->place_at[p] = somewhere(w, i);
    w->place[p] = i;
    void *a = address(w, i, w->place_at[p]);
    if (slot >= 0) {
        struct order o = { slot, ~(uintptr_t)a, ~was };
        tuza_send(visible[w->number].order, o);
        tuza_recv(visible[w->number].done, NULL);
    } else if (p >= STATICS) {
        w->named[p - STATICS] = a;
    } else {
        visible[w->number].place[p] = a;
    }
    tuza_keepalive(a);
}

static void set_edge(struct world *w, int i, int e, int to)
{
    struct shadow *s = &w->shadow[i];
    if (s->kind == NOSCAN || (to >= 0 && w->shadow[to].kind == UNCOLLECTABLE))
        return;
    s->at[e] = somewhere(w, to);
    s->edge[e] = to;
    if (to >= 0)
        w->shadow[to].linked = true;
    store(object_of(w, i), e, address(w, to, s->at[e]));
}

// The memory is a root from now on, or is none.
static void change_named(struct world *w)
{
    if (!w->is_root) {
        memset(w->named, 0, NAMED * sizeof *w->named);
        need_eq(tuza_root_add(w->named, w->named + NAMED), 0);
    } else {
        need_eq(tuza_root_remove(w->named, w->named + NAMED), 0);
        for (int p = STATICS; p < STATICS + NAMED; p++)
            w->place[p] = -1;
    }
    w->is_root = !w->is_root;
}

// --- objects come

static void fill(struct object *o)
{
    for (size_t k = 0; k < o->size; k++)
        o->data[k] = (unsigned char)(o->id + k);
}

// The model learns of it. It is on the caller's stack only.
static void note(struct world *w, int i, struct object *o)
{
    w->shadow[i] = (struct shadow){ .hidden = ~(uintptr_t)o, .id = o->id,
                                    .size = o->size, .kind = o->kind };
    for (int e = 0; e < EDGES; e++)
        w->shadow[i].edge[e] = -1;
}

static size_t some_size(struct world *w)
{
    if (rnd(&w->seed, 60) == 0)
        return LARGE + rnd(&w->seed, LARGE);
    return rnd(&w->seed, rnd(&w->seed, 20) ? 100 : 5000);
}

static struct object *allocate(enum kind kind, size_t size)
{
    size_t n = (sizeof(struct object) + size - 1) / sizeof(struct object) + 1;
    size_t all = sizeof(struct object) + size;
    switch (kind) {
    case TYPED:
        return tuza_alloc_typed(&object_type, n);
    case NOSCAN:
        return tuza_alloc_bytes(all);
    case UNCOLLECTABLE:
        return tuza_alloc_uncollectable(all);
    default:
        return tuza_alloc(all);
    }
}

static struct object *make_object(struct world *w, int i, enum kind kind)
{
    size_t size = some_size(w);
    struct object *o = allocate(kind, size);
    need(o);
    if (kind == NOSCAN)
        memset(o, 0, sizeof *o);
    for (const uint64_t *word = (uint64_t *)o, *end = word + sizeof *o / 8 +
                                                      size / 8;
         kind != NOSCAN && word < end; word++)
        need_eq(*word, 0);
    o->magic = MAGIC;
    o->id = next_id();
    o->kind = kind;
    o->world = (uint16_t)w->number;
    o->finalizer = false;
    o->size = size;
    fill(o);
    note(w, i, o);
    return o;
}

static int a_place(struct world *w) { return (int)rnd(&w->seed, PLACES); }

// Something leads to it, rather than nothing than something else.
static void link_object(struct world *w, int i, int from)
{
    if (from < 0 || w->shadow[from].kind == NOSCAN || rnd(&w->seed, 32) == 0) {
        int p = a_place(w);
        if (w->place[p] < 0 || rare(w))
            set_place(w, p, i);
        return;
    }
    int e = (int)rnd(&w->seed, EDGES);
    for (int tries = 0; tries < EDGES && w->shadow[from].edge[e] >= 0; tries++)
        e = (e + 1) % EDGES;
    set_edge(w, from, e, i);
}

static void make(struct world *w)
{
    static const enum kind kinds[] = { CONSERVATIVE, CONSERVATIVE, TYPED,
                                       TYPED, NOSCAN };
    int i = unused(w), from = pick(w);
    if (i < 0)
        return;
    struct object *o = make_object(w, i, kinds[rnd(&w->seed, 5)]);
    link_object(w, i, from);
    tuza_keepalive(o); // the shadow does not keep it until it is linked
}

// --- objects go, and come back

static void forget_in_places(struct world *w, int i)
{
    for (int p = 0; p < PLACES; p++)
        if (w->place[p] == i)
            set_place(w, p, -1);
}

static void check_weak_gone(const struct world *w, uint64_t id)
{
    for (int k = 0; k < WEAKS; k++)
        if (w->weak_id[k] == id)
            need(!tuza_weak_get(visible[w->number].weak[k]));
}

// By hand; its last reference is on this stack.
static void free_object(struct world *w, int i)
{
    struct object *o = object_of(w, i);
    check_object(w, i);
    forget_in_places(w, i);
    check_data(o);
    tuza_free(o);
    check_weak_gone(w, w->shadow[i].id);
    w->shadow[i].hidden = 0;
    w->freed++;
}

static void free_some(struct world *w)
{
    int i = w->place[a_place(w)];
    if (i < 0 || w->shadow[i].linked || w->shadow[i].kind == UNCOLLECTABLE)
        return;
    bool leads = false;
    for (int e = 0; e < EDGES; e++)
        leads |= w->shadow[i].edge[e] >= 0;
    if (!leads || rare(w))
        free_object(w, i);
}

static void make_or_free_kept(struct world *w)
{
    int *k = &w->kept[rnd(&w->seed, KEPT)], i = unused(w);
    if (*k >= 0) {
        free_object(w, *k);
        *k = -1;
    } else if (i >= 0) {
        make_object(w, i, UNCOLLECTABLE);
        *k = i;
    }
}

static void lock(struct visible *v)
{
    while (__atomic_exchange_n(&v->lock, 1, __ATOMIC_ACQUIRE))
        tuza_yield();
}

static void unlock(struct visible *v)
{
    __atomic_store_n(&v->lock, 0, __ATOMIC_RELEASE);
}

// A finalizer.
static void come_back(void *obj)
{
    struct object *o = obj;
    struct visible *v = &visible[o->world];
    check_stray(o);
    need(o->finalizer);
    o->finalizer = false;
    lock(v);
    if (v->nback < BACKS)
        v->back[v->nback++] = o;
    unlock(v);
}

static void set_finalizer(struct world *w, int i)
{
    struct object *o = object_of(w, i);
    if (o->kind == UNCOLLECTABLE)
        return;
    o->finalizer = !o->finalizer;
    need_eq(tuza_finalizer_set(o, o->finalizer ? come_back : NULL), 0);
}

// One that was out of reach is in it again, leading to nothing.
static void take_back(struct world *w, struct object *o)
{
    int i = unused(w);
    check_stray(o);
    if (i < 0)
        return;
    for (int e = 0; e < EDGES; e++)
        store(o, e, NULL);
    note(w, i, o);
    w->shadow[i].linked = true; // by what nobody knows of any more
    link_object(w, i, pick(w));
    tuza_keepalive(o);
    w->came_back++;
}

static void take_back_finalized(struct world *w)
{
    struct visible *v = &visible[w->number];
    struct object *o = NULL;
    lock(v);
    if (v->nback > 0) {
        o = v->back[--v->nback];
        v->back[v->nback] = NULL;
    }
    unlock(v);
    if (!o)
        return;
    walk(w, false);
    need(with_id(w, o->id) < 0); // it was not in reach
    o->id = next_id(); // no handle is of it
    fill(o);
    take_back(w, o);
}

static void make_weak(struct world *w, int i)
{
    int k = (int)rnd(&w->seed, WEAKS);
    tuza_weak *weak = tuza_weak_make(object_of(w, i));
    need(weak);
    visible[w->number].weak[k] = weak;
    w->weak_id[k] = w->shadow[i].id;
}

// Gives it if it is in reach, else it or nothing.
static void read_weak(struct world *w)
{
    int k = (int)rnd(&w->seed, WEAKS);
    uint64_t id = w->weak_id[k];
    struct object *o = tuza_weak_get(visible[w->number].weak[k]);
    walk(w, false);
    int i = id ? with_id(w, id) : -1;
    if (i >= 0) {
        need(o == object_of(w, i));
        check_object(w, i);
    } else if (o) {
        need_eq(o->id, id);
        take_back(w, o);
    } else {
        w->weak_gone += id != 0;
    }
    tuza_keepalive(o);
}

// --- a life

static void operate(struct world *w)
{
    uint32_t what = rnd(&w->seed, 100);
    int a = pick(w), b = pick(w);
    if (what < 16)
        make(w);
    else if (what < 17 && rare(w))
        make_or_free_kept(w);
    else if (what < 20)
        free_some(w);
    else if (what < 23)
        read_weak(w);
    else if (what < 24)
        take_back_finalized(w);
    else if (what < 26 && rare(w))
        set_place(w, a_place(w), rnd(&w->seed, 3) ? a : -1);
    else if (what < 27 && rnd(&w->seed, 8) == 0)
        change_named(w);
    else if (a < 0)
        return;
    else if (what < 28)
        make_weak(w, a);
    else if (what < 29)
        set_finalizer(w, a);
    else if (what < 36 && rare(w))
        set_edge(w, a, (int)rnd(&w->seed, EDGES), b);
    else if (what < 40 && rare(w))
        set_edge(w, a, (int)rnd(&w->seed, EDGES), -1);
    else
        check_object(w, a);
}

static struct world *new_world(int number, int objects, uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    struct visible *v = &visible[number];
    w->number = number;
    w->objects = objects;
    w->shadow = calloc((size_t)objects, sizeof *w->shadow);
    w->stack = calloc((size_t)objects, sizeof *w->stack);
    w->named = calloc(NAMED, sizeof *w->named);
    w->seed = seed + (uint64_t)number * 7919 + 1;
    for (int p = 0; p < PLACES; p++)
        w->place[p] = -1;
    for (int k = 0; k < KEPT; k++)
        w->kept[k] = -1;
    v->order = tuza_chan_make(struct order, 0);
    v->done = tuza_chan_make(int, 0);
    need(v->order && v->done);
    tuza_spawn(hold, v);
    return w;
}

// Nothing leads to any of its objects any more.
static void end_world(struct world *w)
{
    struct visible *v = &visible[w->number];
    struct order last = { -1, 0, 0 };
    for (int k = 0; k < KEPT; k++)
        if (w->kept[k] >= 0)
            free_object(w, w->kept[k]);
    if (w->is_root)
        change_named(w);
    tuza_send(v->order, last);
    tuza_recv(v->done, NULL);
    for (int p = 0; p < STATICS; p++)
        v->place[p] = NULL;
    for (int k = 0; k < WEAKS; k++)
        v->weak[k] = NULL;
    v->order = NULL;
    v->done = NULL;
    free(w->named);
    free(w->stack);
    free(w->shadow);
    free(w);
}

// ops operations; at every `collect`th (0: none) a collection, at every
// `check`th a look at all there is.
static void live(struct world *w, int64_t ops, int collect, int check)
{
    for (int64_t i = 1; i <= ops; i++) {
        operate(w);
        if (collect && i % collect == 0)
            tuza_gc();
        if (i % check == 0)
            walk(w, true);
        else if (i % 64 == 0)
            walk(w, false); // frees shadows
    }
    walk(w, true);
    printf("reached %llu, freed %llu, came back %llu, weak gone %llu\n",
           (unsigned long long)w->most, (unsigned long long)w->freed,
           (unsigned long long)w->came_back, (unsigned long long)w->weak_gone);
    if (ops >= 10000 && scaled(100) >= 100) // all of it has happened
        need(w->most > 30 && w->freed && w->came_back && w->weak_gone);
}

#endif
