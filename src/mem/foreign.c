// SPDX-License-Identifier: BSD-3-Clause
// mem/foreign.c: caches of threads that run no goroutines.
//
// Such a thread is not stopped with the world. So each has a cache of its own
// with a lock, which nobody else takes but the collector: from before the mark
// until after the flip it holds the locks of all of them, and a thread that
// wants to allocate meanwhile waits for the end of the pause. What the thread
// allocates is not collected, since nobody looks at its stack.
//
// When a thread ends its cache is flushed and kept for the next one. Caches are
// on a list that only grows.

#include <pthread.h>

#include "mem/malloc.h"

static struct {
    struct tz_mcache *first; // all; atomic, pushed with the lock
    struct tz_lock growing;  // the list; held by the collector as well
    pthread_key_t key;       // const after once
    pthread_once_t once;
    bool works; // the key exists; const after once
} foreign = {.growing = TZ_LOCK_INIT(TZ_RANK_FOREIGN_LIST),
             .once = PTHREAD_ONCE_INIT};

// The end of a thread. The cache is free for others from here on.
static void retire(void *arg)
{
    struct tz_mcache *c = arg;
    tz_lock_acquire(&c->lock);
    tz_mcache_flush(c);
    tz_lock_release(&c->lock);
    tz_store_rel(&c->taken, false); // with take_spare
}

static void make_key(void)
{
    foreign.works = pthread_key_create(&foreign.key, retire) == 0;
}

static struct tz_mcache *take_spare(void)
{
    struct tz_mcache *c = tz_load_acq(&foreign.first);
    for (; c; c = c->link)
        if (!tz_load_rlx(&c->taken) && tz_cas_acq(&c->taken, false, true))
            return c;
    return NULL;
}

static struct tz_mcache *make(void)
{
    struct tz_mcache *c = tz_mcache_make();
    if (!c)
        return NULL;
    c->taken = true;
    tz_lock_acquire(&foreign.growing);
    c->link = tz_load_rlx(&foreign.first);
    tz_store_rel(&foreign.first, c); // with take_spare
    tz_lock_release(&foreign.growing);
    return c;
}

static struct tz_mcache *mine(void)
{
    pthread_once(&foreign.once, make_key);
    if (!foreign.works)
        return NULL;
    struct tz_mcache *c = pthread_getspecific(foreign.key);
    if (c)
        return c;
    if (!(c = take_spare()) && !(c = make()))
        return NULL;
    if (pthread_setspecific(foreign.key, c) == 0)
        return c;
    tz_store_rel(&c->taken, false);
    return NULL;
}

bool tz_foreign_with(void (*fn)(struct tz_mcache *c, void *arg), void *arg)
{
    if (tz_tls_get()->m)
        tz_fatal("allocation inside a declared blocking call");
    if (tz_load_acq(&tz_mem.nregions) == 0)
        tz_fatal("allocation before the runtime runs");
    struct tz_mcache *c = mine();
    if (!c)
        return false;
    tz_lock_acquire(&c->lock);
    fn(c, arg);
    tz_lock_release(&c->lock);
    return true;
}

void tz_foreign_stop(void)
{
    tz_lock_acquire(&foreign.growing);
    for (struct tz_mcache *c = foreign.first; c; c = c->link) {
        tz_lock_acquire(&c->lock);
        tz_mcache_flush(c);
    }
}

void tz_foreign_start(void)
{
    for (struct tz_mcache *c = foreign.first; c; c = c->link)
        tz_lock_release(&c->lock);
    tz_lock_release(&foreign.growing);
}

void tz_foreign_each(void (*fn)(void *arg, const struct tz_mcache *c),
                     void *arg)
{
    struct tz_mcache *c = tz_load_acq(&foreign.first);
    for (; c; c = c->link)
        fn(arg, c);
}
