// SPDX-License-Identifier: BSD-3-Clause
// gc/reach.c: the end of a mark: what has become of objects with records.
//
//   all is marked that roots lead to
//     | ephemerons: key and ephemeron are marked -> the value, to a fixpoint
//     | finalizers: of an object that is not marked, all that it leads to, but
//     |             not the object itself; ephemerons again
//     | handles:    of what is still not marked: weak ones cleared, ephemerons
//     |             dead
//     | finalizers: of such objects: marked after all, queued
//     | cleanups:   of what is not marked now: queued
//     v samples:    the same: no more in use (site.c); the sweep has the rest
//
// All of it inside the pause, on one thread, and no code of the user's. So
// every answer is given once: a handle that was read before the pause has put
// the object where the mark finds it, one read afterwards is empty. What need not be
// decided there is settled beside the program, if the mark is: a record of an object
// that is marked, and the value of an ephemeron whose key is. So the pause grows with
// what dies (docs/adr/017).
//
// Whether an object is kept by another's finalizer is found out one at a time:
// it is marked for the moment, everything behind it is marked for good, its own
// mark is taken off. If a later one leads to it, it is marked again and its
// finalizer has to wait; a way from it back to itself does not keep it. In Go
// (mgcmark.go, markroot of specials) it does, so such an object stays for ever.
//
// An ephemeron is looked at when its key or itself becomes marked, which the
// marking tells meanwhile: so a chain of n costs n steps in any order (whereas
// passes over the table until nothing changes would cost n^2).

#include "gc/reach.h"

#include "base/print.h"
#include "gc/finalizer.h"
#include "gc/mark.h"
#include "gc/site.h"
#include "gc/special.h"
#include "mem/port.h"

void tz_reach_begin(void) { tz_special_lock(); }
void tz_reach_end(void) { tz_special_unlock(); }

#define EACH_OPEN(i)                                                           \
    (uint32_t i = tz_special_open(1, tz_special_end()); i < tz_special_end();  \
     i = tz_special_open(i + 1, tz_special_end()))

// --- ephemerons

static struct tuza_ephemeron *ephemeron_of(const struct tz_special *key)
{
    return (struct tuza_ephemeron *)key->arg;
}

static void push_value(struct tz_gcwork *w, const struct tz_special *key)
{
    uintptr_t at = (uintptr_t)&ephemeron_of(key)->value;
    tz_mark_range(w, at, at + sizeof(uintptr_t));
}

// An object was marked.
static void look(struct tz_gcwork *w, uintptr_t base)
{
    struct tz_special *s = tz_special_first(base);
    for (; s; s = tz_special_next(s)) {
        if (s->kind == TZ_SPECIAL_KEY && tz_mark_is(s->arg))
            push_value(w, s);
        struct tz_special *key = (struct tz_special *)s->arg;
        if (s->kind == TZ_SPECIAL_EPHEMERON && tz_mark_is(key->object))
            push_value(w, key);
    }
}

static void ephemerons(struct tz_gcwork *w, uint32_t njobs)
{
    bool told = tz_special_count(TZ_SPECIAL_KEY) == 0;
    w->later = true;
    while (!told) { // of every object that was marked
        told = true;
        for EACH_OPEN(i) {
            struct tz_special *s = tz_special_at(i);
            if (s->kind != TZ_SPECIAL_KEY || !tz_mark_is(s->object) ||
                !tz_mark_is(s->arg))
                continue;
            push_value(w, s);
            told &= tz_mark_watched(w, njobs, look);
        }
    }
    w->later = false;
}

// --- finalizers

// Whether record i is of this kind and its object is not marked.
static bool unreached(uint32_t i, enum tz_special_kind kind)
{
    struct tz_special *s = tz_special_at(i);
    return s->kind == kind && !tz_mark_is(s->object);
}

// Marks what finalizers will find. False: nothing.
static bool mark_beyond(struct tz_gcwork *w, uint32_t njobs)
{
    if (tz_special_count(TZ_SPECIAL_FINALIZER) == 0)
        return false;
    bool any = false;
    for EACH_OPEN(i) {
        if (!unreached(i, TZ_SPECIAL_FINALIZER))
            continue;
        uintptr_t object = tz_special_at(i)->object;
        tz_mark_set(w, object);
        tz_mark_rest(w, njobs);
        tz_mark_unset(w, object);
        any = true;
    }
    return any;
}

static void queue_finalizers(struct tz_gcwork *w, uint32_t njobs)
{
    if (tz_special_count(TZ_SPECIAL_FINALIZER) == 0)
        return;
    for EACH_OPEN(i) {
        if (!unreached(i, TZ_SPECIAL_FINALIZER))
            continue;
        struct tz_special *s = tz_special_at(i);
        tz_mark_set(w, s->object);
        tz_mark_rest(w, njobs);
        tz_special_queue(s, TZ_SPECIAL_RUN_FINALIZER);
    }
}

static void queue_cleanups(void)
{
    if (tz_special_count(TZ_SPECIAL_CLEANUP) == 0)
        return;
    for EACH_OPEN(i)
        if (unreached(i, TZ_SPECIAL_CLEANUP))
            tz_special_queue(tz_special_at(i), TZ_SPECIAL_RUN_CLEANUP);
}

// --- handles

