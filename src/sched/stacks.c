// SPDX-License-Identifier: BSD-3-Clause
// sched/stacks.c: a goroutine that runs on other stacks than its own.
//
// tuza_on_system_stack lends it the thread's: as the runtime itself goes there,
// in a critical section, so that neither the collector nor another goroutine
// comes between. tuza_call_big gives it one of its own for a call:
//
//     G.stack    first        big            first
//     G.links    NULL         link           NULL
//     runs on    first --call_on--> big --return--> first
//                             (link at its top)
//
// The switch is inside of a critical section at both ends; fn itself is not.
// A jump out of fn (longjmp, an exception, goexit) leaves the link in place.
// Whoever next compares the stack pointer with G.stack finds it in an older
// stack and puts G.stack right (tz_g_find_stack); the stacks that were left so
// are given back by the goroutine's next call, or at its end. AddressSanitizer
// does not hear of such a jump and may report what is none.
//
// What a goroutine that leaves must look at, its watch bits say: its canaries,
// and whether it may leave at all. Go has systemstack and no calls of the other
// kind, for its stacks grow.

#include <errno.h>

#include "base/san.h"
#include "os/thread.h"
#include "sched/proc.h"
#include "sched/split.h"
#include "tuza/stack.h"

enum {
    LINK_ROOM = 128,         // for the link at the top of a stack
    LITTLE = 4096,           // what a plain call needs besides
    MOST_BIG = 512 * 1024 * 1024,
    AROUND = TZ_STACK_LOST + LINK_ROOM + LITTLE, // beside what was asked for
    PUSHED = 64              // what tz_ctx_call_on puts on the older stack
};
_Static_assert(sizeof(struct tz_stack_link) <= LINK_ROOM, "fits");
_Static_assert(LINK_ROOM % 64 == 0, "keeps the alignment");

// One call of tuza_call_big.
struct big_call {
    void (*fn)(void *);
    void *arg;
    struct tz_g *g;
    size_t size;        // of the class to ask for
    struct tz_stack to; // the stack
    void *fake;         // AddressSanitizer's, of the older stack
    int err;
};

#if TZ_ASAN
static void tell_going(struct big_call *c)
{
    __sanitizer_start_switch_fiber(&c->fake, (void *)c->to.lo,
                                   c->to.hi - c->to.lo);
}
static void tell_gone(void) { __sanitizer_finish_switch_fiber(NULL, NULL, NULL); }
static void tell_coming(const struct tz_stack *back)
{
    __sanitizer_start_switch_fiber(NULL, (void *)back->lo, back->hi - back->lo);
}
static void tell_back(struct big_call *c)
{
    __sanitizer_finish_switch_fiber(c->fake, NULL, NULL);
}
#else
static void tell_going(struct big_call *c) { (void)c; }
static void tell_gone(void) {}
static void tell_coming(const struct tz_stack *back) { (void)back; }
static void tell_back(struct big_call *c) { (void)c; }
#endif

TZ_NO_SANITIZE bool tz_g_find_stack(struct tz_g *g, uintptr_t sp)
{
    if (g->seg)
        return tz_split_find(g, sp);
    for (const struct tz_stack_link *s = g->links; s; s = s->older) {
        if (tz_stack_holds(&s->from, sp)) {
            g->stack = s->from;
            return true;
        }
    }
    return false;
}

static void check_canary(const struct tz_g *g, const struct tz_stack *st)
{
    if (tz_stack_intact(st))
        return;
    tz_fatal("goroutine %llu (%s, spawned at %s) has overflowed its stack "
             "[%p, %p) of %zu KiB: the canary at its low end is gone, and "
             "memory below it may be\n"
             "\tthere is no guard zone: %s",
             (unsigned long long)g->id, g->name ? g->name : "?", g->site,
             (void *)st->lo, (void *)st->hi, (st->hi - st->lo) / 1024,
             tz_stack_guard_name());
}

static TZ_NORETURN TZ_COLD void thin_damaged(const struct tz_g *g)
{
    tz_fatal("goroutine %llu (%s, spawned at %s) has overflowed its thin "
             "segment: the canary at the low end is gone, and memory below it "
             "may be\n"
             "\tcode without checks was called in a way that the linker does "
             "not see, such as a pointer in data",
             (unsigned long long)g->id, g->name ? g->name : "?", g->site);
}

void tz_g_watch(struct tz_g *g)
{
    if (g->watch == TZ_WATCH_TIED)
        return;
    if (g->watch & TZ_WATCH_SYSTEM)
        tz_fatal("goroutine %llu parks, yields or ends inside of "
                 "tuza_on_system_stack",
                 (unsigned long long)g->id);
    if (!tz_on_own_stack(g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)g->id);
    check_canary(g, &g->stack);
    if (g->seg && !tz_segment_intact(g->seg))
        thin_damaged(g);
    for (const struct tz_stack_link *s = g->links; s; s = s->older)
        check_canary(g, &s->from);
}

