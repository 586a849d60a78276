// SPDX-License-Identifier: BSD-3-Clause
// test/gc/reach_model_test.c: random graphs with weak handles, ephemerons,
// finalizers and cleanups, beside a model of what is reachable, with a
// collection at every k-th allocation.
//
// The collector may keep what a stale word leads to, so the model does not say
// what has gone; it says what must be there (what the roots lead to), and that
// what is there fits together: what an object with a handle leads to has a
// handle, an ephemeron is dead when its key is, a finalizer runs once and
// before the cleanups. In the end, without roots, nearly all has gone.

#include "base/san.h"
#include "sched/proc.h"
#include "dying.h"

enum { NODES = 96, EDGES = 4, PAIRS = 32, MAGIC = 0x5ade };

struct object {
    struct object *edge[EDGES];
    uint64_t magic, node;
};

enum { NONE, SET, RAN };

// What the test knows. A node is used again when its object has gone.
static struct node {
    bool used, rooted, lost; // lost: its handle was seen empty
    tuza_weak *weak;
    int edge[EDGES]; // nodes, -1 none
    int finalizer, cleanup;
    bool comes_back; // its finalizer makes it a root again
    int64_t id;      // of its cleanup
    uint64_t life;   // which use of the node
} node[NODES];

static struct pair {
    tuza_ephemeron *e;
    int key, value; // nodes
    uint64_t key_life, value_life;
} pair[PAIRS];

static struct object *volatile root[NODES]; // what keeps, besides the stacks
static uint64_t seed, lives, set_in_all, ran_in_all, cleaned_in_all;

// The model is changed by one goroutine at a time. Finalizers and cleanups run
// in others, and also beside a goroutine whose P was taken.
static uint32_t busy;

static void lock(void)
{
    while (tz_xchg(&busy, 1))
        tuza_yield();
}

static void unlock(void)
{
    tz_store(&busy, 0);
}

static struct object *there(int i)
{
    return node[i].used && node[i].weak ? tuza_weak_get(node[i].weak) : NULL;
}

static void finalize(void *obj)
{
    struct object *o = obj;
    struct node *n = &node[o->node];
    lock();
    need(o->magic == MAGIC && n->finalizer == SET && n->cleanup != RAN);
    need(!tuza_weak_get(n->weak)); // cleared before
    n->finalizer = RAN;
    ran_in_all++;
    for (int k = 0; k < EDGES; k++) // what it leads to is whole
        need(!o->edge[k] || o->edge[k]->magic == MAGIC);
    if (n->comes_back) {
        n->rooted = true;
        n->lost = false;
        root[o->node] = o;
        n->weak = tuza_weak_make(o);
    }
    unlock();
}

struct cleaning {
    uint64_t node, life;
};

static void clean(void *arg)
{
    struct cleaning *c = arg;
    struct node *n = &node[c->node];
    lock();
    need(n->life == c->life && n->cleanup == SET && n->finalizer != SET);
    need(!n->rooted && !tuza_weak_get(n->weak));
    n->cleanup = RAN;
    cleaned_in_all++;
    unlock();
}

// --- operations

static void make(int i)
{
    struct node *n = &node[i];
    *n = (struct node){ .used = true, .rooted = true, .life = ++lives };
    struct object *o = tuza_new(struct object);
    root[i] = o;
    o->magic = MAGIC;
    o->node = (uint64_t)i;
    for (int k = 0; k < EDGES; k++)
        n->edge[k] = -1;
    n->weak = tuza_weak_make(o);
    need(n->weak);
}

static void connect(int i, int j)
{
    struct object *from = there(i), *to = there(j);
    int k = (int)rnd(&seed, EDGES);
    if (!from)
        return;
    tuza_store(&from->edge[k], to);
    node[i].edge[k] = to ? j : -1;
    tuza_keepalive(to);
}

static void finalizer(int i)
{
    struct object *o = there(i);
    if (!o || node[i].finalizer == RAN)
        return;
    int want = node[i].finalizer == SET ? NONE : SET;
    need_eq(tuza_finalizer_set(o, want == SET ? finalize : NULL), 0);
    node[i].finalizer = want;
    node[i].comes_back = rnd(&seed, 4) == 0;
    set_in_all += want == SET ? 1 : -1ull;
    tuza_keepalive(o);
}

