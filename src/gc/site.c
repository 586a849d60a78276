// SPDX-License-Identifier: BSD-3-Clause
// gc/site.c: records of sampled objects: the stacks that allocated them.
//
// mem/sample.c says which objects; here each gets a record (gc/special.c) that
// leads to its site, and its span counts it, so that tuza_free and the end of a
// mark know whom to tell:
//
//   tz_port_alloc_sampled    walk the stack; site->allocs++, record, span's count
//   tz_port_sampled_freed    site->frees++, no more record     by tuza_free
//   tz_site_marked           the same for each that is not marked
//
// What has been allocated since the last mark had no chance to be found dead, so
// figures of this moment show too much in use. Readers get those of the end of
// the last mark, when it was known of every object whether it lives. A site moves
// its figures when they first change afterwards, so nothing is copied in the
// pause. In Go's mprof.go the same takes three cycles of figures, since frees are
// only found by the sweep; with ours a mark tells them all.
//
// Sites are never forgotten: programs have few. One lock, the records', guards
// all, since sampling is rare; with rate 1 it is what limits allocation. A sample
// costs about 0.2 us a frame for the walk, and a mark some ten nanoseconds for each
// live one, M0's in the pause.

#include "gc/site.h"

#include <string.h>

#include "base/atomic.h"
#include "base/san.h"
#include "gc/mark.h"
#include "gc/special.h"
#include "mem/mheap.h"
#include "mem/persist.h"
#include "mem/port.h"
#include "sched/proc.h"
#include "stack/unwind.h"

enum { BUCKETS = 1 << 14 };
#define FOREIGN_STACK (64 * TZ_MIB)

// Guarded by gc/special's lock.
static struct {
    struct tz_site **bucket; // of BUCKETS; NULL: nothing sampled yet
    struct tz_site *newest;
    size_t count; // atomic
    uint64_t marks;
} sites;

// --- the stack

struct trace {
    const void *from; // what is further in is not wanted
    uint32_t n;
    uintptr_t place[TZ_SITE_FRAMES];
};

// The walk starts here, in the allocation, on whatever stack that is.
TZ_NO_SANITIZE static void walk_here(void *arg, uintptr_t sp)
{
    struct trace *t = arg;
    const struct tz_g *g = tz_getg();
    const struct tz_m *m = tz_getm();
    struct tz_stack_link own;
    struct tz_machine at;
    struct tz_unwind u;
    bool there = false;
    if (!tz_machine_of_frame((const void *)sp, sp, &at))
        return;
    if (g && tz_stack_holds(&g->stack, sp)) {
        tz_unwind_start(&u, &at, sp, g->stack.hi, g->links);
    } else if (g && m && tz_stack_holds(&m->g0.stack, sp)) {
        own = (struct tz_stack_link){ .older = g->links, .from = g->stack,
                                      .from_sp = g->stack.lo };
        tz_unwind_start(&u, &at, sp, m->g0.stack.hi, &own);
    } else {
        // A thread of the program's, which is not asked for its bounds: read by
        // copies, which cannot fault.
        uintptr_t size = tz_min(FOREIGN_STACK, UINTPTR_MAX - sp);
        tz_unwind_start(&u, &at, sp, sp + size, NULL);
        u.fleeting = true;
    }
    do {
        there |= u.at.reg[tz_unwind_cpu.pc] == (uintptr_t)t->from;
        if (there)
            t->place[t->n++] = tz_unwind_place(&u);
    } while (t->n < TZ_SITE_FRAMES && tz_unwind_step(&u));
}

// --- sites

static uint64_t hash(const struct trace *t)
{
    uint64_t h = t->n;
    for (uint32_t i = 0; i < t->n; i++)
        h = (h ^ t->place[i]) * UINT64_C(0x9e3779b97f4a7c15) + (h >> 29);
    return h;
}

static bool is(const struct tz_site *s, const struct trace *t, size_t size,
               uint64_t rate, uint64_t h)
{
    return s->hash == h && s->size == size && s->rate == rate && s->n == t->n &&
           !memcmp(s->place, t->place, t->n * sizeof t->place[0]);
}

