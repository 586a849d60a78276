// SPDX-License-Identifier: BSD-3-Clause
// gc/finalizer.c: finalizers and cleanups, and who runs them.
//
// Two goroutines, one for each kind, made when the first of the kind is set:
// they are the runtime's own, not counted among the program's. Each takes a
// record from its queue, runs it, gives it back, and parks when there is none.
// Until then the record is a root, so what a finalizer is given stays whatever
// the compiler does with it.
//
// No code of the user's runs on a goroutine that allocates or collects: it
// might hold a lock that the function wants. Nor does it run in any order but
// that of the queue; a function that never returns holds up all behind it.
//
// A parked goroutine of ours does not keep a deadlock from being told: that
// depends on threads that have work (sched/deadlock.c).
//
// Go's mfinal.go and mcleanup.go. There a cleanup that is queued can no longer
// be stopped.

#include "gc/finalizer.h"

#include <errno.h>

#include "base/print.h"
#include "mem/mheap.h"
#include "sched/sched.h"
#include "tuza/gc.h"
#include "tuza/mem.h"

struct runner {
    struct tz_lock lock;
    struct tz_g *parked; // it, when it waits; guarded by lock
    bool work;           // look again before you park; guarded by lock
    uint32_t exists;     // atomic; 1: it was spawned
};

static struct runner finalizers = {
    .lock = TZ_LOCK_INIT(TZ_RANK_FINALIZER)
};
static struct runner cleanups = {
    .lock = TZ_LOCK_INIT(TZ_RANK_FINALIZER)
};

void tz_finalizer_wake(enum tz_special_kind queue)
{
    struct runner *r =
        queue == TZ_SPECIAL_RUN_FINALIZER ? &finalizers : &cleanups;
    tz_lock_acquire(&r->lock);
    struct tz_g *g = r->parked;
    r->parked = NULL;
    r->work = true;
    tz_lock_release(&r->lock);
    if (g)
        tz_ready(g);
}

// Runs one; apart, so that no word of it is left in the frame of who parks.
static TZ_NOINLINE bool run_one(enum tz_special_kind queue)
{
    tz_special_lock();
    struct tz_special *s = tz_special_take(queue);
    void *arg = NULL;
    void (*fn)(void *) = NULL;
    if (s && s->kind != TZ_SPECIAL_STOPPED) {
        arg = (void *)(queue == TZ_SPECIAL_RUN_FINALIZER ? s->object : s->arg);
        fn = s->fn;
        s->fn = NULL; // it has begun
    }
    tz_special_unlock();
    if (!s)
        return false;
    if (fn)
        fn(arg);
    tz_special_lock();
    tz_special_done(s);
    tz_special_unlock();
    return true;
}

static void run_all(struct runner *r, enum tz_special_kind queue,
                    enum tz_wait why)
{
    for (;;) {
        while (run_one(queue))
            tz_yield_point();
        tz_lock_acquire(&r->lock);
        if (r->work) {
            r->work = false;
            tz_lock_release(&r->lock);
            continue;
        }
        r->parked = tz_getg();
        tz_park_unlock(&r->lock, why);
    }
}

static void finalizers_main(void *arg)
{
    (void)arg;
    run_all(&finalizers, TZ_SPECIAL_RUN_FINALIZER, TZ_WAIT_FINALIZER);
}

static void cleanups_main(void *arg)
{
    (void)arg;
    run_all(&cleanups, TZ_SPECIAL_RUN_CLEANUP, TZ_WAIT_CLEANUP);
}

// 0, or -ENOMEM.
static int need_runner(struct runner *r, void (*fn)(void *), const char *name)
{
    if (tz_load_rlx(&r->exists) || !tz_cas(&r->exists, 0, 1))
        return 0;
    int err = tz_spawn(fn, NULL, 0, name, "the runtime", NULL);
    if (err)
        tz_store_rlx(&r->exists, 0);
    else
        tz_sched_system();
    return err;
}

// A record about the object at base; with the lock.
static struct tz_special *add(uintptr_t base, enum tz_special_kind kind,
                              void (*fn)(void *), void *arg)
{
    struct tz_special *s = tz_special_add(base, kind);
    if (!s)
        return NULL;
    s->fn = fn;
    s->arg = (uintptr_t)arg;
    tz_store_rlx(&tz_mem.specials, 1);
    return s;
}

static int set(uintptr_t base, void (*fn)(void *))
{
    struct tz_special *s = tz_special_find(base, TZ_SPECIAL_FINALIZER);
    if (!fn) {
        if (s)
            tz_special_drop(s);
        return 0;
    }
    if (s)
        return -EEXIST;
    return add(base, TZ_SPECIAL_FINALIZER, fn, NULL) ? 0 : -ENOMEM;
}

int tuza_finalizer_set(void *obj, void (*fn)(void *obj))
{
    (void)tz_need_g("tuza_finalizer_set");
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)obj, &o) || o.base != (uintptr_t)obj)
        return -EINVAL;
    if (fn) {
        int err = need_runner(&finalizers, finalizers_main, "finalizers");
        if (err)
            return err;
    }
    tz_special_lock();
    int err = set(o.base, fn);
    tz_special_unlock();
    tuza_keepalive(obj);
    return err;
}

int64_t tuza_cleanup_add(void *obj, void (*fn)(void *arg), void *arg)
{
    (void)tz_need_g("tuza_cleanup_add");
    struct tz_object o, a;
    if (!fn || !tz_heap_find((uintptr_t)obj, &o))
        return -EINVAL;
    if (tz_heap_find((uintptr_t)arg, &a) && a.base == o.base)
        tz_fatal("tuza_cleanup_add: arg %p lies in the object %p itself, which "
                 "it would keep for ever",
                 arg, obj);
    int err = need_runner(&cleanups, cleanups_main, "cleanups");
    if (err)
        return err;
    tz_special_lock();
    struct tz_special *s = add(o.base, TZ_SPECIAL_CLEANUP, fn, arg);
    int64_t id = s ? tz_special_id(s) : -ENOMEM;
    tz_special_unlock();
    tuza_keepalive(obj);
    return id;
}

int tuza_cleanup_stop(int64_t id)
{
    tz_special_lock();
    struct tz_special *s = tz_special_of(id);
    bool stopped = s && s->fn &&
                   (s->kind == TZ_SPECIAL_CLEANUP ||
                    s->kind == TZ_SPECIAL_RUN_CLEANUP);
    if (stopped && s->kind == TZ_SPECIAL_CLEANUP)
        tz_special_drop(s);
    else if (stopped)
        tz_special_stop(s);
    tz_special_unlock();
    return stopped;
}