static void cleanup(int i)
{
    struct object *o = there(i);
    if (!o || node[i].cleanup == RAN)
        return;
    if (node[i].cleanup == SET) {
        need_eq(tuza_cleanup_stop(node[i].id), 1);
        node[i].cleanup = NONE;
        return;
    }
    struct cleaning *c = tuza_new(struct cleaning);
    *c = (struct cleaning){ (uint64_t)i, node[i].life };
    node[i].cleanup = SET;
    node[i].id = tuza_cleanup_add(o, clean, c);
    need(node[i].id > 0);
    tuza_keepalive(o);
}

static void couple(int i, int j)
{
    struct object *key = there(i), *value = there(j);
    if (!key || !value)
        return;
    struct pair *p = &pair[rnd(&seed, PAIRS)];
    p->e = tuza_ephemeron_make(key, value);
    need(p->e);
    *p = (struct pair){ p->e, i, j, node[i].life, node[j].life };
    tuza_keepalive(key);
    tuza_keepalive(value);
}

static void unroot(int i)
{
    root[i] = NULL;
    node[i].rooted = false;
}

// Whether nothing is left of the node's last object.
static bool over(int i)
{
    struct node *n = &node[i];
    if (!n->used)
        return true;
    if (there(i) || n->finalizer == SET || n->cleanup == SET || n->rooted)
        return false;
    for (int j = 0; j < NODES; j++)
        for (int k = 0; k < EDGES; k++)
            if (node[j].used && node[j].edge[k] == i)
                return false;
    return true;
}

static NOINLINE void step(void)
{
    int i = (int)rnd(&seed, NODES), j = (int)rnd(&seed, NODES);
    switch (rnd(&seed, 12)) {
    case 0:
    case 1:
    case 2:
        if (over(i))
            make(i);
        break;
    case 3:
    case 4:
    case 5:
        connect(i, j);
        break;
    case 6:
        finalizer(i);
        break;
    case 7:
        cleanup(i);
        break;
    case 8:
        couple(i, j);
        break;
    default:
        unroot(i);
        break;
    }
}

// --- the model

static bool reached[NODES];

static void reach(int i)
{
    if (i < 0 || reached[i])
        return;
    reached[i] = true; // NODES deep at most
    for (int k = 0; k < EDGES; k++)
        reach(node[i].edge[k]);
}

static bool pair_of(const struct pair *p, int i, uint64_t life)
{
    return p->e && i >= 0 && node[i].life == life;
}

static void find_reached(void)
{
    memset(reached, 0, sizeof reached);
    for (int i = 0; i < NODES; i++)
        if (node[i].rooted)
            reach(i);
    for (bool more = true; more;) {
        more = false;
        for (int k = 0; k < PAIRS; k++) {
            struct pair *p = &pair[k];
            if (!pair_of(p, p->key, p->key_life) || !reached[p->key] ||
                tuza_ephemeron_dead(p->e) || reached[p->value])
                continue;
            more = true;
            reach(p->value);
        }
    }
}

static void check_node(int i)
{
    struct node *n = &node[i];
    struct object *o = there(i);
    if (reached[i]) // by one that came back, also without its first handle
        need((o || n->finalizer) && n->cleanup != RAN);
    if (!o) {
        n->lost = n->used;
        for (int k = 0; k < EDGES && !n->finalizer; k++)
            n->edge[k] = -1; // it is gone
        return;
    }
    need(!n->lost && o->magic == MAGIC && o->node == (uint64_t)i);
    for (int k = 0; k < EDGES; k++) {
        int j = n->edge[k];
        // What came back may lead to what is queued, or was, without a handle.
        need(j < 0 ? !o->edge[k]
                   : o->edge[k] == there(j) || node[j].finalizer);
        if (o->edge[k])
            need(o->edge[k]->magic == MAGIC &&
                 o->edge[k]->node == (uint64_t)j);
    }
}

static NOINLINE void check(void)
{
    find_reached();
    for (int i = 0; i < NODES; i++)
        check_node(i);
    for (int k = 0; k < PAIRS; k++) {
        struct pair *p = &pair[k];
        if (!p->e)
            continue;
        struct object *value = tuza_ephemeron_get(p->e);
        need((value == NULL) == tuza_ephemeron_dead(p->e));
        if (node[p->key].life != p->key_life)
            need(!value);
        else if (node[p->key].finalizer != RAN) // may have come back
            need((value == NULL) == !there(p->key));
        if (value)
            need(value->magic == MAGIC && value->node == (uint64_t)p->value);
    }
}

