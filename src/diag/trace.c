// SPDX-License-Identifier: BSD-3-Clause
// diag/trace.c: the frames of a goroutine, for reports.
//
//         deeper+0x2a (prog) 4711 times
//         ... 12 more
//         goroutine_main+0x99 (libtuza.so.0)
//
// The innermost TOP lines and the outermost LAST; a function that calls itself
// from one place is one line. The current goroutine's walk starts where a fault
// interrupted it, or else right here, perhaps on the system stack or the signal
// stack: then it goes on where the goroutine left its own. Others are parked or
// in a declared call when we look, but run on meanwhile: their stacks are read
// by copies of what is still there.

#include "diag/trace.h"

#include <signal.h>

#include "base/print.h"
#include "base/san.h"
#include "diag/symbol.h"
#include "sched/proc.h"
#include "stack/unwind.h"

enum { TOP = 16, LAST = 4, WALK_MAX = 4 * 1000 * 1000 };

struct line {
    uintptr_t pc, place;
    size_t times;
};

static void print_line(const struct line *l)
{
    char text[200];
    tz_symbol_format(l->pc, l->place, text, sizeof text);
    if (l->times > 1)
        tz_print("\t%s %zu times\n", text, l->times);
    else
        tz_print("\t%s\n", text);
}

// What has come to an end: prints it, or keeps it among the last.
static void line_done(const struct line *l, struct line *last, size_t n)
{
    if (n < TOP)
        print_line(l);
    else
        last[n % LAST] = *l;
}

static void print_walk(struct tz_unwind *u)
{
    struct line now = { 0 }, last[LAST];
    size_t lines = 0, frames = 0;
    do {
        uintptr_t pc = u->at.reg[tz_unwind_cpu.pc];
        if (frames++ && pc == now.pc) {
            now.times++;
            continue;
        }
        if (now.times)
            line_done(&now, last, lines++);
        now = (struct line){ pc, tz_unwind_place(u), 1 };
    } while (frames < WALK_MAX && tz_unwind_step(u));
    line_done(&now, last, lines++);
    if (lines > TOP + LAST)
        tz_print("\t... %zu more%s\n", lines - TOP - LAST,
                 frames == WALK_MAX ? " at least" : "");
    for (size_t i = lines > TOP + LAST ? lines - LAST : TOP; i < lines; i++)
        print_line(&last[i % LAST]);
}

// Of the stacks that the thread may be on, the one sp lies in comes first.
TZ_NO_SANITIZE static void walk_here(void *arg, uintptr_t sp)
{
    const struct tz_g *g = arg;
    struct tz_m *m = tz_getm();
    struct tz_machine at;
    struct tz_unwind u;
    stack_t alt;
    if (!tz_machine_of_frame((const void *)sp, sp, &at))
        return;
    // What was left for another stack is in use from somewhere on.
    struct tz_stack_link own = { .older = g->links, .from = g->stack,
                              .from_sp = g->stack.lo };
    struct tz_stack_link system = { .older = &own, .from_sp = m->g0.stack.lo,
                                 .from = m->g0.stack };
    if (tz_stack_holds(&g->stack, sp)) {
        tz_unwind_start(&u, &at, sp, g->stack.hi, g->links);
    } else if (tz_stack_holds(&m->g0.stack, sp)) {
        tz_unwind_start(&u, &at, sp, m->g0.stack.hi, &own);
    } else if (sigaltstack(NULL, &alt) == 0 &&
               sp - (uintptr_t)alt.ss_sp < alt.ss_size) {
        tz_unwind_start(&u, &at, sp, (uintptr_t)alt.ss_sp + alt.ss_size,
                        &system);
    } else {
        return;
    }
    print_walk(&u);
}

TZ_NO_SANITIZE void tz_trace_current(void)
{
    struct tz_g *g = tz_getg();
    struct tz_m *m = tz_getm();
    struct tz_unwind u;
    if (!g || !m || !g->started)
        return;
    if (m->fault) {
        tz_unwind_start(&u, m->fault, g->stack.lo, g->stack.hi, g->links);
        print_walk(&u);
    } else {
        tz_ctx_spill(walk_here, g);
    }
}

// Where a goroutine stands that does not run; false: that is not known.
TZ_NO_SANITIZE static bool other_stands(const struct tz_g *g,
                                        struct tz_machine *at)
{
    char frame[TZ_UNWIND_FRAME] TZ_ALIGNED(16);
    uintptr_t sp, pc;
    switch (tz_load_acq(&g->status)) {
    case TZ_G_RUNNABLE:
    case TZ_G_WAITING:
        sp = g->ctx.sp;
        return g->started && tz_peek(frame, sp, sizeof frame) &&
               tz_machine_of_frame(frame, sp, at);
    case TZ_G_SYSCALL:
        // The call that was declared has pushed its own by now; it returns to
        // the same function.
        sp = g->syscall_sp;
        return tz_peek(&pc, sp - sizeof pc, sizeof pc) &&
               tz_machine_of_call(&g->syscall_regs, sp, pc, at);
    default:
        return false;
    }
}

TZ_NO_SANITIZE void tz_trace_other(const struct tz_g *g)
{
    struct tz_machine at;
    struct tz_unwind u;
    if (!other_stands(g, &at))
        return;
    // Links lie on the goroutine's stacks, which may go: not followed.
    tz_unwind_start(&u, &at, g->stack.lo, g->stack.hi, NULL);
    u.fleeting = true;
    print_walk(&u);
}
