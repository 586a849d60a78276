// SPDX-License-Identifier: BSD-3-Clause
// sched/overflow.c: telling that a stack has overflowed.
//
// What a SIGSEGV was, by the address and by the stack pointer:
//
//     address in            stack pointer        told as
//     own guard zone        any                  overflow
//     anywhere near sp      outside own stacks   overflow: the zone was jumped
//     another's zone        in an own stack      bad pointer, and whose zone
//     signal stack's guard  any                  overflow of the signal stack
//     none given (kernel)   little is left       overflow: no room for a signal
//     an object's that was  any                  use after free (mem/bury.c)
//     buried
//     else                  any                  not ours: the next handler's
//
// The kernel gives no address when it wants to put a signal frame on the stack
// that is in use and finds no room; the handler that was to run is the
// program's, without SA_ONSTACK. All run on the thread's signal stack, in the
// handler, on the way to the process's end; the trace is of what was
// interrupted (diag/trace.c).

#include "sched/overflow.h"

#include <signal.h>

#include "base/print.h"
#include "base/san.h"
#include "mem/bury.h"
#include "os/vm.h"
#include "sched/proc.h"

enum {
    RED_ZONE = 128,
    NEAR_BELOW = 8192,            // what a push or a probe reaches below sp
    NEAR_ABOVE = 1024 * 1024,     // what a store into the new frame does above
    SIGNAL_FRAME = 16 * 1024      // at most, with any vector registers
};

// What is known of g, in parentheses.
static void describe(char *to, size_t size, const struct tz_g *g)
{
    tz_format(to, size, "goroutine %llu (%s%s%.64s, spawned at %s)",
              (unsigned long long)g->id, g->name ? g->name : "?",
              g->label ? ", label " : "", g->label ? g->label : "",
              g->site ? g->site : "?");
}

// "[…) of 191 KiB, class 256 KiB, guard marker, zone […) of 64 KiB".
static void describe_stack(char *to, size_t size, const struct tz_stack *st)
{
    struct tz_stack_about a;
    tz_stack_about(st, &a);
    size_t n = tz_format(to, size,
                         "stack [%p, %p) of %zu KiB, class %zu KiB, guarded "
                         "by %s",
                         (void *)st->lo, (void *)st->hi,
                         (st->hi - st->lo + 512) / 1024, a.size / 1024,
                         a.guard);
    if (a.zone && n < size)
        tz_format(to + n, size - n, ", zone [%p, %p) of %zu KiB",
                  (void *)(st->lo - a.zone), (void *)st->lo, a.zone / 1024);
}

// The dump starts the current goroutine's trace at the fault.
static void trace_from(const struct tz_sigctx *c, struct tz_machine *at)
{
    struct tz_m *m = tz_getm();
    if (c && m && tz_machine_of_signal(c, at))
        m->fault = at;
}

void tz_stack_overflow_report(const struct tz_g *g, const struct tz_stack *st,
                              const char *how, const struct tz_sigctx *c)
{
    struct tz_machine at;
    char who[256], what[256], where[128] = "";
    describe(who, sizeof who, g);
    describe_stack(what, sizeof what, st);
    if (c)
        tz_format(where, sizeof where, "\n\tfault at %p, sp %p, pc %p",
                  (void *)c->fault_addr, (void *)c->sp, (void *)c->pc);
    trace_from(c, &at);
    tz_fatal("stack overflow in %s\n"
             "%s%s%s\t%s%s\n"
             "\tlarger stacks: TUZASTACK=1M in the environment, stack_size in "
             "tuza_config, or tuza_call_big",
             who, how ? "\t" : "", how ? how : "", how ? "\n" : "", what,
             where);
}

// owner NULL: nobody uses that stack.
static TZ_NORETURN void report_pointer(const struct tz_g *g,
                                       const struct tz_g *owner,
                                       const struct tz_stack *st,
                                       const struct tz_sigctx *c)
{
    struct tz_machine at;
    char who[256] = "a thread", whose[256] = "no goroutine at present";
    if (g && !g->is_g0)
        describe(who, sizeof who, g);
    if (owner)
        describe(whose, sizeof whose, owner);
    trace_from(c, &at);
    tz_fatal("bad pointer: %s accesses %p, in the guard zone of the stack "
             "[%p, %p) of %s\n"
             "\tits own stack pointer is sane: %p, pc %p",
             who, (void *)c->fault_addr, (void *)st->lo, (void *)st->hi, whose,
             (void *)c->sp, (void *)c->pc);
}