static void some_steps(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        lock();
        step();
        check();
        unlock();
    }
}

static bool is_left(int i)
{
    return there(i) || node[i].finalizer == SET || node[i].cleanup == SET;
}

// Those that i leads to before i itself.
static int order(int i, int *list, int n)
{
    if (i < 0 || reached[i] || !is_left(i))
        return n;
    reached[i] = true;
    for (int k = 0; k < EDGES; k++)
        n = order(node[i].edge[k], list, n);
    list[n] = i;
    return n + 1;
}

// How many words, at the least, keep what is left: one may keep all that its
// object leads to. Each in turn of who was finished last is a node that none of
// those before leads to (as in Kosaraju's search for components).
static int left(void)
{
    int list[NODES], n = 0, words = 0;
    memset(reached, 0, sizeof reached);
    for (int i = 0; i < NODES; i++)
        n = order(i, list, n);
    memset(reached, 0, sizeof reached);
    while (n--) {
        words += !reached[list[n]];
        reach(list[n]);
    }
    return words;
}

// A collection for each finalizer at most, of those in one cycle.
static void drop_all(void)
{
    lock();
    for (int i = 0; i < NODES; i++) {
        unroot(i);
        node[i].comes_back = false;
    }
    memset(pair, 0, sizeof pair);
    for (int k = 0; k < 2 * NODES && left() > NODES / 8; k++) {
        unlock();
        if (k % 4 == 0)
            scrub_stacks();
        tuza_gc();
        for (int i = 0; i < 20; i++)
            tuza_yield();
        lock();
        check();
    }
    unlock();
}

static void fuzz(int rounds)
{
    int steps = 40;
    tz_store_rlx(&tz_sched.most_takers, 4); // also where sanitizers let none
    seed = test_seed();
    for (int r = 0; r < rounds; r++) {
        elsewhere(some_steps, &steps);
        tuza_yield();
    }
    drop_all();
    lock();
    printf("%llu lives, %llu finalized, %llu cleaned, %d words hold the rest\n",
           (unsigned long long)lives, (unsigned long long)ran_in_all,
           (unsigned long long)cleaned_in_all, left());
    need(left() <= NODES / 8);
    need(ran_in_all <= set_in_all && ran_in_all > 0 && cleaned_in_all > 0);
    unlock();
}

// The modes of marking.
#define MODES(X) X(m0) X(m1) X(m2)

static int rounds_now;

static int run_rounds(int argc, char **argv)
{
    (void)argc, (void)argv;
    fuzz(rounds_now);
    return 0;
}

static void at_every(const char *mode, int k, int rounds, int procs)
{
    char text[100];
    snprintf(text, sizeof text,
             "gcmode=%s,gccheckmark=1,clobberfree=1,gcevery=%d", mode, k);
    setenv("TUZADEBUG", text, 1);
    rounds_now = 20 + scaled(rounds) / (TZ_ASAN ? 6 : 1);
    api_run_telling(run_rounds, procs);
}

// Each collection checks its mark, and what is swept is overwritten.
#define AT_EVERY(k, rounds, procs, mode)                                       \
    START_TEST(mode##_at_every_##k)                                            \
    {                                                                          \
        at_every(#mode, k, rounds, procs);                                     \
    }                                                                          \
    END_TEST
#define AT_EVERY_K(mode)                                                       \
    AT_EVERY(1, 60, 1, mode)                                                   \
    AT_EVERY(2, 60, 2, mode)                                                   \
    AT_EVERY(3, 60, 1, mode)                                                   \
    AT_EVERY(7, 100, 2, mode)                                                  \
    AT_EVERY(64, 300, 1, mode)
#define NAMES(mode)                                                            \
    mode##_at_every_1, mode##_at_every_2, mode##_at_every_3,                   \
        mode##_at_every_7, mode##_at_every_64,
MODES(AT_EVERY_K)

int main(void)
{
    return api_check("reach_model",
                     (const TTest *const[]){ MODES(NAMES) NULL });
}
