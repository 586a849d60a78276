// SPDX-License-Identifier: BSD-3-Clause
// diag/why.c: what keeps an object: a shortest way from a root to it.
//
// With the world stopped, the words are followed that a mark would follow, from
// the roots in breadth; of each object that is met is written down which word
// led to it first. No mark bit is touched. Words that the caller's own goroutine
// has of the object count only if nothing else does: whoever asks has one.
//
// What ephemerons and finalizers keep is not followed: that is said.

#include <dlfcn.h>
#include <errno.h>

#include "base/print.h"
#include "diag/out.h"
#include "gc/gc.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "gc/special.h"
#include "mem/mheap.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "sched/split.h"
#include "tuza/gc.h"

enum { STEPS = 100, ROOT_TEXT = 160 };

struct met {
    uintptr_t object, from; // from: the word that led to it
};

// Not static: it would be a root.
struct why {
    struct met *met; // in the order of meeting: a queue as well
    uint32_t n, cap;
    uint32_t *slot; // 1 + the place in met, by address; 2 * cap of them
    uintptr_t target, own; // own: a word of the caller's that leads to it
    uint32_t found;        // 1 + the place in met
    const struct tz_g *caller;
    bool no_memory, done;
    // The way back, for when the world runs again.
    struct step {
        uintptr_t from, base;
        size_t size;
    } step[STEPS];
    uint32_t nsteps, left_out;
    uintptr_t root_word;
    char root[ROOT_TEXT];
};

static struct why *why_of; // of who looks, in the stopped world: one at a time

static void *table(size_t n, size_t size)
{
    return tz_vm_alloc(tz_align_up(n * size, tz_vm_page()), TZ_VM_GC);
}

static void drop(void *p, size_t n, size_t size)
{
    if (p)
        tz_vm_free(p, tz_align_up(n * size, tz_vm_page()), TZ_VM_GC, true);
}