static void drop_ephemeron(struct tz_special *key)
{
    struct tuza_ephemeron *e = ephemeron_of(key);
    tz_store_rlx(&e->key, 0);
    tz_store_rlx(&e->value, 0);
    tz_special_drop(tz_special_find((uintptr_t)e, TZ_SPECIAL_EPHEMERON));
    tz_special_drop(key);
}

static void drop_weak(struct tz_special *s)
{
    struct tuza_weak *w = (struct tuza_weak *)s->arg;
    tz_store_rlx(&w->target, 0); // the world is stopped, or is told by nobody
    tz_special_drop(s);
}

static void clear_handles(void)
{
    if (tz_special_count(TZ_SPECIAL_WEAK) == 0 &&
        tz_special_count(TZ_SPECIAL_KEY) == 0)
        return;
    for EACH_OPEN(i) {
        struct tz_special *s = tz_special_at(i);
        if (unreached(i, TZ_SPECIAL_WEAK))
            drop_weak(s);
        else if (s->kind == TZ_SPECIAL_KEY &&
                 !(tz_mark_is(s->object) && tz_mark_is(s->arg)))
            drop_ephemeron(s);
    }
}

// --- what is known before the end

// What can be said of record i by now; whether an ephemeron's value is to be marked.
static bool settle(struct tz_gcwork *w, uint32_t i)
{
    const struct tz_special *s = tz_special_at(i);
    bool key = s->kind == TZ_SPECIAL_KEY;
    bool decided = key || s->kind == TZ_SPECIAL_FINALIZER ||
                   s->kind == TZ_SPECIAL_CLEANUP || s->kind == TZ_SPECIAL_WEAK ||
                   s->kind == TZ_SPECIAL_SAMPLE;
    tz_special_mark(w, s);
    if (decided && !tz_mark_is(s->object))
        return false;
    if (key && !tz_mark_is(s->arg))
        return false;
    if (key)
        push_value(w, s);
    tz_special_settle(i);
    return key;
}

static bool settle_job(struct tz_gcwork *w, uint32_t job)
{
    bool values = false;
    uint32_t end, i = tz_special_job(job, &end);
    while ((i = tz_special_open(i, end)) < end)
        values |= settle(w, i++);
    return values;
}

bool tz_reach_some(struct tz_gcwork *w, uint32_t job)
{
    tz_special_lock();
    bool values = settle_job(w, job);
    tz_special_unlock();
    return values;
}

void tz_reach_start(void)
{
    tz_special_lock();
    tz_special_settle_start();
    tz_special_unlock();
}

bool tz_reach_beside(struct tz_gcwork *w)
{
    bool values = false;
    tz_special_lock();
    uint32_t njobs = tz_special_jobs();
    tz_special_unlock();
    for (uint32_t job = 0; job < njobs; job++)
        values |= tz_reach_some(w, job);
    return values;
}

// In the stop, of what no mark beside the program has settled.
static void settle_rest(struct tz_gcwork *w, uint32_t njobs)
{
    bool more = tz_special_end() > 1;
    for (int i = 0; more && i < TZ_REACH_PASSES; i++) {
        more = false;
        for (uint32_t job = 0; job < tz_special_jobs(); job++)
            more |= settle_job(w, job);
        tz_mark_rest(w, njobs);
    }
}

void tz_reach_finish(struct tz_gcwork *w, uint32_t njobs)
{
    w->alone = true;
    if (!tz_special_settling())
        tz_special_settle_start();
    settle_rest(w, njobs);
    ephemerons(w, njobs);
    if (mark_beyond(w, njobs))
        ephemerons(w, njobs);
    clear_handles();
    queue_finalizers(w, njobs);
    queue_cleanups();
    tz_site_marked();
    tz_special_settle_end();
}

void tz_reach_wake(void)
{
    tz_special_lock();
    uint32_t finalizers = tz_special_count(TZ_SPECIAL_RUN_FINALIZER);
    uint32_t cleanups = tz_special_count(TZ_SPECIAL_RUN_CLEANUP);
    tz_special_unlock();
    if (finalizers)
        tz_finalizer_wake(TZ_SPECIAL_RUN_FINALIZER);
    if (cleanups)
        tz_finalizer_wake(TZ_SPECIAL_RUN_CLEANUP);
}

// An object that is freed by hand is gone: handles are cleared, cleanups run.
// Its finalizer, which would need it, does not.
void tz_port_object_freed(void *p)
{
    bool wake = false;
    struct tz_special *s, *next;
    tz_special_lock();
    for (s = tz_special_first((uintptr_t)p); s; s = next) {
        next = tz_special_next(s);
        if (s->kind == TZ_SPECIAL_FINALIZER) {
            tz_special_drop(s);
        } else if (s->kind == TZ_SPECIAL_CLEANUP) {
            tz_special_queue(s, TZ_SPECIAL_RUN_CLEANUP);
            wake = true;
        } else if (s->kind == TZ_SPECIAL_WEAK) {
            drop_weak(s);
        } else if (s->kind == TZ_SPECIAL_KEY) {
            drop_ephemeron(s);
        } else if (s->kind == TZ_SPECIAL_PIN || s->kind == TZ_SPECIAL_HANDLE) {
            tz_fatal("tuza_free: %p %s", p,
                     s->kind == TZ_SPECIAL_PIN ? "is pinned" : "has a handle");
        }
    }
    tz_special_unlock();
    if (wake)
        tz_finalizer_wake(TZ_SPECIAL_RUN_CLEANUP);
}
