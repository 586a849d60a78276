// SPDX-License-Identifier: BSD-3-Clause
// diag/dump.c: every goroutine, on standard error, in the form of Go's dumps.
//
//   goroutine 18 [chan receive]:
//           tz_park+0x3c (libtuza.so.0)
//           tuza_chan_recv+0x1f0 (libtuza.so.0)
//           worker+0x22 (server)
//           …
//           worker
//           created at server.c:120
//
// Called on the way to the process's end, with any lock held and other threads
// running: it takes no lock and reads what it finds. It shows what each waits
// for, where it was spawned, and of the first hundred where they stand.

#include "base/port.h"
#include "base/print.h"
#include "diag/trace.h"
#include "sched/proc.h"

enum { DUMP_MAX = 1000, TRACES_MAX = 100 };

static const char *state_of(const struct tz_g *g)
{
    switch (tz_load_rlx(&g->status)) {
    case TZ_G_RUNNABLE:
        return "runnable";
    case TZ_G_RUNNING:
        return "running";
    case TZ_G_SYSCALL:
        return "syscall";
    case TZ_G_WAITING:
        return g->wait < TZ_WAIT_COUNT ? tz_wait_name(g->wait) : "waiting";
    default:
        return "?";
    }
}

static void dump_g(const struct tz_g *g, bool current, bool trace)
{
    tz_print("\ngoroutine %llu [%s]%s%s:\n", (unsigned long long)g->id,
             state_of(g), g->label ? " " : "", g->label ? g->label : "");
    if (current)
        tz_trace_current();
    else if (trace)
        tz_trace_other(g);
    tz_print("\t%s\n\tcreated at %s\n", g->name ? g->name : "(function)",
             g->site ? g->site : "?");
}

void tz_port_dump(void)
{
    const struct tz_g *me = tz_getg();
    if (me)
        dump_g(me, true, true);
    size_t n = tz_allg_count(), shown = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tz_g *g = tz_allg_get(i);
        if (g == me || tz_load_rlx(&g->status) == TZ_G_DEAD)
            continue;
        if (shown++ < DUMP_MAX)
            dump_g(g, false, shown <= TRACES_MAX);
    }
    if (shown > DUMP_MAX)
        tz_print("\n… and %zu more goroutines\n", shown - DUMP_MAX);
}
