// SPDX-License-Identifier: BSD-3-Clause
// sched/split.c: between goroutines and the segments that they grow through.
//
// Split code is there when a copy of the split library has attached itself
// (arch/morestack_init.c); until then g->seg is NULL everywhere and the slot is
// never touched. From then on a goroutine's first stack has a segment's header
// at its high end, and
//
//     g->seg    the current segment        __morestack moves all three
//     g->stack  its bounds
//     slot      its guard, while g runs; 0 on system stacks and where
//               __morestack is about to change the three
//
// so that whoever looks at g->stack sees where g runs now. A goroutine whose
// entry is not split code gets the same: what it calls may be.
//
// The slow path of __morestack comes here on the system stack of the thread,
// with the slot 0. It does not park. Where the thread holds a lock of the
// runtime, or is in a declared call, no memory of the heap is touched.
//
// Go 1.2: newstack, oldstack in stack.c; the poison is its StackPreempt.

#include "sched/split.h"

#include <errno.h>

#include "base/print.h"
#include "os/env.h"
#include "os/thread.h"
#include "os/vm.h"
#include "sched/overflow.h"
#include "sched/proc.h"
#include "tuza/split.h"

enum { RANGES = 512 };

// Where the copies of __morestack are. Never taken out: a copy that has been
// unloaded leaves a range in which nothing is stopped.
static struct {
    uint32_t claimed; // of text; atomic
    uint32_t preempt; // atomic; tuza_split_preempt
    struct {
        uintptr_t lo;
        uintptr_t hi; // atomic; release after lo
    } text[RANGES];
} split;

bool tz_split_between(const struct tz_g *g, uintptr_t pc)
{
    if (g->seg && tz_slot_get() == 0)
        return true;
    uint32_t n = tz_load_rlx(&split.claimed);
    for (uint32_t i = 0; i < n && i < RANGES; i++) {
        uintptr_t hi = tz_load_acq(&split.text[i].hi);
        if (pc < hi && pc >= split.text[i].lo)
            return true;
    }
    return false;
}

// --- a goroutine's segments

size_t tz_split_stack_size(size_t size)
{
    // A size that was asked for is for frames: the reserve comes on top.
    if (!tz_sched.split || tz_stack_default() >= 4 * TZ_SEG_RESERVE)
        return size;
    return (size ? size : tz_stack_default()) + TZ_SEG_RESERVE;
}

uintptr_t tz_split_first(struct tz_g *g)
{
    g->seg = tz_sched.split ? tz_segment_first(g->stack, g, 0) : NULL;
    return g->seg ? g->seg->top : g->stack.hi;
}

// s is g's current segment.
static void settle(struct tz_g *g, struct tz_segment *s)
{
    g->seg = s;
    g->links = tz_segment_links(s);
    g->stack = (struct tz_stack){ s->lo, s->hi };
}

void tz_split_last(struct tz_stackcache *c, struct tz_g *g)
{
    while (g->seg->prev)
        g->seg = g->seg->prev;
    settle(g, g->seg);
    tz_segment_trim(c, g->seg);
    tz_segment_unspill(c, g->seg, UINTPTR_MAX);
    if (g->seg->thin)
        tz_thin_put(c, g);
    g->seg = NULL;
}

void tz_split_pass(struct tz_stackcache *c, struct tz_g *g, struct tz_g *to)
{
    while (g->seg->prev) // left by an exception
        g->seg = g->seg->prev;
    settle(g, g->seg);
    settle(to, g->seg);
    g->seg = NULL;
    tz_segment_trim(c, to->seg);
    tz_segment_unspill(c, to->seg, UINTPTR_MAX);
    to->seg->g = to;
    tz_slot_set(to->seg->guard);
}

bool tz_split_find(struct tz_g *g, uintptr_t sp)
{
    struct tz_segment *s = tz_segment_at(g->seg, sp);
    if (!s)
        return false;
    settle(g, s);
    tz_slot_set(s->guard);
    return true;
}

void tz_split_call(struct tz_g *g, void (*fn)(void *), void *arg)
{
    struct tz_segment *s = g->seg, *n = s->next;
    n->link.from_sp = tz_sp() - TZ_SEG_REDZONE;
    n->argsize = n->argp = n->pc = 0;
    settle(g, n);
    tz_slot_set(n->guard);
    tz_ctx_call_on(n->top, fn, arg);
    settle(g, s);
    tz_slot_set(s->guard);
}

void tz_split_switch(const struct tz_g *g)
{
    tz_slot_set(g->seg ? g->seg->guard : 0);
}

