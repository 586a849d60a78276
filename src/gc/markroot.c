// SPDX-License-Identifier: BSD-3-Clause
// gc/markroot.c: roots.
//
// Static data of every loaded object, the TLS blocks of every thread of the
// runtime, the persistent memory that was asked for as roots, memory that the
// user has named, and the goroutines: of each by its status the stack from where it stands, and what
// registers were saved elsewhere than on the stack:
//
//   RUNNABLE, not started   its arguments
//   RUNNABLE, WAITING       [ctx.sp, hi): the switch pushed the registers
//   RUNNING, stopped        [stop_sp, hi), the red zone included, and the
//                           signal frame's registers if a signal stopped it
//   SYSCALL                 [syscall_sp, hi) and syscall_regs: both are of
//                           the enter, and stay so until the goroutine runs
//
// Before these the objects that are not collected, each by its kind, and what records
// about objects keep (gc/special.c). Everything else is
// conservative. Not scanned: stacks of g0s and signal stacks,
// where runtime code alone runs, which holds no object that nobody else does.

#include "gc/markroot.h"

#include <errno.h>

#include "base/san.h"
#include "gc/mark.h"
#include "gc/reach.h"
#include "gc/special.h"
#include "mem/mcentral.h"
#include "mem/mheap.h"
#include "mem/persist.h"
#include "os/peek.h"
#include "os/tlsroots.h"
#include "os/vm.h"
#include "sched/proc.h"
#include "sched/split.h"

enum {
    BLOCK = 256 * 1024,
    GS_PER_JOB = 64,
    AHEAD = 2,     // goroutines
    ASKED = 1024,  // bytes of each one's stack
    MISSED_MAX = 256,
    UNCOLLECTABLE_JOBS = TZ_SPANCLASS_COUNT // one a class
};

struct range {
    uintptr_t lo, hi;
    bool may_go; // be unmapped, even while the world is stopped
};

// The list of static, thread-local and persistent ranges. Used with the world stopped.
static struct {
    struct range *range;
    uint32_t n, cap;
    uint32_t specials; // jobs of records
    uint32_t before_gs; // jobs before the first goroutine's
    // Goroutines that were running when an early look came by.
    struct tz_g *missed[MISSED_MAX];
    uint32_t nmissed; // atomic; more than there is room for: not noted
} roots;

static bool grow(void)
{
    uint32_t cap = roots.cap ? roots.cap * 2 : 1024;
    struct range *r = tz_vm_alloc(tz_align_up(cap * sizeof *r, tz_vm_page()),
                                  TZ_VM_GC);
    if (!r)
        return false;
    for (uint32_t i = 0; i < roots.n; i++)
        r[i] = roots.range[i];
    if (roots.range)
        tz_vm_free(roots.range,
                   tz_align_up(roots.cap * sizeof *r, tz_vm_page()),
                   TZ_VM_GC, true);
    roots.range = r;
    roots.cap = cap;
    return true;
}

int tz_markroot_init(void) { return grow() ? 0 : -ENOMEM; }

// Adds [lo, hi) in blocks.
static void add_data(void *arg, uintptr_t lo, uintptr_t hi, bool may_go)
{
    (void)arg;
    lo = tz_align_up(lo, sizeof(uintptr_t));
    hi = tz_align_down(hi, sizeof(uintptr_t));
    while (lo < hi) {
        if (roots.n == roots.cap && !grow())
            tz_vm_die("collecting: no room for the list of roots");
        uintptr_t end = tz_min(lo + BLOCK, hi);
        roots.range[roots.n++] = (struct range){ lo, end, may_go };
        lo = end;
    }
}

static void add(void *arg, uintptr_t lo, uintptr_t hi) { add_data(arg, lo, hi, false); }

static void add_users_roots(void)
{
    if (tz_special_count(TZ_SPECIAL_ROOT) == 0)
        return;
    uint32_t i = 1, end = tz_special_end();
    while ((i = tz_special_root(i)) < end) {
        const struct tz_special *s = tz_special_at(i++);
        add(NULL, s->object, s->arg);
    }
}

uint32_t tz_markroot_prepare(void)
{
    roots.n = roots.nmissed = 0;
    tz_roots_each_data(add_data, NULL);
    uintptr_t tp;
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink)
        if ((tp = tz_load_rlx(&m->tp)) != 0) // it has a thread
            tz_roots_each_tls(tp, add_data, NULL);
    tz_roots_each_tls(tz_sched.caller_tp, add_data, NULL);
    tz_persist_each(TZ_PERSIST_ROOTS, add, NULL);
    add_users_roots();
    size_t ngs = tz_allg_count();
    roots.specials = tz_special_jobs();
    roots.before_gs = roots.n + roots.specials + UNCOLLECTABLE_JOBS;
    return roots.before_gs + (uint32_t)((ngs + GS_PER_JOB - 1) / GS_PER_JOB);
}