void tz_g_drop_links(struct tz_stackcache *c, struct tz_g *g)
{
    while (g->links) {
        struct tz_stack_link link = *g->links; // lies on what is given back
        g->stack = link.from;
        g->links = link.older;
        tz_stack_put(c, &link.to);
    }
}

void tuza_on_system_stack(void (*fn)(void *), void *arg)
{
    struct tz_g *g = tz_getg();
    if (!g || (g->watch & TZ_WATCH_SYSTEM)) {
        fn(arg);
        return;
    }
    if (!tz_on_own_stack(g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)g->id);
    g->watch |= TZ_WATCH_SYSTEM;
    tz_system_stack(fn, arg);
    g->watch &= (uint8_t)~TZ_WATCH_SYSTEM;
}

// --- a call on a borrowed stack

static struct tz_stackcache *stacks_here(void)
{
    struct tz_p *p = tz_tls_get()->p;
    return p ? p->stacks : NULL;
}

// On the system stack [S3-11].
static void borrow(void *arg)
{
    struct big_call *c = arg;
    if (c->g->seg)
        c->err = tz_segment_grow(stacks_here(), c->g->seg, c->size, SIZE_MAX);
    else
        c->err = tz_stack_get(stacks_here(), c->size, c->g, &c->to);
}

static void drop_left(void *arg)
{
    struct tz_g *g = arg;
    struct tz_stack here = g->stack;
    const struct tz_stack_link *last = NULL;
    for (const struct tz_stack_link *s = g->links; s; s = s->older)
        if (s->from.lo == here.lo)
            last = s->older;
    while (g->links && g->links != last) {
        struct tz_stack_link link = *g->links;
        g->links = link.older;
        tz_stack_put(stacks_here(), &link.to);
    }
}

// The stack of the call that has ended, and what it has left by a jump to it.
static void give_back(void *arg)
{
    struct big_call *c = arg;
    if (c->g->seg)
        tz_segment_trim(stacks_here(), c->g->seg);
    else
        drop_left(c->g);
}

// Stacks that were left by a jump to this one: all that are newer than the
// oldest link that left this one.
static void drop_abandoned(struct tz_g *g)
{
    for (const struct tz_stack_link *s = g->links; s; s = s->older) {
        if (s->from.lo == g->stack.lo) {
            tz_system_stack(drop_left, g);
            return;
        }
    }
}

// On the borrowed stack, still in the critical section.
static void run_big(void *arg)
{
    struct big_call *c = arg;
    const struct tz_stack_link *link = c->g->links;
    tell_gone();
    tz_crit_leave();
    c->fn(c->arg);
    tz_crit_enter();
    tell_coming(&link->from);
}

static TZ_NOINLINE void call_there(struct big_call *c)
{
    struct tz_g *g = c->g;
    struct tz_stack_link *link = (void *)(c->to.hi - LINK_ROOM);
    *link = (struct tz_stack_link){ .older = g->links,
                                 .from = g->stack,
                                 .from_sp = tz_sp() - PUSHED,
                                 .to = c->to };
    g->watch |= TZ_WATCH_LINKS;
    g->links = link;
    g->stack = c->to;
    tell_going(c);
    tz_ctx_call_on((uintptr_t)link, run_big, c);
    g->stack = link->from;
    tell_back(c);
}

int tuza_call_big(void (*fn)(void *), void *arg, size_t size)
{
    struct tz_g *g = tz_need_g("tuza_call_big");
    if (!fn || size > MOST_BIG)
        return -EINVAL;
    if (g->watch & TZ_WATCH_SYSTEM)
        tz_fatal("goroutine %llu: tuza_call_big inside of "
                 "tuza_on_system_stack",
                 (unsigned long long)g->id);
    tz_crit_enter();
    if (!tz_on_own_stack(g, tz_sp()))
        tz_fatal("goroutine %llu uses tuza on a stack that is not its own",
                 (unsigned long long)g->id);
    if (!g->seg)
        drop_abandoned(g);
    if (tz_sp() - g->stack.lo >= size + LITTLE) {
        tz_crit_leave();
        fn(arg);
        return 0;
    }
    struct big_call c = { .fn = fn, .arg = arg, .g = g, .size = size + AROUND };
    tz_system_stack(borrow, &c);
    if (!c.err) {
        if (g->seg)
            tz_split_call(g, run_big, &c);
        else
            call_there(&c);
        tz_system_stack(give_back, &c);
        if (!g->links)
            g->watch &= (uint8_t)~TZ_WATCH_LINKS;
    }
    tz_crit_leave();
    return c.err;
}

int tuza_stack_bounds(void **lo, void **hi)
{
    struct tz_stack st;
    if (!lo || !hi)
        return -EINVAL;
    struct tz_g *g = tz_getg();
    if (g && tz_on_own_stack(g, tz_sp()))
        st = g->stack;
    else
        tz_thread_stack(&st.lo, &st.hi);
    *lo = (void *)st.lo;
    *hi = (void *)st.hi;
    return 0;
}
