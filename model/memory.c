// SPDX-License-Identifier: BSD-3-Clause
// model/memory.c: atomic variables that keep their last values.
//
// A store appends a value. A load takes the newest, or an older one that the
// thread does not know to be out of date: so a store may reach another thread
// late, as from a store buffer for each variable, and loads may come early. A
// released value carries what its thread knew; who acquires it knows that too.
// What is sequentially consistent and writes (also a read-modify-write) drains:
// it learns what all such have told, and tells what it knows. Such a load only
// finds nothing older than those have written there.

#include <string.h>

#include "inner.h"

static struct loc *new_loc(struct line *n, uintptr_t addr, size_t size)
{
    struct explorer *x = model_x;
    if (x->nlocs == LOCS)
        model_fail("the program has more than %d atomic variables", LOCS);
    struct loc *l = &x->loc[x->nlocs++];
    memset(l, 0, sizeof *l);
    l->addr = addr;
    l->size = (uint8_t)size;
    n->loc[addr % 64] = (uint16_t)x->nlocs;
    return l;
}

static uint64_t get(uintptr_t addr, size_t size)
{
    uint64_t v = 0;
    memcpy(&v, (void *)addr, size); // little-endian
    return v;
}

static void set(uintptr_t addr, size_t size, uint64_t v)
{
    memcpy((void *)addr, &v, size);
}

static void renew(struct loc *l)
{
    struct explorer *x = model_x;
    if (l->gen != x->gen) {
        l->gen = x->gen;
        l->newest = 0;
        memset(l->wrote, 0, sizeof l->wrote);
        memset(l->read, 0, sizeof l->read);
    } else if (l->dirty) {
        l->newest++;
    } else {
        return;
    }
    l->dirty = false;
    l->first = l->newest; // older ones are behind all who may come here
    struct message *m = &l->kept[l->newest % KEPT];
    *m = (struct message){ .value = get(l->addr, l->size) };
}

static struct loc *loc_of(const void *p, size_t size)
{
    uintptr_t addr = (uintptr_t)p;
    struct line *n = model_line(addr);
    uint32_t at = n->loc[addr % 64];
    struct loc *l = at ? &model_x->loc[at - 1] : new_loc(n, addr, size);
    if (l->size != size)
        model_fail("atomic accesses of %u and %zu bytes at %p", l->size, size,
                   p);
    return l;
}

static void mark(struct loc *l, bool write)
{
    struct explorer *x = model_x;
    uint8_t bit = (uint8_t)(1u << x->cur);
    if (write)
        l->writers |= bit;
    else
        l->readers |= bit;
    uint8_t all = l->readers | l->writers;
    if (!l->shared && l->writers && (all & (all - 1)))
        x->grown = true;
}

static const struct model_site futex = { "word", "futex" };

// The variable, after a place where others may run.
static struct loc *begin(const void *p, size_t size, bool write,
                         const struct model_site *at)
{
    struct loc *l = loc_of(p, size);
    mark(l, write);
    model_point(l->shared || at == &futex);
    renew(l);
    model_race_atomic(l, write, at);
    return l;
}

static void join_view(struct view *v, const struct view *o)
{
    for (uint32_t i = 0; i < model_x->nlocs; i++)
        if (v->at[i] < o->at[i])
            v->at[i] = o->at[i];
}

static void acquire(struct thread *t, const struct message *m)
{
    if (!m->view)
        return;
    join_view(&t->view, m->view);
    for (uint32_t i = 0; i < MODEL_THREADS; i++)
        if (t->clock.at[i] < m->clock.at[i])
            t->clock.at[i] = m->clock.at[i];
}

static bool acquires(enum model_order o)
{
    return o == MODEL_ACQ || o == MODEL_ACQ_REL || o == MODEL_SC;
}

static bool releases(enum model_order o)
{
    return o == MODEL_REL || o == MODEL_ACQ_REL || o == MODEL_SC;
}

static const char *order_name(enum model_order o)
{
    static const char *const name[] = { "rlx", "acq", "rel", "acq_rel",
                                        "seq_cst" };
    return name[o];
}

uint64_t model_load(const void *p, size_t size, enum model_order order,
                    const struct model_site *at)
{
    struct explorer *x = model_x;
    if (x->cur == SETUP)
        return get((uintptr_t)p, size);
    struct loc *l = begin(p, size, false, at);
    struct thread *t = &x->thread[x->cur];
    uint32_t i = (uint32_t)(l - x->loc), oldest = t->view.at[i];
    if (order == MODEL_SC && oldest < x->sc.at[i])
        oldest = x->sc.at[i];
    if (oldest + KEPT <= l->newest)
        oldest = l->newest - KEPT + 1;
    if (oldest < l->first)
        oldest = l->first;
    uint32_t late =
        model_pick(l->newest - oldest + 1, x->stale < x->program->stale, 6);
    x->stale += late > 0;
    t->view.at[i] = (uint16_t)(l->newest - late);
    const struct message *m = &l->kept[(l->newest - late) % KEPT];
    if (acquires(order))
        acquire(t, m);
    if (x->printing)
        model_print("load", at, p, "%s -> %#llx%s", order_name(order),
                    (unsigned long long)m->value,
                    late ? "  (not the newest)" : "");
    return m->value;
}

