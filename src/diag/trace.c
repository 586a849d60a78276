// SPDX-License-Identifier: BSD-3-Clause
// diag/trace.c: the frames of a goroutine, in the form of Go's traces.
//
//         main.deeper (4711 times)(...)
//                 ??:0 +0x2a
//         ...additional frames elided...
//         libtuza.goroutine_main(...)
//                 ??:0 +0x99
//
// The innermost TOP lines and the outermost LAST; a function that calls itself
// from one place is one line. Where Go has file and line there is "??:0": the
// symbol tables do not tell. The offset is from the start of the function, or of
// the file where the function has no name ("main.??").
//
// The current goroutine's walk starts where a signal interrupted it, or else
// right here, perhaps on the system stack or the signal stack: then it goes on
// where the goroutine left its own. Others are parked, stopped or in a declared
// call when we look, but run on meanwhile: their stacks are read by copies of
// what is still there.

#include "diag/trace.h"

#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "base/print.h"
#include "base/san.h"
#include "sched/proc.h"
#include "stack/unwind.h"

enum { TOP = 16, LAST = 4, WALK_MAX = 4 * 1000 * 1000 };

struct line {
    uintptr_t pc, place;
    size_t times;
};

// What is printed of a goroutine.
struct walk {
    struct tz_out *out;
    const struct tz_g *g;
    bool entry; // the function that it began with was among the frames
};

// The trampoline of tuza_fn(f, …) is f_tuza_run; it may contain f itself.
TZ_NO_SANITIZE static bool is_entry(const struct tz_g *g, const char *symbol)
{
    size_t n = g->name ? strlen(g->name) : 0;
    return n && !strncmp(symbol, g->name, n) &&
           (!symbol[n] || !strncmp(symbol + n, "_tuza_run", 9));
}

struct tz_symbol tz_trace_place(struct tz_out *o, const char *indent,
                                uintptr_t pc, uintptr_t place, size_t times)
{
    struct tz_symbol s = { .start = 0 };
    char text[200], often[32] = "";
    size_t offset = 0;
    if (o->names)
        tz_symbol_find(place, &s);
    if (s.start) {
        tz_format(text, sizeof text, "%s.%s", s.module, s.name);
        offset = pc - s.start;
    } else if (s.module[0]) {
        tz_format(text, sizeof text, "%s.??", s.module);
        offset = pc - s.base;
    } else {
        tz_format(text, sizeof text, "%p", (void *)pc);
    }
    if (times > 1)
        tz_format(often, sizeof often, " (%zu times)", times);
    tz_out(o, "%s%s%s(...)\n%s\t??:0 +0x%zx\n", indent, text, often, indent,
           offset);
    return s;
}

static void print_line(struct walk *w, const struct line *l)
{
    struct tz_symbol s = tz_trace_place(w->out, "", l->pc, l->place, l->times);
    if (s.start)
        w->entry |= is_entry(w->g, s.name);
}

// What has come to an end: prints it, or keeps it among the last.
static void line_done(struct walk *w, const struct line *l, struct line *last,
                      size_t n)
{
    if (n < TOP)
        print_line(w, l);
    else
        last[n % LAST] = *l;
}

static void print_walk(struct walk *w, struct tz_unwind *u)
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
            line_done(w, &now, last, lines++);
        now = (struct line){ pc, tz_unwind_place(u), 1 };
    } while (frames < WALK_MAX && tz_unwind_step(u));
    line_done(w, &now, last, lines++);
    if (lines > TOP + LAST)
        tz_out(w->out, "...additional frames elided...\n");
    for (size_t i = lines > TOP + LAST ? lines - LAST : TOP; i < lines; i++)
        print_line(w, &last[i % LAST]);
}

// Of the stacks that the thread may be on, the one sp lies in comes first.
TZ_NO_SANITIZE static void walk_here(void *arg, uintptr_t sp)
{
    struct walk *w = arg;
    const struct tz_g *g = w->g;
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
    print_walk(w, &u);
}

TZ_NO_SANITIZE bool tz_trace_current(struct tz_out *o,
                                     const struct tz_machine *at, bool *entry)
{
    struct tz_g *g = tz_getg();
    struct tz_m *m = tz_getm();
    struct walk w = { .out = o, .g = g };
    struct tz_unwind u;
    if (!g || !m || !g->started)
        return false;
    if (at || m->fault) {
        tz_unwind_start(&u, at ? at : m->fault, g->stack.lo, g->stack.hi,
                        g->links);
        print_walk(&w, &u);
    } else {
        tz_ctx_spill(walk_here, &w);
    }
    *entry = w.entry;
    return true;
}

// One that was stopped where it ran, by a signal or at the end of a critical
// section: what it left for the scan tells, while it is there.
TZ_NO_SANITIZE static bool stopped_stands(const struct tz_m *m,
                                          struct tz_machine *at)
{
    char frame[TZ_UNWIND_FRAME] TZ_ALIGNED(16);
    ucontext_t uc;
    const void *regs = m ? tz_load_rlx(&m->stop_regs) : NULL;
    uintptr_t sp = m ? tz_load_rlx(&m->stop_sp) : 0;
    if (!sp)
        return false;
    if (!regs)
        return tz_peek(frame, sp, sizeof frame) &&
               tz_machine_of_frame(frame, sp, at);
    struct tz_sigctx c = { .uc = &uc };
    return tz_peek(&uc, (uintptr_t)regs, sizeof uc) &&
           tz_machine_of_signal(&c, at);
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
    case TZ_G_RUNNING:
    case TZ_G_NO_P: // at rest in a handler
        return stopped_stands(tz_load_rlx(&g->m), at);
    default:
        return false;
    }
}

TZ_NO_SANITIZE bool tz_trace_other(struct tz_out *o, const struct tz_g *g,
                                   bool *entry)
{
    struct tz_machine at;
    struct tz_unwind u;
    struct walk w = { .out = o, .g = g };
    if (!other_stands(g, &at))
        return false;
    // Links lie on the goroutine's stacks, which may go: not followed.
    tz_unwind_start(&u, &at, g->stack.lo, g->stack.hi, NULL);
    u.fleeting = true;
    print_walk(&w, &u);
    *entry = w.entry;
    return true;
}
