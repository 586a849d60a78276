// SPDX-License-Identifier: BSD-3-Clause
// diag/dump.c: every goroutine, in the form of Go's dumps, which tools read.
//
//   goroutine 18 [chan receive, 2 minutes, labels:{"goroutine": "parser"}]:
//   libtuza.tuza_chan_recv(...)
//           ??:0 +0x1f0
//   main.worker_tuza_run(...)
//           ??:0 +0x22
//   …
//   created by main.serve in goroutine 1
//           server.c:120 +0x3c
//
// Three ways lead here: a failure (tz_fatal, tz_throw), SIGQUIT, which ends the
// process with status 2 as Go does, and tuza_dump, after which it goes on. All
// may come with any lock held and other threads running: the dump takes no lock
// and reads what it finds.
//
// SIGQUIT is left alone where the program ignores it or has a handler before
// the runtime starts. Go's traceback.go: goroutineheader, tracebackothers; its
// label's comma is ours, so that readers of Go 1.19's dumps skip it.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/port.h"
#include "base/print.h"
#include "base/san.h"
#include "diag/diag.h"
#include "diag/symbol.h"
#include "diag/trace.h"
#include "os/clock.h"
#include "os/sig.h"
#include "sched/proc.h"
#include "tuza/debug.h"

enum {
    DUMP_MAX = 1000,     // goroutines when the process ends
    TRACES_MAX = 100,    // of these with frames
    ASKED_TRACES = 1000, // with frames when it goes on
    LABEL_MAX = 80
};

// Here and below: of a G that its thread may be changing.
TZ_NO_SANITIZE static const char *state_of(const struct tz_g *g,
                                           uint32_t status)
{
    switch (status) {
    case TZ_G_RUNNABLE:
        return "runnable";
    case TZ_G_RUNNING:
        return "running";
    case TZ_G_NO_P:
        return "running, no P";
    case TZ_G_SYSCALL:
        return "syscall";
    case TZ_G_WAITING:
        return g->wait < TZ_WAIT_COUNT ? tz_wait_name(g->wait) : "waiting";
    default:
        return "?";
    }
}

// `"text"`, without what would end the head line or the quotes early.
TZ_NO_SANITIZE static void quote(char *to, const char *text)
{
    size_t n = 0;
    to[n++] = '"';
    for (; *text && n < LABEL_MAX; text++) {
        bool bad = (unsigned char)*text < ' ' || *text == '"' ||
                   *text == ']' || *text == '\\';
        to[n++] = bad ? '?' : *text;
    }
    to[n++] = '"';
    to[n] = 0;
}

TZ_NO_SANITIZE static void head(struct tz_out *o, const struct tz_g *g,
                                uint32_t status)
{
    char minutes[40] = "", label[LABEL_MAX + 40] = "", text[LABEL_MAX + 4];
    int64_t since = tz_load_rlx(&g->wait_since);
    int64_t waits = (tz_clock_now() - since) / (60 * TZ_NSEC_PER_SEC);
    if (status == TZ_G_WAITING && since && waits >= 1)
        tz_format(minutes, sizeof minutes, ", %lld minutes", (long long)waits);
    const char *own = tz_load_rlx(&g->label);
    if (own) {
        quote(text, own);
        tz_format(label, sizeof label, ", labels:{\"goroutine\": %s}", text);
    }
    tz_out(o, "\ngoroutine %llu [%s%s%s]:\n", (unsigned long long)g->id,
           state_of(g, status), minutes, label);
}

TZ_NO_SANITIZE static void created_by(struct tz_out *o, const struct tz_g *g)
{
    struct tz_symbol s = { .start = 0 };
    uintptr_t pc = g->spawn_pc;
    if (!g->parent)
        return; // the main goroutine
    if (o->names)
        tz_symbol_find(pc - 1, &s);
    tz_out(o, "created by %s%s%s in goroutine %llu\n\t%s +0x%zx\n", s.module,
           s.module[0] ? "." : "", s.start ? s.name : "??",
           (unsigned long long)g->parent, g->site ? g->site : "??:0",
           (size_t)(s.start ? pc - s.start : pc - s.base));
}

// at: where the current goroutine stands, NULL for others and when unknown.
TZ_NO_SANITIZE static void dump_g(struct tz_out *o, const struct tz_g *g,
                                  bool current, const struct tz_machine *at,
                                  bool trace)
{
    uint32_t status = tz_load_rlx(&g->status);
    bool entry = false, frames = false;
    head(o, g, status);
    if (current)
        frames = tz_trace_current(o, at, &entry);
    else if (trace)
        frames = tz_trace_other(o, g, &entry);
    if (!frames && trace &&
        (status == TZ_G_RUNNING || status == TZ_G_NO_P))
        tz_out(o, "\tgoroutine running on other thread; stack unavailable\n");
    else if (!frames || (!entry && g->parent)) // or its symbol is stripped
        tz_out(o, "%s(...)\n\t??:0\n", g->name ? g->name : "function");
    created_by(o, g);
}

static void dump_all(struct tz_out *o, const struct tz_machine *at,
                     size_t most, size_t traces)
{
    const struct tz_g *me = tz_getg();
    if (me)
        dump_g(o, me, true, at, true);
    size_t n = tz_allg_count(), shown = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tz_g *g = tz_allg_get(i);
        if (g == me || tz_load_rlx(&g->status) == TZ_G_DEAD)
            continue;
        if (shown++ < most)
            dump_g(o, g, false, NULL, shown <= traces);
    }
    if (shown > most)
        tz_out(o, "\n… and %zu more goroutines\n", shown - most);
}

static void dump_last(const struct tz_machine *at)
{
    struct tz_out o = { .fd = STDERR_FILENO };
    o.names = tz_symbol_begin(true);
    dump_all(&o, at, DUMP_MAX, TRACES_MAX);
}

void tz_port_dump(void)
{
    dump_last(NULL);
}

int tuza_dump(int fd)
{
    struct tz_out o = { .fd = fd };
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    o.names = tz_symbol_begin(false);
    dump_all(&o, NULL, SIZE_MAX, ASKED_TRACES);
    if (o.names)
        tz_symbol_end();
    return -o.err;
}

// --- SIGQUIT

static bool on_quit(struct tz_sigctx *c)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_g *g = tz_getg();
    struct tz_machine at;
    t->locks++; // never stop or switch from here on
    bool known = g && tz_stack_holds(&g->stack, c->sp) &&
                 tz_machine_of_signal(c, &at);
    tz_print("SIGQUIT: quit\nPC=%p m=%d sigcode=%d\n", (void *)c->pc,
             t->m ? (int)t->m->id : -1, c->code);
    dump_last(known ? &at : NULL);
    tz_port_end();
    _exit(2);
}

int tz_dump_init(void)
{
    struct sigaction now;
    if (sigaction(SIGQUIT, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO) ||
        now.sa_handler != SIG_DFL)
        return 0; // the program's own business
    return tz_sig_install(SIGQUIT, on_quit);
}
