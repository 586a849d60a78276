// SPDX-License-Identifier: BSD-3-Clause
// diag/dump.c: every goroutine, on standard error, in the form of Go's dumps.
//
//   goroutine 18 [chan receive]:
//           worker
//           created at server.c:120
//
// Called on the way to the process's end, with any lock held and other threads
// running: it takes no lock and reads what it finds. It shows what each waits
// for and where it was spawned, not its frames.

#include "base/port.h"
#include "base/print.h"
#include "sched/proc.h"

enum { DUMP_MAX = 1000 };

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

static void dump_g(const struct tz_g *g)
{
    tz_print("\ngoroutine %llu [%s]%s%s:\n\t%s\n\tcreated at %s\n",
             (unsigned long long)g->id, state_of(g), g->label ? " " : "",
             g->label ? g->label : "", g->name ? g->name : "(function)",
             g->site ? g->site : "?");
}

void tz_port_dump(void)
{
    const struct tz_g *me = tz_getg();
    if (me)
        dump_g(me);
    size_t n = tz_allg_count(), shown = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tz_g *g = tz_allg_get(i);
        if (g == me || tz_load_rlx(&g->status) == TZ_G_DEAD)
            continue;
        if (shown++ < DUMP_MAX)
            dump_g(g);
    }
    if (shown > DUMP_MAX)
        tz_print("\n… and %zu more goroutines\n", shown - DUMP_MAX);
}