// Appends a value to l. read: what a read-modify-write has read, else NULL.
static void append(struct loc *l, uint64_t v, enum model_order order,
                   const struct message *read)
{
    struct explorer *x = model_x;
    struct thread *t = &x->thread[x->cur];
    set(l->addr, l->size, v);
    struct message m = { .value = get(l->addr, l->size) };
    if (read) { // goes on with the release that it has read
        m.clock = read->clock;
        m.view = read->view;
    }
    t->view.at[l - x->loc] = ++l->newest;
    if (order == MODEL_SC)
        join_view(&t->view, &x->sc);
    if (releases(order)) {
        if (x->nviews == STEPS)
            model_fail("livelock: too many stores");
        struct view *view = &x->views[x->nviews++];
        memcpy(view, &t->view, x->nlocs * sizeof view->at[0]);
        memset(&view->at[x->nlocs], 0, (LOCS - x->nlocs) * sizeof view->at[0]);
        if (m.view)
            join_view(view, m.view);
        m.view = view;
        for (uint32_t i = 0; i < MODEL_THREADS; i++)
            if (m.clock.at[i] < t->clock.at[i])
                m.clock.at[i] = t->clock.at[i];
        t->clock.at[x->cur]++;
    }
    if (order == MODEL_SC)
        join_view(&x->sc, &t->view);
    l->kept[l->newest % KEPT] = m;
}

void model_store(void *p, size_t size, uint64_t v, enum model_order order,
                 const struct model_site *at)
{
    struct explorer *x = model_x;
    if (x->cur == SETUP) {
        set((uintptr_t)p, size, v);
        return;
    }
    struct loc *l = begin(p, size, true, at);
    append(l, v, order, NULL);
    if (x->printing)
        model_print("store", at, p, "%s %#llx", order_name(order),
                    (unsigned long long)get(l->addr, size));
}

static uint64_t apply(enum model_rmw op, uint64_t old, uint64_t v)
{
    switch (op) {
    case MODEL_ADD:
        return old + v;
    case MODEL_OR:
        return old | v;
    case MODEL_AND:
        return old & v;
    default:
        return v;
    }
}

uint64_t model_rmw(void *p, size_t size, enum model_rmw op, uint64_t v,
                   enum model_order order, const struct model_site *at)
{
    struct explorer *x = model_x;
    uint64_t old = get((uintptr_t)p, size);
    if (x->cur == SETUP) {
        set((uintptr_t)p, size, apply(op, old, v));
        return old;
    }
    struct loc *l = begin(p, size, true, at);
    struct message m = l->kept[l->newest % KEPT];
    if (acquires(order))
        acquire(&x->thread[x->cur], &m);
    append(l, apply(op, m.value, v), order, &m);
    if (x->printing) {
        static const char *const name[] = { "xchg", "add", "or", "and" };
        model_print(name[op], at, p, "%s %#llx -> %#llx", order_name(order),
                    (unsigned long long)m.value,
                    (unsigned long long)get(l->addr, size));
    }
    return m.value;
}

bool model_cas(void *p, size_t size, uint64_t old, uint64_t val,
               enum model_order order, const struct model_site *at)
{
    struct explorer *x = model_x;
    uint64_t mask = size == 8 ? ~UINT64_C(0) : (UINT64_C(1) << size * 8) - 1;
    old &= mask;
    if (x->cur == SETUP) {
        bool is = get((uintptr_t)p, size) == old;
        if (is)
            set((uintptr_t)p, size, val);
        return is;
    }
    struct loc *l = begin(p, size, true, at);
    struct thread *t = &x->thread[x->cur];
    struct message m = l->kept[l->newest % KEPT];
    if (m.value == old) {
        if (acquires(order))
            acquire(t, &m);
        append(l, val & mask, order, &m);
    } else {
        t->view.at[l - x->loc] = l->newest;
    }
    if (x->printing)
        model_print("cas", at, p, "%s %#llx -> %#llx%s", order_name(order),
                    (unsigned long long)old, (unsigned long long)(val & mask),
                    m.value == old ? "" : "  fails");
    return m.value == old;
}

void model_sleep(uint32_t *word, uint32_t expect, int64_t ns)
{
    struct explorer *x = model_x;
    struct loc *l = begin(word, sizeof *word, false, &futex);
    struct thread *t = &x->thread[x->cur];
    const struct message *m = &l->kept[l->newest % KEPT];
    t->view.at[l - x->loc] = l->newest;
    if (x->printing)
        model_print("sleep", &futex, word, "while %#x%s", expect,
                    m->value == expect ? "" : "  changed already");
    if (m->value != expect)
        return;
    // A sleep may end for no reason.
    if (model_pick(2, x->preempted < x->program->preemptions, 16)) {
        x->preempted++;
        model_note("wakes for no reason");
    } else {
        model_block(word, ns);
    }
}