uintptr_t tz_split_pause(void)
{
    uintptr_t slot = tz_slot_get();
    tz_slot_set(0);
    return slot;
}

void tz_split_resume(uintptr_t slot) { tz_slot_set(slot); }

// sp is where the goroutine stands; in the segment that is wrong, where it left it.
static TZ_NORETURN void throw_chain(const struct tz_g *g, uintptr_t sp,
                                    const struct tz_segment *s, uint32_t index,
                                    const char *wrong)
{
    for (uint32_t i = 0; i < index; i++) {
        sp = s->link.from_sp;
        s = s->prev;
    }
    tz_throw("goroutine %llu, status %u, sp %p, segment #%u [%p, %p): %s",
             (unsigned long long)g->id, g->status, (void *)sp, index,
             (void *)s->lo, (void *)s->hi, wrong);
}

struct tz_segment *tz_split_segment(const struct tz_g *g, uintptr_t sp)
{
    if (!g->seg)
        return NULL;
    uint32_t index;
    struct tz_segment *s = tz_segment_at(g->seg, sp);
    const char *wrong = s ? tz_segment_check(s, &index) : NULL;
    if (!s)
        tz_throw("goroutine %llu, status %u, sp %p, segment #0 [%p, %p): the stack "
                 "pointer is in none",
                 (unsigned long long)g->id, g->status, (void *)sp,
                 (void *)g->stack.lo, (void *)g->stack.hi);
    if (wrong)
        throw_chain(g, sp, s, index, wrong);
    return s;
}

void tz_split_collect(struct tz_g *g, uintptr_t sp)
{
    if (!g->seg)
        return;
    tz_segment_trim(NULL, g->seg);
    tz_segment_unspill(NULL, g->seg, sp);
}

int tuza_split_segments(void)
{
    struct tz_g *g = tz_getg();
    int n = 0;
    for (struct tz_segment *s = g ? g->seg : NULL; s; s = s->prev)
        n++;
    return n;
}

// --- growing

static TZ_NORETURN void report_limit(const struct tz_g *g, uintptr_t sp,
                                     size_t need)
{
    uint32_t n = 0;
    for (struct tz_segment *s = g->seg; s; s = s->prev)
        n++;
    char how[256];
    tz_format(how, sizeof how,
              "%zu KiB in %u segments, and %zu more, are beyond the limit of "
              "%zu KiB; segment [%p, %p), sp %p\n"
              "\thigher limits: TUZASTACKMAX=2G in the environment",
              (size_t)g->seg->total / 1024, n, need, tz_env.stack_max / 1024,
              (void *)g->stack.lo, (void *)g->stack.hi, (void *)sp);
    tz_stack_overflow_report(g, &g->stack, how, NULL);
}

static TZ_NORETURN void report_memory(const struct tz_g *g)
{
    char what[256];
    tz_format(what, sizeof what,
              "growing the stack of goroutine %llu (spawned at %s)",
              (unsigned long long)g->id, g->site);
    tz_vm_die(what);
}

struct tz_segment *tz_split_newstack(struct tz_stackcache *c, struct tz_g *g,
                                     uintptr_t sp, size_t frame, size_t args,
                                     bool elsewhere)
{
    struct tz_segment *s = g->seg;
    if (g->is_g0)
        tz_fatal("split stack: the scheduler's stack cannot grow");
    if (args % sizeof(uintptr_t))
        tz_fatal("split stack: %zu bytes of arguments are no whole words, in "
                 "goroutine %llu",
                 args, (unsigned long long)g->id);
    if (sp < s->lo)
        tz_fatal("split stack overflow: goroutine %llu (%s), sp %p below the "
                 "reserve of its segment [%p, %p), guard %p",
                 (unsigned long long)g->id, g->name ? g->name : "?",
                 (void *)sp, (void *)s->lo, (void *)s->hi, (void *)s->guard);
    tz_segment_unspill(c, s, sp);
    if (!elsewhere && sp >= s->guard && sp - s->guard >= frame)
        return NULL;
    size_t need = frame + args + TZ_SEG_LEAST;
    if (s->next && s->next->room >= need)
        return s->next;
    int err = tz_segment_grow(c, s, need, tz_env.stack_max);
    if (err == -E2BIG)
        report_limit(g, sp, need);
    if (err)
        report_memory(g);
    return s->next;
}

// Whether the goroutine may yield where it is: at the prologue of a function
// of the program.
static bool may_yield(const struct tz_tls *t)
{
    return t->locks == 0 && t->p && tz_load_rlx(&t->p->look) &&
           tz_load_rlx(&t->g->status) == TZ_G_RUNNING;
}

