// SPDX-License-Identifier: BSD-3-Clause
// gc/told.c: marking what could be reached when the mark began.
//
// Where every store tells what it overwrites (barrier.c), a mark needs no help from
// the kernel and no second look at what is written:
//
//   begin   the world stands still while what roots hold is pushed; stores are
//           logged from here on, and what is allocated is marked
//   stacks  of goroutines that wait are read by and by, each at the latest by who is
//           about to run it: until then it stays as it was
//   round   words that were overwritten are pushed, too
//   end     the world stands still for the last of them
//
// Whatever could be reached at the beginning is marked then: it is still where it
// was, or the store that took it away has told. Whatever could not is new, and
// marked, or garbage. So the roots are not looked at again, and neither pause grows
// with what the program writes or with the heap.
//
// gcc with the barrier's flags tells of some stores before the mark begins that come
// after (docs/adr/010). Then the goroutine has the address in a register or on its
// stack, so with the flags what these point to is scanned with the stack.
//
// Yuasa, Real-time garbage collection on general-purpose machines (1990). Go's
// hybrid barrier (mbarrier.go) tells of new values as well, and so scans a stack
// while its goroutine runs, too (docs/adr/016).

#include "gc/told.h"

#include "base/print.h"
#include "gc/barrier.h"
#include "gc/mark.h"
#include "gc/markroot.h"
#include "mem/types.h"
#include "os/env.h"

bool tz_told_all(const char **why)
{
    static char text[160];
    const char *missing;
    bool asked = tz_env.gc_mode >= TZ_GCMODE_M2;
    if (tz_barrier_declared(&missing)) {
        if (!tz_types_any_traced())
            return true;
        *why = "stores into objects with a trace procedure are not told";
        return false;
    }
    if (missing && (missing[0] || asked)) {
        tz_format(text, sizeof text, "%s does not tell of its stores",
                  missing[0] ? missing : "the program");
        *why = text;
    } else if (asked) {
        *why = "the program says that stores are not told";
    }
    return false;
}

static void push(void *w, const uintptr_t *words, size_t n)
{
    tz_mark_range(w, (uintptr_t)words, (uintptr_t)(words + n));
}

uint32_t tz_told_begin(struct tz_gcwork *w)
{
    tz_barrier_start();
    // Roots are noted only, so that the stop does not grow with what they lead to.
    w->later = true;
    w->look = !tz_barrier_by_hand();
    uint32_t job = tz_markroot_held(w);
    w->later = w->look = false;
    tz_mark_put_back(w);
    return job;
}

void tz_told_left(struct tz_gcwork *w, uint32_t job)
{
    w->look = !tz_barrier_by_hand();
    tz_markroot_left(w, job);
    w->look = false;
}

void tz_told_stack(struct tz_gcwork *w, struct tz_g *g)
{
    w->later = true;
    w->look = !tz_barrier_by_hand();
    tz_markroot_parked(w, g);
    w->later = w->look = false;
    tz_mark_put_back(w);
}

void tz_told_round(struct tz_gcwork *w) { tz_barrier_flush(push, w); }

bool tz_told_end(struct tz_gcwork *w)
{
    tz_barrier_flush_all(push, w);
    tz_markroot_all_scanned();
    bool ok = !tz_barrier_overflowed();
    tz_barrier_stop();
    return ok;
}