static TZ_NORETURN void report_buried(const struct tz_g *g,
                                      const struct tz_grave *dead,
                                      const struct tz_sigctx *c)
{
    struct tz_machine at;
    char who[256] = "a thread";
    uintptr_t off = c->fault_addr - dead->base;
    bool behind = off >= dead->asked;
    if (g && !g->is_g0)
        describe(who, sizeof who, g);
    trace_from(c, &at);
    tz_fatal("use after free: %s accesses %p, %s %zu %s the object of %zu "
             "bytes at %p, which %s\n"
             "\tpageperobject=1: no other object was ever there; sp %p, pc %p",
             who, (void *)c->fault_addr, behind ? "" : "byte",
             behind ? off - dead->asked : off, behind ? "bytes behind" : "of",
             dead->asked, (void *)dead->base,
             dead->how == TZ_GONE_FREED
                 ? "was freed by tuza_free"
                 : "was swept: a collection has found nothing that leads to it",
             (void *)c->sp, (void *)c->pc);
}

// Whether the stack pointer is in none of the stacks that g may use, and the
// fault is what an access to the stack would make.
static TZ_NO_SANITIZE bool strayed(struct tz_tls *t, struct tz_g *g,
                                   const struct tz_sigctx *c)
{
    if (c->fault_addr + NEAR_BELOW < c->sp ||
        c->fault_addr > c->sp + NEAR_ABOVE)
        return false;
    if (tz_on_own_stack(g, c->sp) || c->sp == g->stack.hi)
        return false;
    return !t->m || !tz_stack_holds(&t->m->g0.stack, c->sp);
}

// Whether fault is in the page below the signal stack, which is its guard.
static TZ_NO_SANITIZE bool signal_stack_ended(const struct tz_sigctx *c)
{
    stack_t alt;
    if (sigaltstack(NULL, &alt) || (alt.ss_flags & SS_DISABLE))
        return false;
    uintptr_t lo = (uintptr_t)alt.ss_sp;
    return lo - c->fault_addr - 1 < tz_vm_page() &&
           c->sp - (lo - tz_vm_page()) < tz_vm_page() + alt.ss_size;
}

static TZ_NO_SANITIZE const char *how_it_was(const struct tz_g *g,
                                             const struct tz_stack *st,
                                             const struct tz_sigctx *c)
{
    if (st->lo != g->stack.lo)
        return "on a stack that it has borrowed, or left";
    if (c->fault_addr + RED_ZONE < c->sp)
        return "the stack pointer is well above the address: an access below "
               "a local object rather than a call too deep";
    return NULL;
}

TZ_NO_SANITIZE void tz_overflow_fault(const struct tz_sigctx *c)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = t->g;
    struct tz_stack st;
    struct tz_grave dead;
    void *owner = NULL;
    if (tz_bury_find(c->fault_addr, &dead))
        report_buried(g, &dead, c);
    bool mine = g && !g->is_g0 && g->started;
    bool zone = tz_stack_find(c->fault_addr, &st, &owner) == TZ_STACK_GUARD;
    if (mine && zone && owner == g)
        tz_stack_overflow_report(g, &st, how_it_was(g, &st, c), c);
    if (signal_stack_ended(c))
        tz_fatal("the signal stack of a thread has overflowed: a handler goes "
                 "too deep\n\tfault at %p, sp %p, pc %p",
                 (void *)c->fault_addr, (void *)c->sp, (void *)c->pc);
    if (mine && strayed(t, g, c))
        tz_stack_overflow_report(g, &g->stack,
                                 "the stack pointer is outside of it: a frame "
                                 "larger than the guard zone, or a damaged "
                                 "stack pointer",
                                 c);
    if (zone)
        report_pointer(g, owner, &st, c);
    if (mine && c->code == SI_KERNEL && tz_on_own_stack(g, c->sp) &&
        c->sp - g->stack.lo < SIGNAL_FRAME)
        tz_stack_overflow_report(g, &g->stack,
                                 "too little is left for a signal's frame: "
                                 "its handler lacks SA_ONSTACK",
                                 c);
}
