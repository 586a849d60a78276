// SPDX-License-Identifier: BSD-3-Clause
// gc/weak.c: weak handles and ephemerons.
//
// A handle is an object of its own, without pointers for the collector, that
// holds the address of what it is about until the end of the mark that does not
// reach that (gc/reach.c). Two calls for one object find the same handle by the
// object's record, which keeps the handle as long as the object lives.
//
// To read one is a load. What it loads is in a register at once, which a stop
// of the world saves and the mark looks into; the handle itself changes while
// the world is stopped.
//
// Go's weak handles (mheap.go: getOrAddWeakHandle) are the same; it has no
// ephemerons (Hayes: Ephemerons, a new finalization mechanism).

#include "base/print.h"
#include "gc/barrier.h"
#include "gc/reach.h"
#include "gc/special.h"
#include "mem/malloc.h"
#include "sched/sched.h"
#include "tuza/gc.h"
#include "tuza/mem.h"

// The handle of the object at base, which becomes `fresh` if it has none. NULL:
// none yet, or no memory.
static struct tuza_weak *find_or_add(uintptr_t base, struct tuza_weak *fresh)
{
    tz_special_lock();
    struct tz_special *s = tz_special_find(base, TZ_SPECIAL_WEAK);
    if (!s && fresh && (s = tz_special_add(base, TZ_SPECIAL_WEAK)) != NULL) {
        fresh->target = base;
        s->arg = (uintptr_t)fresh;
        tz_store_rlx(&tz_mem.specials, 1);
    }
    struct tuza_weak *w = s ? (struct tuza_weak *)s->arg : NULL;
    tz_special_unlock();
    return w;
}

tuza_weak *tuza_weak_make(void *obj)
{
    (void)tz_need_g("tuza_weak_make");
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)obj, &o))
        return NULL;
    struct tuza_weak *w = find_or_add(o.base, NULL);
    if (!w) {
        struct tuza_weak *fresh = tuza_alloc_bytes(sizeof *fresh);
        if (fresh)
            w = find_or_add(o.base, fresh);
        tuza_keepalive(fresh);
    }
    tuza_keepalive(obj);
    return w;
}

// A mark that runs beside the program does not look into handles: it is told what
// has been handed out, in one step with reading that.
static TZ_NOINLINE void *give_and_tell(const uintptr_t *p)
{
    tz_crit_enter();
    uintptr_t word = tz_load_acq(p);
    tz_barrier_give(word);
    tz_crit_leave();
    return (void *)word;
}

static void *give(const uintptr_t *p)
{
    uintptr_t word = tz_load_acq(p); // first: in a register when a mark begins
    tz_compiler_barrier();
    return tz_barrier_is_on() ? give_and_tell(p) : (void *)word;
}

void *tuza_weak_get(tuza_weak *w)
{
    return w ? give(&w->target) : NULL;
}

// --- ephemerons

static bool register_ephemeron(struct tuza_ephemeron *e, uintptr_t base)
{
    tz_special_lock();
    struct tz_special *key = tz_special_add(base, TZ_SPECIAL_KEY);
    struct tz_special *self =
        key ? tz_special_add((uintptr_t)e, TZ_SPECIAL_EPHEMERON) : NULL;
    if (self) {
        key->arg = (uintptr_t)e;
        self->arg = (uintptr_t)key;
        tz_store_rlx(&tz_mem.specials, 1);
    } else if (key) {
        tz_special_drop(key);
    }
    tz_special_unlock();
    return self != NULL;
}

tuza_ephemeron *tuza_ephemeron_make(void *key, void *value)
{
    (void)tz_need_g("tuza_ephemeron_make");
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)key, &o))
        return NULL;
    struct tuza_ephemeron *e = tuza_alloc_bytes(sizeof *e);
    if (!e)
        return NULL;
    e->key = (uintptr_t)key;
    e->value = (uintptr_t)value;
    if (!register_ephemeron(e, o.base))
        e = NULL;
    tuza_keepalive(e);
    tuza_keepalive(key);
    tuza_keepalive(value);
    return e;
}

void *tuza_ephemeron_key(tuza_ephemeron *e)
{
    return give(&e->key);
}

void *tuza_ephemeron_get(tuza_ephemeron *e)
{
    return give(&e->value);
}

int tuza_ephemeron_dead(tuza_ephemeron *e)
{
    return tz_load_acq(&e->key) == 0;
}