static uint32_t *slot_for(const struct why *y, uintptr_t object)
{
    size_t mask = 2 * (size_t)y->cap - 1;
    size_t i = (size_t)((object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    for (;; i++) {
        uint32_t *s = &y->slot[i & mask];
        if (!*s || y->met[*s - 1].object == object)
            return s;
    }
}

static bool grow(struct why *y)
{
    struct why old = *y;
    y->cap = old.cap ? 2 * old.cap : 1 << 12;
    y->met = table(y->cap, sizeof *y->met);
    y->slot = table(2 * (size_t)y->cap, sizeof *y->slot);
    if (!y->met || !y->slot) {
        drop(y->met, y->cap, sizeof *y->met);
        drop(y->slot, 2 * (size_t)y->cap, sizeof *y->slot);
        y->cap = old.cap, y->met = old.met, y->slot = old.slot;
        return false;
    }
    for (uint32_t i = 0; i < y->n; i++) {
        y->met[i] = old.met[i];
        *slot_for(y, old.met[i].object) = i + 1;
    }
    drop(old.met, old.cap, sizeof *y->met);
    drop(old.slot, 2 * (size_t)old.cap, sizeof *y->slot);
    return true;
}

// --- where a word lies

static bool in(uintptr_t at, const void *p, size_t size)
{
    return at - (uintptr_t)p < size;
}

static bool on_stack(const struct tz_g *g, uintptr_t at)
{
    for (const struct tz_segment *s = g->seg; s; s = s->prev) // links know these
        for (const struct tz_spill *b = s->spills; b; b = b->next)
            if (in(at, b, b->size))
                return true;
    for (const struct tz_stack_link *s = g->links; s; s = s->older)
        if (at - s->from.lo < s->from.hi - s->from.lo)
            return true;
    return tz_stack_holds(&g->stack, at);
}

// What of g the word is; NULL: nothing.
static const char *part_of(const struct tz_g *g, uintptr_t at)
{
    const struct tz_m *m = g->m;
    if (tz_load_rlx(&g->status) == TZ_G_DEAD)
        return NULL;
    if (on_stack(g, at))
        return "on the stack";
    if (m && in(at, m->stop_regs, m->stop_regs_size))
        return "in a register";
    if (in(at, &g->syscall_regs, sizeof g->syscall_regs))
        return "in a register";
    return in(at, g, sizeof *g) ? "in the arguments" : NULL;
}

static void name_root(struct why *y, uintptr_t at)
{
    y->root_word = at;
    for (size_t i = 0; i < tz_allg_count(); i++) {
        const struct tz_g *g = tz_allg_get(i);
        const char *part = part_of(g, at);
        if (part) {
            tz_format(y->root, sizeof y->root,
                      "%s of goroutine %llu, spawned at %s", part,
                      (unsigned long long)g->id, g->site ? g->site : "?");
            return;
        }
    }
    for (uint32_t i = 1; at && i < tz_special_end(); i++) {
        const struct tz_special *s = tz_special_at(i);
        if (!in(at, s, sizeof *s))
            continue;
        tz_format(y->root, sizeof y->root, "%s",
                  s->kind == TZ_SPECIAL_PIN      ? "a pin"
                  : s->kind == TZ_SPECIAL_HANDLE ? "a handle"
                                                 : "a finalizer or cleanup");
        return;
    }
    if (!at)
        tz_format(y->root, sizeof y->root, "memory that is not collected");
}

// --- following words

static void meet(struct tz_gcwork *w, uintptr_t word)
{
    struct why *y = why_of;
    struct tz_object o;
    if (y->done || !tz_heap_find(word, &o))
        return;
    if (o.base == y->target && w->at && part_of(y->caller, w->at)) {
        y->own = w->at;
        return;
    }
    if (y->n == y->cap && !grow(y)) {
        y->no_memory = y->done = true;
        return;
    }
    uint32_t *s = slot_for(y, o.base);
    if (*s)
        return;
    y->met[y->n++] = (struct met){ o.base, w->at };
    *s = y->n;
    if (o.base == y->target) {
        y->found = y->n;
        y->done = true;
    }
}

static void go_back(struct why *y)
{
    for (uint32_t i = y->found; i;) {
        struct met *m = &y->met[i - 1];
        struct tz_object o;
        if (!m->from || !tz_heap_find(m->from, &o)) {
            name_root(y, m->from);
            return;
        }
        if (y->nsteps < STEPS)
            y->step[y->nsteps++] = (struct step){ m->from, o.base, o.size };
        else
            y->left_out++;
        i = *slot_for(y, o.base);
        if (!i) // of an object that is not collected
            name_root(y, 0);
    }
}

static void look(struct tz_gcwork *w, uint32_t njobs, void *arg)
{
    struct why *y = why_of = arg;
    if (!grow(y)) {
        y->no_memory = true;
        return;
    }
    tz_mark_visit(w, meet);
    for (uint32_t i = 0; i < njobs && !y->done; i++)
        tz_markroot(w, i);
    for (uint32_t i = 0; i < y->n && !y->done; i++)
        tz_mark_scan(w, y->met[i].object);
    tz_mark_visit(w, NULL);
    if (y->found)
        go_back(y);
    else if (y->own)
        name_root(y, y->own);
    drop(y->met, y->cap, sizeof *y->met);
    drop(y->slot, 2 * (size_t)y->cap, sizeof *y->slot);
}

// --- telling it

static void tell_root(const struct why *y, struct tz_out *o)
{
    const char *name = y->root, *file = "";
    Dl_info d;
    if (!*name && dladdr((void *)y->root_word, &d) && d.dli_fname) {
        name = d.dli_sname ? d.dli_sname : "static data";
        file = d.dli_fname;
    } else if (!*name) {
        name = "data of a thread, or memory that was named as a root";
    }
    tz_out(o, "  %s%s%.100s at %p\n", name, *file ? " of " : "", file,
           (void *)y->root_word);
}

static int tell(const struct why *y, size_t size, int fd)
{
    struct tz_out o = { .fd = fd };
    tz_out(&o, "%p, an object of %zu bytes, is kept\n", (void *)y->target, size);
    for (uint32_t i = 0; i < y->nsteps; i++) {
        const struct step *s = &y->step[i];
        tz_out(&o, "  in byte %zu of the object of %zu bytes at %p\n",
               (size_t)(s->from - s->base), s->size, (void *)s->base);
    }
    if (y->left_out)
        tz_out(&o, "  and %u objects more\n", y->left_out);
    tell_root(y, &o);
    return -o.err;
}

int tuza_why_alive(const void *p, int fd)
{
    struct tz_object o;
    tz_need_g("tuza_why_alive");
    if (!tz_heap_find((uintptr_t)p, &o))
        return -EINVAL;
    struct why *y = table(1, sizeof *y);
    if (!y)
        return -ENOMEM;
    y->target = o.base;
    y->caller = tz_getg();
    tz_gc_look(look, y);
    int err = y->no_memory              ? -ENOMEM
              : y->found || y->own != 0 ? tell(y, o.size, fd)
                                        : -ENOENT;
    drop(y, 1, sizeof *y);
    return err;
}