// With the lock. NULL: no memory.
static struct tz_site *find(const struct trace *t, size_t size, uint64_t rate)
{
    uint64_t h = hash(t);
    if (!sites.bucket)
        sites.bucket = tz_persist_alloc(BUCKETS * sizeof *sites.bucket, 0);
    if (!sites.bucket)
        return NULL;
    struct tz_site **head = &sites.bucket[(h >> 20) % BUCKETS];
    for (struct tz_site *s = *head; s; s = s->next)
        if (is(s, t, size, rate, h))
            return s;
    size_t bytes = t->n * sizeof t->place[0];
    struct tz_site *s = tz_persist_alloc(sizeof *s + bytes, 0);
    if (!s)
        return NULL;
    *s = (struct tz_site){ .next = *head, .older = sites.newest, .hash = h,
                           .rate = rate, .size = size, .mark = sites.marks,
                           .n = t->n };
    memcpy(s->place, t->place, bytes);
    *head = sites.newest = s;
    tz_store_rlx(&sites.count, sites.count + 1);
    return s;
}

// Before its figures change: keeps those of the last mark.
static void move(struct tz_site *s)
{
    if (s->mark == sites.marks)
        return;
    s->mark = sites.marks;
    s->old_allocs = s->allocs;
    s->old_frees = s->frees;
}

// --- objects

static void count_in_span(uintptr_t object, int more)
{
    struct tz_span *s = tz_heap_span_of((const void *)object);
    tz_store_rlx(&s->nsampled, (uint16_t)(s->nsampled + more));
}

void tz_port_alloc_sampled(void *p, uint64_t rate, const void *returns)
{
    struct trace t = { .from = returns };
    size_t size = tz_heap_span_of(p)->elem_size;
    tz_ctx_spill(walk_here, &t);
    if (t.n == 0) // nothing is known of stacks on this CPU
        t.place[t.n++] = (uintptr_t)returns - 1;
    tz_special_lock();
    struct tz_site *s = find(&t, size, rate);
    struct tz_special *record =
        s ? tz_special_add((uintptr_t)p, TZ_SPECIAL_SAMPLE) : NULL;
    if (record) {
        record->arg = (uintptr_t)s;
        move(s);
        s->allocs++;
        count_in_span((uintptr_t)p, 1);
    }
    tz_special_unlock();
}

// Its object is gone. With the lock.
static void gone(struct tz_special *record)
{
    struct tz_site *s = (struct tz_site *)record->arg;
    move(s);
    s->frees++;
    count_in_span(record->object, -1);
    tz_special_drop(record);
}

void tz_port_sampled_freed(void *p)
{
    tz_special_lock();
    struct tz_special *s = tz_special_find((uintptr_t)p, TZ_SPECIAL_SAMPLE);
    if (s)
        gone(s);
    tz_special_unlock();
}

void tz_site_marked(void)
{
    uint32_t end = tz_special_count(TZ_SPECIAL_SAMPLE) ? tz_special_end() : 0;
    for (uint32_t i = tz_special_open(1, end); i < end;
         i = tz_special_open(i + 1, end)) {
        struct tz_special *s = tz_special_at(i);
        if (s->kind == TZ_SPECIAL_SAMPLE && !tz_mark_is(s->object))
            gone(s);
    }
    sites.marks++;
}

// --- reading

size_t tz_site_count(void) { return tz_load_rlx(&sites.count); }

size_t tz_site_read(struct tz_sitecount *out, size_t most, uint64_t *marks)
{
    size_t n = 0;
    tz_special_lock();
    *marks = sites.marks;
    for (const struct tz_site *s = sites.newest; s && n < most; s = s->older) {
        bool old = sites.marks && s->mark == sites.marks;
        out[n++] = (struct tz_sitecount){ s, old ? s->old_allocs : s->allocs,
                                          old ? s->old_frees : s->frees };
    }
    tz_special_unlock();
    return n;
}