// Inside of the runtime, in a function of the program that it has called (a
// hook): no lock may be taken, so there is only what is there.
static struct tz_segment *make_do(const struct tz_g *g, uintptr_t sp,
                                  size_t frame, size_t args)
{
    struct tz_segment *s = g->seg;
    if (s->next && s->next->room >= frame + args)
        return s->next;
    if (sp - s->lo < frame + args + TZ_SEG_LEAST)
        tz_fatal("split stack overflow: goroutine %llu cannot grow inside of "
                 "the runtime",
                 (unsigned long long)g->id);
    return NULL;
}

// Bit 0 of the result: yield there first.
static void *more(struct tz_split_call *call, uint64_t slot)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    bool yield = slot == UINTPTR_MAX && may_yield(t);
    uintptr_t sp = (uintptr_t)call->entry;
    size_t frame = call->frame_bytes;
    if (t->locks)
        return make_do(g, sp, frame, call->args_bytes);
    struct tz_stackcache *c = t->p ? t->p->stacks : NULL;
    t->locks++;
    // To yield takes room for the vector state: in another segment, if it may
    // have one.
    yield = yield && g->seg->total < tz_env.stack_max / 2;
    struct tz_segment *n =
        tz_split_newstack(c, g, sp, frame, call->args_bytes, yield);
    t->locks--; // no poll: this is no place to stop
    return n ? (char *)n + yield : NULL;
}

static void leave(void *segment)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_segment *s = segment;
    if (t->locks) // interrupted where a lock may be held: next time
        return;
    struct tz_stackcache *c = t->p ? t->p->stacks : NULL;
    t->locks++;
    tz_segment_trim(c, s);
    tz_segment_unspill(c, s, UINTPTR_MAX);
    t->locks--;
}

static struct tz_spilled spill(uint64_t bytes, uint64_t sp, uint64_t fp)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    struct tz_stackcache *c = t->p ? t->p->stacks : NULL;
    if (t->locks)
        tz_fatal("split stack overflow: alloca of %zu bytes inside of the "
                 "runtime, in goroutine %llu",
                 (size_t)bytes, (unsigned long long)g->id);
    t->locks++;
    void *p = tz_segment_spill(c, g->seg, bytes, sp, fp, tz_env.stack_max);
    t->locks--;
    if (!p && (bytes > tz_env.stack_max ||
               g->seg->total > tz_env.stack_max - bytes))
        report_limit(g, sp, bytes);
    if (!p)
        report_memory(g);
    // Poisoned: the next prologue looks what can be given back.
    return (struct tz_spilled){ p, UINTPTR_MAX };
}

// Not inlined: the address of errno is not kept over a yield.
static TZ_NOINLINE void set_errno(int value) { errno = value; }

static void yield(void)
{
    int saved = errno;
    tz_yield();
    set_errno(saved); // of this thread, perhaps another one
}

// An exception has left the segment for the one before it.
static void unwound(void *segment)
{
    struct tz_segment *s = segment, *p = s->prev;
    struct tz_g *g = s->g;
    settle(g, p);
    tz_slot_set(p->guard);
}

void tuza__split_attach(struct tz_split_record *r)
{
    if (r->version != TZ_SPLIT_VERSION)
        tz_fatal("libtuza_split.a and libtuza are of different versions: %llu "
                 "and %d",
                 (unsigned long long)r->version, TZ_SPLIT_VERSION);
    r->more = more;
    r->leave = leave;
    r->yield = yield;
    r->spill = spill;
    r->unwound = unwound;
    uintptr_t self = tz_thread_pointer();
    r->tls_m = (int64_t)((uintptr_t)&tz_tls_get()->m - self);
    r->tls_g = (int64_t)((uintptr_t)&tz_tls_get()->g - self);
    uint32_t n = tz_xadd(&split.claimed, 2);
    if (n + 2 > RANGES)
        tz_fatal("more than %d objects with split code", RANGES / 2);
    for (uint32_t i = 0; i < 2; i++) {
        split.text[n + i].lo = r->text[i].lo;
        // With tz_split_between.
        tz_store_rel(&split.text[n + i].hi, r->text[i].hi);
    }
    if (!r->converted)
        tz_thin_refuse();
    tz_store_rel(&tz_sched.split, 1); // with tz_split_first
}

// --- preemption

void tuza_split_preempt(int on) { tz_store_rlx(&split.preempt, on != 0); }

void tz_split_poison(struct tz_m *m)
{
    if (tz_load_rlx(&split.preempt) && m)
        tz_slot_poison(m->tp);
}