static void mark_span(void *w, struct tz_span *s)
{
    tz_mark_uncollectable(w, s);
}

// Of a goroutine.
static void scan(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi)
{
    if (tz_unlikely(w->look))
        tz_mark_look(w, lo, hi);
    else
        tz_mark_range(w, lo, hi);
    w->scanned_roots += hi - lo;
}

static void scan_object(struct tz_gcwork *w, const void *p, size_t size)
{
    scan(w, (uintptr_t)p, (uintptr_t)p + tz_align_down(size, sizeof(uintptr_t)));
}

// The segments of g from sp outward: each from where it was left, with what
// was spilled out of it.
static void scan_segments(struct tz_gcwork *w, const struct tz_g *g,
                          uintptr_t sp)
{
    struct tz_segment *s = tz_split_segment(g, sp);
    for (;;) {
        scan(w, tz_align_down(sp, sizeof(uintptr_t)), s->hi);
        w->scanned_stacks += s->hi - sp;
        for (struct tz_spill *b = s->spills; b; b = b->next)
            scan_object(w, b, b->size);
        if (!s->prev)
            return;
        sp = s->link.from_sp;
        s = s->prev;
    }
}

// From sp to the top of g's stack, and what is in use of its others.
static void scan_stack(struct tz_gcwork *w, const struct tz_g *g, uintptr_t sp)
{
    if (g->seg) {
        scan_segments(w, g, sp);
        return;
    }
    if (sp < g->stack.lo || sp > g->stack.hi)
        tz_throw("scan of goroutine %llu, status %u: sp %p outside its stack "
                 "[%p, %p)",
                 (unsigned long long)g->id, g->status, (void *)sp,
                 (void *)g->stack.lo, (void *)g->stack.hi);
    scan(w, tz_align_down(sp, sizeof(uintptr_t)), g->stack.hi);
    w->scanned_stacks += g->stack.hi - sp;
    for (const struct tz_stack_link *s = g->links; s; s = s->older) {
        scan(w, tz_align_down(s->from_sp, sizeof(uintptr_t)), s->from.hi);
        w->scanned_stacks += s->from.hi - s->from_sp;
    }
}

static void scan_running(struct tz_gcwork *w, struct tz_g *g)
{
    struct tz_m *m = g->m;
    if (!m || !m->stop_sp)
        tz_throw("scan of goroutine %llu: it is running, the world is not "
                 "stopped",
                 (unsigned long long)g->id);
    tz_split_collect(g, m->stop_sp);
    scan_stack(w, g, m->stop_sp);
    scan_object(w, m->stop_regs, m->stop_regs_size);
}

static void scan_g(struct tz_gcwork *w, struct tz_g *g)
{
    switch (tz_load_acq(&g->status)) {
    case TZ_G_DEAD:
        break;
    case TZ_G_RUNNABLE:
    case TZ_G_WAITING:
        if (g->started) {
            tz_split_collect(g, g->ctx.sp);
            scan_stack(w, g, g->ctx.sp);
        } else {
            bool inside = g->args_size <= TZ_G_ARGS;
            scan_object(w, g->args,
                        inside ? g->args_size : sizeof g->args_object);
        }
        break;
    case TZ_G_RUNNING:
    case TZ_G_NO_P:
        scan_running(w, g);
        break;
    case TZ_G_SYSCALL:
        if (TZ_DEFECT(TZ_D1)) {
            scan_stack(w, g, g->ctx.sp);
            break;
        }
        scan_stack(w, g, g->syscall_sp);
        scan_object(w, &g->syscall_regs, sizeof g->syscall_regs);
        break;
    default:
        tz_throw("goroutine %llu has status %u", (unsigned long long)g->id,
                 g->status);
    }
}

// The goroutines of the i-th of their jobs: from the one that is returned up to *end.
static size_t gs_of_job(uint32_t i, size_t *end)
{
    size_t first = (size_t)i * GS_PER_JOB;
    *end = tz_min(first + GS_PER_JOB, tz_allg_count());
    return first;
}

// Of many goroutines most wait, and nothing of them is in a cache.
static void ask_for_g(const struct tz_g *g)
{
    __builtin_prefetch(&g->status);
    __builtin_prefetch(&g->stack);
    __builtin_prefetch(&g->links);
}

static void ask_for_stack(const struct tz_g *g)
{
    for (uintptr_t at = 0; at < ASKED; at += TZ_CACHE_LINE)
        __builtin_prefetch((const void *)(g->ctx.sp + at));
}

