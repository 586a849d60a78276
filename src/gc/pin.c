// SPDX-License-Identifier: BSD-3-Clause
// gc/pin.c: what the user keeps by hand: pins, handles and roots.
//
// Each is a record (gc/special.c) that is a root. A pin and a handle are about
// an object, so that freeing it by hand is found out. A handle's number holds
// its record's number and how often that was free before, so a stale one is
// noticed.
//
// Go: runtime.Pinner, cgo.Handle.

#include <errno.h>

#include "base/print.h"
#include "gc/special.h"
#include "mem/mheap.h"
#include "tuza/gc.h"

// --- pins

static int pin(uintptr_t base)
{
    struct tz_special *s = tz_special_find(base, TZ_SPECIAL_PIN);
    if (!s)
        s = tz_special_add(base, TZ_SPECIAL_PIN);
    if (!s)
        return -ENOMEM;
    s->arg++;
    tz_store_rlx(&tz_mem.specials, 1);
    return 0;
}

static int unpin(uintptr_t base)
{
    struct tz_special *s = tz_special_find(base, TZ_SPECIAL_PIN);
    if (!s)
        return -EINVAL;
    if (--s->arg == 0)
        tz_special_drop(s);
    return 0;
}

static int locked(int (*fn)(uintptr_t base), void *p)
{
    struct tz_object o;
    if (!tz_heap_find((uintptr_t)p, &o))
        return -EINVAL;
    tz_special_lock();
    int r = fn(o.base);
    tz_special_unlock();
    return r;
}

int tuza_pin(void *p) { return locked(pin, p); }
int tuza_unpin(void *p) { return locked(unpin, p); }

// --- handles

enum {
    NUMBER_BITS = sizeof(uintptr_t) == 8 ? 32 : 22,
    GEN_BITS = sizeof(uintptr_t) == 8 ? 31 : 10
};

static uintptr_t handle_of(const struct tz_special *s)
{
    uint64_t gen = s->gen & ((UINT64_C(1) << GEN_BITS) - 1);
    return (uintptr_t)(gen << NUMBER_BITS | tz_special_number(s));
}

uintptr_t tuza_handle_new(void *p)
{
    struct tz_object o;
    // What is no object has an odd number for its place in the table.
    bool found = tz_heap_find((uintptr_t)p, &o);
    uintptr_t handle = 0;
    tz_special_lock();
    struct tz_special *s =
        tz_special_add(found ? o.base : (uintptr_t)tz_special_count(
                                            TZ_SPECIAL_HANDLE) * 32 + 1,
                       TZ_SPECIAL_HANDLE);
    if (s && (uint64_t)tz_special_number(s) >> NUMBER_BITS == 0) {
        s->arg = (uintptr_t)p;
        handle = handle_of(s);
        tz_store_rlx(&tz_mem.specials, 1);
    } else if (s) {
        tz_special_drop(s);
    }
    tz_special_unlock();
    return handle;
}

// With the lock; the end if there is none.
static struct tz_special *handle_find(const char *what, uintptr_t handle)
{
    uint64_t i = handle & ((UINT64_C(1) << NUMBER_BITS) - 1);
    if (i && i < tz_special_end()) {
        struct tz_special *s = tz_special_at((uint32_t)i);
        if (s->kind == TZ_SPECIAL_HANDLE && handle_of(s) == handle)
            return s;
    }
    tz_fatal("%s: %p is no handle, or one that was deleted", what,
             (void *)handle);
}

void *tuza_handle_get(uintptr_t handle)
{
    tz_special_lock();
    void *p = (void *)handle_find("tuza_handle_get", handle)->arg;
    tz_special_unlock();
    return p;
}

void tuza_handle_delete(uintptr_t handle)
{
    tz_special_lock();
    tz_special_drop(handle_find("tuza_handle_delete", handle));
    tz_special_unlock();
}

// --- roots

int tuza_root_add(const void *lo, const void *hi)
{
    if ((uintptr_t)hi < (uintptr_t)lo)
        return -EINVAL;
    tz_special_lock();
    struct tz_special *s = tz_special_add((uintptr_t)lo, TZ_SPECIAL_ROOT);
    if (s)
        s->arg = (uintptr_t)hi;
    tz_special_unlock();
    return s ? 0 : -ENOMEM;
}

int tuza_root_remove(const void *lo, const void *hi)
{
    tz_special_lock();
    struct tz_special *s = tz_special_first((uintptr_t)lo);
    while (s && !(s->kind == TZ_SPECIAL_ROOT && s->arg == (uintptr_t)hi))
        s = tz_special_next(s);
    if (s)
        tz_special_drop(s);
    tz_special_unlock();
    return s ? 0 : -ENOENT;
}