// What a mark beside the program has settled is marked.
static void mark_records(struct tz_gcwork *w, uint32_t job)
{
    uint32_t end, i = tz_special_job(job, &end);
    while ((i = tz_special_open(i, end)) < end)
        tz_special_mark(w, tz_special_at(i++));
}

static bool can_peek(void)
{
    uintptr_t word = 1, copy;
    return tz_peek(&copy, (uintptr_t)&word, sizeof word);
}

// Copies of what there is of it: it may be unmapped at any time.
static TZ_NOINLINE void scan_what_may_go(struct tz_gcwork *w, uintptr_t lo,
                                         uintptr_t hi)
{
    uintptr_t buf[1024];
    size_t n, page = tz_vm_page();
    for (; lo < hi; lo += n) {
        n = tz_min(hi - lo, sizeof buf);
        if (!tz_peek(buf, lo, n)) {
            n = tz_min(n, page - lo % page);
            if (!tz_peek(buf, lo, n)) {
                if (can_peek())
                    continue;
                tz_mark_range(w, lo, hi);
                return;
            }
        }
        uintptr_t from = w->again ? lo : (uintptr_t)buf; // who asks which word it is
        tz_mark_range(w, from, from + n);
    }
}

TZ_NO_SANITIZE void tz_markroot(struct tz_gcwork *w, uint32_t i)
{
    if (i < roots.n) {
        const struct range *r = &roots.range[i];
        if (r->may_go)
            scan_what_may_go(w, r->lo, r->hi);
        else
            tz_mark_range(w, r->lo, r->hi);
        w->scanned_roots += r->hi - r->lo;
        return;
    }
    i -= roots.n;
    if (i < UNCOLLECTABLE_JOBS) {
        tz_central_each_uncollectable(i, mark_span, w);
        return;
    }
    i -= UNCOLLECTABLE_JOBS;
    if (i < roots.specials) {
        mark_records(w, i);
        return;
    }
    size_t end, first = gs_of_job(i - roots.specials, &end);
    for (size_t k = first; k < end; k++)
        ask_for_g(tz_allg_get(k));
    for (size_t k = first; k < end; k++) {
        if (k + AHEAD < end)
            ask_for_stack(tz_allg_get(k + AHEAD));
        scan_g(w, tz_allg_get(k));
    }
}

// --- stacks that stay as they are until their goroutine runs

// tz_g.scanned, between a claim and the end of the scan.
static uint32_t claimed(void) { return tz_sched.scanned | 1; }

// Of these goroutines the threads know, who may go on without a look at tz_g.scanned.
static void scan_held(struct tz_gcwork *w, struct tz_m *m)
{
    struct tz_g *g = tz_load_acq(&m->curg);
    uint32_t status = g ? tz_load_acq(&g->status) : TZ_G_DEAD;
    if (status != TZ_G_RUNNING && status != TZ_G_NO_P && status != TZ_G_SYSCALL)
        return;
    scan_g(w, g);
    tz_store_rel(&g->scanned, tz_sched.scanned);
}

uint32_t tz_markroot_held(struct tz_gcwork *w)
{
    tz_sched.scanned += 2;
    if (tz_sched.scanned == 0) { // a G that was dead all the time may have any number
        for (size_t i = 0; i < tz_allg_count(); i++)
            tz_store_rlx(&tz_allg_get(i)->scanned, 0);
        tz_sched.scanned = 2;
    }
    for (uint32_t i = 0; i < roots.n; i++)
        tz_markroot(w, i);
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink)
        scan_held(w, m);
    tz_xadd(&tz_sched.by_g0, TZ_BY_G0_SCAN);
    return roots.n;
}

void tz_markroot_all_scanned(void)
{
    if (tz_load_rlx(&tz_sched.by_g0) & TZ_BY_G0_SCAN)
        tz_xadd(&tz_sched.by_g0, -(uint32_t)TZ_BY_G0_SCAN);
}

// Who has not run since is off its stack, or on its way after a call, when what the
// call has saved is still there.
void tz_markroot_parked(struct tz_gcwork *w, struct tz_g *g)
{
    uint32_t was = tz_load_acq(&g->scanned), status = tz_load_acq(&g->status);
    bool parked = status == TZ_G_RUNNABLE || status == TZ_G_WAITING ||
                  status == TZ_G_SYSCALL;
    if (!parked || was == tz_sched.scanned || was == claimed() ||
        !tz_cas(&g->scanned, was, claimed()))
        return;
    scan_g(w, g);
    tz_store_rel(&g->scanned, tz_sched.scanned);
}

// --- beside the program

// Copies first: what is there may be unmapped, or given to another, at any time.
static void scan_early(struct tz_gcwork *w, uintptr_t lo, uintptr_t hi, void *buf)
{
    uintptr_t to = (uintptr_t)buf;
    for (lo = tz_align_down(lo, sizeof(uintptr_t)); lo < hi; lo += TZ_EARLY_BUF) {
        size_t n = tz_align_down(tz_min(hi - lo, TZ_EARLY_BUF), sizeof(uintptr_t));
        if (!tz_peek(buf, lo, n))
            return;
        tz_mark_range(w, to, to + n);
    }
}

static void touch(void *buf, uintptr_t lo, uintptr_t hi, bool may_go)
{
    (void)may_go;
    for (uintptr_t end; lo < hi; lo = end) {
        end = tz_min(lo + TZ_EARLY_BUF, hi);
        (void)tz_peek(buf, lo, end - lo);
    }
}

void tz_markroot_touch(void *buf) { tz_roots_each_data(touch, buf); }

// It may run, end and begin anew meanwhile; its words are looked at once more in
// the end.
TZ_NO_SANITIZE static void scan_g_early(struct tz_gcwork *w, struct tz_g *g,
                                        void *buf)
{
    enum { MOST = 64 << 20 };
    uint32_t status = tz_load_acq(&g->status);
    bool waits = status == TZ_G_WAITING || (status == TZ_G_RUNNABLE && g->started);
    if (status == TZ_G_DEAD)
        return;
    if ((!waits && status != TZ_G_SYSCALL) || tz_load_rlx(&g->seg)) {
        uint32_t i = tz_xadd_rlx(&roots.nmissed, 1);
        if (i < MISSED_MAX)
            roots.missed[i] = g;
        return;
    }
    uintptr_t sp = tz_load_rlx(waits ? &g->ctx.sp : &g->syscall_sp);
    uintptr_t lo = tz_load_rlx(&g->stack.lo), hi = tz_load_rlx(&g->stack.hi);
    if (lo <= sp && sp < hi && hi - sp <= MOST)
        scan_early(w, sp, hi, buf);
}

TZ_NO_SANITIZE static void mark_uncollectable_early(struct tz_gcwork *w)
{
    for (uint32_t i = 0; i < tz_load_acq(&tz_mem.nregions); i++) {
        struct tz_region *r = &tz_mem.region[i];
        size_t n = tz_load_acq(&r->pages.npages);
        for (size_t page = 0; page < n; page++) {
            if (!tz_page_has_objects(tz_load_acq(&r->cls[page])))
                continue;
            struct tz_span *s = tz_load_rlx(&r->spans[page]);
            if (tz_load_rlx(&s->uncollectable))
                tz_mark_uncollectable(w, s);
            page += s->npages - 1;
        }
    }
}

// Job i, of objects that are not collected and records. No span goes meanwhile, and of
// what is freed by hand the barrier is told.
static void mark_kept_early(struct tz_gcwork *w, uint32_t i)
{
    if (i == roots.n)
        mark_uncollectable_early(w);
    else if (i >= roots.n + UNCOLLECTABLE_JOBS)
        (void)tz_reach_some(w, i - roots.n - UNCOLLECTABLE_JOBS);
}

void tz_markroot_early(struct tz_gcwork *w, uint32_t i, void *buf)
{
    if (i < roots.n) {
        scan_early(w, roots.range[i].lo, roots.range[i].hi, buf);
    } else if (i < roots.before_gs) {
        mark_kept_early(w, i);
    } else {
        size_t end, first = gs_of_job(i - roots.before_gs, &end);
        for (; first < end; first++)
            scan_g_early(w, tz_allg_get(first), buf);
    }
}

void tz_markroot_left(struct tz_gcwork *w, uint32_t i)
{
    if (i < roots.before_gs) {
        mark_kept_early(w, i);
        return;
    }
    size_t end, first = gs_of_job(i - roots.before_gs, &end);
    for (; first < end; first++)
        tz_markroot_parked(w, tz_allg_get(first));
}

void tz_markroot_missed(struct tz_gcwork *w)
{
    uint32_t n = (uint32_t)tz_min(roots.nmissed, MISSED_MAX);
    for (uint32_t i = 0; i < n; i++)
        scan_g(w, roots.missed[i]);
}

void tz_markroot_running(struct tz_gcwork *w)
{
    for (uint32_t i = 0; i < tz_nallp(); i++) {
        struct tz_m *m = tz_load_rlx(&tz_sched.allp[i]->m);
        struct tz_g *g = m ? m->curg : NULL;
        if (g && tz_load_acq(&g->status) == TZ_G_RUNNING)
            scan_running(w, g);
    }
}
